"""The upscaler of Toy Zoo: from 16 to 64 pixels, and from 64 to 256 by crops, one network for both."""

import functools

import numpy as np
import torch

from course import judges, mini_upscaler, toy_ddpm, toy_zoo, weights
from course.mini_upscaler import DETAIL, FACTOR, LEVELS, Upscaler
from course.pictures import from_uint8
from course.toy_zoo import HELD_OUT, SIZE, TRAINING
from course.train.recipe import Recipe
from course.train.trainer import Trainer

SCHEDULE, PREDICTION = "cosine", "x_0"
CROPS = 4  # of each large picture
CLEAN = 5  # one in so many small pictures stays without noise


def crops(n, seed):
    """n squares of 64 pixels, cut from pictures of 256, uint8 `[n, 64, 64, 3]`."""
    rng, squares = np.random.default_rng(seed), []
    for _ in range(n // CROPS):
        large = toy_zoo.render(TRAINING[rng.integers(len(TRAINING))], rng, FACTOR * SIZE)
        for y, x in FACTOR * rng.integers(0, (FACTOR - 1) * SIZE // FACTOR + 1, (CROPS, 2)):
            squares.append(large[y : y + SIZE, x : x + SIZE])
    return np.stack(squares)


def upscaler_loss(network, rows, draw, schedule):
    """DDPM Eq. 14 for the detail, given the small picture at a level of its own. rows: large pictures uint8 `[B, 64, 64, 3]`."""
    large = from_uint8(rows[0])
    small = mini_upscaler.shrink(large)
    level = torch.where(draw.levels(CLEAN) == 1, 0, draw.levels(LEVELS))
    small = toy_ddpm.q_sample(small, level, draw.normal(*small.shape[1:]), schedule)
    detail = (large - mini_upscaler.stretch(small)) / DETAIL
    t, eps = draw.levels(schedule.T), draw.normal(*large.shape[1:])
    c = small, level.to(small.device, non_blocking=True)
    return toy_ddpm.training_loss(network, detail, t, eps, schedule, PREDICTION, c)


def upscaler_trainer(seed=0, n=12_000, **changes):
    """A `Trainer` of a new upscaler on n whole pictures and n crops; changes: keywords of `Trainer`."""
    whole, _, _ = toy_zoo.examples(n, seed=7000 + seed)
    data = torch.from_numpy(np.concatenate([whole, crops(n, 7000 + seed)]))
    torch.manual_seed(seed)
    loss = functools.partial(upscaler_loss, schedule=toy_ddpm.make_schedule(SCHEDULE))
    recipe = {"batch_size": 16, "lr": 1e-3, "ema_decay": 0.999, "seed": seed,
              "source": "Toy Zoo, training scenes, whole at 64 pixels and in crops of 256"}  # fmt: skip
    return Trainer(Upscaler(), loss, (data,), **recipe | changes)


def measure(seed, n=200):
    """Of n held-out pictures, shrunk to 16 pixels and drawn anew: how many are read right, and how near the shrunk ones are."""
    rng = np.random.default_rng(seed)
    scenes = [HELD_OUT[i] for i in rng.integers(len(HELD_OUT), size=n)]
    small = mini_upscaler.shrink(from_uint8(np.stack([toy_zoo.render(scene, rng) for scene in scenes])))
    drawn = mini_upscaler.upscale(weights.load("upscaler"), small, torch.Generator().manual_seed(seed), level=0)
    read = judges.load_zoo_judge().read(drawn)
    error = (mini_upscaler.shrink(drawn) - small).square().mean().sqrt().item()
    return {"read right in every attribute": sum(a == b for a, b in zip(read, scenes)) / n,
            "error of the picture shrunk again (of a range of 2)": error}  # fmt: skip


RECIPE = Recipe(
    name="upscaler",
    folder="upscaler",
    steps=4_000,
    needs=("zoo-judge",),
    build=lambda seed, device: upscaler_trainer(seed, device=device),
    store=lambda trainer: weights.save("upscaler", trainer.ema_model, schedule=SCHEDULE, prediction=PREDICTION),
    measure=measure,
)
