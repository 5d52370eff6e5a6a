"""Waves of pictures, the noise floor, and where the two cross."""

import math

import matplotlib.pyplot as plt
import pytest
import torch
from torch.testing import assert_close

from course import toy_ddpm
from course.figures import spectrum


def stripes(k, side=28):
    """k waves across a picture, of mean square 1/2: `[1, 1, side, side]`."""
    return torch.cos(2 * math.pi * k * torch.arange(side) / side).expand(1, 1, side, side)


def test_a_wave_has_power_at_its_own_place_only():
    power = spectrum.power(stripes(3))
    assert power.shape == (15,) and power.argmax() == 3
    assert power[3] > 1 and torch.cat([power[:3], power[4:]]).max() < 1e-6
    assert spectrum.power(torch.full((1, 1, 28, 28), 2.0))[0] == pytest.approx(4 * 784)


def test_white_noise_has_power_one_everywhere():
    noise = torch.randn(400, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert_close(spectrum.power(noise)[1:], torch.ones(14), rtol=0, atol=0.08)


def test_low_pass_keeps_coarse_waves_and_drops_fine_ones():
    x = 0.5 + stripes(2) + stripes(9).transpose(2, 3)
    assert_close(spectrum.low_pass(x, 2), 0.5 + stripes(2), rtol=0, atol=1e-5)
    assert_close(spectrum.low_pass(x, 20), x, rtol=0, atol=1e-5)
    assert_close(spectrum.low_pass(x, 0), torch.full_like(x, 0.5), rtol=0, atol=1e-5)
    assert spectrum.low_pass(x, -1).abs().max() == 0


def test_the_floor_is_crossed_where_power_times_snr_is_one():
    schedule = toy_ddpm.linear()
    snr = schedule.snr[250].item()
    power = torch.tensor([100.0, 10.0, 4.0, 1.0, 0.25]) / snr
    assert spectrum.above(power, schedule, 250) == 3 and spectrum.crossing(power, schedule, 250) == pytest.approx(3.0)
    assert spectrum.crossing(power / 2, schedule, 250) == pytest.approx(2.5)  # halfway from 2 to 1/2 on a log axis
    assert spectrum.above(power / 1000, schedule, 250) == -1 and spectrum.crossing(power / 1000, schedule, 250) is None
    assert spectrum.crossing(power * 1000, schedule, 250) is None


def test_the_figures_mark_the_crossings():
    schedule = toy_ddpm.linear()
    power = torch.tensor([100.0, 10.0, 4.0, 1.0, 0.25])
    ax = spectrum.noise_floor(power, schedule, [250, 300])
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert len(dots) == 2
    for dot, t in zip(dots, (250, 300)):
        assert dot.get_xdata()[0] == pytest.approx(spectrum.crossing(power, schedule, t))
        assert dot.get_ydata()[0] == pytest.approx((1 - schedule.alpha_bar[t]).item())
    ax = spectrum.shares_got_right({250: torch.linspace(1, 0, 5)}, power, schedule)
    (dot,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert dot.get_ydata()[0] == pytest.approx(1 - dot.get_xdata()[0] / 4)
    plt.close("all")
