"""The digits' judge: a classifier whose features measure how real drawn digits look."""

import functools
import math

import torch
import torch.nn.functional as F

from course import data, judges, metrics, weights
from course.train.recipe import Recipe, need_mnist
from course.train.trainer import Trainer

BATCH, EPOCHS = 128, 6


def one_cycle(progress, steps_done, rise=0.3, start=1 / 25):
    """The share of the rate: from `start` up to 1 while `rise` of the training is done, then down to 0: Smith & Topin 2017 (arXiv 1708.07120)."""
    if progress < rise:
        return start + (1 - start) * 0.5 * (1 - math.cos(math.pi * progress / rise))
    return 0.5 * (1 + math.cos(math.pi * (progress - rise) / (1 - rise)))


def judge_loss(judge, rows, draw):
    """Cross-entropy on digits `[B, 1, 28, 28]` that are moved by up to 2 pixels, all of a batch alike. Returns a scalar."""
    images, labels = rows
    moved = torch.roll(images, (draw.levels(5)[:2] - 3).tolist(), dims=(2, 3))
    return F.cross_entropy(judge(moved), labels, label_smoothing=0.05)


def digit_judge_trainer(seed=0, n=None, **changes):
    """A `Trainer` of a new judge on the first n digits (None: all); changes: keywords of `Trainer` that replace the recipe's."""
    digits = data.digits(n=n)
    torch.manual_seed(seed)
    recipe = {"batch_size": BATCH, "lr": 4e-3, "ema_decay": 0.99, "rate": one_cycle, "seed": seed, "source": digits.source,
              "optimizer": functools.partial(torch.optim.AdamW, weight_decay=0.05)}  # fmt: skip
    return Trainer(judges.DigitClassifier(), judge_loss, (digits.images, digits.labels), **recipe | changes)


def build(seed, device):
    need_mnist()
    return digit_judge_trainer(seed, device=device)


def store(trainer):
    weights.save("digit-judge", trainer.ema_model)


def measure(seed):
    """The share of MNIST's test digits that are read right; there is nothing to draw, so all seeds give the same."""
    test = data.digits(train=False, quiet=True)
    right = metrics.accuracy(judges.load_digit_judge(), test.images, test.labels)
    return {"accuracy on the test digits": right}


RECIPE = Recipe(
    name="digit-judge",
    folder="digit-judge",
    steps=EPOCHS * 60_000 // BATCH,
    build=build,
    store=store,
    measure=measure,
)
