"""Forward chain, posterior, conversions and the exact denoiser, each against an independent computation."""

import pytest
import torch
from torch.testing import assert_close

from course import toy_ddpm as td

LINEAR = td.linear()


def full(n, t):
    return torch.full((n,), t, dtype=torch.long)


def test_chain_equals_closed_form(generator):
    """1000 single steps and one jump give the same mean and variance, for every start."""
    s = td.linear(100, 1e-3, 0.05)
    x_0 = torch.tensor([-1.0, 0.3, 1.0], dtype=torch.float64).repeat_interleave(100_000)
    x_t = x_0
    for t in range(1, 61):
        x_t = td.q_step(x_t, full(len(x_t), t), torch.randn(x_t.shape, generator=generator, dtype=x_t.dtype), s)
    jump = td.q_sample(x_0, full(len(x_0), 60), torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype), s)
    for chain, direct, start in zip(x_t.split(100_000), jump.split(100_000), (-1.0, 0.3, 1.0)):
        assert_close(chain.mean().item(), s.alpha_bar[60].sqrt().item() * start, atol=0.01, rtol=0)
        assert_close(chain.var().item(), 1 - s.alpha_bar[60].item(), atol=0.01, rtol=0)
        quantiles = torch.linspace(0.02, 0.98, 25, dtype=torch.float64)
        assert_close(chain.quantile(quantiles), direct.quantile(quantiles), atol=0.025, rtol=0)


def test_closed_form_by_algebra():
    """The chain's mean factor and variance, followed exactly, are those of Eq. 4."""
    factor, variance = 1.0, 0.0
    for t in range(1, 1001):
        factor, variance = (
            factor * LINEAR.alpha[t].sqrt().item(),
            variance * LINEAR.alpha[t].item() + LINEAR.beta[t].item(),
        )
        if t in (1, 2, 500, 1000):
            one = torch.ones(1, dtype=torch.float64)
            assert_close(td.q_sample(one, full(1, t), 0 * one, LINEAR).item(), factor, rtol=1e-9, atol=0)
            assert_close(td.q_sample(0 * one, full(1, t), one, LINEAR).item() ** 2, variance, rtol=1e-9, atol=0)


def test_posterior_by_brute_force(generator):
    """Simulate x_0 -> x_{t-1} -> x_t and condition on bins of x_0 and x_t: Eq. 6 and 7."""
    s, t, n = td.linear(10, 0.05, 0.3), 5, 4_000_000
    x_0 = torch.full((n,), 0.8, dtype=torch.float64)
    noise = torch.randn(2, n, generator=generator, dtype=torch.float64)
    x_prev = td.q_sample(x_0, full(n, t - 1), noise[0], s)
    x_t = td.q_step(x_prev, full(n, t), noise[1], s)
    for centre in (-0.5, 0.4, 1.5):
        chosen = x_prev[(x_t - centre).abs() < 0.01]
        mu, variance = td.posterior(x_0[:1], torch.tensor([centre], dtype=torch.float64), full(1, t), s)
        assert_close(chosen.mean().item(), mu.item(), atol=0.012, rtol=0)
        assert_close(chosen.var().item(), variance.item(), atol=0.01, rtol=0.02)


@pytest.mark.parametrize(
    "t, of_x_0, of_x_t",
    [(1, 1.0, 0.0), (2, 0.545291, 0.454708), (500, 0.00307007, 0.994107), (1000, 0.000128351, 0.989949)],
)
def test_posterior_coefficients(t, of_x_0, of_x_t):
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    assert_close(td.posterior(one, zero, full(1, t), LINEAR)[0].item(), of_x_0, rtol=1e-5, atol=0)
    assert_close(td.posterior(zero, one, full(1, t), LINEAR)[0].item(), of_x_t, rtol=1e-5, atol=1e-12)


def test_posterior_variance_at_1_is_exactly_zero():
    assert td.posterior(torch.ones(1), torch.ones(1), full(1, 1), LINEAR)[1].item() == 0


@pytest.mark.parametrize("t, score, eps, x_0, v", [
    (1, -2.39942, 0.0239942, 1.29983, 0.0109948), (100, -1.94667, 0.624703, 1.16093, 0.219112),
    (500, -1.17290, 1.12587, 0.782201, -0.435218), (1000, -1.29559, 1.29557, 0.702058, -0.693813),
])  # fmt: skip
def test_conversions_against_the_gaussian_example(t, score, eps, x_0, v):
    """Data N(0.7, 0.25), x_t = 1.3: every prediction from the exact denoiser, and every conversion between them."""
    x_t = torch.tensor([[1.3]], dtype=torch.float64)
    found = td.exact_denoiser(torch.tensor([[0.7]]), LINEAR, std=0.5)(x_t, full(1, t))
    values = {"eps": eps, "x_0": x_0, "v": v, "score": score}
    for name, value in values.items():
        assert_close(td.convert(found, x_t, full(1, t), LINEAR, "eps", name).item(), value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("source", td.PREDICTIONS)
@pytest.mark.parametrize("target", td.PREDICTIONS)
def test_conversions_come_back(source, target, generator):
    x_t, value = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)
    t = torch.tensor([1, 2, 100, 500, 999, 1000])
    there = td.convert(value, x_t, t, LINEAR, source, target)
    assert_close(td.convert(there, x_t, t, LINEAR, target, source), value, rtol=1e-7, atol=1e-9)


def test_exact_denoiser_against_a_direct_softmax(generator):
    """Finite data: weigh every picture by its Gaussian density, written as loops over the definition."""
    points, x_t = torch.randn(2, 5, 1, 3, 3, generator=generator, dtype=torch.float64)
    t = torch.tensor([1, 20, 300, 700, 1000])
    found = td.exact_denoiser(points, LINEAR)(x_t, t)
    for row in range(5):
        alpha_bar_t = LINEAR.alpha_bar[t[row]]
        density = torch.distributions.Normal(0, (1 - alpha_bar_t).sqrt())
        log_p = torch.stack([density.log_prob(x_t[row] - alpha_bar_t.sqrt() * point).sum() for point in points])
        x_0_hat = sum(w * point for w, point in zip(log_p.softmax(0), points))
        expected = (x_t[row] - alpha_bar_t.sqrt() * x_0_hat) / (1 - alpha_bar_t).sqrt()
        assert_close(found[row], expected, rtol=1e-6, atol=1e-6)


def test_exact_denoiser_of_a_mixture_against_autograd(generator):
    """E[eps | x_t] is -sqrt(1 - alpha_bar_t) times the gradient of the mixture's log density."""
    means, weights = torch.tensor([[-1.0], [0.5], [2.0]]).double(), torch.tensor([0.2, 0.5, 0.3]).double()
    x_t = torch.randn(8, 1, generator=generator, dtype=torch.float64).requires_grad_()
    t = full(8, 200)
    alpha_bar_t = LINEAR.alpha_bar[200]
    law = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(weights),
        torch.distributions.Normal(alpha_bar_t.sqrt() * means[:, 0], (alpha_bar_t * 0.3**2 + 1 - alpha_bar_t).sqrt()),
    )
    (score,) = torch.autograd.grad(law.log_prob(x_t[:, 0]).sum(), x_t)
    found = td.exact_denoiser(means, LINEAR, std=0.3, weights=weights)(x_t.detach(), t)
    assert_close(found, -(1 - alpha_bar_t).sqrt() * score, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("t, message", [
    (torch.tensor([1001, 3]), "1..1000"), (torch.tensor([-1, 3]), "1..1000"),
    (torch.tensor([0.5, 3.0]), "whole number"), (torch.tensor([3]), "whole number"), (5, "got 5"),
])  # fmt: skip
def test_bad_t_is_refused(t, message):
    with pytest.raises(ValueError, match=message):
        td.q_sample(torch.zeros(2, 1, 4, 4), t, torch.zeros(2, 1, 4, 4), LINEAR)


def test_bad_shapes_and_names_are_refused():
    with pytest.raises(ValueError, match="shape of x_0"):
        td.q_sample(torch.zeros(2, 1, 4, 4), full(2, 5), torch.zeros(2, 1, 4, 5), LINEAR)
    with pytest.raises(ValueError, match="'noise' is no prediction"):
        td.convert(torch.zeros(1), torch.zeros(1), full(1, 5), LINEAR, "noise", "x_0")
