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
    assert_close(torch.cat(found).flatten().tolist(), [x_0, eps], rtol=1e-5, atol=1e-7)
    values = {"eps": eps, "x_0": x_0, "v": v, "score": score, "flow": eps - x_0}
    for name, value in values.items():
        assert_close(td.target(*found, full(1, t), LINEAR, name).item(), value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("prediction", td.PREDICTIONS)
@pytest.mark.parametrize("maker", td.SCHEDULES.values())
def test_split_undoes_target(prediction, maker, generator):
    """Whatever a network was asked for, x_0 and eps come back from it, at every level that has signal left."""
    x_0, eps = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)
    t, schedule = torch.tensor([1, 2, 100, 500, 998, 999]), maker()
    value = td.target(x_0, eps, t, schedule, prediction)
    found = td.split(value, td.q_sample(x_0, t, eps, schedule), t, schedule, prediction)
    assert_close(found, (x_0, eps), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("prediction, place", [("x_0", 0), ("eps", 1)])
def test_what_a_network_names_itself_is_passed_on_to_the_bit(prediction, place, generator):
    x_t, value = torch.randn(2, 1000, generator=generator)
    assert torch.equal(td.split(value, x_t, 700, LINEAR, prediction)[place], value)


def test_where_no_signal_is_left():
    """At the end of the straight path v and flow still tell x_0; eps and score do not, and say so."""
    x_0, eps = torch.ones(1, 3), 2 * torch.ones(1, 3)
    for prediction in ("v", "flow", "x_0"):
        value = td.target(x_0, eps, 1000, td.flow(), prediction)
        assert_close(td.split(value, eps, 1000, td.flow(), prediction), (x_0, eps))
    for prediction in ("eps", "score"):
        with pytest.raises(ValueError, match="no signal left"):
            td.split(eps, eps, 1000, td.flow(), prediction)


@pytest.mark.parametrize("prediction", td.PREDICTIONS)
def test_at_level_0_nothing_can_be_split(prediction):
    with pytest.raises(ValueError, match="1..1000; got 0"):
        td.split(torch.zeros(1, 3), torch.zeros(1, 3), 0, LINEAR, prediction)


@pytest.mark.parametrize("t", [1, 2, 5, 100, 1000])
def test_half_precision_rounds_once(t, generator):
    """In bfloat16, whose 1 - 0.0001 is 1, the noise and the posterior still have their size."""
    x_0, eps = torch.zeros(4096), torch.randn(4096, generator=generator)
    x_t = td.q_sample(x_0.bfloat16(), full(4096, t), eps.bfloat16(), LINEAR)
    assert_close(x_t.float().std(), LINEAR.std[t].float() * eps.std(), rtol=0.01, atol=0)
    exactly = td.posterior(x_0, eps, full(4096, t), LINEAR)
    rounded = td.posterior(x_0.bfloat16(), eps.bfloat16(), full(4096, t), LINEAR)
    for a, b in zip(exactly, rounded):
        assert_close(b.float(), a, rtol=0.01, atol=1e-3)


def test_posterior_over_several_levels():
    """From level 700 to 300 in one stride: the Gaussian that simulation gives. x_0 -> x_300 -> x_700, all in one draw."""
    generator, n = torch.Generator().manual_seed(0), 2_000_000
    x_0 = torch.full((n,), 0.8, dtype=torch.float64)
    noise = torch.randn(2, n, generator=generator, dtype=torch.float64)
    x_300 = td.q_sample(x_0, 300, noise[0], LINEAR)
    x_700 = td.q_step(x_300, 700, noise[1], LINEAR, t_prev=300)
    assert_close(x_700.std().item(), LINEAR.std[700].item(), rtol=2e-3, atol=0)
    chosen = x_300[(x_700 - 0.5).abs() < 0.02]
    mu, variance = td.posterior(x_0[:1], torch.tensor([0.5], dtype=torch.float64), 700, LINEAR, t_prev=300)
    assert_close(chosen.mean().item(), mu.item(), atol=0.01, rtol=0)
    assert_close(chosen.var().item(), variance.item(), atol=0, rtol=0.02)


def test_exact_denoiser_against_a_direct_softmax(generator):
    """Finite data: weigh every picture by its Gaussian density, written as loops over the definition."""
    points, x_t = torch.randn(2, 5, 1, 3, 3, generator=generator, dtype=torch.float64)
    t = torch.tensor([1, 20, 300, 700, 1000])
    found = td.exact_denoiser(points, LINEAR)(x_t, t)[1]
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
    found = td.exact_denoiser(means, LINEAR, std=0.3, weights=weights)(x_t.detach(), t)[1]
    assert_close(found, -(1 - alpha_bar_t).sqrt() * score, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("t, message", [
    (torch.tensor([1001, 3]), "1..1000"), (torch.tensor([-1, 3]), "1..1000"),
    (torch.tensor([0.5, 3.0]), "whole number"), (torch.tensor([3]), "whole number"), (5.0, "got 5.0"), (1001, "1..1000"), (True, "got True"),
    (torch.tensor([True, False]), "whole number"), (torch.tensor([1j, 2]), "whole number"),
])  # fmt: skip
def test_bad_t_is_refused(t, message):
    with pytest.raises(ValueError, match=message):
        td.q_sample(torch.zeros(2, 1, 4, 4), t, torch.zeros(2, 1, 4, 4), LINEAR)


def test_bad_shapes_and_names_are_refused():
    with pytest.raises(ValueError, match="shape of x_0"):
        td.q_sample(torch.zeros(2, 1, 4, 4), full(2, 5), torch.zeros(2, 1, 4, 5), LINEAR)
    with pytest.raises(ValueError, match="'noise' is no prediction"):
        td.split(torch.zeros(1), torch.zeros(1), full(1, 5), LINEAR, "noise")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.long, torch.bool])
def test_whole_numbers_are_no_pictures(dtype):
    """uint8 pictures times a signal below 1 would be all noise; 0/1 whole numbers would train on a loss of 0."""
    x_0, network = torch.ones(2, 1, 4, 4).to(dtype), lambda x_t, t: x_t
    with pytest.raises(ValueError, match="127.5"):
        td.q_sample(x_0, full(2, 5), torch.zeros(2, 1, 4, 4), LINEAR)
    with pytest.raises(ValueError, match="127.5"):
        td.training_loss(network, x_0, full(2, 5), torch.zeros(2, 1, 4, 4), LINEAR)


@pytest.mark.parametrize(
    "answer", [torch.zeros(2, 1, 4, 5), torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 1, 1), torch.zeros(4, 4)]
)
def test_a_network_that_answers_in_another_shape_is_refused(answer):
    x, network = torch.zeros(2, 1, 4, 4), lambda x_t, t: answer
    with pytest.raises(ValueError, match="network answers in shape"):
        td.Denoiser(network, LINEAR)(x, 5)
    with pytest.raises(ValueError, match="network answers in shape"):
        td.training_loss(network, x, full(2, 5), x, LINEAR)


@pytest.mark.parametrize("prediction", td.PREDICTIONS)
def test_the_loss_is_the_mean_square_of_what_is_missed(prediction, generator):
    """A network that always says 0 misses the whole target; the exact one leaves Bayes' floor, worked out for a Gaussian."""
    x_0, eps = torch.randn(2, 20_000, 1, generator=generator, dtype=torch.float64)
    x_0, t = 0.5 * x_0, full(20_000, 500)
    a, s = LINEAR.signal[500], LINEAR.std[500]
    p, q = {"eps": (0, 1), "x_0": (1, 0), "v": (-s, a), "score": (0, -1 / s), "flow": (-1, 1)}[prediction]
    loss = td.training_loss(lambda x_t, t: 0 * x_t, x_0, t, eps, LINEAR, prediction)
    assert_close(loss.item(), float(0.25 * p**2 + q**2), rtol=0.03, atol=0)
    exact = td.exact_denoiser(torch.zeros(1, 1), LINEAR, std=0.5)
    network = lambda x_t, t: td.target(*exact(x_t, t), t, LINEAR, prediction)  # noqa: E731
    spread = 0.25 * s**2 / (0.25 * a**2 + s**2)  # Var(x_0 | x_t); eps misses by -a / s times what x_0 does
    floor = float(spread * (p - q * a / s) ** 2)
    assert_close(td.training_loss(network, x_0, t, eps, LINEAR, prediction).item(), floor, rtol=0.03, atol=0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_any_whole_numbers_name_a_level(dtype):
    """uint8 would be taken for a mask by an index, and 0 - 1 for 255."""
    short, x = td.cosine(3), torch.ones(4, 2, dtype=torch.float64)
    t = torch.tensor([1, 2, 3, 1], dtype=dtype)
    assert torch.equal(td.q_sample(x, t, 0 * x, short), short.signal[t.long()][:, None].expand(4, 2))
    assert torch.equal(td.posterior(x, x, t, short)[0], td.posterior(x, x, t.long(), short)[0])


def test_one_level_for_all_rows_may_be_a_number_or_a_tensor_of_one():
    x = torch.ones(3, 2, dtype=torch.float64)
    for t in (700, torch.tensor(700)):
        for got, want in zip(td.posterior(x, x, t, LINEAR), td.posterior(x, x, full(3, 700), LINEAR)):
            assert torch.equal(got.expand(want.shape), want)
        assert td.training_loss(lambda x_t, t: x_t, x, t, x, LINEAR).isfinite()


@pytest.mark.parametrize("call", [
    lambda x: td.q_step(x, 5, x, LINEAR), lambda x: td.posterior(x, x, 5, LINEAR), lambda x: td.target(x, x, 5, LINEAR, "v"),
    lambda x: td.Denoiser(lambda x_t, t: x_t, LINEAR)(x, 5),
])  # fmt: skip
def test_whole_numbers_are_refused_everywhere(call):
    with pytest.raises(ValueError, match="127.5"):
        call(torch.ones(2, 3, dtype=torch.long))


@pytest.mark.parametrize("t, t_prev", [(5, 5), (5, 9), (5, 1000)])
def test_the_posterior_and_the_chain_lead_from_below(t, t_prev):
    x = torch.ones(2, 3)
    for call in (td.posterior, td.q_step):
        with pytest.raises(ValueError, match="below t"):
            call(x, *([x, t] if call is td.posterior else [t, x]), LINEAR, t_prev)


def test_an_unknown_prediction_is_named_when_the_denoiser_is_made():
    with pytest.raises(ValueError, match="'noise' is no prediction"):
        td.Denoiser(lambda x_t, t: x_t, LINEAR, "noise")
