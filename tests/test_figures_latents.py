"""The figures of notebook 07: what is drawn is what was handed over, and what is measured is right where the answer is known."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.patches import Circle, Ellipse, Rectangle
from torch import nn
from torch.testing import assert_close

from course.figures import latents


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_a_cell_becomes_two_by_two_grey_values():
    z = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    sheet = latents.tiles(z)
    assert sheet.shape == (3, 3, 64, 64) and sheet.abs().max() == 1
    scale = z.abs().max()
    corner = sheet[1, 0, 8 * 2 : 8 * 3, 8 * 5 : 8 * 6]  # cell (2, 5): its four numbers, each 4 x 4 pixels
    assert_close(corner[::4, ::4].flatten() * scale, z[1, :, 2, 5])


def test_numerals_stand_in_the_middle_of_their_kind_and_clouds_are_as_wide_as_told():
    codes = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [-3.0, 1.0]])
    ax = latents.plane(codes, torch.tensor([4, 4, 4, 7]))
    assert {t.get_text(): t.get_position() for t in ax.texts} == {"4": (1.0, 1.0), "7": (-3.0, 1.0)}
    assert sorted(p.radius for p in ax.patches if isinstance(p, Circle)) == [1, 2]
    ax = latents.clouds(torch.tensor([[0.5, -1.0]]), torch.tensor([[0.2, 0.4]]), ["one"])
    found = [(e.center, e.width, e.height) for e in ax.patches if type(e) is Ellipse]
    for (center, wide, high), size in zip(found, (1, 2), strict=True):
        assert_close([*center, wide, high], [0.5, -1.0, 0.4 * size, 0.8 * size], rtol=1e-5, atol=0)


def test_clouds_over_the_prior_have_area_one():
    axes = latents.against_prior([(0, 1.0), (1, 0.5)], [0.0, 0.82])
    for ax in axes:
        for line in ax.lines:
            z, density = line.get_data()
            assert abs(np.trapezoid(np.asarray(density), np.asarray(z)) - 1) < 1e-3
    assert "0.82" in axes[1].get_title()


def test_densities_are_on_one_scale_and_the_right_way_up():
    points = torch.tensor([[1.0, -2.0]]).repeat(10, 1)  # right of the middle, below it
    axes = latents.densities({"a": points, "b": points[:4]}, limits=3.0, bins=6)
    for ax in axes:
        drawn = ax.images[0].get_array()
        row, column = np.unravel_index(drawn.argmax(), drawn.shape)
        assert (row, column) == (1, 4) and ax.images[0].origin == "lower"  # y in -2..-1, x in 1..2
    assert axes[0].images[0].get_clim() == axes[1].images[0].get_clim()


def test_strangers():
    codes = torch.tensor([[0.0, 0.0], [0.1, 0.0], [5.0, 0.0], [5.1, 0.0]])
    assert latents.strangers(codes, torch.tensor([1, 1, 2, 3])) == 0.5


def test_gaps_are_where_no_code_is():
    ring = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    ring = ring / ring.norm(dim=1, keepdim=True)  # a circle: its middle is a gap
    assert abs(latents.share_in_gaps(ring, ring, known=1000) - 0.05) < 0.03
    half = torch.cat([ring[:500], torch.zeros(500, 2)])
    assert abs(latents.share_in_gaps(half, ring, known=1000) - 0.5) < 0.05


def test_the_dial_shows_its_numbers_and_marks():
    axes = latents.dial([1e-6, 0.1, 1], [20, 21, 40], [80, 9, 12], {"here": 1e-6}, 0.03, real=0.5)
    assert_close(axes[0].lines[0].get_ydata(), np.array([20, 21, 40]))
    assert_close(axes[1].lines[0].get_ydata(), np.array([80, 9, 12]))
    assert axes[0].lines[1].get_xdata() == [1e-6, 1e-6]
    assert [line.get_ydata() for line in axes[1].lines if line.get_linestyle() == "--"] == [[0.5, 0.5]]
    low, high = axes[1].get_ylim()
    assert low < 0.5 and high > 80


def test_a_change_inside_one_cell_is_all_its_own():
    change = torch.zeros(64, 64)
    change[8 * 3 : 8 * 4, 8 * 5 : 8 * 6] = 2.0
    assert_close(latents.shares(change, 3, 5), (1.0, 1.0, 0.0))
    own, near, far = latents.shares(torch.ones(64, 64), 3, 4)
    assert_close((own, near, far), (1 / 64, 9 / 64, 1 - 25 / 64))
    ax = latents.patch(change, 3, 5)
    frame = next(p for p in ax.patches if isinstance(p, Rectangle))
    assert (frame.get_xy(), frame.get_width()) == ((39.5, 23.5), 8)


def test_frozen_norms_are_right_the_first_time_and_then_do_not_look():
    norm = nn.GroupNorm(2, 4)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        norm.bias.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    x = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(1))
    right = norm(x)
    frozen = latents.freeze_norms(nn.Sequential(norm))
    assert_close(frozen(x), right)
    changed = x.clone()
    changed[:, :, 0, 0] += 10
    now = frozen(changed)
    assert_close(now[:, :, 1:], right[:, :, 1:])  # one place changes no other
    assert (now[:, :, 0, 0] - right[:, :, 0, 0]).abs().min() > 1
    flat = nn.GroupNorm(2, 4)  # rows of places, as attention hands them over
    y = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(2))
    want = flat(y)
    assert_close(latents.freeze_norms(nn.Sequential(flat))(y), want)


def test_numerals_move_apart_and_only_those_that_touch():
    places = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.0, 0.0], [3.0, 0.0]])
    moved = latents.apart(places, gap=0.5)
    assert torch.pdist(moved).min() >= 0.5
    torch.testing.assert_close(moved[3], places[3], atol=0.01, rtol=0)
    assert latents.apart(places[[0, 3]], gap=0.5).equal(places[[0, 3]])
