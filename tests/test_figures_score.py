"""Figures of notebook 03: what they draw is what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from course import toy_ddpm
from course.figures import score


def teardown_function():
    plt.close("all")


def line(ax, label):
    """x and y of the line of this name."""
    found = next(drawn for drawn in ax.lines if drawn.get_label() == label)
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


def test_the_three_clouds_have_the_size_that_the_schedule_expects():
    for name, points in score.three_clouds(400).items():
        assert points.shape == (400, 2) and points.dtype == torch.float32, name
        assert 0.5 < points.var(0).mean() < 1.3, name
    assert torch.equal(score.three_clouds()["eight spots"], score.three_clouds()["eight spots"])


def test_long_arrows_are_cut_and_short_ones_are_not():
    pushes = torch.tensor([[3.0, 4.0], [0.03, 0.04], [0.0, 0.0]])
    expected = torch.tensor([[0.3, 0.4], [0.03, 0.04], [0.0, 0.0]])
    torch.testing.assert_close(score.capped(pushes, 0.5), expected)


def test_a_walker_stands_at_its_level_and_its_track_begins_at_most_eight_levels_before():
    places = {t: torch.full((2, 2), t / 100.0) for t in range(90, 101)}
    starts = score.grid(3)
    shown = score.Scene(95, starts, -starts, torch.zeros(5, 2), places)
    ax = score.field(shown)
    assert ax.get_title() == "t = 95" and score.field(shown, title="now").get_title() == "now"
    tracks = [drawn.get_xdata() for drawn in ax.lines]
    assert len(tracks) == 2
    np.testing.assert_allclose(tracks[0], [1.0, 0.99, 0.98, 0.97, 0.96, 0.95])  # level 100 is the first there is
    dots = np.concatenate([c.get_offsets() for c in ax.collections if len(c.get_offsets()) == 1])
    np.testing.assert_allclose(dots, 0.95)
    assert len(score.field(shown._replace(t=90)).lines[0].get_xdata()) == 9


def test_stations_say_at_which_level_the_estimate_was_made():
    points = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    exact = toy_ddpm.exact_denoiser(points, toy_ddpm.linear())
    x_T = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    walk = list(toy_ddpm.sample(exact, x_T, 10, generator=torch.Generator().manual_seed(1)))
    axes = score.stations(walk, (1, 5), pointed=2)
    assert [ax.get_title() for ax in axes[0]] == ["$x_t$ at t = 900", "$x_t$ at t = 500"]
    asked, _ = exact(walk[4][1], 500)
    np.testing.assert_allclose(axes[1, 1].collections[0].get_offsets(), asked, atol=1e-5)
    ends = np.array([[drawn.get_xdata()[1], drawn.get_ydata()[1]] for drawn in axes[0, 1].lines])
    np.testing.assert_allclose(ends, asked[:2], atol=1e-5)


def test_on_the_way_back_time_falls_to_the_right():
    forward = torch.arange(11.0)
    ax = score.there_and_back(forward, {"one": 10 - forward, "two": forward})
    assert [text.get_text() for text in ax.get_xticklabels()] == ["t = 0", "t = 5", "t = 10", "t = 5", "t = 0"]
    x, y = line(ax, "one")
    assert x[0] == 10 and x[-1] == 20 and y[0] == 10 and y[-1] == 0


def test_the_floor_and_the_gap_reach_the_value():
    ax = score.floor_and_gap(-3.0, -1.0)
    below, gap, value = ax.patches
    assert below.get_y() + below.get_height() == gap.get_y() == -3
    assert gap.get_y() + gap.get_height() == value.get_y() + value.get_height() == -1
    assert [text.get_text() for text in ax.texts] == ["ELBO\n-3.00", "gap\n2.00", "log p\n-1.00"]


def test_curves_bear_their_names():
    x = torch.linspace(-2, 2, 5)
    ax = score.reverse_step(x, x, 2 * x, 3 * x)
    np.testing.assert_allclose(line(ax, "reverse step")[1], 2 * x)
    ax = score.witnesses(x, x, 2 * x, 3 * x)
    np.testing.assert_allclose(line(ax, "likelihood: step to $x_3$")[1], 2 * x)
    ax = score.two_cases(torch.randn(99), x, x, 2 * x)
    np.testing.assert_allclose(line(ax, "sum")[1], 3 * x)
    ax = score.losses([1, 10], {"mine": [0.3, 0.2], "best": [0.1, 0.2]})
    np.testing.assert_allclose(line(ax, "best")[1], [0.1, 0.2])
    axes = score.pasts({"a": x, "b": x}, {"a": x, "b": x}, lambda at: 0 * at + 0.5)
    np.testing.assert_allclose(line(axes[1], "Eq. 6 and 7")[1], 0.5)
