"""Answers and usual mistakes of notebook 11, image-to-image and inpainting."""

import torch
import torch.nn.functional as F

from course.check.engine import FunctionExercise, ValueExercise

_generator = torch.Generator().manual_seed(11)
_x, _eps = torch.randn(2, 2, 1, 3, 3, generator=_generator, dtype=torch.float64)
_keep = torch.ones(1, 1, 32, 32, dtype=torch.float64)
_keep[..., 12:27, 5:22] = 0
_corner = torch.ones(1, 1, 32, 32, dtype=torch.float64)
_corner[..., :9, 20:] = 0


def _up_again(x_prev, eps, alpha_bar_prev, alpha_bar_t):
    ratio = alpha_bar_t / alpha_bar_prev
    return ratio**0.5 * x_prev + (1 - ratio) ** 0.5 * eps


def _mixed(of_x, of_eps):
    """A step up with other factors: functions of alpha_bar at the lower and the upper level."""
    return lambda x_prev, eps, prev, t: of_x(prev, t) * x_prev + of_eps(prev, t) * eps


where_it_starts = ValueExercise(
    [13, 482],
    mistakes=[
        ([14, 482], "the first number is too large; how many steps does int() leave of 13.75?"),
        ([14, 522], "the first number was rounded; what does int() do with 13.75?"),
        ([13, 522], "this is one level too high: it is noised there in one program, but where does the walk begin?"),
        ([12, 482], "a step was lost: int() cuts off what stands behind the point, and no more"),
        ([12, 522], "12 is too few: count the levels from where you begin down to 2, both included"),
        ([13, 442], "this is one step too far: the last of 13 levels is 2, so how many steps of 40 lie before it?"),
        ([13, 481], "this counts the levels from 0; the course's t is one more"),
        ([13, 962], "these are the first 13 steps of the grid; image-to-image takes the last ones"),
        ([13, 550], "strength is a share of the steps; the level is the one on the grid at which they begin"),
        ([13, 529], "this is a share of the level 962; strength is a share of the steps"),
        ([13, 432], "count back on the grid from its last level, 2: which is the 13th level?"),
        ([13, 552], "count the levels down to 2, both included; and none lies between two levels of the grid"),
        ([13.75, 512], "a walk has whole steps and begins at a level of the grid; what does int() make of 13.75?"),
        ([13.75, 482], "the level is right; but can a walk have 13.75 steps?"),
    ],
    tolerance=1e-6,
)

up_again = FunctionExercise(
    _up_again,
    mistakes=[
        (
            _mixed(lambda p, t: (t / p) ** 0.5, lambda p, t: 1 - t / p),
            "the factor of x_prev is right; the noise is multiplied by its variance: is a root missing?",
        ),
        (
            _mixed(lambda p, t: (t / p) ** 0.5, lambda p, t: 1 - (t / p) ** 0.5),
            "the factor of x_prev is right; is it the two factors that add up to 1, or their squares?",
        ),
        (
            _mixed(lambda p, t: (t / p) ** 0.5, lambda p, t: (1 - t) ** 0.5),
            "the factor of x_prev is right; but this is all the noise of level t, and some of it is there already",
        ),
        (
            _mixed(lambda p, t: (t / p) ** 0.5, lambda p, t: (p - t) ** 0.5),
            "the factor of x_prev is right; it shrinks the noise in x_prev too, so how much has to come in?",
        ),
        (
            _mixed(lambda p, t: (t / p) ** 0.5, lambda p, t: (1 - t) ** 0.5 - (1 - p) ** 0.5),
            "the factor of x_prev is right; independent noises add by variances, not by standard deviations",
        ),
        (
            _mixed(lambda p, t: (p / t) ** 0.5, lambda p, t: (1 - t / p) ** 0.5),
            "the noise is right; the other factor makes the signal grow, but what happens to it on the way up?",
        ),
        (
            _mixed(lambda p, t: t**0.5, lambda p, t: (1 - t) ** 0.5),
            "this is the jump from a clean picture; how far up is x_prev already?",
        ),
        (
            _mixed(lambda p, t: t / p, lambda p, t: (1 - t / p) ** 0.5),
            "the noise is right; a ratio of variances is no factor of a value yet",
        ),
        (
            _mixed(lambda p, t: t / p, lambda p, t: 1 - t / p),
            "these are shares of the variance: both roots are missing",
        ),
        (
            _mixed(lambda p, t: 1, lambda p, t: (1 - t / p) ** 0.5),
            "the noise is right; but x_prev is taken as it is: does the signal keep its size?",
        ),
        (lambda x_prev, eps, p, t: _up_again(eps, x_prev, p, t), "x_prev and the noise have changed places"),
    ],
    cases=[
        (_x, 0 * _eps, 0.64, 0.36),
        (0 * _x, _eps, 0.64, 0.36),
        (_x, _eps, 0.95, 0.9),
        (_x, _eps, 0.05, 0.006),
    ],
    names=["the factor of x_prev", "the factor of the noise", "both together, at low noise", "both, at high noise"],
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
        (
            lambda keep, factor: F.avg_pool2d(1 - keep, factor).round(),
            "rounding a mean asks for more than half of a cell, where one pixel is enough",
        ),
        (lambda keep, factor: F.avg_pool2d(1 - keep, factor), "a mask that is grey at its rim: 0 or 1 is wanted"),
        (lambda keep, factor: 1 - keep, "turned, and still a mask of pixels: one number per cell is wanted"),
    ],
    cases=[(_keep, 8), (_corner, 8), (_keep, 4)],
    names=["a rectangle in the middle, cells of 8", "a corner, cells of 8", "the rectangle, cells of 4"],
)

what_the_fill_feels = ValueExercise(
    [0, 1, 1, 0],
    mistakes=[
        (
            [0, 0, 0, 0],
            "the kept part is overwritten after each step, but what does the network see before the next one?",
        ),
        ([1, 1, 1, 0], "who uses the answer inside the kept part, once that part has been overwritten?"),
        ([0, 1, 0, 0], "the noise on the kept part is part of what the network looks at"),
        ([0, 1, 1, 1], "pasting only at the end: when does the walk meet the picture for the first time?"),
        ([1, 1, 1, 1], "two of the four never reach the network's input"),
        ([0, 1, 0, 1], "what is pasted is an input of the network with all its noise; and when is it pasted in 4?"),
        ([1, 1, 0, 0], "does the network look at its own answers, or at the state with its noise?"),
        ([1, 0, 0, 1], "each is the other way round: 1 stands for a change; what does the network look at, and when?"),
        (
            [0, 0, 1, 1],
            "follow the kept half of 2 and 4: before which step does the network see it for the first time?",
        ),
        ([1, 0, 1, 0], "3 and 4 are right; in 1 and 2, is it the answer or the state that the next step begins with?"),
    ],
    tolerance=1e-6,
)
