"""The fixed evaluator of the assignment "half a digit": 200 test digits a seed, a part of each hidden and drawn anew.

    python fixed_judge.py        # measures the ladder again: one JSON line for each mask and each of the course's ways

What counts is the share of the digits that the course's judge still reads as what they were. The seam stands beside it: the
mean difference of neighbouring pixels across the edge of the mask, divided by that of the whole digits. Needs MNIST.
"""

import json
from functools import cache

import torch

from course import assigned, data, device, judges, metrics, toy_ddpm, weights

DIGITS = 200
CALLS = 60


def _mask(rows, columns):
    """1 where the model draws, 0 where the digit stays: `[1, 1, 28, 28]`."""
    mask = torch.zeros(1, 1, 28, 28)
    mask[..., rows, columns] = 1
    return mask


ALL = slice(None)
MASKS = {
    "lower half": _mask(slice(14, None), ALL),
    "right half": _mask(ALL, slice(14, None)),
    "middle": _mask(slice(9, 19), ALL),
}
# For each mask: the best of the course's own ways (worth nothing), and what full points take. Means of three seeds.
BARS = {"lower half": (0.72, 0.82), "right half": (0.80, 0.865), "middle": (0.66, 0.77)}


@cache
def _fixed():
    """(denoiser, judge, test digits), loaded once."""
    test = data.digits(train=False, quiet=True)
    if not test.is_mnist:
        raise ValueError(
            "this evaluator needs MNIST, and only the stand-in digits are here; `python -m course.data` fetches MNIST, or set COURSE_DATA to the folder that holds it"
        )
    return weights.load("digit-unet"), judges.load_digit_judge(), test


def chosen(seed):
    """As many test digits of each label, drawn by the seed: pictures `[200, 1, 28, 28]` and labels."""
    test, generator = _fixed()[2], torch.Generator().manual_seed(seed)
    labels = torch.arange(DIGITS) % 10
    rows = metrics.rows_like(labels, test, generator)
    return test.images[rows], test.labels[rows]


def seam(x, mask):
    """The mean difference of neighbouring pixels of which the mask hides one, a number."""
    across = [(x.diff(dim=dim).abs() * mask.diff(dim=dim).abs(), mask.diff(dim=dim).abs()) for dim in (2, 3)]
    return sum(part.sum() for part, _ in across).item() / (len(x) * sum(edge.sum() for _, edge in across).item())


def evaluate(fill, name, seed):
    """{"read", "seam"} of 200 digits that `fill(denoiser, known, mask, x_T, calls, generator)` has completed.

    known: the digits, with -1 (black) where the mask is 1; x_T: noise of the same shape `[200, 1, 28, 28]`. Outside the mask
    the digit itself is put back. Raises TooManyCalls, and ValueError where no such pictures come back.
    """
    network, judge, _ = _fixed()
    x, labels = chosen(seed)
    mask = MASKS[name]
    x_T = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    known = torch.where(mask > 0, -1.0, x)
    allowed = assigned.Counted(network, len(x), CALLS)
    filled = fill(allowed, known.clone(), mask.clone(), x_T.clone(), CALLS, torch.Generator().manual_seed(seed + 1))
    filled = torch.where(mask > 0, assigned.pictures_or_error(filled, like=x), x)
    return {"read": metrics.accuracy(judge, filled, labels), "seam": seam(filled, mask) / seam(x, mask)}


def several(fill, name, seeds=(0, 1, 2)):
    """Means over seeds, and their standard deviations: {"read", "seam", "spread of read", "spread of seam"}."""
    return assigned.several(lambda seed: evaluate(fill, name, seed), seeds)


def share(name, read):
    """The share of the points, 0 to 1: 0 at the ladder's best rung, 1 at the bar, and even in between."""
    rung, bar = BARS[name]
    return min(max((read - rung) / (bar - rung), 0.0), 1.0)


def points(fill, name, most, seeds=(0, 1, 2)):
    """The points out of `most`. Prints one line: why."""
    with assigned.quietly():
        found = several(fill, name, seeds)
    print(f"read {found['read']:.1%} ± {found['spread of read']:.1%} (full points from {BARS[name][1]:.1%})")
    return round(most * share(name, found["read"]), 2)


# ---------------------------------------------------------------- the ladder


def by_pasting(**how):
    """One of notebook 11's ways to paste, as a function of this assignment; all of them with 60 calls."""

    def fill(denoiser, known, mask, x_T, calls, generator):
        step = toy_ddpm.repaint(toy_ddpm.ddpm, known, mask, **how)
        steps = calls // how.get("resample", 1)
        with torch.no_grad():
            return toy_ddpm.last(toy_ddpm.sample(denoiser, x_T, steps, step, generator=generator))

    return fill


LADDER = {
    "end": by_pasting(paste="end"),
    "noised": by_pasting(),
    "clean": by_pasting(paste="clean"),
    "noised, r = 5": by_pasting(resample=5),
}

if __name__ == "__main__":
    device.setup(1, quiet=True)
    for name in MASKS:
        for how, fill in LADDER.items():
            found = several(fill, name)
            rounded = {key: round(value, 3) for key, value in found.items()}
            print(json.dumps({"mask": name, "how": how, **rounded}), flush=True)
