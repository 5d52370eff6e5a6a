"""Answers and usual mistakes of notebook 06, samplers."""

import torch

from course.check.engine import FunctionExercise, ValueExercise

_x_t, _eps_hat = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
_ALPHA_BAR_T, _ALPHA_BAR_NEXT = 0.8, 0.3


def _picture(x_t, eps_hat, a):
    return (x_t - (1 - a) ** 0.5 * eps_hat) / a**0.5


def _upstream(x_t, eps_hat, a, a_next):
    return a_next**0.5 * _picture(x_t, eps_hat, a) + (1 - a_next) ** 0.5 * eps_hat


first_index = ValueExercise(
    958,
    mistakes=[
        (957, "the stride is right; what does the offset do to every index?"),
        (999, "this is where the trailing grid begins; the leading one counts from the clean end"),
        (967, "the stride must be a whole number before it is multiplied; which way is it rounded?"),
        (968, "the stride must be a whole number before it is multiplied; which way is it rounded here?"),
        (1000 / 30 * 29 + 1, "an index is a whole number, and so is the stride; round it down before you multiply"),
        (966, "two things: the stride must be a whole number before it is multiplied, and the offset is missing"),
        (991, "30 indices have 29 gaps between the first and the last"),
        (981, "this belongs to 50 steps"),
    ],
    tolerance=1e-4,
)

upstream = FunctionExercise(
    _upstream,
    mistakes=[
        (
            lambda x, e, a, b: _upstream(x, e, b, a),
            "the two levels have changed places: which one does x_t belong to now?",
        ),
        (
            lambda x, e, a, b: b**0.5 * x + (1 - b) ** 0.5 * e,
            "this treats x_t as if it were clean; first guess the picture in it",
        ),
        (
            lambda x, e, a, b: (b / a) ** 0.5 * x + (1 - b / a) ** 0.5 * e,
            "a forward step needs noise that is independent of x_t; this one is already in it",
        ),
        (
            lambda x, e, a, b: b * _picture(x, e, a) + (1 - b) * e,
            "variances share out as alpha_bar and 1 - alpha_bar; what multiplies the values themselves?",
        ),
        (lambda x, e, a, b: _picture(x, e, a), "this is the clean guess; now bring it to the next level"),
    ],
    cases=[(_x_t, _eps_hat, _ALPHA_BAR_T, _ALPHA_BAR_NEXT)],
)

fresh_std = ValueExercise(
    2**0.5,
    mistakes=[
        (
            2.0,
            "this is the variance, or you gave the spread of the data; what does fresh noise do to the variance?",
        ),
        (1.0, "it is the variance that is halved, not the standard deviation"),
        (0.5**0.5, "this holds for data of variance 1; which variance have yours?"),
        (0.0, "the samples lose spread, but not all of it: fresh noise puts some back"),
    ],
    tolerance=0.02,
)

empty_start = ValueExercise(
    [0.0, 1.0],
    mistakes=[
        ([0.0, 0.0], "one of the two samplers draws fresh noise in every step but the last"),
        ([1.0, 1.0], "one of the two samplers draws nothing on its way; where would its spread come from?"),
        ([1.0, 0.0], "nearly: which of the two draws fresh noise?"),
    ],
    tolerance=0.05,
)
