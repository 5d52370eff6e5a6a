"""Answers and usual mistakes of notebook 02, the forward process."""

import torch

from course.check.engine import FunctionExercise, ValueExercise
from course.toy_ddpm import cosine, linear

ALPHA_BAR = linear(1000).alpha_bar
_generator = torch.Generator().manual_seed(0)


def _draw():
    return torch.randn(5, generator=_generator, dtype=torch.float64)


share_of_picture = ValueExercise(
    0.36,
    mistakes=[
        (0.01, "you multiplied the betas; what a step keeps is alpha = 1 - beta, so multiply those"),
        (0.2, "you took the sum of the betas from 1; the shares that are kept multiply, they do not subtract"),
        (0.64, "that is the share of the noise; the question asks for the other part"),
        (0.6, "that is the factor on the pixel value itself; a variance goes with the square of the factor"),
        (0.8, "that is what the last step alone keeps; the two steps before it took their part as well"),
    ],
    tolerance=1e-3,
)


def _jump_between(x_s, s, t, eps, alpha_bar):
    kept = alpha_bar[t] / alpha_bar[s]
    return kept.sqrt() * x_s + (1 - kept).sqrt() * eps


jump_between = FunctionExercise(
    _jump_between,
    mistakes=[
        (
            lambda x_s, s, t, eps, alpha_bar: alpha_bar[t].sqrt() * x_s + (1 - alpha_bar[t]).sqrt() * eps,
            "this is the jump from level 0; x_s already has the first s steps behind it",
        ),
        (
            lambda x_s, s, t, eps, alpha_bar: (
                (alpha_bar[t] / alpha_bar[s]).sqrt() * x_s + (alpha_bar[s] - alpha_bar[t]).sqrt() * eps
            ),
            "the factor on x_s is right; the two squared factors must add up to 1, as in every step of the chain",
        ),
        (
            lambda x_s, s, t, eps, alpha_bar: (
                (alpha_bar[t] / alpha_bar[s]).sqrt() * x_s + (1 - alpha_bar[t] / alpha_bar[s]) * eps
            ),
            "you multiplied eps by a variance; a draw is scaled by a standard deviation",
        ),
        (
            lambda x_s, s, t, eps, alpha_bar: (
                alpha_bar[t] / alpha_bar[s] * x_s + (1 - alpha_bar[t] / alpha_bar[s]).sqrt() * eps
            ),
            "the noise is right; the picture is scaled by a root too, look at the closed form again",
        ),
        (
            lambda x_s, s, t, eps, alpha_bar: (
                alpha_bar[t] / alpha_bar[s] * x_s + (1 - alpha_bar[t] / alpha_bar[s]) * eps
            ),
            "these are shares of variance; ask what multiplies a value when its variance changes by such a factor",
        ),
    ],
    cases=[(_draw(), 100, 250, _draw(), ALPHA_BAR), (_draw(), 0, 500, _draw(), cosine(1000).alpha_bar)],
)

quarter_chain = ValueExercise(
    linear(250).alpha_bar[250].sqrt().item(),
    mistakes=[
        (linear(250).alpha_bar[250].item(), "that is alpha_bar_T, a share of variance; asked is the factor on x_0"),
        (
            ALPHA_BAR[250].sqrt().item(),
            "that is level 250 of the 1000-step chain; the short chain reaches beta = 0.02 already at its step 250",
        ),
        (
            linear(250, 4e-4, 0.08).alpha_bar[250].sqrt().item(),
            "that is the chain with beta rescaled by 1000 / 250; here somebody forgot to do that",
        ),
        (ALPHA_BAR[1000].sqrt().item(), "that is what the full 1000-step chain leaves; this chain has 250 steps"),
    ],
    tolerance=1e-2,
)
