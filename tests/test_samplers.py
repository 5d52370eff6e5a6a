"""The sampler family against diffusers' schedulers, exact variances and known distributions."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch.testing import assert_close

from course import toy_ddpm as td

LINEAR = td.linear()


POINTS = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1


def denoiser(schedule, predicts):
    """The exact denoiser of five pictures, made to return what `predicts` says: walks stay of size 1."""
    exact = td.exact_denoiser(POINTS, schedule, std=0.1)
    return lambda x_t, t: td.convert(exact(x_t, t), x_t, t, schedule, "eps", predicts)


def walk_with(scheduler, model, x_t, **kwargs):
    """diffusers' scheduler with its 0-based index i = t - 1, and the random draws that our sampler makes."""
    generator, states = torch.Generator().manual_seed(3), []
    for i in scheduler.timesteps.tolist():
        output = model(x_t, torch.full(x_t.shape[:1], i + 1))
        x_t = scheduler.step(output, i, x_t, generator=generator, **kwargs).prev_sample
        states.append(x_t)
    return states


def walk(model, schedule, steps, **choice):
    x_T = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    return x_T, [
        x for _, x, _ in td.sample(model, x_T, schedule, steps, generator=torch.Generator().manual_seed(3), **choice)
    ]


def compare(ours, theirs):
    assert len(ours) == len(theirs)
    worst = max((a - b).abs().max().item() for a, b in zip(ours, theirs))
    assert worst <= 1e-5, worst


@pytest.mark.parametrize("name, config", [("linear", "linear"), ("cosine", "squaredcos_cap_v2")])
@pytest.mark.parametrize("predicts, prediction_type", [("eps", "epsilon"), ("v", "v_prediction"), ("x_0", "sample")])
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_equals_diffusers(name, config, predicts, prediction_type, clip, eta):
    if (name, predicts) == ("cosine", "eps"):
        pytest.skip("x_0 = (x_T - eps) / 5e-5 at the first step: float32 leaves no five digits to compare")
    other = DDIMScheduler(
        beta_schedule=config, prediction_type=prediction_type, clip_sample=clip, timestep_spacing="trailing"
    )
    other.set_timesteps(50)
    schedule = td.make_schedule(name)
    model = denoiser(schedule, predicts)
    x_T, ours = walk(model, schedule, 50, eta=eta, predicts=predicts, clip=clip)
    compare(ours, walk_with(other, model, x_T, eta=eta, use_clipped_model_output=clip))


@pytest.mark.parametrize("variance, variance_type", [("small", "fixed_small"), ("large", "fixed_large")])
@pytest.mark.parametrize("steps", [1000, 50])
@pytest.mark.parametrize("clip", [False, True])
def test_ddpm_equals_diffusers(variance, variance_type, steps, clip):
    other = DDPMScheduler(variance_type=variance_type, clip_sample=clip, timestep_spacing="trailing")
    other.set_timesteps(steps)
    # its tables are float32, which costs 8e-5 over 1000 steps; in float64 only the formula is compared
    other.alphas = 1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    other.alphas_cumprod = other.alphas.cumprod(0)
    model = denoiser(LINEAR, "eps")
    x_T, ours = walk(model, LINEAR, steps, variance=variance, clip=clip)
    theirs = walk_with(other, model, x_T)
    if (variance, steps) == ("large", 50):  # with a coarse grid diffusers adds noise in the last step too; we do not
        ours, theirs = ours[:-1], theirs[:-1]
    compare(ours, theirs)


def test_step_grid_is_diffusers_trailing_grid():
    other = DDIMScheduler(timestep_spacing="trailing")
    for n in (1, 10, 30, 50, 1000):
        other.set_timesteps(n)
        assert td.step_grid(1000, n) == [i + 1 for i in other.timesteps.tolist()] + [0]


@pytest.mark.parametrize("s2, n, ddim, small, large", [
    (1, 10, 0.687853, 0.548329, 0.897018), (1, 50, 0.928430, 0.857414, 0.994231),
    (0.25, 50, 0.222220, 0.197225, 0.261857), (0.04, 10, 0.00946328, 0.00873514, 0.0241241),
])  # fmt: skip
def test_variance_of_gaussian_data(s2, n, ddim, small, large):
    """Every sampler is linear on Gaussian data, so its exact final variance is known (computed independently)."""
    model = td.exact_denoiser(torch.zeros(1, 1), LINEAR, std=s2**0.5)
    for expected, choice in ((ddim, dict(eta=0.0)), (small, dict()), (large, dict(variance="large"))):
        generator = torch.Generator().manual_seed(0)
        x_T = torch.randn(100_000, 1, generator=generator, dtype=torch.float64)
        got = td.last(td.sample(model, x_T, LINEAR, n, generator=generator, **choice)).var().item()
        assert_close(got, expected, rtol=0.025, atol=0)


@pytest.mark.parametrize("steps, std, near", [(1, 0.0064, 0.0), (5, 0.806, 0.671), (20, 0.990, 0.997)])
def test_two_modes_by_ddim(steps, std, near):
    model = td.exact_denoiser(torch.tensor([[-1.0], [1.0]]), LINEAR, std=0.1)
    x_T = torch.randn(50_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x_0 = td.last(td.sample(model, x_T, LINEAR, steps, eta=0.0))
    assert_close(x_0.std().item(), std, atol=0.005, rtol=0)
    assert_close(((x_0.abs() - 1).abs() < 0.3).double().mean().item(), near, atol=0.01, rtol=0)


@pytest.mark.parametrize("choice", [dict(eta=0.0), dict(), dict(variance="large")])
def test_samplers_recover_a_known_distribution(choice):
    """Unequal modes come out with their own shares, places and widths."""
    means, share = torch.tensor([[-1.0], [0.5]]), torch.tensor([0.3, 0.7])
    generator = torch.Generator().manual_seed(0)
    x_T = torch.randn(20_000, 1, generator=generator, dtype=torch.float64)
    x_0 = td.last(
        td.sample(td.exact_denoiser(means, LINEAR, 0.1, share), x_T, LINEAR, 500, generator=generator, **choice)
    )
    low, high = x_0[x_0 < -0.3], x_0[x_0 >= -0.3]
    assert_close(len(low) / len(x_0), 0.3, atol=0.015, rtol=0)
    assert_close(torch.stack([low.mean(), high.mean()]), torch.tensor([-1.0, 0.5]).double(), atol=0.015, rtol=0)
    assert_close(torch.stack([low.std(), high.std()]), torch.tensor([0.1, 0.1]).double(), atol=0.012, rtol=0)


@pytest.mark.parametrize("choice", [dict(), dict(variance="large")])
def test_last_step_is_noiseless(choice):
    """Two walks that differ only in the random draw of the very last step would differ there; they must not."""
    model = td.exact_denoiser(torch.zeros(1, 1), LINEAR, std=1.0)
    x_t = torch.ones(4, 1, dtype=torch.float64)
    ends = [
        td.last(td.sample(model, x_t, LINEAR, [1], generator=torch.Generator().manual_seed(k), **choice))
        for k in (0, 1)
    ]
    assert torch.equal(*ends)
    *_, (t, x_0, x_0_hat) = td.sample(model, x_t, LINEAR, [2, 1], generator=torch.Generator().manual_seed(0), **choice)
    assert t == 0 and torch.equal(x_0, x_0_hat)


def test_noise_is_added_before_the_last_step():
    model = td.exact_denoiser(torch.zeros(1, 1), LINEAR, std=1.0)
    x_t = torch.ones(4, 1, dtype=torch.float64)
    ends = [
        next(td.sample(model, x_t, LINEAR, [500, 400], generator=torch.Generator().manual_seed(k)))[1] for k in (0, 1)
    ]
    assert not torch.allclose(*ends)


def test_guidance_is_linear_in_the_scale(generator):
    def model(x_t, t, c):
        return x_t * (c + 1).double()[:, None]

    x_t, t, c = (
        torch.randn(3, 2, generator=generator, dtype=torch.float64),
        torch.full((3,), 5),
        torch.tensor([0, 1, 2]),
    )
    unconditional, conditional = model(x_t, t, torch.full_like(c, 9)), model(x_t, t, c)
    assert_close(td.guide(model, 9, 0.0)(x_t, t, c), unconditional)
    assert_close(td.guide(model, 9, 1.0)(x_t, t, c), conditional)
    assert_close(td.guide(model, 9, 7.5)(x_t, t, c), (1 + 6.5) * conditional - 6.5 * unconditional)


@pytest.mark.parametrize("steps", [0, 1001, [], [5, 5], [3, 4], [1001, 3], [4, 0], 2.5])
def test_bad_step_grids_are_refused(steps):
    with pytest.raises(ValueError, match="steps"):
        td.step_grid(1000, steps)


@pytest.mark.parametrize("choice", [dict(eta=2.0), dict(variance="medium"), dict(variance="large", eta=0.0)])
def test_bad_sampler_choices_are_refused(choice):
    with pytest.raises(ValueError, match="variance"):
        next(td.sample(denoiser(LINEAR, "eps"), torch.zeros(1, 1, 4, 4), LINEAR, 5, **choice))
