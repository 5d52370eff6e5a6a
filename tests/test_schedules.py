"""The schedules against published and independently computed constants, and against diffusers."""

import math

import pytest
import torch
from diffusers import DDIMScheduler, EDMEulerScheduler
from torch.testing import assert_close

from course import toy_ddpm as td

# t: beta_t, alpha_bar_t, sqrt(alpha_bar_t), sqrt(1 - alpha_bar_t), ln SNR, beta_tilde_t; double precision, six digits
TABLE = {
    "linear": {
        1: (0.0001, 0.9999, 0.99995, 0.01, 9.21024, 0),
        2: (0.00011992, 0.99978, 0.99989, 0.0148293, 8.42208, 5.45319e-05),
        100: (0.00207207, 0.897018, 0.947110, 0.320908, 2.16452, 0.00203460),
        500: (0.01004, 0.0785872, 0.280334, 0.959902, -2.46170, 0.0100314),
        750: (0.01502, 0.00335055, 0.0578839, 0.998323, -5.69527, 0.0150193),
        1000: (0.02, 4.03583e-05, 0.00635282, 0.99998, -10.1177, 0.0200000),
    },
    "scaled_linear": {
        1: (0.00085, 0.99915, 0.999575, 0.0291548, 7.06942, 0),
        2: (0.000854699, 0.998296, 0.999148, 0.0412792, 6.37309, 0.000426353),
        500: (0.00480379, 0.277670, 0.526944, 0.849900, -0.956050, 0.00479488),
        1000: (0.012, 0.00466010, 0.0682649, 0.997667, -5.36405, 0.0119993),
    },
    "cosine": {
        1: (4.12842e-05, 0.999959, 0.999979, 0.00642528, 10.0950, 0),
        100: (0.000526905, 0.972093, 0.985948, 0.167055, 3.55056, 0.000517229),
        500: (0.00314589, 0.493844, 0.702740, 0.711447, -0.0246269, 0.00313620),
        999: (0.749999, 2.42877e-06, 0.00155845, 0.999999, -12.9281, 0.749994),
        1000: (0.999, 2.42877e-09, 4.92825e-05, 1.0, -19.8359, 0.998998),
    },
}


@pytest.mark.parametrize("name, t", [(name, t) for name, rows in TABLE.items() for t in rows])
def test_constants(name, t):
    s = td.make_schedule(name)
    alpha_bar_t = s.alpha_bar[t]
    zero = torch.zeros(1, dtype=torch.float64)
    beta_tilde_t = td.posterior(zero, zero, torch.tensor([t]), s)[1].item()
    got = (s.beta[t], alpha_bar_t, alpha_bar_t.sqrt(), (1 - alpha_bar_t).sqrt(), s.snr[t].log(), beta_tilde_t)
    assert_close(torch.tensor([float(x) for x in got]), torch.tensor(TABLE[name][t]), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("name, half, hundredth, sum_beta", [
    ("linear", 260, 674, 10.05), ("scaled_linear", 355, 934, 5.34899), ("cosine", 497, 936, 12.4415),
])  # fmt: skip
def test_derived_facts(name, half, hundredth, sum_beta):
    s = td.make_schedule(name)
    assert int((s.alpha_bar < 0.5).nonzero()[0]) == half
    assert int((s.alpha_bar < 0.01).nonzero()[0]) == hundredth
    assert_close(s.beta.sum().item(), sum_beta, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    "T, plain, rescaled", [(50, 0.602952, 7.74477e-06), (100, 0.363563, 2.03901e-05), (2000, 1.62885e-09, 4.17556e-05)]
)
def test_alpha_bar_decides_not_T(T, plain, rescaled):
    assert_close(td.linear(T).alpha_bar[-1].item(), plain, rtol=1e-5, atol=0)
    assert_close(td.linear(T, 0.1 / T, 20 / T).alpha_bar[-1].item(), rescaled, rtol=1e-5, atol=0)


def test_only_the_last_cosine_step_is_clipped():
    s = td.cosine()
    assert (s.beta == 0.999).sum() == 1 and s.beta[-1] == 0.999
    assert math.sqrt(s.beta[1]) < 1 / 127.5


@pytest.mark.parametrize("name, theirs", [
    ("linear", dict(beta_schedule="linear")),
    ("scaled_linear", dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)),
    ("cosine", dict(beta_schedule="squaredcos_cap_v2")),
])  # fmt: skip
def test_index_t_is_diffusers_index_t_minus_1(name, theirs):
    ours, other = td.make_schedule(name), DDIMScheduler(num_train_timesteps=1000, **theirs)
    assert_close(ours.alpha_bar[1:].float(), other.alphas_cumprod, rtol=2e-4, atol=1e-9)
    assert ours.alpha_bar[0] == 1 and ours.beta[0] == 0


def test_unknown_schedule_is_named():
    with pytest.raises(ValueError, match="'sigmoid'.*linear, scaled_linear, cosine, flow, edm"):
        td.make_schedule("sigmoid")


@pytest.mark.parametrize("beta", [[], [0.0, 0.2], [0.1, 1.2], [1.0], [0.1, float("nan")], [[0.0, 0.1]]])
def test_impossible_betas_are_refused(beta):
    with pytest.raises(ValueError, match="beta"):
        td.from_betas(torch.tensor(beta, dtype=torch.float64))


@pytest.mark.parametrize("signal, std", [
    ([1.0, 0.5], [0.1, 0.9]), ([0.9, 0.5], [0.0, 0.9]), ([1.0, 0.5, 0.6], [0.0, 0.9, 0.8]), ([1.0, 0.5], [0.0, 0.0]),
    ([1.0, 0.5, 0.2], [0.0, 0.9]), ([1.0, float("nan")], [0.0, 1.0]), ([1.0, 1.0], [0.0, float("inf")]), ([1, 1], [0, 1]), ([1.0], [0.0]), ([1.0, -0.5], [0.0, 0.5]),
])  # fmt: skip
def test_impossible_pairs_are_refused(signal, std):
    with pytest.raises(ValueError, match="signal and std"):
        td.Schedule(torch.tensor(signal), torch.tensor(std))


def test_the_straight_path_and_edm():
    """Flow matching's path in full; EDM's levels against Karras et al. 2022, Eq. 5, and diffusers' own table."""
    s = td.flow(4)
    assert s.signal.tolist() == [1.0, 0.75, 0.5, 0.25, 0.0] and s.std.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    sigmas = EDMEulerScheduler(sigma_schedule="karras", num_train_timesteps=1000)._compute_karras_sigmas(
        torch.linspace(0, 1, 1000, dtype=torch.float64)
    )
    assert_close(td.edm().std[1:].flip(0), sigmas, rtol=1e-6, atol=0)
    assert (td.edm().signal == 1).all()


@pytest.mark.parametrize("maker", [td.flow, td.edm])
def test_alpha_bar_belongs_to_the_variance_preserving_ones(maker):
    for name in ("alpha_bar", "alpha", "beta"):
        with pytest.raises(ValueError, match="alpha_bar"):
            getattr(maker(), name)


def test_schedules_can_be_compared():
    """With arrays inside, the dataclass's own == would raise."""
    assert td.linear() != td.linear()


def test_schedule_is_frozen():
    with pytest.raises(AttributeError):
        td.linear().std = torch.zeros(3)


@pytest.mark.parametrize("T", [0, -3, 2.5, 10.0, "10", None, True, float("nan")])
def test_a_chain_has_a_whole_number_of_steps(T):
    for name in td.SCHEDULES:
        with pytest.raises(ValueError, match="whole number"):
            td.make_schedule(name, T)


def test_betas_of_half_the_digits_lose_none_on_the_way():
    """diffusers keeps float32: 1 - cumprod of it would be 8e-5 off at t = 1."""
    assert_close(td.from_betas(torch.linspace(1e-4, 0.02, 1000)).std[1].item(), 0.01, rtol=1e-6, atol=0)
