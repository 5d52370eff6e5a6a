"""Answers and usual mistakes of notebook 03, the reverse process."""

import torch

from course import toy_ddpm
from course.check.engine import FunctionExercise, ValueExercise

_random = torch.rand(3, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
_S2, _ALPHA_BAR_PREV, _BETA = 0.1 + 1.5 * _random[0], 0.1 + 0.8 * _random[1], 0.05 + 0.5 * _random[2]


def _prior(s2, alpha_bar_prev):
    return alpha_bar_prev * s2 + 1 - alpha_bar_prev


def _reverse_variance(s2, alpha_bar_prev, beta):
    return 1 / (1 / _prior(s2, alpha_bar_prev) + (1 - beta) / beta)


reverse_variance = FunctionExercise(
    _reverse_variance,
    mistakes=[
        (lambda s2, a, b: b, "this holds for s2 = 1 alone; where does the spread of the data enter?"),
        (
            lambda s2, a, b: _reverse_variance(0 * s2, a, b),
            "this is beta_tilde, right when x_0 is known; here x_0 itself has variance s2",
        ),
        (
            lambda s2, a, b: _prior(s2, a) + b,
            "adding variances makes the result wider; but x_t is evidence, so it must become narrower",
        ),
        (
            lambda s2, a, b: 1 / (1 / _prior(s2, a) + 1 / b),
            "nearly: 1 / beta is the precision about sqrt(1 - beta) x_prev; which one is it about x_prev?",
        ),
        (
            lambda s2, a, b: 1 / _prior(s2, a) + (1 - b) / b,
            "this is the precision; one more step leads to the variance",
        ),
    ],
    cases=[(_S2, _ALPHA_BAR_PREV, _BETA)],
)

one_jump = ValueExercise(
    0.4,
    mistakes=[
        (1.0, "that is the likeliest value, but squared error is not minimised by the likeliest one"),
        (0.0, "that would be so for two equally likely values"),
        (0.7, "that is a probability; which values does it weigh?"),
        (-0.4, "the weight of the two values is swapped"),
    ],
    tolerance=0.05,
)

_alpha_bar_T = toy_ddpm.linear().alpha_bar[-1].item()
no_noise = ValueExercise(
    _alpha_bar_T**0.5,
    mistakes=[
        (1.0, "each mean is a little smaller than x_t; what do 1000 such factors do?"),
        (_alpha_bar_T, "this is what the variance becomes; the question asks for the standard deviation"),
        (0.0, "small, but a product of a thousand numbers above 0 is not 0"),
    ],
    tolerance=0.1,
)
