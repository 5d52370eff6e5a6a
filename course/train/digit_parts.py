"""Networks that saw only a part of MNIST: two disjoint halves, and 10, 100 or 1,000 digits. Notebook 05 compares what they draw.

One more saw the 1,000 digits, ten of them a hundred times as often: notebook 13 counts what it returns.

After Kadkhodaie, Guth, Simoncelli, Mallat 2024 (arXiv 2310.02557): networks that saw few pictures return them, and two that
saw many, none of them in common, draw the same picture from the same noise.
"""

import functools

import torch

from course import data, judges, metrics, toy_ddpm, weights
from course.mini_unet import MiniUNet
from course.train.digit_unet import PREDICTION, SCHEDULE, TRAINER
from course.train.recipe import Recipe, need_mnist
from course.train.trainer import DenoisingLoss, Draw, Trainer

CHANNELS = (16, 32)
STEPS = 2_000
PARTS = ("half-a", "half-b", "10", "100", "1000", "repeated")  # halves, or so many digits, as many of every numeral
TIMES = 100  # how often "repeated" holds each digit of "10"; the others of "1000" once
SEEDS = {"half-b": 1}  # what the two halves share must not come from one start or one order of the noise
CALLS = 50


def part_rows(part, labels):
    """The rows of the training digits that a network of `PARTS` saw, long `[n]`. labels: those of all training digits, `[N]`."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    half = len(order) // 2
    if part in ("half-a", "half-b"):
        return order[:half] if part == "half-a" else order[half:]
    if part == "repeated":
        return torch.cat([part_rows("1000", labels), part_rows("10", labels).repeat(TIMES - 1)])
    each = int(part) // 10
    return torch.cat([order[labels[order] == numeral][:each] for numeral in range(10)])


def part_trainer(part, seed=0, n=None, **changes):
    """A `Trainer` of a new small network on its part of the first n digits (None: all), by the recipe of the digits' network."""
    digits = data.digits(n=n)
    rows, seed = part_rows(part, digits.labels), seed + SEEDS.get(part, 0)
    torch.manual_seed(seed)
    model = MiniUNet(channels=CHANNELS, num_classes=10)
    loss = DenoisingLoss(toy_ddpm.make_schedule(SCHEDULE), PREDICTION, levels=Draw.mixed_levels)
    recipe = TRAINER | {"seed": seed, "source": f"{digits.source}, {len(rows):,} digits"} | changes
    return Trainer(model, loss, (digits.images[rows], digits.labels[rows]), **recipe)


def nearest(x, images):
    """For each of x `[N, ...]` the row of the nearest of `images` `[M, ...]`, long `[N]`, and how far it is, per pixel `[N]`.

    The distance is the root mean square over the pixels.
    """
    distance, rows = torch.cdist(x.flatten(1), images.flatten(1)).min(dim=1)
    return rows, distance / x[0].numel() ** 0.5


def copied(x, images):
    """Which of x `[N, ...]` are copies, bool `[N]`, and the row of the nearest of `images` `[M, ...]`, long `[N]`.

    A copy is less than half as far from the nearest as from the second nearest.
    """
    near = torch.cdist(x.flatten(1), images.flatten(1)).topk(2, largest=False)  # values and indices [N, 2]
    return near.values[:, 0] < near.values[:, 1] / 2, near.indices[:, 0]


def alike(a, b):
    """The correlation of each picture of a with the same one of b, both `[N, ...]`: 1 for equal ones. Returns `[N]`."""
    a, b = (x.flatten(1) - x.flatten(1).mean(dim=1, keepdim=True) for x in (a, b))
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))


def draw(part, labels, seed):
    """Digits `[n, 1, 28, 28]` of these labels by the network of a part, all chance in the noise that they start from."""
    x_T = torch.randn(len(labels), 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    denoiser = weights.load(f"digit-parts/{part}").given(labels)
    return toy_ddpm.last(toy_ddpm.sample(denoiser, x_T, CALLS, toy_ddpm.ddim)).clamp(-1, 1)


def build(part, seed, device):
    need_mnist()
    return part_trainer(part, seed, device=device)


def store(part, trainer):
    weights.save(f"digit-parts/{part}", trainer.ema_model, schedule=SCHEDULE, prediction=PREDICTION)


def measure(part, seed, n=200):
    """Draw n digits, the labels in equal parts, and look how far the nearest digit is that the network learned from."""
    digits, labels = data.digits(quiet=True), torch.arange(n) % 10
    drawn = draw(part, labels, seed)

    def away_from(name):
        return nearest(drawn, digits.images[part_rows(name, digits.labels)])[1].mean().item()

    figures = {
        "labels read as asked": metrics.accuracy(judges.load_digit_judge(), drawn, labels),
        "distance to the nearest digit of its part": away_from(part),
    }
    if part == "half-b":
        same_noise, other_noise = draw("half-a", labels, seed), draw(part, labels, seed + 1000)
        figures |= {
            "distance to the nearest digit of the other half": away_from("half-a"),
            "correlation with the other half's digits from the same noise": alike(drawn, same_noise).mean().item(),
            "correlation with its own digits from other noise": alike(drawn, other_noise).mean().item(),
        }
    return figures


RECIPES = [
    Recipe(
        name=f"digits-{part}",
        folder=f"digit-parts/{part}",
        steps=STEPS,
        needs=("digit-judge", "digits-half-a") if part == "half-b" else ("digit-judge",),
        build=functools.partial(build, part),
        store=functools.partial(store, part),
        measure=functools.partial(measure, part),
    )
    for part in PARTS
]
