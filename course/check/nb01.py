"""Answers and usual mistakes of notebook 01, Gaussian noise."""

import math

import torch
import torch.nn.functional as F

from course.check.engine import HINT, WRONG, FunctionExercise, ValueExercise

_uniform = 1 - torch.rand(2, 200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)  # in (0, 1]
_turn = torch.ones_like(_uniform[0])
_noise = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(2))
_blocks = torch.tensor([1.0, 1, 3, 3]).expand(1, 1, 4, 4)
_pool = F.avg_pool2d


def _r(u1):
    return (-2 * u1.log()).sqrt()


def _angle(u2):
    return 2 * math.pi * u2


std_of_sum = ValueExercise(
    0.13,
    mistakes=[
        (0.17, "that is 0.05 + 0.12; standard deviations do not add. Which quantity does?"),
        (0.0169, "you have added the right quantities; is the question about that quantity or about its root?"),
        (0.085, "that is the average of the two, but more noise cannot make the total smaller than 0.12"),
        (0.07, "that is the difference; can a second, independent noise take away some of the first?"),
    ],
    tolerance=5e-3,
)


class TensorExercise(FunctionExercise):
    """The functions of `math` take one number and stop at a tensor of several: that gets its hint here."""

    def judge(self, attempt):
        status, message = super().judge(attempt)
        if status == WRONG and "converted to Python scalars" in message:
            return (
                HINT,
                "u1 and u2 are tensors of many numbers; the functions of math take one, those of torch take all",
            )
        return status, message


gaussian_from_uniform = TensorExercise(
    lambda u1, u2: _r(u1) * torch.cos(_angle(u2)),
    mistakes=[
        (lambda u1, u2: (-u1.log()).sqrt() * torch.cos(_angle(u2)), "your numbers have variance 1/2; look at r"),
        (lambda u1, u2: -2 * u1.log() * torch.cos(_angle(u2)), "you use r squared where r belongs"),
        (lambda u1, u2: (-2 * u1.log10()).sqrt() * torch.cos(_angle(u2)), "ln is the natural logarithm"),
        (lambda u1, u2: _r(u1) * torch.cos(u2), "u2 is a share of the full circle, not an angle yet"),
        (lambda u1, u2: _r(u1) * torch.cos(math.pi * u2), "your angles go from 0 to pi; how long is a full circle?"),
        (lambda u1, u2: _r(u1) * torch.cos(360 * u2), "torch.cos wants radians, not degrees"),
        (lambda u1, u2: _r(u1) * u2, "make an angle of u2; which function of it gives a coordinate?"),
        (lambda u1, u2: _r(u1) * torch.sin(_angle(u2)), "also Gaussian, but the other coordinate"),
        (lambda u1, u2: _r(u2) * torch.cos(_angle(u1)), "u1 and u2 have changed places: which of them makes the distance, which the direction?"),
        (lambda u1, u2: _r(u1), "that is only the distance r; the direction is missing"),
        (lambda u1, u2: torch.cos(_angle(u2)), "that is only the direction; all your points lie at the distance 1"),
    ],
    cases=[(_uniform[0], _turn), (torch.full_like(_turn, math.exp(-0.5)), _uniform[1]), (_uniform[0], _uniform[1])],
    names=["the distance (tried with u2 = 1, a full turn)", "the direction (tried with r = 1)", "both together"],
)  # fmt: skip

half_size = FunctionExercise(
    lambda noise: 2 * _pool(noise, 2),
    mistakes=[
        (lambda noise: _pool(noise, 2), "an average of four independent numbers varies less than one of them; what is its standard deviation?"),
        (lambda noise: math.sqrt(2) * _pool(noise, 2), "root two would repair an average of two; here are four pixels, each with the factor 1/4"),
        (lambda noise: math.sqrt(0.5) * _pool(noise, 2), "with root 1/2 it gets weaker still: what must an average of four be multiplied by?"),
        (lambda noise: 4 * _pool(noise, 2), "that is the sum of four, with variance 4; you divided by the variance, but a factor acts on the standard deviation"),
        (lambda noise: 16 * _pool(noise, 2), "1/16 is the square of one factor 1/4; add the four variances first, then take the root"),
        (lambda noise: _pool(noise, 2) / 16, "variances are weighted with 1/16, but the factor must undo the standard deviation of the average"),
        (lambda noise: noise[..., ::2, ::2], "white noise too, but three of four pixels are thrown away; average the blocks and repair that"),
        (lambda noise: _pool(noise, 2) / _pool(noise, 2).std(), "nearly: you divide by the spread of all the pictures that came in together, so each depends on the others; which factor does the theory give?"),
    ],
    cases=[(_blocks,), (_noise,)],
    names=["the factor (tried with four blocks of one shade each)", "which pixels are averaged (tried with noise)"],
)  # fmt: skip
