"""Answers and usual mistakes of notebook 11, image-to-image and inpainting."""

import torch
import torch.nn.functional as F

from course.check.engine import FunctionExercise, ValueExercise

_generator = torch.Generator().manual_seed(11)
_known, _eps = torch.randn(2, 2, 1, 3, 3, generator=_generator, dtype=torch.float64)
_keep = torch.ones(1, 1, 32, 32, dtype=torch.float64)
_keep[..., 12:27, 5:22] = 0
_corner = torch.ones(1, 1, 32, 32, dtype=torch.float64)
_corner[..., :9, 20:] = 0


def _kept(known, eps, alpha_bar_t):
    return alpha_bar_t**0.5 * known + (1 - alpha_bar_t) ** 0.5 * eps


where_it_starts = ValueExercise(
    [13, 482],
    mistakes=[
        ([14, 482], "the level is right; how many steps does int() leave of 13.75?"),
        ([14, 522], "the first number was rounded; what does int() do with 13.75?"),
        ([13, 522], "this is one level too high: it is noised there in one program, but where does the walk begin?"),
        ([13, 442], "this is one step too far: the last of 13 levels is 2, so how many steps of 40 lie before it?"),
        ([13, 481], "this counts the levels from 0; the course's t is one more"),
        ([13, 962], "these are the first 13 steps of the grid; image-to-image takes the last ones"),
        ([13, 550], "strength is a share of the steps; the level is the one on the grid at which they begin"),
    ],
    tolerance=1e-6,
)

kept_part = FunctionExercise(
    _kept,
    mistakes=[
        (
            lambda known, eps, a: a**0.5 * known + (1 - a) * eps,
            "this is line 5 as printed: it multiplies the noise by a variance; what has the variance 1 - alpha_bar_t?",
        ),
        (lambda known, eps, a: known, "these are the clean values; what would a picture at level t look like?"),
        (
            lambda known, eps, a: known + (1 - a) ** 0.5 * eps,
            "the noise is right; what happens to the signal on the way?",
        ),
        (
            lambda known, eps, a: a * known + (1 - a) ** 0.5 * eps,
            "the noise is right; alpha_bar is the signal's share of the variance, so it too needs something",
        ),
        (lambda known, eps, a: a * known + (1 - a) * eps, "these are shares of the variance: both roots are missing"),
        (lambda known, eps, a: _kept(eps, known, a), "signal and noise have changed places"),
    ],
    cases=[(_known, _eps, torch.tensor(alpha_bar, dtype=torch.float64)) for alpha_bar in (0.9, 0.3, 0.006)],
)

from_keep_to_redraw = FunctionExercise(
    lambda keep, factor: F.max_pool2d(1 - keep, factor),
    mistakes=[
        (
            lambda keep, factor: F.max_pool2d(keep, factor),
            "this redraws what was to be kept: who holds the 1 in which program?",
        ),
        (
            lambda keep, factor: 1 - F.max_pool2d(keep, factor),
            "a cell that is half in is kept now; the order of turning and shrinking matters",
        ),
        (
            lambda keep, factor: F.interpolate(1 - keep, scale_factor=1 / factor),
            "this asks one pixel of each cell; the task wants a cell as soon as any of its pixels is to be redrawn",
        ),
        (
            lambda keep, factor: F.interpolate(keep, scale_factor=1 / factor),
            "this is not turned yet, and it asks one pixel of each cell: who holds the 1, and which pixels count?",
        ),
        (
            lambda keep, factor: (F.avg_pool2d(1 - keep, factor) >= 0.5).to(keep),
            "half of a cell is too strict: one pixel that is to be redrawn is enough",
        ),
        (lambda keep, factor: F.avg_pool2d(1 - keep, factor), "a mask that is grey at its rim: 0 or 1 is wanted"),
    ],
    cases=[(_keep, 8), (_corner, 8), (_keep, 4)],
)

what_the_fill_feels = ValueExercise(
    [0, 1, 1, 0],
    mistakes=[
        (
            [0, 0, 0, 0],
            "the kept part is overwritten after each step, but what does the network see before the next one?",
        ),
        ([1, 1, 1, 0], "who uses the guess inside the kept part, once that part has been overwritten?"),
        ([0, 1, 0, 0], "the noise on the kept part is part of what the network looks at"),
        ([0, 1, 1, 1], "pasting only at the end: when does the walk meet the picture for the first time?"),
        ([1, 1, 1, 1], "two of the four never reach the network's input"),
        ([0, 1, 0, 1], "what is pasted is an input of the network with all its noise; and when is it pasted in 4?"),
        ([1, 1, 0, 0], "does the network look at its own answers, or at the state with its noise?"),
    ],
    tolerance=1e-6,
)
