"""The figure of notebook 05."""

import matplotlib.pyplot as plt
import pytest
import torch
from torch.testing import assert_close

from course import viz
from course.figures import pixels


def test_background_and_strokes_are_drawn_apart():
    eps = torch.arange(8.0).view(2, 4) / 4
    strokes = torch.tensor([[True, False, False, False], [False, False, False, True]])
    ax = pixels.estimated_noise(eps, -eps, strokes, title="t = 5")
    drawn = {dots.get_label(): torch.tensor(dots.get_offsets()) for dots in ax.collections}
    assert_close(drawn["strokes"], torch.tensor([[0.0, 0.0], [1.75, -1.75]]).double())
    assert len(drawn["background"]) == 6 and (drawn["background"].sum(1) == 0).all()
    assert len(ax.lines) == 1 and ax.get_title() == "t = 5" and ax.get_xlabel() == "true noise"
    plt.close(ax.figure)


def test_only_so_many_pixels_are_drawn_into_the_axes_given():
    eps, ax = torch.randn(10, 1, 28, 28, generator=torch.Generator().manual_seed(0)), viz.panels()
    assert pixels.estimated_noise(eps, eps, eps > 0, ax, shown=100) is ax
    assert all(100 <= len(dots.get_offsets()) <= 103 for dots in ax.collections)
    plt.close(ax.figure)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        pixels.estimated_noise(torch.zeros(3), torch.zeros(3), torch.zeros(2, dtype=torch.bool))
