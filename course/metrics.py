"""The judge of the course's digits: a small classifier, and a distance between its features.

The Fréchet distance here is taken on this classifier's features, so it must not be put beside
published FID values, which use another network (Heusel et al. 2017, arXiv 1706.08500).
"""

import torch
import torch.nn.functional as F
from torch import nn

from course import weights


class DigitClassifier(nn.Module):
    """Digits in [-1, 1] `[B, 1, 28, 28]` to logits `[B, 10]`; `features` gives the 64 numbers before them."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Flatten(), nn.Linear(64 * 7 * 7, 64), nn.BatchNorm1d(64), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(64, 10)

    def features(self, x):
        return self.body(x)

    def forward(self, x):
        return self.head(self.features(x))


def load_judge():
    """The shipped classifier, which reads 99.5 % of MNIST's test digits right (its model card has the exact figure)."""
    return weights.load("digit-judge", DigitClassifier)


@torch.no_grad()
def in_batches(function, x, size=1000):
    """`function(x)`, a thousand rows at a time, so that memory stays small."""
    return torch.cat([function(part) for part in x.split(size)])


def digit_distance(judge, a, b):
    """Fréchet distance between two sets of digits `[N, 1, 28, 28]` in [-1, 1] on the judge's features; 0 is equal."""
    return frechet_distance(in_batches(judge.features, a), in_batches(judge.features, b))


def accuracy(judge, x, labels):
    """Share of the digits `[N, 1, 28, 28]` that the judge reads as their label `[N]`, in 0..1."""
    return (in_batches(judge, x).argmax(dim=1) == labels).float().mean().item()


def frechet_distance(a, b):
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of two feature sets `[N, D]`, `[M, D]`, in float64.

    Biased upward for few samples, so compare only sets of equal size. Raises ValueError on other
    shapes, fewer than two rows, or values that are not finite.
    """
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"needs [N, D] and [M, D] with N, M >= 2; got {tuple(a.shape)} and {tuple(b.shape)}")
    if not (a.isfinite().all() and b.isfinite().all()):
        raise ValueError("the features hold NaN or infinity: look at the pictures that they were taken from")
    a, b = a.double(), b.double()
    mean = (a.mean(0) - b.mean(0)).square().sum()
    cov_a, cov_b = torch.atleast_2d(torch.cov(a.T)), torch.atleast_2d(torch.cov(b.T))
    # the eigenvalues of C_a C_b are real and not negative, so their roots sum to the trace of its root
    roots = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt()
    return (mean + cov_a.trace() + cov_b.trace() - 2 * roots.sum()).item()


def fit_judge(judge, images, labels, epochs=6, seed=0, batch_size=128):
    """Train the classifier on digits moved by up to 2 pixels, with a one-cycle rate. A generator of (share done, loss)."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=0.05)
    steps = epochs * (len(images) // batch_size)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    judge.train()
    for step in range(steps):
        if step % (steps // epochs) == 0:
            order = torch.randperm(len(images), generator=generator).split(batch_size)
        rows = order[step % (steps // epochs)]
        shift = torch.randint(-2, 3, (2,), generator=generator).tolist()
        moved = torch.roll(images[rows], shift, dims=(2, 3))
        loss = F.cross_entropy(judge(moved), labels[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        yield (step + 1) / steps, loss.item()
    judge.eval()
