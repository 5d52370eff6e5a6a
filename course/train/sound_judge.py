"""The toy sounds' judge: it reads length, movement and kind off a spectrogram."""

import torch
import torch.nn.functional as F

from course import judges, toy_sounds, weights
from course.train.recipe import Recipe
from course.train.trainer import Trainer


def judge_loss(judge, rows, draw):
    """Cross-entropy of every attribute, on waves with a little noise so that the judge does not hang on perfect silence."""
    waves, wanted = rows
    logits = judge(waves + 0.05 * draw.normal(*waves.shape[1:]) * draw.uniform(1, 1))
    names = list(toy_sounds.ATTRIBUTES)
    return sum(
        F.cross_entropy(row.float(), wanted[:, names.index(name)], label_smoothing=0.03) for name, row in logits.items()
    )


def sound_judge_trainer(seed=0, n=8_000, **changes):
    """A `Trainer` of a new judge on n sounds, also of those held out of the model that it judges; changes: keywords of `Trainer`."""
    waves, heard = toy_sounds.examples(n, seed=1000 + seed, sounds=toy_sounds.all_sounds())
    wanted = torch.tensor([toy_sounds.numbers(sound) for sound in heard])
    torch.manual_seed(seed)
    recipe = {"batch_size": 64, "lr": 2e-3, "ema_decay": 0.99, "seed": seed, "source": "toy sounds, all of them"}
    return Trainer(judges.SoundJudge(), judge_loss, (torch.from_numpy(waves), wanted), **recipe | changes)


def store(trainer):
    weights.save("sound-judge", trainer.ema_model)


def measure(seed, n=3000):
    """How many fresh sounds are read right, in every word at once and in each, the pitch by autocorrelation among them."""
    waves, heard = toy_sounds.examples(n, seed=1 + seed, sounds=toy_sounds.all_sounds())
    read = judges.load_sound_judge().read(torch.from_numpy(waves))
    figures = {"fresh sounds read right in every word": sum(a == b for a, b in zip(read, heard)) / n}
    for i, name in enumerate(toy_sounds.ATTRIBUTES):
        figures[f"{name} read right"] = sum(a[i] == b[i] for a, b in zip(read, heard)) / n
    return figures


RECIPE = Recipe(
    name="sound-judge",
    folder="sound-judge",
    steps=500,
    build=lambda seed, device: sound_judge_trainer(seed, device=device),
    store=store,
    measure=measure,
)
