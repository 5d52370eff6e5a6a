"""The steps against diffusers' schedulers, exact variances and known distributions."""

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
)
from torch.testing import assert_close

from course import schedules
from course import toy_ddpm as td

LINEAR = td.linear()
DDIM, DDPM, LARGE = {"step": td.ddim}, {"step": td.ddpm}, {"step": td.ddpm, "variance": "large"}


POINTS = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1


def denoiser(schedule, prediction):
    """The exact denoiser of five pictures, its network made to answer in this prediction: walks stay of size 1."""
    exact = td.exact_denoiser(POINTS, schedule, std=0.1)

    def network(x_t, t):
        return td.target(*exact(x_t, t), t, schedule, prediction)

    return td.Denoiser(network, schedule, prediction)


def start(like=(3, 1, 4, 4)):
    return torch.randn(like, generator=torch.Generator().manual_seed(2))


def walk_with(scheduler, network, x_t, **kwargs):
    """diffusers' scheduler with its 0-based index i = t - 1, and the random draws that our sampler makes."""
    generator, states = torch.Generator().manual_seed(3), []
    for i in scheduler.timesteps.tolist():
        output = network(x_t, torch.full(x_t.shape[:1], i + 1))
        x_t = scheduler.step(output, i, x_t, generator=generator, **kwargs).prev_sample
        states.append(x_t)
    return states


def walk(denoiser, steps, step=td.ddpm, x_T=None, **choices):
    x_T = start() if x_T is None else x_T
    return [x_t for _, x_t, _ in td.sample(denoiser, x_T, steps, step, **choices)]


def seeded():
    return torch.Generator().manual_seed(3)


def compare(ours, theirs, within=1e-5):
    assert len(ours) == len(theirs)
    worst = max((a - b).abs().max().item() for a, b in zip(ours, theirs))
    assert worst <= within, worst


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
    model = denoiser(td.make_schedule(name), predicts)
    ours = walk(td.clipped(model) if clip else model, 50, td.ddim, eta=eta, generator=seeded())
    compare(ours, walk_with(other, model.network, start(), eta=eta, use_clipped_model_output=clip))
    if eta == 1:  # the whole family in one formula: DDPM's posterior is DDIM with eta = 1
        compare(ours, walk(td.clipped(model) if clip else model, 50, td.ddpm, generator=seeded()))


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
    ours = walk(td.clipped(model) if clip else model, steps, variance=variance, generator=seeded())
    theirs = walk_with(other, model.network, start())
    if (variance, steps) == ("large", 50):  # with a coarse grid diffusers adds noise in the last step too; we do not
        ours, theirs = ours[:-1], theirs[:-1]
    compare(ours, theirs)


def test_ddim_is_diffusers_to_the_last_bit():
    """With diffusers' own table, the network's eps and no chance, every number of the walk is the same."""
    other = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False,
                          set_alpha_to_one=False, steps_offset=1)  # fmt: skip
    other.set_timesteps(20)
    table = torch.cat([torch.ones(1), other.alphas_cumprod])
    model = denoiser(td.Schedule(table.sqrt(), (1 - table).sqrt()), "eps")
    ours = walk(model, [i + 1 for i in other.timesteps.tolist()] + [1], td.ddim)
    assert all(torch.equal(a, b) for a, b in zip(ours, walk_with(other, model.network, start()), strict=True))


def test_dynamic_thresholding_equals_diffusers():
    other = DDIMScheduler(timestep_spacing="trailing", clip_sample=False, thresholding=True, sample_max_value=100.0,
                          prediction_type="v_prediction", beta_schedule="squaredcos_cap_v2")  # fmt: skip
    other.set_timesteps(20)
    model = denoiser(td.cosine(), "v")
    wild = td.Denoiser(lambda x_t, t: 1.7 * model.network(x_t, t), model.schedule, "v")  # answers far outside [-1, 1]
    ours = walk(td.thresholded(wild), 20, td.ddim)
    compare(ours, walk_with(other, wild.network, start(), use_clipped_model_output=True))
    assert ours[-1].abs().max() <= 1 < walk(wild, 20, td.ddim)[-1].abs().max()


def in_sigmas(model):
    """The same denoiser in EDM's coordinates, x / signal, where diffusers' Euler and Heun live; and its schedule."""
    schedule = model.schedule
    sigma = schedule.std / schedule.signal

    def network(x, t):
        return model.network(x * schedules.like(schedule.signal[t].view(-1, 1, 1, 1), x), t)

    return td.Denoiser(network, td.Schedule(torch.ones_like(sigma), sigma), model.prediction)


@pytest.mark.parametrize("step, scheduler, steps", [
    (td.ddim, EulerDiscreteScheduler, 10), (td.ddim, EulerDiscreteScheduler, 50), (td.heun, HeunDiscreteScheduler, 10),
    (td.heun, HeunDiscreteScheduler, 40),
])  # fmt: skip
def test_euler_and_heun_equal_diffusers(step, scheduler, steps):
    other = scheduler(timestep_spacing="trailing", beta_start=0.0001, beta_end=0.02)
    other.alphas_cumprod = LINEAR.alpha_bar[1:].clone()  # its own table has half the digits
    other.set_timesteps(steps)
    model = in_sigmas(denoiser(LINEAR, "eps"))
    x = start() * other.init_noise_sigma
    grid = [int(i) + 1 for i in dict.fromkeys(other.timesteps.tolist())] + [0]
    ours = walk(model, grid, step, x_T=x)
    theirs = []
    for i in other.timesteps:
        t = torch.full((3,), int(i) + 1)
        output = denoiser(LINEAR, "eps").network(other.scale_model_input(x, i), t)
        x = other.step(output, i, x).prev_sample
        theirs.append(x)
    theirs = (
        theirs if step is td.ddim else [*theirs[1::2], theirs[-1]]
    )  # Heun's first halves are not levels of the walk
    for a, b in zip(ours, theirs, strict=True):  # numbers of several hundreds at first, so the measure is relative
        assert_close(a / b.abs().max(), b / b.abs().max(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("steps", [5, 10, 20, 50])
@pytest.mark.parametrize("name, config, prediction, theirs", [
    ("linear", "linear", "eps", "epsilon"), ("cosine", "squaredcos_cap_v2", "v", "v_prediction"),
])  # fmt: skip
def test_dpm_solver_equals_diffusers(steps, name, config, prediction, theirs):
    other = DPMSolverMultistepScheduler(
        beta_schedule=config, prediction_type=theirs, timestep_spacing="trailing", final_sigmas_type="zero"
    )
    other.set_timesteps(steps)
    model = denoiser(td.make_schedule(name), prediction)
    compare(walk(model, steps, td.dpmpp_2m()), walk_with(other, model.network, start()))


@pytest.mark.parametrize("maker", [td.linear, td.flow])
def test_a_solver_begins_every_walk_anew(maker):
    """One step for two walks, the second of other rows and to another end: it may not remember the first."""
    model, used = denoiser(maker(), "v"), td.dpmpp_2m()
    walk(model, 5, used)
    for grid, x_T in ((5, start()), ([900, 500, 100], start((2, 1, 4, 4)))):
        assert torch.equal(walk(model, grid, used, x_T)[-1], walk(model, grid, td.dpmpp_2m(), x_T)[-1])


@pytest.mark.parametrize("make", [lambda: td.ddpm, lambda: td.ddim, lambda: td.heun, td.dpmpp_2m])
def test_repaint_wraps_any_step_and_has_its_chance_from_the_generator(make):
    """Where the mask is 0 the known values come out; the same seed gives the same rest."""
    model, known, mask = denoiser(LINEAR, "eps"), POINTS[:3], torch.zeros(4, 4)
    mask[:2] = 1
    ends = [
        td.last(td.sample(model, start(), 20, td.repaint(make(), known, mask, resample=3), generator=seeded()))
        for _ in range(2)
    ]
    assert torch.equal(*ends) and ends[0].isfinite().all()
    assert torch.equal(ends[0] * (1 - mask), known * (1 - mask))


@pytest.mark.parametrize("mask, known", [
    (255 * torch.ones(4, 4), POINTS[:3]), (torch.full((4, 4), torch.nan), POINTS[:3]), (torch.ones(4, 4), POINTS[:3] * torch.nan),
    (-torch.ones(4, 4), POINTS[:3]), (torch.ones(4, 5), POINTS[:3]), (torch.ones(2, 3, 1, 4, 4), POINTS[:3]),
    (torch.ones(4, 4), POINTS[:1]),
])  # fmt: skip
def test_masks_and_known_values_that_cannot_be_are_refused(mask, known):
    with pytest.raises(ValueError, match="mask"):
        walk(denoiser(LINEAR, "eps"), 5, td.repaint(td.ddim, known, mask))


def test_bool_masks_and_double_ones_do_what_float_ones_do():
    mask, ends = torch.arange(16).view(4, 4) % 3 == 0, []
    for kind in (torch.float32, torch.bool, torch.float64):
        ends.append(
            walk(denoiser(LINEAR, "eps"), 5, td.repaint(td.ddim, POINTS[:3], mask.to(kind)), generator=seeded())[-1]
        )
    assert torch.equal(ends[0], ends[1]) and torch.equal(ends[0], ends[2])


def test_ddim_leads_upwards_too():
    """From a picture to its noise and back: without chance the same path, walked in small steps both ways."""
    model = denoiser(td.cosine(), "v")
    grid = list(range(900, 99, -2))
    low = walk(model, grid, td.ddim)[-1]
    x_t = low
    for t, t_next in zip(grid[::-1], grid[-2::-1]):
        x_t, _ = td.ddim(model, x_t, t, t_next)
    assert_close(x_t, start(), atol=0.1, rtol=0)
    for step in (td.ddpm, lambda *given: td.ddim(*given, eta=1.0)):
        with pytest.raises(ValueError, match="below t"):
            step(model, low, 100, 102)


def test_one_scale_a_picture_guides_that_picture():
    """B = W on purpose, where a row of scales would fit the columns too."""
    network = lambda x_t, t, c: x_t + c.view(-1, 1, 1, 1)  # noqa: E731
    x_t, c = start((4, 1, 4, 4)), torch.arange(4.0)
    scales = torch.tensor([0.0, 1.0, 2.0, 3.0])
    together = td.guide(td.Denoiser(network, LINEAR, c=c), scales, c_null=9)(x_t, 500)[1]
    for i, w in enumerate(scales.tolist()):
        alone = td.guide(td.Denoiser(network, LINEAR, c=c[i : i + 1]), w, c_null=9)(x_t[i : i + 1], 500)[1]
        assert_close(together[i : i + 1], alone)


def test_guidance_needs_an_empty_condition():
    plain = td.Denoiser(lambda x_t, t, c: x_t, LINEAR, c=torch.zeros(1))
    for model in (plain, td.guide(plain, 2.0, c_null=0)):
        with pytest.raises(ValueError, match="c_null"):
            td.guide(model, 2.0)
    with pytest.raises(ValueError, match="given"):
        td.guide(plain, 2.0, c_null=0).given(None)(torch.zeros(1, 3), 5)


@pytest.mark.parametrize("wrong", [
    lambda model: td.clipped(model, 0), lambda model: td.clipped(model, -1), lambda model: td.clipped(model, float("nan")),
    lambda model: td.thresholded(model, 99.5), lambda model: td.thresholded(model, float("nan")),
])  # fmt: skip
def test_wrappers_refuse_what_cannot_be(wrong):
    with pytest.raises(ValueError, match="limit|share"):
        wrong(denoiser(LINEAR, "eps"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_thresholding_in_half_precision(dtype):
    model = td.thresholded(td.Denoiser(lambda x_t, t: 3 * x_t, LINEAR, "x_0"))
    x_t = start().to(dtype)
    assert_close(model(x_t, 500)[0].float(), td.thresholded(td.Denoiser(lambda x_t, t: 3 * x_t, LINEAR, "x_0"))(start(), 500)[0],
                 atol=0.02, rtol=0.02)  # fmt: skip


def test_a_walk_without_a_step_and_wrong_chance_say_so():
    with pytest.raises(ValueError, match="no step"):
        td.last(td.sample(denoiser(LINEAR, "eps"), start(), [9]))
    for chance in (42, (1, 2), [torch.Generator()]):
        with pytest.raises(ValueError, match="generator|Generator"):
            td.noise_like(start(), chance)


@pytest.mark.parametrize("steps", [10, 50])
def test_euler_on_the_straight_path_is_ddim(steps):
    """Flow matching's sampler needs no code of its own: against diffusers', whose network says eps - x_0."""
    other = FlowMatchEulerDiscreteScheduler()
    other.set_timesteps(sigmas=[1 - i / steps for i in range(steps)])
    model, x = denoiser(td.flow(), "flow"), start()
    theirs = []
    for i in other.timesteps:
        t = torch.full((3,), round(float(i)))
        x = other.step(model.network(x, t), i, x).prev_sample
        theirs.append(x)
    compare(walk(model, steps, td.ddim), theirs)


@pytest.mark.parametrize("maker", [td.linear, td.cosine, td.flow, td.edm])
def test_heun_is_of_second_order(maker):
    """Halving the steps doubles Euler's error and multiplies Heun's by about four, on every schedule, against a fine walk."""
    schedule = maker()
    model = td.exact_denoiser(torch.tensor([[-0.7], [0.9]]), schedule, std=0.5)
    x = schedule.std[800] * torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]

    def end(step, n):
        return td.last(td.sample(model, x, [round(800 - 600 * i / n) for i in range(n + 1)], step))

    goal = end(td.heun, 600)
    euler, heun = ([(end(step, n) - goal).abs().max().item() for n in (10, 20, 40)] for step in (td.ddim, td.heun))
    assert 1.6 < euler[0] / euler[1] < 2.6 and 1.6 < euler[1] / euler[2] < 2.6
    assert 3.0 < heun[0] / heun[1] < 6 and 3.0 < heun[1] / heun[2] < 6
    assert heun[2] < euler[2] / 5


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
    for expected, choice in ((ddim, DDIM), (small, DDPM), (large, LARGE)):
        generator = torch.Generator().manual_seed(0)
        x_T = torch.randn(100_000, 1, generator=generator, dtype=torch.float64)
        got = td.last(td.sample(model, x_T, n, generator=generator, **choice)).var().item()
        assert_close(got, expected, rtol=0.025, atol=0)


@pytest.mark.parametrize("steps, std, near", [(1, 0.0064, 0.0), (5, 0.806, 0.671), (20, 0.990, 0.997)])
def test_two_modes_by_ddim(steps, std, near):
    model = td.exact_denoiser(torch.tensor([[-1.0], [1.0]]), LINEAR, std=0.1)
    x_T = torch.randn(50_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x_0 = td.last(td.sample(model, x_T, steps, td.ddim))
    assert_close(x_0.std().item(), std, atol=0.005, rtol=0)
    assert_close(((x_0.abs() - 1).abs() < 0.3).double().mean().item(), near, atol=0.01, rtol=0)


@pytest.mark.parametrize("choice", [DDIM, DDPM, LARGE])
def test_samplers_recover_a_known_distribution(choice):
    """Unequal modes come out with their own shares, places and widths."""
    means, share = torch.tensor([[-1.0], [0.5]]), torch.tensor([0.3, 0.7])
    generator = torch.Generator().manual_seed(0)
    x_T = torch.randn(20_000, 1, generator=generator, dtype=torch.float64)
    x_0 = td.last(td.sample(td.exact_denoiser(means, LINEAR, 0.1, share), x_T, 500, generator=generator, **choice))
    low, high = x_0[x_0 < -0.3], x_0[x_0 >= -0.3]
    assert_close(len(low) / len(x_0), 0.3, atol=0.015, rtol=0)
    assert_close(torch.stack([low.mean(), high.mean()]), torch.tensor([-1.0, 0.5]).double(), atol=0.015, rtol=0)
    assert_close(torch.stack([low.std(), high.std()]), torch.tensor([0.1, 0.1]).double(), atol=0.012, rtol=0)


@pytest.mark.parametrize("choice", [DDPM, LARGE])
def test_last_step_is_noiseless(choice):
    """Two walks that differ only in the random draw of the very last step would differ there; they must not."""
    model = td.exact_denoiser(torch.zeros(1, 1), LINEAR, std=1.0)
    x_t = torch.ones(4, 1, dtype=torch.float64)
    ends = [
        td.last(td.sample(model, x_t, [1, 0], generator=torch.Generator().manual_seed(k), **choice)) for k in (0, 1)
    ]
    assert torch.equal(*ends)
    *_, (t, x_0, x_0_hat) = td.sample(model, x_t, [2, 1, 0], generator=torch.Generator().manual_seed(0), **choice)
    assert t == 0 and torch.equal(x_0, x_0_hat)


def test_noise_is_added_before_the_last_step():
    model = td.exact_denoiser(torch.zeros(1, 1), LINEAR, std=1.0)
    x_t = torch.ones(4, 1, dtype=torch.float64)
    ends = [next(td.sample(model, x_t, [500, 400], generator=torch.Generator().manual_seed(k)))[1] for k in (0, 1)]
    assert not torch.allclose(*ends)


def test_guidance_is_linear_in_the_scale(generator):
    def network(x_t, t, c):
        return x_t * (c + 1).double()[:, None]

    x_t, t, c = (
        torch.randn(3, 2, generator=generator, dtype=torch.float64),
        torch.full((3,), 5),
        torch.tensor([0, 1, 2]),
    )
    model = td.Denoiser(network, LINEAR).given(c)
    unconditional, conditional = network(x_t, t, torch.full_like(c, 9)), network(x_t, t, c)
    for w, expected in ((0.0, unconditional), (1.0, conditional), (7.5, 7.5 * conditional - 6.5 * unconditional)):
        assert_close(td.guide(model, w, c_null=9)(x_t, 5)[1], expected)


def test_guidance_takes_a_condition_and_a_finite_scale():
    network = lambda x_t, t, c: x_t  # noqa: E731
    with pytest.raises(ValueError, match="given"):
        td.guide(td.Denoiser(network, LINEAR), 2.0, c_null=9)
    with pytest.raises(ValueError, match="given"):
        td.guide(td.clipped(td.Denoiser(network, LINEAR, c=torch.zeros(1))), 2.0, c_null=9)
    for w in (float("nan"), float("inf"), torch.tensor([1.0, torch.nan])):
        with pytest.raises(ValueError, match="finite"):
            td.guide(td.Denoiser(network, LINEAR, c=torch.zeros(1)), w, c_null=9)


@pytest.mark.parametrize(
    "steps",
    [
        0,
        1001,
        [],
        [5, 5],
        [3, 4],
        [1001, 3],
        [4, -1],
        2.5,
        True,
        "95",
        b"95",
        [9.7, 1.2],
        [True, False],
        [float("nan"), 1],
        [[9, 5]],
        torch.tensor(4),
    ],
)
def test_bad_step_grids_are_refused(steps):
    with pytest.raises(ValueError, match="steps"):
        td.step_grid(1000, steps)


@pytest.mark.parametrize("step, choice, word", [
    (td.ddim, dict(eta=2.0), "eta"), (td.ddim, dict(eta=float("nan")), "eta"), (td.ddpm, dict(variance="medium"), "variance"),
])  # fmt: skip
def test_bad_sampler_choices_are_refused(step, choice, word):
    with pytest.raises(ValueError, match=word):
        next(td.sample(denoiser(LINEAR, "eps"), torch.zeros(1, 1, 4, 4), 5, step, **choice))
