"""Answers and usual mistakes of notebook 07, latent space."""

import torch

from course.check.engine import FunctionExercise, ValueExercise

_generator = torch.Generator().manual_seed(7)
_mean, _eps = torch.randn(2, 2, 4, 3, 3, generator=_generator, dtype=torch.float64)
_log_var = 0.3 + torch.rand(2, 4, 3, 3, generator=_generator, dtype=torch.float64)  # above 0, so that wrong roots exist


def _scaled_draw(mean, log_var, eps, scaling_factor):
    return scaling_factor * (mean + (0.5 * log_var).exp() * eps)


def _own_noise(mean):
    return torch.randn(mean.shape, generator=torch.Generator().manual_seed(0), dtype=mean.dtype)


latent_numbers = ValueExercise(
    [24576, 49152],
    mistakes=[
        ([24576, 24576], "the latent is right; how many numbers does the encoder say about each of its values?"),
        ([24576, 8], "the latent is right; the eight channels must be counted in every cell"),
        ([6144, 12288], "these are the cells; how many numbers has each?"),
        ([6144, 6144], "both times you count cells; how many numbers has each cell?"),
        ([16384, 32768], "this is the square picture of 512 x 512; here one side is longer"),
        ([18432, 36864], "a cell does not hold the three colours; how many channels has the latent?"),
        ([147456, 294912], "divide both sides by the autoencoder's factor, not the number of pixels"),
        ([98304, 196608], "both sides are divided by 4; how many pixels wide is a cell?"),
        ([1179648, 2359296], "these are the picture's own numbers; by what is each side divided?"),
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
            lambda mean, log_var, eps, s: s * (mean + log_var**0.5 * eps),
            "a root of log_var is not the standard deviation: log_var can be negative. First undo the logarithm",
        ),
        (
            lambda mean, log_var, eps, s: s * (mean + 0.5 * log_var.exp() * eps),
            "the half stands beside exp; where must it stand to make a root of the variance?",
        ),
        (
            lambda mean, log_var, eps, s: s * ((0.5 * log_var).exp() * mean + eps),
            "the standard deviation stretches the mean; which of the two should it stretch?",
        ),
        (
            lambda mean, log_var, eps, s: s * (0.5 * log_var).exp() * (mean + eps),
            "the standard deviation multiplies the mean as well; does the centre of a cloud depend on its width?",
        ),
        (
            lambda mean, log_var, eps, s: s * (mean + (0.5 * log_var).exp() * _own_noise(mean)),
            "a draw, but with noise of your own; use the eps that the function is given, so that draws can be compared",
        ),
        (
            lambda mean, log_var, eps, s: s * (mean + (0.5 * log_var).exp()),
            "the width is right, but where has the chance gone?",
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
            lambda mean, log_var, eps, s: mean + s * (0.5 * log_var).exp() * eps,
            "only the noise is scaled; the mean belongs to the latent as well",
        ),
        (
            lambda mean, log_var, eps, s: mean + (0.5 * log_var).exp() * eps,
            "a draw, but in the autoencoder's own scale",
        ),
        (lambda mean, log_var, eps, s: s * mean, "this is the scaled mean; where is the draw?"),
    ],
    cases=[
        (_mean, _log_var, 0 * _eps, 0.18215),
        (0 * _mean, _log_var, _eps, 0.18215),
        (_mean, _log_var, _eps, 0.18215),
    ],
    names=["the mean's part", "the noise's part", "both together"],
)

errors_left = ValueExercise(
    [0.5, 2.0, 2.0],
    mistakes=[
        ([0.5, 0.5, 0.5], "the dial is being turned: does the decoder still listen to a code that costs so much?"),
        ([0.5, 1.5, 2.0], "at w = 4 the error w / 2 of a code in use is as large as that without any code"),
        ([0.5, 2.0, 8.0], "w / 2 holds while the code is in use; can more be lost than everything?"),
        ([0.5, 1.0, 2.0], "at w = 4 half of w is already as much as the whole; what is left then?"),
        ([0.5, 1.0, 1.0], "this is the root of the variance, halved; the error without any code is given in the text"),
        ([0.0, 0.0, 0.0], "clouds have a width, and the decoder is handed a point of the cloud, not its centre"),
        ([2.0, 2.0, 2.0], "these are all codes that nobody uses; is the first one worth its price?"),
        ([0.5, 4.0, 4.0], "the error has a half in front of the square"),
        (
            [1.0, 4.0, 16.0],
            "these are the weights; which share of a weight is left as an error while the code is used?",
        ),
        ([0.5, 2.0, 0.0], "a code that is switched off restores nothing; which error is that?"),
    ],
    tolerance=0.03,
)

narrow_start = ValueExercise(
    0.6,
    mistakes=[
        (1.0, "the model knows the data's spread, but does any step look at the spread of the batch?"),
        (0.8, "half-way back to 1? Does any step look at the spread of the batch?"),
        (0.36, "this is the variance; which quantity was asked for?"),
        (0.775, "a standard deviation passes through a linear map as it is, without a root"),
        (
            0.0,
            "with a spread of 0 all finished codes would be the same; does a narrow start lose all its variety?",
        ),
    ],
    tolerance=0.03,
)
