"""The networks that saw a part of MNIST: which part, and how their drawings are compared."""

import pytest
import torch
from torch.testing import assert_close

from course.train import digit_parts


@pytest.fixture
def labels():
    return torch.randint(0, 10, (3000,), generator=torch.Generator().manual_seed(1))


def test_the_halves_have_no_digit_in_common_and_hold_all(labels):
    a, b = digit_parts.part_rows("half-a", labels), digit_parts.part_rows("half-b", labels)
    assert len(a) == len(b) == 1500 and not set(a.tolist()) & set(b.tolist())
    assert sorted(a.tolist() + b.tolist()) == list(range(3000))


@pytest.mark.parametrize("part", ["10", "100", "1000"])
def test_the_small_parts_hold_every_numeral_alike(part, labels):
    rows = digit_parts.part_rows(part, labels)
    assert labels[rows].bincount().tolist() == [int(part) // 10] * 10 and len(set(rows.tolist())) == int(part)


def test_a_larger_part_holds_the_smaller(labels):
    ten, hundred = (set(digit_parts.part_rows(part, labels).tolist()) for part in ("10", "100"))
    assert ten < hundred


def test_ten_digits_of_the_thousand_are_repeated(labels):
    rows, counts = digit_parts.part_rows("repeated", labels).unique(return_counts=True)
    assert set(rows.tolist()) == set(digit_parts.part_rows("1000", labels).tolist())
    assert set(rows[counts == digit_parts.TIMES].tolist()) == set(digit_parts.part_rows("10", labels).tolist())
    assert counts.unique().tolist() == [1, digit_parts.TIMES]


def test_the_halves_share_neither_weights_nor_noise():
    a, b = digit_parts.part_trainer("half-a", n=40), digit_parts.part_trainer("half-b", n=40)
    assert len(a.data[0]) == len(b.data[0]) == 20
    assert not torch.equal(a.model.conv_in.weight, b.model.conv_in.weight)
    assert not torch.equal(a.generator.get_state(), b.generator.get_state())


def test_nearest_finds_the_row_and_the_distance_per_pixel():
    images = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    rows, distance = digit_parts.nearest(torch.tensor([[[[0.75, 0.75], [0.75, 0.75]]]]), images)
    assert rows.tolist() == [1] and distance.item() == pytest.approx(0.25)


def test_alike_is_the_correlation_of_pixels():
    a = torch.randn(3, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    b = torch.stack([a[0], -2 * a[1] + 3, a[2].flip(-1)])
    expected = torch.stack([torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1] for x, y in zip(a, b)])
    assert_close(digit_parts.alike(a, b), expected)
    assert digit_parts.alike(a, b)[:2].tolist() == pytest.approx([1, -1])


def test_a_copy_is_much_nearer_to_one_picture_than_to_all_others():
    images = 3 * torch.eye(4).view(4, 1, 2, 2)
    x = torch.stack([images[2] + 0.1, (images[0] + images[1]) / 2])
    copy, rows = digit_parts.copied(x, images)
    assert copy.tolist() == [True, False] and rows[0] == 2
