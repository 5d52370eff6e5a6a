"""Answers and usual mistakes of notebook 06, samplers."""

import torch

from course.check.engine import FunctionExercise, ValueExercise

_x_t, _eps_hat = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
_LEVELS = (0.8, 0.3)


def _picture(x_t, eps_hat, a):
    return (x_t - (1 - a) ** 0.5 * eps_hat) / a**0.5


def _upstream(x_t, eps_hat, a, a_next):
    return a_next**0.5 * _picture(x_t, eps_hat, a) + (1 - a_next) ** 0.5 * eps_hat


def _fresh(x_t):
    return torch.randn(x_t.shape, generator=torch.Generator().manual_seed(0), dtype=x_t.dtype)


first_index = ValueExercise(
    958,
    mistakes=[
        (957, "the stride is right; what does the added 1 do to every index?"),
        (959, "this is the level, counted from 1; the library's index is counted from 0"),
        (999, "this is where a walk begins that counts from the noisy end; this one counts from the clean end"),
        (967, "the stride must be a whole number before it is multiplied; which way is it rounded?"),
        (968, "the stride must be a whole number before it is multiplied; which way is it rounded here?"),
        (1000 / 30 * 29 + 1, "an index is a whole number, and so is the stride; round it down before you multiply"),
        (966, "two things: the stride must be a whole number before it is multiplied, and the 1 is missing"),
        (991, "30 indices have 29 gaps between the first and the last"),
        (990, "30 indices have 29 gaps between the first and the last; and there is a 1 to be added"),
        (981, "this belongs to 50 steps; which stride have 30?"),
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
            "this treats x_t as if it were clean; first estimate the picture in it",
        ),
        (
            lambda x, e, a, b: (b / a) ** 0.5 * x + (1 - b / a) ** 0.5 * e,
            "a forward step needs noise that is independent of x_t; this one is already in it",
        ),
        (
            lambda x, e, a, b: b * (x - (1 - a) * e) / a + (1 - b) * e,
            "variances share out as alpha_bar and 1 - alpha_bar; what multiplies the values themselves?",
        ),
        (
            lambda x, e, a, b: b * _picture(x, e, a) + (1 - b) * e,
            "the estimate is right; on the way to the next level two roots are missing",
        ),
        (lambda x, e, a, b: _picture(x, e, a), "this is the estimate; now bring it to the next level"),
        (
            lambda x, e, a, b: b**0.5 * _picture(x, e, a),
            "the picture has the size that it has at the next level; which noise belongs to that level?",
        ),
        (
            lambda x, e, a, b: (b / a) ** 0.5 * x,
            "x_t has only been made smaller, and its noise with it; how much noise has the next level?",
        ),
        (
            lambda x, e, a, b: x + ((1 - b) ** 0.5 - (1 - a) ** 0.5) * e,
            "the noise has grown, but the picture has kept its size; which factor has it at the next level?",
        ),
        (
            lambda x, e, a, b: (b / a) ** 0.5 * x + ((1 - b) ** 0.5 - (1 - a) ** 0.5) * e,
            "the factor of x_t is right; but with x_t the old noise in it shrinks as well",
        ),
        (
            lambda x, e, a, b: (b / a) ** 0.5 * x + (1 - b) ** 0.5 * e,
            "the factor of x_t is right; but x_t brings noise of its own along",
        ),
        (
            lambda x, e, a, b: b**0.5 * (x - (1 - a) ** 0.5 * e) + (1 - b) ** 0.5 * e,
            "x_t without its noise is not the picture yet: it is the picture times a factor",
        ),
        (
            lambda x, e, a, b: b**0.5 * _picture(x, e, a) + (1 - b) ** 0.5 * _fresh(x),
            "the picture is right, but the noise is freshly drawn; from which noise would DDIM draw x_t?",
        ),
    ],
    cases=[(_x_t, 0 * _eps_hat, *_LEVELS), (0 * _x_t, _eps_hat, *_LEVELS), (_x_t, _eps_hat, *_LEVELS)],
    names=["the factor of x_t", "the factor of eps_hat", "both together"],
)

two_tangents = ValueExercise(
    [1.0, 1.2],
    mistakes=[
        ([1.0, 1.0], "in two steps the network is asked twice; what does it say at sigma = 0.5?"),
        ([1.0, 1.1], "the second slope is asked where you stand then, at x_bar = 1.5, not at 2"),
        ([1.0, 1.25], "in the slope sigma is squared: what is 0.5 ** 2 + 1?"),
        ([0.0, 0.9], "half of the slope is missing: what is 2 * 1 / (1 + 1)?"),
        ([3.0, 2.0], "sigma falls, so its change is negative; which way does x_bar go?"),
        ([1.5, 1.5], "this is the place at sigma = 0.5; how far is it still to 0?"),
        ([2**0.5, 2**0.5], "this is where the curve ends; a straight step leaves it"),
        ([2.0, 2.0], "this is where you start; the slope there is not 0"),
    ],
    tolerance=0.01,
)

empty_start = ValueExercise(
    [0.0, 1.0],
    mistakes=[
        ([0.0, 0.0], "one of the two samplers draws fresh noise in every step but the last"),
        ([1.0, 1.0], "one of the two samplers draws nothing on its way; where would its spread come from?"),
        ([1.0, 0.0], "nearly: which of the two draws fresh noise?"),
        ([0.0, 0.7], "half the variance is left where all the noise is fresh; DDPM uses a part of it again"),
        ([0.7, 1.0], "nothing is drawn on this way and all start in one place; can they part?"),
        ([0.0, 0.5], "DDPM forgets where it began; to which spread does it come from a right start?"),
    ],
    tolerance=0.05,
)
