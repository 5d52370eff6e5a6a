"""Mini DALL-E 2's prior: from a caption to CLIP's embedding of a picture, by diffusion."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import PriorTransformer
from transformers import CLIPModel

from course import mini_clip, mini_unclip, toy_ddpm, toy_zoo, weights
from course.pictures import from_uint8
from course.toy_zoo import DOGS_WITH_GLASSES, HELD_OUT
from course.train.recipe import Recipe
from course.train.trainer import Trainer
from course.train.zoo_unet import CAPTIONS, DROP

RESCALING = ("clip_mean", "clip_std")  # parameters of the class that its training never uses


def prior_loss(prior, rows, draw, clip, schedule, empty):
    """unCLIP Eq. 2: mean squared error of the clean embedding, given a caption of its picture, or the empty one.

    rows: embeddings `[B, D]` and the captions' tokens `[B, CAPTIONS, L]`.
    """
    embeddings, ids = rows
    which = (draw.levels(ids.shape[1]) - 1).to(ids.device, non_blocking=True)
    ids = torch.where(draw.uniform(1) < DROP, empty, ids[torch.arange(len(ids), device=ids.device), which])
    with torch.no_grad():
        c = mini_unclip.read_tokens(clip, ids)
    t, eps = draw.mixed_levels(schedule.T), draw.normal(*embeddings.shape[1:])
    network = mini_unclip.prior_network(prior)
    return toy_ddpm.training_loss(network, embeddings, t, eps, schedule, mini_unclip.PRIOR_PREDICTION, c)


@torch.no_grad()
def embeddings(clip, pictures):
    """CLIP's embeddings `[N, D]` of pictures uint8 `[N, 64, 64, 3]`, of length `mini_unclip.SCALE`."""
    parts = torch.from_numpy(pictures).split(500)
    return mini_unclip.SCALE * torch.cat([mini_clip.embed_images(clip, from_uint8(part)) for part in parts])


def prior_trainer(clip, tokenizer, seed=0, n=20_000, **changes):
    """A `Trainer` of a new prior on n pictures of training scenes; changes: keywords of `Trainer`."""
    pictures, _, scenes = toy_zoo.examples(n, seed=4000 + seed)
    rng = np.random.default_rng(4000 + seed)
    texts = [toy_zoo.caption(scene, rng) for scene in scenes for _ in range(CAPTIONS)]
    ids = mini_clip.tokens(tokenizer, texts).view(n, CAPTIONS, -1)
    torch.manual_seed(seed)
    empty, schedule = mini_clip.tokens(tokenizer, [""]), toy_ddpm.make_schedule(mini_unclip.PRIOR_SCHEDULE)
    loss = functools.partial(prior_loss, clip=clip, schedule=schedule, empty=empty)
    prior = mini_unclip.make_prior()
    used = [p for name, p in prior.named_parameters() if name not in RESCALING]
    recipe = {"batch_size": 64, "lr": 1e-3, "ema_decay": 0.999, "seed": seed, "parameters": used,
              "source": f"CLIP's embeddings of Toy Zoo's training scenes, {CAPTIONS} captions each"}  # fmt: skip
    return Trainer(prior, loss, (embeddings(clip, pictures), ids), **recipe | changes)


def clip_and_tokenizer():
    """CLIP with its tokenizer, as they are stored."""
    return [weights.load_pretrained("mini-clip", cls) for cls in (CLIPModel, mini_clip.CLIPTokenizer)]


def build(seed, device):
    return prior_trainer(*clip_and_tokenizer(), seed, device=device)


@torch.no_grad()
def measure(seed, n=500):
    """How many of n embeddings drawn for prompts lie nearest to true pictures of the very scene, among those of all scenes."""
    clip, tokenizer = clip_and_tokenizer()
    prior = weights.load_pretrained(f"{mini_unclip.FOLDER}/prior", PriorTransformer)
    unclip = mini_unclip.MiniUnclip(tokenizer, clip, prior, None, None)
    rng, every, figures = np.random.default_rng(seed), toy_zoo.all_scenes(), {}
    true = embeddings(clip, np.stack([toy_zoo.render(scene, rng) for scene in every for _ in range(2)]))
    centres = F.normalize(true.view(len(every), 2, -1).mean(1), dim=1)
    for name, scenes in {"held-out scenes": HELD_OUT, "a dog with glasses": DOGS_WITH_GLASSES}.items():
        asked = [scenes[i] for i in rng.integers(len(scenes), size=n)]
        prompts = [toy_zoo.caption(scene, rng, everything=True) for scene in asked]
        drawn = mini_unclip.draw_embeddings(unclip, prompts, torch.Generator().manual_seed(seed))
        nearest = (drawn @ centres.T).argmax(1).tolist()
        figures[f"embeddings nearest to the scene asked for, {name}"] = (
            sum(every[i] == s for i, s in zip(nearest, asked)) / n
        )
    return figures


RECIPE = Recipe(
    name="prior",
    folder=f"{mini_unclip.FOLDER}/prior",
    steps=2_000,
    needs=("clip",),
    build=build,
    store=lambda trainer: weights.save_pretrained(f"{mini_unclip.FOLDER}/prior", trainer.ema_model),
    measure=measure,
)
