"""Checks of notebook 00: sizes and ranges of pictures."""

import torch

from course.check.engine import Exercise

size_of_a_point = Exercise(
    784,
    [
        (56, "Height and width were added. How many pixels does one row hold, and how many rows are there?"),
        (28, "That is one row of pixels. How many rows are there?"),
        (2, "The picture has two sides, but each of its pixels is a coordinate of its own. How many pixels are there?"),
    ],
    tolerance=0,
)

_pixels = torch.tensor([0.0, 1.0, 100.0, 127.5, 200.0, 255.0], dtype=torch.float64)
to_model = Exercise(
    lambda pixels: pixels / 127.5 - 1,
    [
        (lambda pixels: pixels / 255, "That reaches from 0 to 1. Where should middle grey lie?"),
        (lambda pixels: pixels / 255 - 0.5, "The middle is right, but the range has length 1. How long is -1..1?"),
        (lambda pixels: pixels / 127.5, "The length is right, but black does not land on -1. What is missing?"),
        (lambda pixels: pixels - 127.5, "The middle is right. How far is white from it, and how far should it be?"),
        (lambda pixels: 1 - pixels / 127.5, "Black and white have changed places."),
        (lambda pixels: pixels / 128 - 1, "White lands a little below 1. What is half of 255?"),
    ],
    cases=[(_pixels,)],
    tolerance=1e-6,
)

_x = torch.tensor([-1.2, -1.0, -0.3, 0.0, 0.5, 1.0, 1.02], dtype=torch.float64)
to_pixels = Exercise(
    lambda x: ((x.clamp(-1, 1) + 1) * 127.5).round(),
    [
        (lambda x: ((x + 1) * 127.5).round(), "Some values fall outside 0..255. What does a byte make of 258?"),
        (lambda x: (x.clamp(-1, 1) + 1) * 127.5, "The range is right, but these are not whole numbers yet."),
        (lambda x: (x + 1) * 127.5, "Two things are missing: whole numbers, and limits."),
        (
            lambda x: ((x.clamp(-1, 1) + 1) * 127.5).floor(),
            "Cutting off the decimals always rounds down. Which whole number is nearest?",
        ),
        (lambda x: (x.clamp(0, 1) * 255).round(), "Everything below middle grey became black. Where does -1 belong?"),
    ],
    cases=[(_x,)],
    tolerance=1e-6,
)
