"""Answers and usual mistakes of notebook 04, the U-Net."""

import torch

from course.check.engine import FunctionExercise, ValueExercise


def field(layers, patch):
    size, jump = patch, patch
    for kernel, stride in layers:
        size, jump = size + (kernel - 1) * jump, jump * stride
    return size


def field_spacing_one(layers, patch):
    return patch + sum(kernel - 1 for kernel, _ in layers)


def field_spacing_never_changes(layers, patch):
    return patch + sum((kernel - 1) * patch for kernel, _ in layers)


def field_spacing_starts_at_one(layers, patch):
    size, jump = patch, 1
    for kernel, stride in layers:
        size, jump = size + (kernel - 1) * jump, jump * stride
    return size


def field_spacing_adds(layers, patch):
    size, jump = patch, patch
    for kernel, stride in layers:
        size, jump = size + (kernel - 1) * jump, jump + stride
    return size


def field_spacing_is_stride(layers, patch):
    size, jump = patch, patch
    for kernel, stride in layers:
        size, jump = size + (kernel - 1) * jump, stride
    return size


def field_starts_at_one(layers, patch):
    return field(layers, patch) - patch + 1


def field_without_patch(layers, patch):
    return field(layers, patch) - patch


def field_ignores_patch(layers, patch):
    return field(layers, 1)


def field_own_stride(layers, patch):
    return patch + sum((kernel - 1) * stride for kernel, stride in layers)


def field_half_kernel(layers, patch):
    size, jump = patch, patch
    for kernel, stride in layers:
        size, jump = size + kernel // 2 * jump, jump * stride
    return size


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


def leaks(model, x_t, t):
    alone, together = model(x_t[:1], t[:1]), model(x_t, t)[:1]
    return not torch.allclose(alone, together)


def leaks_by_order(model, x_t, t):
    return not torch.allclose(model(x_t.flip(0), t.flip(0)).flip(0), model(x_t, t))


def leaks_between_two(model, x_t, t):
    answer = model(x_t, t)
    return not torch.allclose(answer[0], answer[1])


def leaks_by_level(model, x_t, t):
    return not torch.allclose(model(x_t, t), model(x_t, t.flip(0)))


def leaks_with_another_level(model, x_t, t):
    alone, together = model(x_t[:1], t[:1] + 100), model(x_t, t)[:1]
    return not torch.allclose(alone, together)


def leaks_by_one_other(model, x_t, t):
    changed = x_t.clone()
    changed[1] += 1
    return not torch.allclose(model(changed, t)[:1], model(x_t, t)[:1])


def leaks_with_another_first(model, x_t, t):
    return not torch.allclose(model(x_t + 1, t)[:1], model(x_t, t)[:1])


def _column(t):
    return t.view(-1, 1, 1, 1) / 1000


def _pictures():
    x_t = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x_t, torch.tensor([100, 500, 900])


def _twins():
    """The same picture at the same level three times."""
    x_t, t = _pictures()
    return x_t[:1].repeat(3, 1, 1, 1), t[:1].repeat(3)


attention_pairs = ValueExercise(
    16,
    mistakes=[
        (4, "the number of places grows 4 times; now count the pairs that they form"),
        (2, "the side doubles, but the places fill an area, and attention compares places in pairs"),
        (8, "that is a cube of the side; how does the number of places grow, and how the number of pairs of places?"),
        (64, "that is one doubling too many: a place has two coordinates, so how many coordinates has a pair?"),
        (38416, "that is the number of pairs on the larger map; how many times as many as on the smaller one?"),
        (2401, "that is the number of pairs on the map of 7 x 7; by which factor does it grow?"),
        (196, "that is the number of places on the larger map; attention compares them in pairs"),
    ],
)

receptive_field = FunctionExercise(
    field,
    mistakes=[
        (field_spacing_one, "every layer counts here as if it ran on pixels; how far apart are its inputs, in pixels?"),
        (
            field_spacing_never_changes,
            "your spacing stays the same from the first layer to the last; what does a stride of 2 do to it?",
        ),
        (
            field_spacing_starts_at_one,
            "your spacing starts at 1; how far apart are two neighbouring places once patches are folded?",
        ),
        (
            field_spacing_adds,
            "you add the stride to the spacing; two strides of 2, one after the other: how far apart are the places then?",
        ),
        (
            field_spacing_is_stride,
            "you put the last stride in the place of the spacing; what of the strides (and the patch) before it?",
        ),
        (
            field_own_stride,
            "you multiply by the layer's own stride; how far apart the places of its input lie, the layers before it decide",
        ),
        (field_half_kernel, "you count the neighbours on one side only; left and right together, how many are they?"),
        (field_starts_at_one, "your field starts at 1; how many pixels does a place see before the first layer?"),
        (field_without_patch, "your field starts at 0; what does a place see before the first layer?"),
        (field_ignores_patch, "right for a patch of 1; the field and the spacing both start somewhere else"),
        (field_late, "a strided layer still reads its inputs at the old spacing; when does the spacing change?"),
        (field_whole_kernel, "a kernel of 1 would widen your field; how many neighbours does a kernel of width w add?"),
    ],
    cases=[
        ([], 2),
        ([(3, 1), (5, 1)], 1),
        ([(3, 2), (3, 3), (5, 1)], 1),
        ([(3, 1), (3, 1), (3, 1), (3, 2), (3, 1)], 2),
        ([(1, 1), (7, 1), (3, 2)], 4),
    ],
    names=["no layer at all", "stride 1", "strides of 2 and 3", "patch 2 with a stride", "patch 4"],
    tolerance=0,
)

leak = FunctionExercise(
    leaks,
    mistakes=[
        (lambda model, x_t, t: True, "your test suspects every network; is anything compared with anything?"),
        (lambda model, x_t, t: False, "your test lets every network pass; which answer would a leak change?"),
        (
            lambda model, x_t, t: not leaks(model, x_t, t),
            "True and False are exchanged: True should mean that it leaks",
        ),
        (
            leaks_by_order,
            "a mean over the batch stays the same in any order, so this leak you do not see; change what is in the batch",
        ),
        (
            leaks_between_two,
            "two different pictures have different answers in any network; compare one picture's answer with its own",
        ),
        (
            leaks_by_level,
            "you have exchanged levels, so a good network changes its answer too; change only the other pictures",
        ),
        (
            leaks_with_another_level,
            "the first picture is asked at two levels, and a good network answers differently; keep its level, too",
        ),
        (leaks_by_one_other, "you change one of the others, and the leak may come from another one; change them all"),
        (leaks_with_another_first, "you change the first picture too; its answer may change then, so keep it as it is"),
    ],
    cases=[
        (lambda x_t, t: 0.5 * x_t + _column(t), *_pictures()),
        (lambda x_t, t: 0.5 * x_t + _column(t), *_twins()),
        (lambda x_t, t: x_t * x_t.square().mean((1, 2, 3), keepdim=True), *_pictures()),
        (lambda x_t, t: x_t - x_t.mean(0, keepdim=True), *_pictures()),
        (lambda x_t, t: x_t + 0.1 * x_t.roll(1, 0), *_pictures()),
    ],
    names=[
        "a network that treats each pixel alone",
        "the same network with three equal pictures",
        "a network that takes means inside a picture",
        "a network that subtracts the mean of the batch",
        "a network that reads the picture before",
    ],
)

unpadded_side = ValueExercise(
    4,
    mistakes=[
        (188, "that is a network with padding; here every 3 x 3 convolution takes away a frame of one pixel"),
        (184, "those are only the first two convolutions; walk down to the bottom and up again"),
        (64, "down is right; on the way up each level has two unpadded convolutions too"),
        (128, "the scale 388 / 572 holds for 572 only: the loss is a fixed number of pixels, not a share"),
        (8, "nearly: the last level on the way up has its two convolutions too"),
        (68, "down and up, but the pair of convolutions at the bottom, on the smallest map, is missing"),
        (100, "that is a walk with three poolings; count the levels on the way down again"),
        (152, "you add the lost pixels up as they are; a halving or a doubling also changes what was lost before it"),
        (36, "nearly: a level has two convolutions at the bottom too; by how much does one more shrink the side?"),
        (16, "too large; walk down once more, step by step, and write down the side after each halving"),
        (2, "too small; count the doublings on the way up"),
        (82, "each level has two convolutions, not one; what do both of them take away?"),
    ],
    tolerance=0,
)
