"""Answers and usual mistakes of the side notebook on PyTorch."""

import torch
import torch.nn.functional as F

from course.check.engine import FunctionExercise, ValueExercise

_generator = torch.Generator().manual_seed(0)
_x_0 = torch.randn(6, 1, 6, 6, generator=_generator)  # as many pictures as rows and columns: a wrong shape then fits
_eps = torch.randn(6, 1, 6, 6, generator=_generator)
_share = torch.tensor([0.0, 0.1, 0.3, 0.6, 0.8, 1.0])
_x = torch.tensor([-1.5, -1.0, -0.2, 0.4, 0.9, 1.6])[:, None]
_y = torch.tensor([-0.7, -1.3, 0.4, 0.1, 0.9, 1.4])[:, None]

shape = ValueExercise(
    [8, 3],
    mistakes=[
        ([8, 3, 32, 32], "which dimensions does mean(dim=(2, 3)) take away?"),
        (
            [8, 3, 1, 1],
            "so it would be with keepdim=True; without it, what becomes of dimensions that are averaged over?",
        ),
        ([8, 1], "that is the shape of weight[:, None]; what does broadcasting do with its 1?"),
        ([8], "dimensions are counted from 0: which ones are 2 and 3?"),
        ([32, 32], "2 and 3 are the dimensions that are averaged over; which ones are left?"),
        ([8, 8, 3], "[:, None] makes [8, 1]; line it up at the right with the other shape"),
        ([3, 8], "the order stays as it was in x: which comes first there, pictures or channels?"),
    ],
)


def _mixed(x_0, eps, share):
    return (1 - share) * x_0 + share * eps


mix = FunctionExercise(
    lambda x_0, eps, share: _mixed(x_0, eps, share.view(-1, 1, 1, 1)),
    mistakes=[
        (_mixed, "[B] is lined up with the width: here every column of pixels has its own share, not every picture"),
        (
            lambda x_0, eps, share: _mixed(x_0, eps, share[:, None]),
            "[B, 1] is lined up with height and width: here every row of pixels has its own share",
        ),
        (
            lambda x_0, eps, share: _mixed(x_0, eps, share.view(-1, 1, 1)),
            "[B, 1, 1] is lined up with channel, height and width; how many dimensions does a batch of pictures have?",
        ),
        (
            lambda x_0, eps, share: _mixed(eps, x_0, share.view(-1, 1, 1, 1)),
            "with share 0 the picture should be left as it is; what does yours give there?",
        ),
        (
            lambda x_0, eps, share: x_0 + share.view(-1, 1, 1, 1) * eps,
            "the noise is right; how much of the picture should be left when share is 1?",
        ),
        (
            lambda x_0, eps, share: _mixed(x_0, eps, share.mean()),
            "one share for the whole batch; each picture should have its own",
        ),
    ],
    cases=[(_x_0, torch.zeros(6, 1, 6, 6), _share), (torch.zeros(6, 1, 6, 6), _eps, _share), (_x_0, _eps, _share)],
    names=["the factor of x_0", "the factor of eps", "both together"],
)


def _train(x, y, steps, loss=lambda w, x, y: F.mse_loss(w * x, y), zero=True, step=True, kept="w", lr=0.2):
    """The exercise, and with other arguments its mistakes."""
    w = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=lr)
    slopes = []
    for _ in range(steps):
        found = loss(w, x, y)
        values = {"old w": w.item(), "loss": found.item()}
        if zero:
            optimizer.zero_grad()
        found.backward()
        if step:
            optimizer.step()
        slopes.append((values | {"w": w.item(), "w itself": w})[kept])
    return slopes


def _spoiled(**how):
    return lambda x, y, steps: _train(x, y, steps, **how)


train = FunctionExercise(
    lambda x, y, steps: _train(x, y, steps),
    mistakes=[
        (_spoiled(zero=False), "backward adds to the old gradients, so the slope swings; which line forgets them?"),
        (
            _spoiled(loss=lambda w, x, y: ((w * x).flatten() - y).square().mean()),
            "[B] against [B, 1] compares every answer with every y; print the shape of the difference",
        ),
        (_spoiled(kept="old w"), "these are the slopes before each step; when is w.item() appended?"),
        (_spoiled(kept="loss"), "these are the losses; the list should hold the slope, w.item()"),
        (_spoiled(kept="w itself"), "w is one tensor that goes on changing; append w.item(), a number"),
        (_spoiled(step=False), "w never changes: is step() called, and is the gradient still there when it is?"),
        (_spoiled(loss=lambda w, x, y: -F.mse_loss(w * x, y)), "this goes uphill; what is the sign of your loss?"),
        (
            _spoiled(loss=lambda w, x, y: (w * x - y).square().sum()),
            "the loss is the mean of the squared errors; a sum makes the steps too long",
        ),
        (
            _spoiled(loss=lambda w, x, y: (w * x - y).abs().mean()),
            "the errors should be squared, not only made positive",
        ),
        (_spoiled(lr=0.1), "right but for the step: the optimizer of the task has lr=0.2"),
    ],
    cases=[(_x, _y, 6)],
    tolerance=1e-4,
)
