"""The judges of the course's pictures: small classifiers, and distances between their features.

The Fréchet distance here is taken on this classifier's features, so it must not be put beside
published FID values, which use another network (Heusel et al. 2017, arXiv 1706.08500).
"""

import torch
import torch.nn.functional as F
from torch import nn

from course import toy_zoo, weights


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


def judged_distance(judge, a, b):
    """Fréchet distance between two sets of pictures in [-1, 1] on the features of their judge; 0 is equal."""
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


class ZooJudge(nn.Module):
    """Toy Zoo pictures in [-1, 1] `[B, 3, 64, 64]` to one row of logits for each attribute; `features` gives 128 numbers."""

    def __init__(self):
        super().__init__()
        widths, layers = (3, 24, 48, 96, 96), []
        for before, after in zip(widths, widths[1:]):
            for stride, wide in ((2, before), (1, after)):
                layers += [nn.Conv2d(wide, after, 3, stride, 1), nn.GroupNorm(8, after), nn.ReLU()]
        self.body = nn.Sequential(*layers)  # [B, 96, 4, 4]
        self.narrow = nn.Sequential(nn.Flatten(), nn.Linear(96 * 16, 128), nn.LayerNorm(128), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(128, len(values)) for name, values in toy_zoo.ATTRIBUTES.items()})

    def features(self, x):
        return self.narrow(self.body(x))

    def forward(self, x):
        h = self.features(x)
        return {name: head(h) for name, head in self.heads.items()}

    @torch.no_grad()
    def read(self, x):
        """The scenes that the judge sees in the pictures, as a list of `Scene`."""
        rows = torch.cat(
            [torch.stack([logits.argmax(1) for logits in self(part).values()], 1) for part in x.split(250)]
        )
        seen = [[values[i] for values, i in zip(toy_zoo.ATTRIBUTES.values(), row)] for row in rows.tolist()]
        return [toy_zoo.Scene(s, None if s == "pizza" else c, b, w) for s, c, b, w in seen]


def load_zoo_judge():
    """The shipped reader of Toy Zoo pictures (its model card has its figures)."""
    return weights.load("zoo-judge", ZooJudge)


def prompt_accuracy(judge, x, prompts):
    """Share of the pictures `[N, 3, 64, 64]` in [-1, 1] that show everything their prompt names, in 0..1.

    Raises ValueError if a prompt names nothing of Toy Zoo, for then every picture would be right.
    """
    wanted = [toy_zoo.parse(prompt) for prompt in prompts]
    if not all(wanted) or len(wanted) != len(x):
        empty = next((prompt for prompt, names in zip(prompts, wanted) if not names), f"{len(wanted)} prompts")
        raise ValueError(
            f"one prompt a picture that names something of Toy Zoo is needed; got {empty!r} for {len(x)} pictures"
        )
    seen = judge.read(x)
    return sum(all(getattr(s, k) == v for k, v in names.items()) for s, names in zip(seen, wanted)) / len(wanted)


def diversity(judge, x, groups):
    """Mean distance of two pictures of one group (say, of one prompt) on the judge's features. groups: `[N]` numbers.

    Put it beside the same of true renderings. Raises ValueError if no group has two pictures.
    """
    features = in_batches(judge.features, x)
    sets = [features[groups == group] for group in groups.unique()]
    distances = [torch.pdist(same) for same in sets if len(same) > 1]
    if not distances:
        raise ValueError("every group holds a single picture; draw at least two of each")
    return torch.cat(distances).mean().item()


def psnr(a, b):
    """Peak signal-to-noise ratio of pictures in [-1, 1], in dB, the mean over the pictures; `[N, ...]` each."""
    return (10 * torch.log10(4 / (a - b).square().flatten(1).mean(1))).mean().item()
