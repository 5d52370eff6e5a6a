"""Answers and usual mistakes of notebook 00, sizes and ranges of pictures."""

import torch

from course.check.engine import FunctionExercise, ValueExercise

size_of_a_point = ValueExercise(
    784,
    mistakes=[
        (56, "height and width were added; how many pixels does one row hold, and how many rows are there?"),
        (28, "that is one row of pixels; how many rows are there?"),
        (2, "the picture has two sides, but each of its pixels is a coordinate of its own; how many pixels are there?"),
    ],
    tolerance=0,
)

_pixels = torch.tensor([0.0, 1.0, 100.0, 127.5, 200.0, 255.0], dtype=torch.float64)
to_model = FunctionExercise(
    lambda pixels: pixels / 127.5 - 1,
    mistakes=[
        (lambda pixels: pixels / 255, "that reaches from 0 to 1; where should middle grey lie?"),
        (lambda pixels: pixels / 255 - 0.5, "the middle is right, but the range has length 1; how long is -1..1?"),
        (lambda pixels: pixels / 127.5, "the length is right, but black does not land on -1; what is missing?"),
        (lambda pixels: pixels - 127.5, "the middle is right; how far is white from it, and how far should it be?"),
        (lambda pixels: 1 - pixels / 127.5, "black and white have changed places"),
        (lambda pixels: pixels / 128 - 1, "white lands a little below 1; what is half of 255?"),
    ],
    cases=[(_pixels,)],
    tolerance=1e-6,
)

_x = torch.tensor([-1.2, -1.0, -0.3, 0.0, 0.5, 1.0, 1.02], dtype=torch.float64)
to_pixels = FunctionExercise(
    lambda x: ((x.clamp(-1, 1) + 1) * 127.5).round(),
    mistakes=[
        (lambda x: ((x + 1) * 127.5).round(), "some values fall outside 0..255; what does a byte make of 258?"),
        (lambda x: (x.clamp(-1, 1) + 1) * 127.5, "the range is right, but these are not whole numbers yet"),
        (lambda x: (x + 1) * 127.5, "two things are missing: whole numbers, and limits"),
        (
            lambda x: ((x.clamp(-1, 1) + 1) * 127.5).floor(),
            "cutting off the decimals always rounds down; which whole number is nearest?",
        ),
        (lambda x: (x.clamp(0, 1) * 255).round(), "everything below middle grey became black; where does -1 belong?"),
    ],
    cases=[(_x,)],
    tolerance=1e-6,
)
