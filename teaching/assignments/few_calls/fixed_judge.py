"""The fixed evaluator of the assignment "few calls": 500 digits a seed by the shipped network, at 1, 2 or 4 calls a digit.

    python fixed_judge.py        # measures the ladder again: one JSON line for each of the course's samplers

All pictures are reduced to ink and no ink first, so that nothing is gained by more contrast. What is reported is a ratio:
the Fréchet distance of the drawn digits to MNIST's test digits on the features of the course's judge, divided by that of
as many real training digits. 1 is as near as real digits are. Needs MNIST.
"""

import json
import math
from functools import cache

import torch

from course import assigned, data, device, judges, metrics, toy_ddpm, weights

DIGITS = 500
CALLS = (1, 2, 4)
# For each number of calls: the best of the course's own samplers on even levels (worth nothing), and what full points
# take. Both are means of three seeds; full points begin 4 to 10 per cent short of what the teacher's answer reached.
BARS = {1: (24.8, 3.5), 2: (3.0, 1.5), 4: (1.66, 1.36)}
LABELS_READ = 0.95  # at 4 calls, this share of the digits must be read as asked


def ink(x):
    """Pictures as they are judged: 1 where there is ink, that is where x is above 0, and -1 elsewhere."""
    return torch.where(x > 0, 1.0, -1.0)


@cache
def _fixed():
    """(network, judge, features of the test digits, the distance of real digits), loaded once."""
    test, real = data.digits(train=False, quiet=True), data.digits(quiet=True)
    if len(test.labels) != 10_000:
        raise ValueError(
            "this evaluator needs MNIST, and only the stand-in digits are here: `python -m course.data` fetches MNIST, or "
            "set COURSE_DATA to the folder that holds it"
        )
    judge, labels = judges.load_digit_judge(), torch.arange(DIGITS) % 10
    floor, _ = metrics.real_distance(judge, real._replace(images=ink(real.images)), labels, ink(test.images))
    return weights.load("digit-unet"), judge, metrics.in_batches(judge.features, ink(test.images)), floor


@torch.no_grad()
def evaluate(sampler, calls, seed):
    """{"ratio", "labels"} of 500 digits drawn by `sampler(denoiser, x_T, calls, generator)` from one seed.

    x_T: `[500, 1, 28, 28]`; what comes back has that shape and lies in [-1, 1] (it is clipped). Raises TooManyCalls, and
    ValueError where something else comes back.
    """
    network, judge, test, floor = _fixed()
    labels = torch.arange(DIGITS) % 10
    x_T = torch.randn(DIGITS, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    allowed = assigned.Counted(network.given(labels), DIGITS, calls)
    x_0 = sampler(allowed, x_T.clone(), calls, torch.Generator().manual_seed(seed + 1))
    x_0 = ink(assigned.pictures_or_error(x_0, like=x_T))
    distance = metrics.frechet_distance(metrics.in_batches(judge.features, x_0), test)
    return {"ratio": distance / floor, "labels": metrics.accuracy(judge, x_0, labels)}


def several(sampler, calls, seeds=(0, 1, 2)):
    """Means over seeds, and their standard deviations: {"ratio", "labels", "spread of ratio", "spread of labels"}."""
    return assigned.several(lambda seed: evaluate(sampler, calls, seed), seeds)


def share(calls, ratio):
    """The share of the points, 0 to 1: 0 at the ladder's best rung, 1 at the bar, and along the logarithm in between."""
    rung, bar = BARS[calls]
    return min(max((math.log(rung) - math.log(ratio)) / (math.log(rung) - math.log(bar)), 0.0), 1.0)


def points(sampler, calls, most, seeds=(0, 1, 2)):
    """The points out of `most`; none where too few of the digits of four calls are read as asked. Prints one line: why."""
    with assigned.quietly():
        found = several(sampler, calls, seeds)
    read = calls < 4 or found["labels"] >= LABELS_READ
    print(
        f"ratio {found['ratio']:.2f} ± {found['spread of ratio']:.2f} (full points from {BARS[calls][1]:g}), "
        f"read as asked {found['labels']:.0%}" + ("" if read else f", and {LABELS_READ:.0%} are needed")
    )
    return round(most * share(calls, found["ratio"]), 2) if read else 0.0


# ---------------------------------------------------------------- the ladder


def by_steps(make_step, calls_a_step=1):
    """One of the course's samplers on even levels, as a sampler of this assignment."""

    def sampler(denoiser, x_T, calls, generator):
        walk = toy_ddpm.sample(denoiser, x_T, max(calls // calls_a_step, 1), make_step(), generator=generator)
        return toy_ddpm.last(walk)

    return sampler


LADDER = {
    "DDIM": by_steps(lambda: toy_ddpm.ddim),
    "DDPM, small variance": by_steps(lambda: toy_ddpm.ddpm),
    "DPM-Solver++": by_steps(toy_ddpm.dpmpp_2m),
}

if __name__ == "__main__":
    device.setup(1, quiet=True)
    for name, sampler in LADDER.items():
        for calls in CALLS:
            found = several(sampler, calls)
            rounded = {key: round(value, 3) for key, value in found.items()}
            print(json.dumps({"sampler": name, "calls": calls, **rounded}), flush=True)
