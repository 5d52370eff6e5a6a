"""Answers and usual mistakes of notebook 04, the U-Net."""

import torch

from course.check.engine import FunctionExercise, ValueExercise


def field(layers, patch):
    size, jump = patch, patch
    for kernel, stride in layers:
        size, jump = size + (kernel - 1) * jump, jump * stride
    return size


def field_without_jump(layers, patch):
    return patch + sum(kernel - 1 for kernel, _ in layers)


def field_late(layers, patch):
    size, jump = patch, patch
    for kernel, stride in layers:
        jump = jump * stride
        size = size + (kernel - 1) * jump
    return size


def field_whole_kernel(layers, patch):
    size, jump = patch, patch
    for kernel, stride in layers:
        size, jump = size + kernel * jump, jump * stride
    return size


def uses_t(model, x_t):
    early, late = (model(x_t, torch.full((len(x_t),), t)) for t in (10, 900))
    return not torch.allclose(early, late)


def _image():
    return torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


attention_pairs = ValueExercise(
    16,
    mistakes=[
        (4, "the number of places grows 4 times; now count the pairs that they form"),
        (2, "the side doubles, but the places fill an area, and attention compares places in pairs"),
        (8, "that is a cube of the side; how does the number of places grow, and how the number of pairs of places?"),
    ],
)

receptive_field = FunctionExercise(
    field,
    mistakes=[
        (
            field_without_jump,
            "every layer counts here as if it ran on pixels; how far apart are its inputs, in pixels?",
        ),
        (field_late, "a strided layer still reads its inputs at the old spacing; when does the spacing change?"),
        (field_whole_kernel, "a kernel of 1 would widen your field; how many neighbours does a kernel of k add?"),
    ],
    cases=[([(3, 1), (3, 1), (3, 1), (3, 2), (3, 1)], 2), ([(3, 2), (5, 2), (3, 1)], 1), ([(1, 1), (7, 1), (3, 2)], 4)],
    tolerance=0,
)

catches_ignored_t = FunctionExercise(
    uses_t,
    mistakes=[
        (lambda model, x_t: True, "your test lets the network that ignores t pass; is x_t the same in both calls?"),
        (
            lambda model, x_t: False,
            "your test catches everybody, also networks that use t; do your two calls differ in t?",
        ),
        (lambda model, x_t: not uses_t(model, x_t), "True and False are exchanged: True should mean that t matters"),
    ],
    cases=[
        (lambda x_t, t: x_t * t.view(-1, 1, 1, 1) / 1000, _image()),
        (lambda x_t, t: 2 * x_t + 0 * t.view(-1, 1, 1, 1), _image()),
        (lambda x_t, t: x_t + t.view(-1, 1, 1, 1) / 1000, _image()),
    ],
)

unpadded_side = ValueExercise(
    4,
    mistakes=[
        (188, "that is a network with padding; here every 3 x 3 convolution takes away a frame of one pixel"),
        (184, "those are only the first two convolutions; walk down to the bottom and up again"),
        (64, "down is right; on the way up each level has two unpadded convolutions too"),
        (128, "the scale 388 / 572 holds for 572 only: the loss is a fixed number of pixels, not a share"),
    ],
    tolerance=0,
)
