"""The figures of notebook 06: what is drawn is what was handed over, and straight steps are tangents."""

import numpy as np
import torch
from torch.testing import assert_close

from course import toy_ddpm, viz
from course.figures import samplers

LINEAR = toy_ddpm.linear()
BUMPS = toy_ddpm.exact_denoiser(torch.tensor([[-1.0], [1.0]]), LINEAR, std=0.1)
STARTS = torch.tensor([[-0.6], [0.2], [1.2]], dtype=torch.float64)


def states(steps):
    walk = toy_ddpm.sample(BUMPS, STARTS, steps, toy_ddpm.ddim)
    return torch.cat([STARTS, *(x_t for _, x_t, _ in walk)], dim=1).T


def xy(line):
    return torch.from_numpy(np.stack([line.get_xdata(), line.get_ydata()])).double()


def test_on_the_right_every_step_has_the_slope_that_the_network_said():
    left, right = samplers.two_views(LINEAR, states(1000), states(6))
    assert left.get_xlim()[0] > left.get_xlim()[1] and right.get_xlim()[0] > right.get_xlim()[1]  # t falls to the right
    for row, start in enumerate(STARTS):
        sigma, x_bar = xy(right.lines[len(STARTS) + row])
        _, eps_hat = BUMPS(start[None], 1000)
        assert_close((x_bar[1] - x_bar[0]) / (sigma[1] - sigma[0]), eps_hat[0, 0])
        t, x_t = xy(left.lines[len(STARTS) + row])
        assert_close(t, torch.tensor(toy_ddpm.step_grid(1000, 6), dtype=torch.float64))
        assert_close(x_t, states(6)[:, row])


def test_ddim_aims_at_the_estimate():
    on_curve = states(1000)[:, 2:].flip(0)
    end, x_0_hat = toy_ddpm.ddim(BUMPS, on_curve[250:251], 250, 100)
    ax = samplers.one_step(LINEAR, on_curve, 250, 100, end)
    star = next(line for line in ax.lines if line.get_label() == "aims at")
    assert_close(xy(star)[1], x_0_hat.flatten())
    should = next(line for line in ax.lines if line.get_label() == "should end")
    assert_close(xy(should)[1], on_curve[100] / LINEAR.signal[100])


def test_the_shadow_is_the_histogram_of_the_second_number():
    points = torch.randn(50_000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 0.6])
    ax = samplers.with_shadow(points, std=0.6)
    shadow = ax.collections[-1].get_paths()[0].vertices
    bell = xy(ax.lines[-1])
    assert abs(shadow[:, 0].min() - bell[0].min()) < 0.05  # the shadow's summit is the bell's
    assert len(ax.collections[0].get_offsets()) == 4000
    assert abs(samplers.with_shadow(points, std=1.0).lines[-1].get_xdata().min() - bell[0].min().item()) < 0.01


def test_what_walks_leave_of_the_variance():
    """Known values (computed independently): DDIM at 50 steps, and half of it where all noise is fresh."""

    def all_fresh(denoiser, x_t, t, t_prev, generator):
        x_0_hat, _ = denoiser(x_t, t)
        signal, std = denoiser.schedule.at(t_prev, x_t)
        return signal * x_0_hat + std * toy_ddpm.noise_like(x_t, generator), x_0_hat

    assert_close(samplers.kept_variance(1.0, toy_ddpm.ddim, [10, 50]), [0.687853, 0.928430], rtol=0.025, atol=0)
    assert_close(samplers.kept_variance(0.04, all_fresh, [50]), [0.0154135 / 0.04], rtol=0.03, atol=0)
    large = samplers.kept_variance(0.04, toy_ddpm.ddpm, [50], variance="large")
    assert_close(large, [0.0448130 / 0.04], rtol=0.03, atol=0)


def test_colours_are_the_courses():
    _, right = samplers.two_views(LINEAR, states(1000), states(3))
    assert {line.get_color() for line in right.lines} == {viz.NOISE, viz.PREDICTION}


def test_every_rule_gets_its_curve_in_every_panel():
    shares = {1.0: {"a": [0.2, 0.4], "b": [0.5, 0.9]}, 0.04: {"a": [0.1, 0.3], "b": [0.6, 1.1]}}
    axes = samplers.spreads([10, 50], shares)
    for ax, share in zip(axes, shares.values()):
        assert [line.get_label() for line in ax.lines] == ["a", "b"]
        for line, values in zip(ax.lines, share.values()):
            assert_close(xy(line), torch.tensor([[10, 50], values], dtype=torch.float64))
    assert axes[0].get_ylim() == axes[1].get_ylim() and len(axes[0].figure.legends) == 1
