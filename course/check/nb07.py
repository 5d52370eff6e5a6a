"""Answers and usual mistakes of notebook 07, latent space."""

import torch

from course.check.engine import FunctionExercise, ValueExercise

_mean, _log_var, _eps = torch.randn(3, 2, 4, 3, 3, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def _scaled_draw(mean, log_var, eps, scaling_factor):
    return scaling_factor * (mean + (0.5 * log_var).exp() * eps)


latent_numbers = ValueExercise(
    [24576, 49152],
    mistakes=[
        ([24576, 24576], "the latent is right; how many numbers does the encoder say about each of its values?"),
        ([6144, 12288], "these are the cells; how many numbers has each?"),
        ([16384, 32768], "this is the square picture of 512 x 512; here one side is longer"),
        ([18432, 36864], "a cell does not hold the three colours; how many channels has the latent?"),
        ([147456, 294912], "divide both sides by the autoencoder's factor, not the number of pixels"),
    ],
    tolerance=1e-6,
)

scaled_draw = FunctionExercise(
    _scaled_draw,
    mistakes=[
        (
            lambda mean, log_var, eps, s: s * (mean + log_var.exp() * eps),
            "exp(log_var) is the variance; what multiplies eps?",
        ),
        (
            lambda mean, log_var, eps, s: s * (mean + log_var * eps),
            "log_var is a logarithm, it can be negative; how do you get a standard deviation from it?",
        ),
        (
            lambda mean, log_var, eps, s: (mean + (0.5 * log_var).exp() * eps) / s,
            "dividing is for the way back, before the decoder",
        ),
        (
            lambda mean, log_var, eps, s: s * mean + (0.5 * log_var).exp() * eps,
            "the noise of the draw belongs to the latent and must be scaled with it",
        ),
        (
            lambda mean, log_var, eps, s: mean + (0.5 * log_var).exp() * eps,
            "a draw, but in the autoencoder's own scale",
        ),
        (lambda mean, log_var, eps, s: s * mean, "this is the scaled mean; where is the draw?"),
    ],
    cases=[(_mean, _log_var, _eps, 0.18215)],
)

narrow_start = ValueExercise(
    0.6,
    mistakes=[
        (1.0, "the model knows the data's spread, but does any step look at the spread of the batch?"),
        (0.36, "this is the variance; which quantity was asked for?"),
        (0.775, "a standard deviation passes through a linear map as it is, without a root"),
        (
            0.0,
            "with a spread of 0 all finished codes would be the same; does a narrow start lose all its variety?",
        ),
    ],
    tolerance=0.03,
)
