"""Answers and usual mistakes of notebook 12, cascades and priors."""

import torch
import torch.nn.functional as F

from course.check.engine import FunctionExercise, ValueExercise

_generator = torch.Generator().manual_seed(12)
_a, _b, _c = F.normalize(torch.randn(3, 64, generator=_generator, dtype=torch.float64), dim=1)
_near = F.normalize(_a + 0.1 * _b, dim=0)

two_errors = ValueExercise(
    [1.0, 2.0],
    mistakes=[
        ([0.0, 2.0], "the mean of both answers is 0, but the truth is 1 or -1: how far off is 0, squared?"),
        ([1.0, 4.0], "4 is what a wrong pair costs in each pixel; how often is the pair wrong?"),
        ([1.0, 1.0], "half of the draws are right and cost nothing; a wrong one is off by 2 in each pixel"),
        ([1.0, 0.0], "a draw knows no more than the small picture; is it always the right one of the two?"),
        ([1.0, 0.5], "half of the draws are wrong, but by how much, squared?"),
        ([2.0, 4.0], "these are sums over the two pixels; asked is the mean of a pixel"),
        ([2.0, 2.0], "the mean of the two pairs is 0, which is off by 1 in each pixel"),
    ],
    tolerance=1e-6,
)

channels = ValueExercise(
    [15, 7, 51],
    mistakes=[
        ([6, 7, 51], "six is right without folding; how many channels does a square of 2 x 2 pixels become?"),
        ([12, 7, 51], "twelve is the folded noisy picture; what stands beside it?"),
        ([24, 7, 51], "only the noisy picture is folded; the small one is stretched to as many places"),
        ([15, 4, 51], "four is the latent alone, as in notebook 10; the small picture stands beside it"),
        ([15, 8, 51], "the small picture goes in as it is, with three channels, not as a latent of four"),
        ([15, 6, 51], "the noisy part is a latent with four channels there"),
        ([15, 7, 48], "48 is the folded noisy picture; what stands beside it?"),
        ([15, 7, 15], "a square of 4 x 4 pixels of three colours is more than one of 2 x 2"),
        ([15, 7, 19], "each of the 16 pixels has three colours"),
        ([16, 8, 52], "a level is a number, not a channel: it is told as in notebook 05"),
        ([15, 16, 51], "only the upscaler of this course folds; there the latent goes in as it is"),
        ([24, 7, 96], "only the noisy picture is folded; the small one is stretched and keeps its three channels"),
        ([6, 7, 6], "six is right without folding; how many channels does a square become?"),
        ([7, 7, 19], "each of the folded pixels has three colours"),
        ([12, 4, 48], "all three are the noisy part alone; the small picture stands beside it"),
    ],
    tolerance=1e-6,
)

at_the_edge = ValueExercise(
    0.739,
    mistakes=[
        (0.261, "this is the share that stays inside; asked is the share at the edge"),
        (0.005, "this is what dynamic thresholding leaves; but what is s, if it must be at least 1 and at most 1?"),
        (0.0, "numbers are clipped to -s..s, and with s = 1 many of them are; how many lie beyond it?"),
        (0.37, "this is one side only: numbers below -1 are clipped, too"),
        (0.317, "this holds for a standard deviation of 1; ours is 3, so 1 lies a third of it away"),
        (0.683, "this is the share within one standard deviation; 1 lies a third of one away here"),
        (1.0, "a number between -1 and 1 stays as it is; how many of them are there, at a standard deviation of 3?"),
    ],
    tolerance=0.015,
)


def _angle(a, b):
    return (a * b).sum().clamp(-1, 1).acos()


def _on_the_sphere(a, b, share):
    angle = _angle(a, b)
    return (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin()


on_the_sphere = FunctionExercise(
    _on_the_sphere,
    mistakes=[
        (
            lambda a, b, share: (1 - share) * a + share * b,
            "this is the straight way, which leaves the sphere: its middle is too short. Use the sines, with the share inside them",
        ),
        (
            lambda a, b, share: F.normalize((1 - share) * a + share * b, dim=0),
            "the length is right, but the angles are not even: the straight way, brought to length 1, hurries in the middle",
        ),
        (
            lambda a, b, share: _on_the_sphere(b, a, share),
            "the two ends are exchanged: share 0 is a, share 1 is b",
        ),
        (
            lambda a, b, share: ((1 - share) * _angle(a, b)).sin() * a + (share * _angle(a, b)).sin() * b,
            "the sum of the two parts is right but for its length: divide by the sine of the whole angle",
        ),
        (
            lambda a, b, share: ((1 - share) * (a * b).sum()).sin() * a + (share * (a * b).sum()).sin() * b,
            "a @ b is the cosine of the angle; the angle itself is its acos",
        ),
        (
            lambda a, b, share: (
                ((1 - share) * (a * b).sum()).sin() * a + (share * (a * b).sum()).sin() * b
            ) / (a * b).sum().sin(),
            "nearly: a @ b stands where the angle belongs; the angle is the acos of it",
        ),
        (
            lambda a, b, share: (1 - share).sin() * a + share.sin() * b,
            "the sines are of parts of the angle between a and b; share itself is no angle",
        ),
        (
            lambda a, b, share: ((1 - share) * _angle(a, b)).cos() * a + (share * _angle(a, b)).cos() * b,
            "these are cosines; with share = 0 the second part must vanish, as the sine of 0 does",
        ),
    ],
    cases=[(_a, _b, torch.tensor(share, dtype=torch.float64)) for share in (0.0, 0.25, 0.5, 1.0)]
    + [(_a, _near, torch.tensor(0.3, dtype=torch.float64)), (_b, _c, torch.tensor(0.8, dtype=torch.float64))],
    names=["share 0", "share 0.25", "share 0.5", "share 1", "two near vectors", "share 0.8"],
)  # fmt: skip
