"""The sounds' diffusion model: `SoundUNet` on toy sounds, with words. Schedule, prediction, loss and loop are the digits'."""

import torch

from course import judges, metrics, sounds, toy_ddpm, toy_sounds, weights
from course.mini_sound import SoundUNet, as_numbers
from course.train.recipe import Recipe
from course.train.trainer import DenoisingLoss, Draw, Trainer

SCHEDULE, PREDICTION = "cosine", "v"
UNSAID, NOTHING_SAID = 0.15, 0.1  # shares: of single words that are left out, and of captions of which nothing is left
SILENT = 1_000  # the sample from which on a short sound is over


class SoundLoss(DenoisingLoss):
    """The digits' loss with four words in place of one label. data: waves `[N, 1, L]` and numbers of words `[N, 4]`."""

    def __call__(self, network, rows, draw):
        x_0, words = rows
        t, eps = self.levels(draw, self.schedule.T), draw.normal(*x_0.shape[1:])
        silent = (draw.uniform(words.shape[1]) < UNSAID) | (draw.uniform(1) < self.drop_label)
        c = torch.where(silent, network.c_null, words)
        return toy_ddpm.training_loss(network, x_0, t, eps, self.schedule, self.prediction, c)

    def check(self, network, data):
        """Look at the data once, before the first step. Raises ValueError unless they are waves in [-1, 1], and words for each."""
        waves, words = data
        sounds.check(waves)
        if words.shape != (len(waves), len(network.c_null)) or not ((words >= 0) & (words < network.c_null)).all():
            allowed = f"[{len(waves)}, {len(network.c_null)}], each below {network.c_null.tolist()}"
            raise ValueError(f"the numbers of the words must be {allowed}; got {list(words.shape)}: toy_sounds.numbers")


def sound_trainer(seed=0, n=20_000, **changes):
    """A `Trainer` of a new `SoundUNet` on n sounds, none of them held out; changes: keywords of `Trainer`."""
    waves, heard = toy_sounds.examples(n, seed=2000 + seed)
    words = torch.tensor([toy_sounds.numbers(sound) for sound in heard])
    torch.manual_seed(seed)
    loss = SoundLoss(toy_ddpm.make_schedule(SCHEDULE), PREDICTION, NOTHING_SAID, Draw.mixed_levels)
    recipe = {
        "batch_size": 64,
        "lr": 2e-3,
        "ema_decay": 0.999,
        "seed": seed,
        "source": "toy sounds, without those held out",
    }
    return Trainer(SoundUNet(), loss, (torch.from_numpy(waves), words), **recipe | changes)


def draw_sounds(denoiser, captions, timesteps=25, guidance_scale=2.0, eta=0.0, seed=0):
    """Sounds `[n, 1, 2048]` in [-1, 1] for n captions, which may leave words unsaid. A guided step costs two calls."""
    generator = torch.Generator().manual_seed(seed)
    x_T = torch.randn(len(captions), 1, toy_sounds.SAMPLES, generator=generator)
    told = toy_ddpm.guide(denoiser.given(as_numbers(*captions)), guidance_scale)
    walk = toy_ddpm.sample(told, x_T, timesteps, toy_ddpm.ddim, eta=eta, generator=generator)
    return toy_ddpm.last(walk).clamp(-1, 1)


def store(trainer):
    weights.save("sound", trainer.ema_model, schedule=SCHEDULE, prediction=PREDICTION)


def measure(seed, n=100):
    """The share of n drawn sounds each in which the judge hears every word of the caption, and the noise in their silence."""
    judge, figures, denoiser = judges.load_sound_judge(), {}, weights.load("sound")
    sets = {"held-out sounds": toy_sounds.HELD_OUT, "training sounds": toy_sounds.TRAINING}
    captions = {name: [toy_sounds.caption(chosen[i % len(chosen)]) for i in range(n)] for name, chosen in sets.items()}
    drawn = {name: draw_sounds(denoiser, captions[name], seed=seed) for name in sets}
    for name in sets:
        figures[f"heard as asked, {name}"] = metrics.caption_accuracy(judge, drawn[name], captions[name])
    texts, waves = sum(captions.values(), []), torch.cat(list(drawn.values()))
    for kind in toy_sounds.KINDS:
        rows = [i for i, text in enumerate(texts) if kind in text]
        figures[f"heard as asked, {kind}s"] = metrics.caption_accuracy(judge, waves[rows], [texts[i] for i in rows])
    short = [i for i, text in enumerate(texts) if "short" in text]
    figures["RMS of the silence behind short ones"] = waves[short, :, SILENT:].square().mean().sqrt().item()
    waves, heard = toy_sounds.examples(2 * n, seed=3 + seed, sounds=toy_sounds.all_sounds())
    texts = [toy_sounds.caption(sound) for sound in heard]
    figures["true sounds heard as they are"] = metrics.caption_accuracy(judge, torch.from_numpy(waves), texts)
    return figures


RECIPE = Recipe(
    name="sound",
    folder="sound",
    steps=8_000,
    needs=("sound-judge",),
    build=lambda seed, device: sound_trainer(seed, device=device),
    store=store,
    measure=measure,
)
