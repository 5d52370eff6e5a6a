"""The upscaler: its walk is that of diffusers' schedulers, with the noise of a second one on the small picture."""

import pytest
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DDPMScheduler
from library_walk import COSINE, walked
from torch.testing import assert_close

from course import mini_upscaler, toy_ddpm, weights


@pytest.fixture(scope="module")
def upscaler():
    torch.manual_seed(1)
    return toy_ddpm.Denoiser(mini_upscaler.Upscaler((16, 32)).eval(), toy_ddpm.cosine(), "x_0")


def test_upscaler_walks_as_diffusers_with_its_own_noise_on_the_small_picture(upscaler):
    small = torch.rand(2, 3, 16, 16) * 2 - 1
    ours = mini_upscaler.upscale(upscaler, small, torch.Generator().manual_seed(3), level=120, timesteps=10)

    chance = torch.Generator().manual_seed(3)
    low_res = DDPMScheduler(**COSINE)  # what the pipelines call `low_res_scheduler`
    noisy = low_res.add_noise(small, torch.randn(small.shape, generator=chance), torch.tensor([119]))
    x_T = torch.randn(2, 3, 64, 64, generator=chance)
    level = torch.full((2,), 120)
    scheduler = DDIMScheduler(**COSINE, prediction_type="sample")
    theirs = walked(scheduler, x_T, 10, lambda x, t: upscaler.network(x, (t + 1).expand(2), (noisy, level)))
    theirs = F.interpolate(noisy, scale_factor=4, mode="bicubic") + mini_upscaler.DETAIL * theirs
    assert_close(ours, theirs.clamp(-1, 1), atol=2e-4, rtol=0)


def test_small_pictures_are_means_of_squares_and_any_size_is_drawn(upscaler):
    x = torch.rand(1, 3, 32, 48)
    assert_close(mini_upscaler.shrink(x)[0, :, 2, 3], x[0, :, 8:12, 12:16].mean((1, 2)))
    drawn = mini_upscaler.upscale(upscaler, torch.zeros(1, 3, 8, 12), torch.Generator(), timesteps=1)
    assert drawn.shape == (1, 3, 32, 48) and drawn.abs().max() <= 1


def test_the_expected_picture_is_that_of_an_exact_denoiser():
    """Of two details, equally likely whatever the small picture is, their mean; a draw is one of them."""
    details = torch.stack([torch.full((3, 16, 16), value) for value in (-1.0, 2.0)])
    exact = toy_ddpm.exact_denoiser(details, toy_ddpm.cosine())
    exact.network = lambda x_t, t, c, told=exact.network: told(x_t, t)
    small, chance = torch.zeros(40, 3, 4, 4), torch.Generator().manual_seed(2)
    mean = mini_upscaler.expected(exact, small, chance, level=0)
    assert_close(mean, torch.full_like(mean, mini_upscaler.DETAIL * 0.5), atol=0.05, rtol=0)
    drawn = mini_upscaler.upscale(exact, small, chance, level=0).mean((1, 2, 3)) / mini_upscaler.DETAIL
    assert ((drawn - 2).abs() < 0.01).sum() + ((drawn + 1).abs() < 0.01).sum() == 40 and drawn.std() > 1


@pytest.mark.parametrize("change, message", [
    ({"small": torch.zeros(3, 16, 16)}, "small pictures must be"), ({"small": torch.full((1, 3, 16, 16), torch.nan)}, "NaN"),
    ({"level": 301}, r"level is a whole number in 0\.\.300; got 301"), ({"level": 0.5}, "whole number"),
])  # fmt: skip
def test_upscaler_refuses(upscaler, change, message):
    wish = {"small": torch.zeros(1, 3, 16, 16), "generator": torch.Generator()} | change
    with pytest.raises(ValueError, match=message):
        mini_upscaler.upscale(upscaler, **wish)


def test_the_shipped_one_invents_outlines_and_keeps_the_small_picture():
    """From a step of colours: the drawn edge is steeper than interpolation's, and the mean of each square stays."""
    small = torch.full((1, 3, 16, 16), -0.5)
    small[..., 6:10, 6:10] = 0.5
    drawn = mini_upscaler.upscale(weights.load("upscaler"), small, torch.Generator().manual_seed(0), level=0)
    steepest = [x.diff(dim=3).abs().max().item() for x in (mini_upscaler.stretch(small), drawn)]
    assert steepest[1] > 1.5 * steepest[0]
    assert (mini_upscaler.shrink(drawn) - small).square().mean().sqrt() < 0.1
