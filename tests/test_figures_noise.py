"""What notebook 01's figures draw lies where the numbers say."""

import math

import matplotlib.pyplot as plt
import pytest
import torch

from course import viz
from course.figures import noise


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_the_table_shows_nine_pictures_shares_and_sums():
    table = torch.tensor([[0.3, 0.05, 0.0], [0.1, 0.2, 0.05], [0.0, 0.05, 0.25]])
    ax = noise.two_pixel_table(table)
    assert len(ax.patches) == 18 and texts(ax).count("0.000") == 2
    assert texts(ax)[-6::2] == ["0.35", "0.35", "0.30"] and texts(ax)[-5::2] == ["0.40", "0.30", "0.30"]
    left, right = ax.patches[2 * 1], ax.patches[2 * 1 + 1]  # the picture of the first row, second column: dark, grey
    assert left.get_facecolor()[0] == 0 and right.get_facecolor()[0] == 0.5 and left.get_x() < right.get_x()
    with pytest.raises(ValueError, match=r"\[3, 3\]"):
        noise.two_pixel_table(torch.ones(2, 3))


@pytest.mark.parametrize("beta", [0.0, 0.2, 0.5, 1.0])
def test_a_shadow_is_the_mix_and_its_threads_are_perpendicular(beta):
    points = torch.randn(5000, 2, generator=torch.Generator().manual_seed(0))
    cloud, bars = noise.shadow(points, beta, threads=3)
    assert noise.tilted(beta).norm() == pytest.approx(1)
    feet = [line for line in cloud.lines if line.get_marker() == "o"]
    for point, foot in zip(points, feet, strict=False):
        place = torch.tensor([foot.get_xdata()[0], foot.get_ydata()[0]])
        mixed = math.sqrt(1 - beta) * point[0] + math.sqrt(beta) * point[1]
        torch.testing.assert_close(place, mixed * noise.tilted(beta))
        assert abs((point - place) @ noise.tilted(beta)) < 1e-5
    assert len(feet) == 3 and bars.get_title() == f"variance {(points @ noise.tilted(beta)).var():.2f}"


def test_dots_of_a_shell_keep_their_length_and_in_two_dimensions_their_place():
    draws = torch.randn(50, 784, generator=torch.Generator().manual_seed(0))
    dots = torch.from_numpy(noise.shell(draws).collections[0].get_offsets().data).float()
    torch.testing.assert_close(dots.norm(dim=1), draws.norm(dim=1))
    torch.testing.assert_close(dots[:, 0] / dots[:, 1], draws[:, 0] / draws[:, 1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(noise.flattened(draws[:, :2]), draws[:, :2])


def test_the_larger_figures_have_a_panel_for_each_thing():
    x = torch.randn(40, 784, generator=torch.Generator().manual_seed(0))
    y = x.flip(0)
    assert noise.shadow_strip(x[:, :2], y[:, :2], [0, 0.5]).shape == (4, 2)
    axes = noise.turning(x[:, :2], y[:, :2])(0.5)
    assert axes.shape == (2, 2) and axes[0, 1].get_title() == "uniform, $\\beta$ = 0.5"
    axes = noise.bubble(x, y, (x + y) / 2, (x + y) / 2**0.5)
    assert [len(dots.get_offsets()) for dots in axes[1].collections] == [40, 40, 40]
    kinds = {"one": x.view(40, 1, 28, 28), "other": y.view(40, 1, 28, 28)}
    axes = noise.kinds_of_noisy(kinds, {"one": torch.zeros(28, 28), "other": torch.ones(28, 28)})
    assert axes.shape == (3, 2) and axes[1, 1].images[0].get_array().max() == 1
    axes = noise.strips(list(kinds["one"][:4]), [0.1, 0.2, 0.3, 0.4], ["above", "below"])
    assert axes[1, 1].get_title() == "0.40" and axes[1, 0].get_ylabel() == "below" and axes[0, 0].get_xlabel() == ""
    axes = noise.strips(list(kinds["one"][:4]), [0.1, 0.2, 0.3, 0.4], ["above", "below"], ["a", "b", "c", "d"])
    assert [ax.get_xlabel() for ax in axes.flat] == ["a", "b", "c", "d"]
    assert viz.png(axes[0, 0].figure)
