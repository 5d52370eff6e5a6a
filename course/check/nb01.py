"""Answers and usual mistakes of notebook 01, Gaussian noise."""

import math

import torch

from course.check.engine import FunctionExercise, ValueExercise

_uniform = 1 - torch.rand(2, 200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)  # in (0, 1]

std_of_sum = ValueExercise(
    0.5,
    mistakes=[
        (0.7, "that is 0.3 + 0.4; standard deviations do not add. Which quantity does?"),
        (0.25, "you have added the right quantities; is the question about that quantity or about its root?"),
        (0.35, "that is the average of the two, but more noise cannot make the total smaller than 0.4"),
    ],
    tolerance=1e-3,
)

gaussian_from_uniform = FunctionExercise(
    lambda u1, u2: (-2 * u1.log()).sqrt() * torch.cos(2 * math.pi * u2),
    mistakes=[
        (lambda u1, u2: (-u1.log()).sqrt() * torch.cos(2 * math.pi * u2), "your numbers have variance 1/2; look at r"),
        (lambda u1, u2: -2 * u1.log() * torch.cos(2 * math.pi * u2), "you use r squared where r belongs"),
        (lambda u1, u2: (-2 * u1.log()).sqrt() * torch.cos(u2), "u2 is a share of the full circle, not an angle yet"),
        (lambda u1, u2: (-2 * u1.log()).sqrt() * torch.cos(360 * u2), "torch.cos wants radians, not degrees"),
        (lambda u1, u2: (-2 * u1.log()).sqrt() * u2, "make an angle of u2; which function of it gives a coordinate?"),
        (lambda u1, u2: (-2 * u1.log10()).sqrt() * torch.cos(2 * math.pi * u2), "ln is the natural logarithm"),
        (
            lambda u1, u2: (-2 * u1.log()).sqrt() * torch.sin(2 * math.pi * u2),
            "also Gaussian, but the other coordinate",
        ),
    ],
    cases=[(_uniform[0], _uniform[1])],
)

std_after_shrinking = ValueExercise(
    0.5,
    mistakes=[
        (1.0, "an average of four independent numbers varies less than one of them"),
        (0.25, "variances are weighted with the squares of 1/4; the answer asked for is the root of the result"),
        (2.0, "that is the standard deviation of the sum of four; what does the division do to it?"),
    ],
    tolerance=1e-2,  # a measured value is as good as the exact one
)
