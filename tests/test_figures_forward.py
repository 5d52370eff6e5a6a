"""What the figures of the forward process mark, and where."""

import matplotlib.pyplot as plt
import pytest
import torch

from course import toy_ddpm
from course.figures import forward


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_a_strip_shows_noise_beyond_one():
    """At the usual scale both would be white."""
    ax = forward.strip([torch.full((1, 1, 4, 4), 1.0), torch.full((1, 1, 4, 4), 2.0)], [0, 9], ["run"])
    sheet = ax.images[0].get_array()
    assert sheet[2, 2] == pytest.approx(0.7) and sheet[2, 8] == pytest.approx(0.9)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["t = 0", "t = 9"]


def test_a_cloud_is_shown_at_the_levels_asked_for():
    states = [torch.full((5, 2), float(t)) for t in range(4)]
    axes = forward.spreading("ink", states, [1, 3], limits=8, shown=3)
    assert [ax.get_title() for ax in axes[0]] == ["ink, t = 1", "ink, t = 3"]
    assert [ax.collections[0].get_offsets().tolist() for ax in axes[0]] == [[[1.0, 1.0]] * 3, [[3.0, 3.0]] * 3]


def test_walkers_leave_their_paths():
    states = torch.arange(24.0).view(4, 3, 2) / 10
    ax = forward.walkers(states, tagged=2)
    assert ax.get_title() == "t = 3" and len(ax.lines) == 2
    assert torch.tensor(ax.lines[1].get_xydata()).float().allclose(states[:, 1])


def test_eq_4_lies_where_its_numbers_are():
    schedule = toy_ddpm.linear()
    values = torch.tensor([0.8, -0.8])
    x_0 = values.repeat(4000)
    jump = {100: toy_ddpm.q_sample(x_0, 100, torch.randn(8000, generator=torch.Generator().manual_seed(0)), schedule)}
    axes = forward.steps_and_jump(jump, jump, schedule, values, [plt.subplots()[1]])
    x, density = torch.tensor(axes[0].lines[0].get_xydata()).T
    assert abs(torch.trapezoid(density, x) - 1) < 0.01
    assert abs(x[density.argmax()].abs() - 0.8 * schedule.signal[100]) < 0.05
    variance = torch.trapezoid(density * x**2, x)
    assert abs(variance / jump[100].square().mean() - 1) < 0.05


def test_the_schedules_cross_the_line_at_one():
    made = {name: toy_ddpm.make_schedule(name) for name in ("linear", "cosine")}
    axes = forward.schedules(made)
    linear, cosine, one = axes[2].lines
    assert set(one.get_ydata()) == {1}
    assert int((linear.get_ydata() >= 1).sum()) + 1 == 260 and int((cosine.get_ydata() >= 1).sum()) + 1 == 497
