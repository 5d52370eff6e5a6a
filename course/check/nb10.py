"""Answers and usual mistakes of notebook 10, Stable Diffusion."""

from functools import partial

import torch

from course.check.engine import FunctionExercise, ValueExercise
from course.toy_ddpm import from_betas, posterior, split

_z_t, _eps_hat, _noise = torch.randn(3, 2, 4, 3, 3, generator=torch.Generator().manual_seed(10), dtype=torch.float64)
_number = partial(torch.tensor, dtype=torch.float64)  # takes **0.5, .sqrt() and torch.sqrt alike

_alpha_bar = _number([1.0, 0.99, 0.95, 0.9, 0.4, 0.2])  # of the cases below, as a chain of five steps
_schedule = from_betas(1 - _alpha_bar[1:] / _alpha_bar[:-1])


def _level(alpha_bar):
    return int((_schedule.alpha_bar - alpha_bar).abs().argmin())


def _clean(z_t, eps_hat, alpha_bar_t):
    return split(eps_hat, z_t, _level(alpha_bar_t), _schedule, "eps")[0]


def _mean(z_t, eps_hat, alpha_bar_t, alpha_bar_prev):
    t, t_prev = _level(alpha_bar_t), _level(alpha_bar_prev)
    return posterior(_clean(z_t, eps_hat, alpha_bar_t), z_t, t, _schedule, t_prev)[0]


def _variance(alpha_bar_t, alpha_bar_prev):
    return posterior(_z_t, _z_t, _level(alpha_bar_t), _schedule, _level(alpha_bar_prev))[1]


def _sigma(alpha_bar):
    return ((1 - alpha_bar) / alpha_bar) ** 0.5


twenty_steps = ValueExercise(
    [951, 1, 40],
    mistakes=[
        ([950, 0, 40], "this is the grid of the other repository; what do Stable Diffusion's settings add?"),
        ([981, 1, 40], "981 belongs to 50 steps; how many levels apart are 20 steps?"),
        ([952, 2, 40], "these are the course's levels t; the library counts from 0"),
        ([999, 49, 40], "this is the trailing grid; Stable Diffusion's is counted from the clean end"),
        ([950, 0, 20], "this is a grid without the offset; and how often does guidance ask at each level?"),
        ([1000, 0, 20], "the levels are counted from 0, 50 apart and from the clean end; and guidance asks twice"),
        ([951, 1, 20], "the grid is right; how often does guidance ask at each level?"),
        ([981, 1, 20], "981 belongs to 50 steps, and guidance asks more than once at each level"),
        ([950, 1, 40], "the last index is right; the offset moves every index of the grid, so the first one too"),
        ([951, 0, 40], "the first index is right; the offset moves every index of the grid, so the last one too"),
    ],
    tolerance=1e-4,
)

ancestral_step = FunctionExercise(
    lambda z_t, eps_hat, noise, a, b: _mean(z_t, eps_hat, a, b) + _variance(a, b) ** 0.5 * noise,
    mistakes=[
        (lambda z_t, eps_hat, noise, a, b: _mean(z_t, eps_hat, a, b), "the mean is right; where is the fresh noise?"),
        (
            lambda z_t, eps_hat, noise, a, b: _mean(z_t, eps_hat, a, b) + _variance(a, b) * noise,
            "the mean is right; noise is multiplied by a standard deviation, not by a variance",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: _mean(z_t, eps_hat, a, b) + (1 - a / b) ** 0.5 * noise,
            "the mean is right; this is the larger variance beta, which leaves grain in the last step",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: (
                (b**0.5 * (1 - a) * _clean(z_t, eps_hat, a) + a**0.5 * (1 - b) * z_t) / (1 - a) + (1 - b) ** 0.5 * noise
            ),
            "alpha is the share of signal of this one step: the ratio of the two alpha_bar, not alpha_bar_t itself",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: (1 - a) * _mean(z_t, eps_hat, a, b) + _variance(a, b) ** 0.5 * noise,
            "the noise is right; both terms of the mean are divided by something",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: b**0.5 * _clean(z_t, eps_hat, a) + (1 - b) ** 0.5 * eps_hat,
            "this is DDIM's step: it uses the predicted noise again and no fresh one",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: b**0.5 * _clean(z_t, eps_hat, a) + (1 - b) ** 0.5 * noise,
            "all noise is fresh here; the mean should also keep a part of z_t",
        ),
    ],
    cases=[
        (_z_t, _eps_hat, _noise, _number(0.2), _number(0.4)),
        (_z_t, _eps_hat, _noise, _number(0.9), _number(0.95)),
        (_z_t, _eps_hat, _noise, _number(0.99), _number(1.0)),
    ],
)

euler_step = FunctionExercise(
    lambda x, eps_hat, a, b: x + (_sigma(b) - _sigma(a)) * eps_hat,
    mistakes=[
        (
            lambda x, eps_hat, a, b: x + (_sigma(a) - _sigma(b)) * eps_hat,
            "this walks towards more noise: which of the two sigmas is where you are going?",
        ),
        (
            lambda x, eps_hat, a, b: x + ((1 - b) ** 0.5 - (1 - a) ** 0.5) * eps_hat,
            "sqrt(1 - alpha_bar) is the noise in z_t; in x it was divided by something",
        ),
        (
            lambda x, eps_hat, a, b: x + (_sigma(b) ** 2 - _sigma(a) ** 2) * eps_hat,
            "sigma is a standard deviation: a root is missing",
        ),
        (
            lambda x, eps_hat, a, b: x - _sigma(a) * eps_hat,
            "this walks all the way to sigma = 0, where z_0_hat is; stop at the next sigma",
        ),
        (
            lambda x, eps_hat, a, b: x - _sigma(b) * eps_hat,
            "how far is it from one sigma to the next? This takes the next sigma itself for the way",
        ),
        (
            lambda x, eps_hat, a, b: b**0.5 * _clean(x, eps_hat, a) + (1 - b) ** 0.5 * eps_hat,
            "this is DDIM's step for z; x has been divided by sqrt(alpha_bar_t) already",
        ),
        (
            lambda x, eps_hat, a, b: b**0.5 * (x + (_sigma(b) - _sigma(a)) * eps_hat),
            "this is z at the next level; the step should stay in the units of x",
        ),
    ],
    cases=[(_z_t, _eps_hat, _number(0.2), _number(0.4)), (_z_t, _eps_hat, _number(0.9), _number(0.95))],
)

wrong_way = ValueExercise(
    30.14,
    mistakes=[
        (5.49, "this is what forgetting the factor does; here it is also applied the wrong way"),
        (0.0332, "this is wrong input divided by right input; the question asks for the other way round"),
        (0.18215, "this is the factor itself; compare z / factor with z * factor"),
        (4.08, "this is so for the mini weights' factor of 0.495; the question gives another one"),
    ],
    tolerance=5e-3,
)
