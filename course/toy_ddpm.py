"""Gaussian diffusion in a few nouns and verbs: x_t = signal_t x_0 + std_t eps.

Ho, Jain, Abbeel 2020 (DDPM, arXiv 2006.11239) and what came after. Time runs 1..T as in DDPM, index 0 means clean.
A schedule is a pair of arrays (`schedules.py`), a denoiser a network with what it was trained for (`denoisers.py`);
here is what is done with them. A step leads a denoiser from one level to a lower one, `sample` walks in steps, and a
new sampler is a new function. Letters in the shape comments: B rows of a batch.

Left out: learned variances, other noise than Gaussian, continuous time.
"""

import collections
import math
import numbers
from collections.abc import Iterable
from itertools import pairwise

import torch
import torch.nn.functional as F

from course.denoisers import (
    PREDICTIONS,
    Denoiser,
    ask,
    clipped,
    exact_denoiser,
    guide,
    split,
    target,
    thresholded,
)
from course.schedules import (
    SCHEDULES,
    Schedule,
    cosine,
    edm,
    flow,
    from_betas,
    levels,
    like,
    linear,
    make_schedule,
    scaled_linear,
)

__all__ = [  # what the three files hold together
    "SCHEDULES", "Schedule", "cosine", "edm", "flow", "from_betas", "linear", "make_schedule", "scaled_linear",
    "PREDICTIONS", "Denoiser", "clipped", "exact_denoiser", "guide", "split", "target", "thresholded",
    "PASTES", "ddim", "ddpm", "dpmpp_2m", "heun", "last", "noise_like", "posterior", "q_sample", "q_step", "repaint",
    "sample", "step_grid", "training_loss",
]  # fmt: skip

# ---------------------------------------------------------------- forward


def q_sample(x_0, t, eps, schedule):
    """The jump from the clean data to level t, a draw from q(x_t | x_0): DDPM Eq. 4. Shapes `[B, ...]`, t in 0..T.

    Raises ValueError on whole numbers, such as pixels 0..255, and where eps has another shape.
    """
    if eps.shape != x_0.shape:
        raise ValueError(f"eps needs the shape of x_0, {tuple(x_0.shape)}; got {tuple(eps.shape)}")
    signal_t, std_t = schedule.at(t, x_0)
    return signal_t * x_0 + std_t * eps


def q_step(x_prev, t, noise, schedule, t_prev=None):
    """The way up the chain, a draw from q(x_t | x_{t_prev}): DDPM Eq. 2. t_prev: default t - 1. Shapes `[B, ...]`."""
    ratio, std = _way_up(schedule, t, levels(t, x_prev) - 1 if t_prev is None else t_prev, x_prev)
    return like(ratio, x_prev) * x_prev + like(std, x_prev) * noise


def _way_up(schedule, t, t_prev, x):
    """ratio and std of x_t = ratio x_prev + std noise, columns in float64; on the full grid sqrt(1 - beta_t), sqrt(beta_t).

    Raises ValueError unless t_prev lies below t.
    """
    (signal_t, std_t), (signal_prev, std_prev) = schedule.columns(t, x), schedule.columns(t_prev, x)
    if (std_t / signal_t <= std_prev / signal_prev).any():
        raise ValueError(f"t_prev lies below t; got t = {t} and t_prev = {t_prev}")
    ratio = signal_t / signal_prev
    return ratio, (std_t**2 - (ratio * std_prev) ** 2).clamp(min=0).sqrt()


def posterior(x_0, x_t, t, schedule, t_prev=None):
    """Mean and variance of q(x_{t_prev} | x_t, x_0): DDPM Eq. 6 and 7. t_prev: default t - 1.

    Returns mu_tilde_t `[B, ...]` and beta_tilde_t, a column. Raises ValueError unless t lies in 1..T.
    """
    t_prev = levels(t, x_t) - 1 if t_prev is None else t_prev
    (_, std_t), (signal_prev, std_prev) = schedule.columns(t, x_t), schedule.columns(t_prev, x_t)
    ratio, std = _way_up(schedule, t, t_prev, x_t)
    of_x_0, of_x_t = signal_prev * (std / std_t) ** 2, ratio * (std_prev / std_t) ** 2
    mu_tilde_t = like(of_x_0, x_t) * x_0 + like(of_x_t, x_t) * x_t
    return mu_tilde_t, like((std_prev * std / std_t) ** 2, x_t)


# ---------------------------------------------------------------- steps: (denoiser, x_t, t, t_prev) -> (x_prev, x_0_hat)


def ddpm(denoiser, x_t, t, t_prev, variance="small", generator=None):
    """Algorithm 2 of DDPM on any grid: a draw from the posterior that takes x_0_hat for x_0. No noise in the step to 0.

    variance: "small" is the posterior's, "large" that of the step up the chain, beta_t on the full grid.
    Raises ValueError on another.
    """
    if variance not in ("small", "large"):
        raise ValueError(f'variance is "small" or "large"; got {variance!r}')
    x_0_hat, _ = denoiser(x_t, t)
    x_prev, beta_tilde_t = posterior(x_0_hat, x_t, t, denoiser.schedule, t_prev)
    if t_prev > 0:
        _, large = _way_up(denoiser.schedule, t, t_prev, x_t)
        sigma_t = beta_tilde_t.sqrt() if variance == "small" else like(large, x_t)
        x_prev = x_prev + sigma_t * noise_like(x_prev, generator)
    return x_prev, x_0_hat


def ddim(denoiser, x_t, t, t_prev, eta=0.0, generator=None):
    """DDIM: Song et al. 2020 (arXiv 2010.02502), Eq. 12 and 16. eta = 0 draws no noise, eta = 1 is `ddpm`.

    On the flow schedule eta = 0 is Euler's step. Raises ValueError unless eta lies in 0..1.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta lies between 0 (DDIM) and 1 (DDPM); got {eta}")
    x_0_hat, eps_hat = denoiser(x_t, t)
    (_, std_t), (signal_prev, std_prev) = (denoiser.schedule.columns(level, x_t) for level in (t, t_prev))
    sigma_t = 0 * std_prev  # so that eta = 0 also leads upwards, from a picture to the noise that it comes from
    if eta > 0:
        sigma_t = eta * std_prev / std_t * _way_up(denoiser.schedule, t, t_prev, x_t)[1]
    x_prev = like(signal_prev, x_t) * x_0_hat + like((std_prev**2 - sigma_t**2).sqrt(), x_t) * eps_hat
    if eta > 0:  # in the step to 0 sigma_t is 0
        x_prev = x_prev + like(sigma_t, x_t) * noise_like(x_prev, generator)
    return x_prev, x_0_hat


def heun(denoiser, x_t, t, t_prev, generator=None):
    """Heun's step, two calls: the mean of the directions at both ends. On EDM's schedule Karras et al. 2022, Algorithm 1.

    The direction is that of dx = x_0_hat dsignal + eps_hat dstd, which holds on every schedule. Nothing is drawn.
    """
    (signal_t, std_t), (signal_prev, std_prev) = denoiser.schedule.at(t, x_t), denoiser.schedule.at(t_prev, x_t)
    x_0_hat, eps_hat = denoiser(x_t, t)
    x_prev = signal_prev * x_0_hat + std_prev * eps_hat  # Euler's step
    if t_prev > 0:
        x_0_next, eps_next = denoiser(x_prev, t_prev)
        along = (signal_prev - signal_t) * (x_0_hat + x_0_next) + (std_prev - std_t) * (eps_hat + eps_next)
        x_prev = x_t + along / 2
    return x_prev, x_0_hat


def dpmpp_2m():
    """DPM-Solver++(2M): Lu et al. 2022 (arXiv 2211.01095), Algorithm 2. Makes a step that remembers its last guess. Nothing is drawn."""
    memory = []  # where the step before led to, its log signal-to-noise and its x_0_hat

    def step(denoiser, x_t, t, t_prev, generator=None):
        (signal_t, std_t), (signal_prev, std_prev) = (denoiser.schedule.columns(level, x_t) for level in (t, t_prev))
        x_0_hat, _ = denoiser(x_t, t)
        log_snr, guess = (signal_t / std_t).log(), x_0_hat
        if memory and memory[0][0] == (t, x_t.shape) and t_prev > 0:
            _, log_snr_before, before = memory[0]
            ratio = (log_snr - log_snr_before) / ((signal_prev / std_prev).log() - log_snr)
            guess = x_0_hat + like(0.5 / ratio, x_t) * (x_0_hat - before)
        memory[:] = [((t_prev, x_t.shape), log_snr, x_0_hat)]
        keep = std_prev / std_t
        return like(keep, x_t) * x_t + like(signal_prev - keep * signal_t, x_t) * guess, x_0_hat

    return step


PASTES = ("noised", "clean", "end")


def repaint(step, known, mask, paste="noised", eps=None, resample=1, end=0):
    """A step around a step that keeps `known` where mask is 0: RePaint, Lugmayr et al. 2022 (arXiv 2201.09865), Eq. 8.

    known: clean values `[B, ...]`; mask: 1 where the model draws, 0 where `known` stays, broadcast to x_t.
    paste: what is put there at every step. "noised": `known` at the level just reached; "clean": `known` itself; "end":
    nothing before the last step, which always puts `known`. eps: the noise for every level, as diffusers has it; None draws
    it anew each time, as RePaint does. resample: how often each step is walked, one step up the chain again in between
    (Sec. 4.2), so that both parts can agree. end: the level at which the walk ends.
    Raises ValueError on another paste, a resample that is no whole number from 1 on, or a mask or `known` that cannot be.
    """
    if paste not in PASTES or not isinstance(resample, numbers.Integral) or resample < 1:
        raise ValueError(f"paste is one of {', '.join(PASTES)} and resample at least 1; got {paste!r} and {resample}")

    for name, tensor in {"mask": mask, "known": known}.items():  # a GPU is not asked
        low, high = tensor.float().aminmax() if tensor.device.type == "cpu" else (0, 0)
        if not (low > -math.inf and high < math.inf) or name == "mask" and not 0 <= low <= high <= 1:
            raise ValueError(
                f"a mask lies in 0 (keep) to 1 (draw), and known is finite; got {name} in {low:g}..{high:g}"
            )

    def inside(denoiser, x_t, t, t_prev, generator=None, **choices):
        pairs = zip(mask.shape[::-1], x_t.shape[::-1])
        if known.shape != x_t.shape or mask.dim() > x_t.dim() or any(m not in (1, n) for m, n in pairs):
            shapes = f"{tuple(known.shape)} and {tuple(mask.shape)} for {tuple(x_t.shape)}"
            raise ValueError(f"known has the shape of x_t, and the mask fits onto it; got {shapes}")
        at_end, draw = t_prev <= end, like(mask, x_t)
        for again in range(1 if at_end else resample):
            if again:
                x_t = q_step(x_t, t, noise_like(x_t, generator), denoiser.schedule, t_prev)
            x_t, x_0_hat = step(denoiser, x_t, t, t_prev, generator=generator, **choices)
            kept = known
            if paste == "noised" and not at_end:
                kept = q_sample(known, t_prev, noise_like(x_t, generator) if eps is None else eps, denoiser.schedule)
            if paste != "end" or at_end:
                x_t = draw * x_t + (1 - draw) * kept
        return x_t, x_0_hat

    return inside


# ---------------------------------------------------------------- the walk


def step_grid(T, timesteps=None):
    """The levels that a walk visits, falling, its end the last: all of them from T to 0, so many even steps, or those given.

    timesteps: None, a whole number of steps in 1..T, or a falling sequence inside T..0. Raises ValueError on others.
    """
    if timesteps is None or isinstance(timesteps, numbers.Integral) and not isinstance(timesteps, bool):
        n = T if timesteps is None else int(timesteps)
        if not 1 <= n <= T:
            raise ValueError(f"timesteps is {n}, but a chain of T = {T} can be walked in 1..{T} steps")
        return [round(T * (n - i) / n) for i in range(n)] + [0]
    if not isinstance(timesteps, Iterable):
        raise ValueError(f"timesteps is a whole number of steps or a sequence of levels; got {timesteps!r}")
    grid = list(timesteps) if getattr(timesteps, "ndim", 1) else []
    whole = not isinstance(timesteps, str | bytes | set) and all(_is_whole(t) for t in grid)
    grid = [int(t) for t in grid] if whole else []
    if not grid or grid[0] > T or grid[-1] < 0 or any(a <= b for a, b in pairwise(grid)):
        raise ValueError(f"timesteps are whole numbers that fall strictly inside {T}..0; got {str(timesteps)[:60]}")
    return grid


def _is_whole(t):
    number = isinstance(t, numbers.Real) and not isinstance(t, bool) or getattr(t, "ndim", None) == 0
    return number and math.isfinite(t) and t == int(t)


@torch.no_grad()
def sample(denoiser, x_T, timesteps=None, step=ddpm, **choices):
    """Walk from noise to data: a generator of `(t, x_t, x_0_hat)`, one for each step, the last at the grid's end.

    x_T: `[B, ...]` at the first level; timesteps: see `step_grid`; step, choices: a step and its keywords, such as
    eta=0.5 or generator=. Raises ValueError where step or grid do.
    """
    x_t = x_T
    for t, t_prev in pairwise(step_grid(denoiser.schedule.T, timesteps)):
        x_t, x_0_hat = step(denoiser, x_t, t, t_prev, **choices)
        yield t_prev, x_t, x_0_hat


def noise_like(x, generator=None):
    """Standard normal noise of x's shape `[B, ...]`, drawn on the CPU: from one generator, or from a list of one per row."""
    if isinstance(generator, list):
        if len(generator) != len(x):
            raise ValueError(f"one generator per row is needed; got {len(generator)} for {len(x)} rows")
        return torch.cat([noise_like(row[None], source) for row, source in zip(x, generator)])
    if not isinstance(generator, torch.Generator | None):
        raise ValueError(
            f"chance comes from torch.Generator().manual_seed(...), or a list of one per row; got {generator!r}"
        )
    return torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device, non_blocking=True)


def last(steps):
    """The finished sample of a walk: the x_t of the last step that `sample` yields. Shape `[B, ...]`. ValueError if there is none."""
    found = collections.deque(steps, maxlen=1)
    if not found:
        raise ValueError("the walk has no step: its timesteps are one level only")
    return found[0][1]


# ---------------------------------------------------------------- training


def training_loss(network, x_0, t, eps, schedule, prediction="eps", c=None):
    """Mean squared error of the prediction: DDPM Eq. 14 and Algorithm 1, for digits, codes and latents alike. Returns a scalar.

    x_0, eps: `[B, ...]`; t: whole numbers `[B]` in 1..T, on the CPU, so that a GPU is asked nothing; c: `[B]` or None.
    """
    x_t = q_sample(x_0, t, eps, schedule)
    value = ask(network, x_t, t, c)
    return F.mse_loss(value.to(x_t.dtype), target(x_0, eps, t, schedule, prediction))
