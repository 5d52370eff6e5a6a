"""Denoising diffusion in a few nouns and verbs: Ho, Jain, Abbeel 2020 (DDPM, arXiv 2006.11239).

Time runs 1..T as in the paper; every array has T + 1 entries and index 0 means "clean".
Letters in the shape comments: B images in a batch, T steps, K points or mixture components.
An `eps_model` is anything called as `model(x_t, t)` or `model(x_t, t, c)` that returns a
tensor of x_t's shape; `predicts` says what that tensor is: "eps", "x_0", "v" or "score".

Left out: learned variances, other noise than Gaussian, continuous time.
"""

import collections
import copy
import math
import numbers
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

PREDICTIONS = ("eps", "x_0", "v", "score")


# ---------------------------------------------------------------- the schedule


@dataclass(frozen=True)
class Schedule:
    """The variances of the forward steps, DDPM Sec. 2: `beta`, `alpha`, `alpha_bar`, each `[T + 1]`.

    beta: float64 `[T + 1]` with `beta[0] = 0` and the others in (0, 1). Raises ValueError otherwise.
    """

    beta: torch.Tensor

    def __post_init__(self):
        beta = self.beta
        if beta.dim() != 1 or len(beta) < 2 or beta[0] != 0 or not ((beta[1:] > 0) & (beta[1:] < 1)).all():
            raise ValueError(
                "beta must be one row [0, beta_1, ..., beta_T] with every beta_t between 0 and 1; "
                f"got shape {tuple(beta.shape)} with {beta.flatten()[:3].tolist()} ... {beta.flatten()[-1:].tolist()}. "
                "Where T is small, choose a smaller beta_T."
            )
        object.__setattr__(self, "alpha", 1 - beta)
        object.__setattr__(self, "alpha_bar", torch.cumprod(1 - beta, dim=0))

    @property
    def T(self):
        return len(self.beta) - 1

    @property
    def snr(self):
        """Signal-to-noise ratio alpha_bar / (1 - alpha_bar), `[T + 1]`, infinite at 0."""
        return self.alpha_bar / (1 - self.alpha_bar)


def linear(T=1000, beta_1=1e-4, beta_T=0.02):
    """beta_t on a straight line: DDPM Sec. 4. For other T, Nichol & Dhariwal scale both ends by 1000 / T."""
    return Schedule(_with_zero(torch.linspace(beta_1, beta_T, T, dtype=torch.float64)))


def scaled_linear(T=1000, beta_1=0.00085, beta_T=0.012):
    """sqrt(beta_t) on a straight line: Stable Diffusion v1's schedule."""
    return Schedule(_with_zero(torch.linspace(beta_1**0.5, beta_T**0.5, T, dtype=torch.float64) ** 2))


def cosine(T=1000, s=0.008, largest_beta=0.999):
    """alpha_bar_t a squared cosine, beta_t clipped: Nichol & Dhariwal 2021 (arXiv 2102.09672), Sec. 3.2."""
    t = torch.arange(T + 1, dtype=torch.float64)
    f = torch.cos((t / T + s) / (1 + s) * math.pi / 2) ** 2
    return Schedule(_with_zero((1 - f[1:] / f[:-1]).clamp(max=largest_beta)))


def make_schedule(name, T=1000):
    """The schedule called "linear", "scaled_linear" or "cosine". Raises ValueError for other names or T < 1."""
    makers = {"linear": linear, "scaled_linear": scaled_linear, "cosine": cosine}
    if name not in makers:
        raise ValueError(f"no schedule is called {name!r}; choose one of {', '.join(makers)}")
    if T < 1:
        raise ValueError(f"T is {T}, but a chain needs at least 1 step")
    return makers[name](T)


def _with_zero(beta):
    return torch.cat([beta.new_zeros(1), beta])


def gather(array, t, x):
    """`array[t]` as a column that multiplies x: `[B, 1, ..., 1]` in x's type and device.

    array: `[T + 1]`, t: whole numbers `[B]` in 0..T, x: `[B, ...]`. Raises ValueError on others.
    """
    got = f"{t.dtype} {tuple(t.shape)}" if isinstance(t, torch.Tensor) else repr(t)
    if got not in (f"torch.int{bits} {tuple(x.shape[:1])}" for bits in (32, 64)):
        raise ValueError(f"t must be a tensor of one whole number an image, shape {tuple(x.shape[:1])}; got {got}")
    t = t.to(array.device)  # the schedule's, so the CPU: a question asked of a GPU would stop its queue
    if t.numel() and (t.min() < 0 or t.max() >= len(array)):
        raise ValueError(f"t must lie in 1..{len(array) - 1}; got {t.min().item()}..{t.max().item()}")
    return array.to(x.dtype)[t].to(x.device).view(-1, *[1] * (x.dim() - 1))


# ---------------------------------------------------------------- forward


def q_step(x_prev, t, noise, schedule):
    """One step of the forward chain, a draw from q(x_t | x_{t-1}): DDPM Eq. 2. Shapes `[B, ...]`, t in 1..T."""
    beta_t = gather(schedule.beta, t, x_prev)
    return (1 - beta_t).sqrt() * x_prev + beta_t.sqrt() * noise


def q_sample(x_0, t, eps, schedule):
    """The jump from the clean image to level t, a draw from q(x_t | x_0): DDPM Eq. 4. Shapes `[B, ...]`, t in 1..T."""
    if eps.shape != x_0.shape:
        raise ValueError(f"eps needs the shape of x_0, {tuple(x_0.shape)}; got {tuple(eps.shape)}")
    alpha_bar_t = gather(schedule.alpha_bar, t, x_0)
    return alpha_bar_t.sqrt() * x_0 + (1 - alpha_bar_t).sqrt() * eps


def posterior(x_0, x_t, t, schedule):
    """Mean and variance of q(x_{t-1} | x_t, x_0): DDPM Eq. 6 and 7. Returns mu_tilde_t `[B, ...]`, beta_tilde_t `[B, 1, ...]`."""
    alpha_bar_t, alpha_bar_prev = gather(schedule.alpha_bar, t, x_t), gather(schedule.alpha_bar, t - 1, x_t)
    beta_t = gather(schedule.beta, t, x_t)
    mu_tilde_t = (
        alpha_bar_prev.sqrt() * beta_t / (1 - alpha_bar_t) * x_0
        + (1 - beta_t).sqrt() * (1 - alpha_bar_prev) / (1 - alpha_bar_t) * x_t
    )
    return mu_tilde_t, (1 - alpha_bar_prev) / (1 - alpha_bar_t) * beta_t


# ---------------------------------------------------------------- eps, x_0, v and score are one thing


def convert(value, x_t, t, schedule, source, target):
    """Turn one kind of prediction into another, given x_t and t. Shapes `[B, ...]`, t in 1..T.

    eps and x_0: DDPM Eq. 15. v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0: Salimans & Ho 2022,
    App. D. score = -eps / sqrt(1 - alpha_bar): Dhariwal & Nichol 2021, Eq. 11.
    Raises ValueError for a name outside `PREDICTIONS`.
    """
    for name in (source, target):
        if name not in PREDICTIONS:
            raise ValueError(f"{name!r} is no prediction; choose one of {', '.join(PREDICTIONS)}")
    if source == target:
        return value
    alpha_bar_t = gather(schedule.alpha_bar, t, x_t)
    signal, noise = alpha_bar_t.sqrt(), (1 - alpha_bar_t).sqrt()
    eps = {
        "eps": lambda: value,
        "score": lambda: -noise * value,
        "x_0": lambda: (x_t - signal * value) / noise,
        "v": lambda: noise * x_t + signal * value,
    }[source]()
    x_0 = {"x_0": lambda: value, "v": lambda: signal * x_t - noise * value}.get(
        source, lambda: (x_t - noise * eps) / signal
    )()
    return {"eps": eps, "x_0": x_0, "v": signal * eps - noise * x_0, "score": -eps / noise}[target]


# ---------------------------------------------------------------- sampling


def step_grid(T, steps=None):
    """The levels that a sampler visits, falling from T to 0: all of them, `steps` even ones, or those given.

    steps: None, a whole number in 1..T, or a falling sequence inside 1..T. Returns a list of ints ending in 0.
    Raises ValueError on others.
    """
    if steps is None or isinstance(steps, numbers.Integral):
        n = T if steps is None else int(steps)
        if not 1 <= n <= T:
            raise ValueError(f"steps is {n}, but a chain of T = {T} can be walked in 1..{T} steps")
        return [round(T * (n - i) / n) for i in range(n)] + [0]
    if not isinstance(steps, Iterable):
        raise ValueError(f"steps is a whole number or a sequence of levels; got {steps!r}")
    grid = [int(t) for t in steps]
    if not grid or grid[0] > T or grid[-1] < 1 or any(a <= b for a, b in zip(grid, grid[1:])):
        raise ValueError(f"steps must fall strictly inside {T}..1; got {grid[:8]}")
    return [*grid, 0]


@torch.no_grad()
def sample(
    model, x_T, schedule, steps=None, *, eta=1.0, variance="small", generator=None, c=None, predicts="eps", clip=False
):
    """Walk from noise to data: a generator of `(t, x_t, x_0_hat)`, the last with t = 0. Shapes `[B, ...]`.

    One formula, DDIM Eq. 12 and 16 (Song et al. 2020, arXiv 2010.02502): eta = 0 is DDIM, eta = 1 is
    DDPM's Algorithm 2 with the posterior variance. variance="large" draws the noise of eta = 1 with
    sigma^2 = 1 - alpha_bar_t / alpha_bar_prev, which is beta_t on the full grid. clip limits x_0_hat to
    [-1, 1], as the DDPM authors' code does. The step to t = 0 adds no noise.
    Raises ValueError on an unknown variance, eta outside [0, 1], or variance="large" with eta other than 1.
    """
    if variance not in ("small", "large") or not 0 <= eta <= 1 or (variance == "large" and eta != 1):
        raise ValueError(
            f'variance is "small", or "large" with eta = 1, and eta lies in 0..1; got {variance!r}, eta = {eta}'
        )
    x_t, grid = x_T, step_grid(schedule.T, steps)
    for t, t_prev in zip(grid, grid[1:]):
        alpha_bar_t, alpha_bar_prev = schedule.alpha_bar[t], schedule.alpha_bar[t_prev]
        at = torch.full(x_t.shape[:1], t, dtype=torch.long)
        answer = _call(model, x_t, at.to(x_t.device), c)
        x_0_hat, eps_hat = (convert(answer, x_t, at, schedule, predicts, target) for target in ("x_0", "eps"))
        if clip:
            x_0_hat = x_0_hat.clamp(-1, 1)
            eps_hat = convert(x_0_hat, x_t, at, schedule, "x_0", "eps")

        large = (1 - alpha_bar_t / alpha_bar_prev) ** 0.5
        sigma_t = eta * ((1 - alpha_bar_prev) / (1 - alpha_bar_t)) ** 0.5 * large
        signal, direction = alpha_bar_prev**0.5, (1 - alpha_bar_prev - sigma_t**2) ** 0.5
        x_t = signal.item() * x_0_hat + direction.item() * eps_hat
        if t_prev > 0 and eta > 0:
            noise = noise_like(x_t, generator)
            x_t = x_t + (large if variance == "large" else sigma_t).item() * noise
        yield t_prev, x_t, x_0_hat


def noise_like(x, generator=None):
    """Standard normal noise of x's shape `[B, ...]`, drawn on the CPU: from one generator, or from a list of one a row."""
    if isinstance(generator, list):
        return torch.cat([noise_like(row[None], source) for row, source in zip(x, generator, strict=True)])
    return torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)


def last(steps):
    """The finished sample of a walk: the x_t of the last step that `sample` yields. Shape `[B, ...]`."""
    return collections.deque(steps, maxlen=1)[0][1]


def guide(model, c_null, guidance_scale):
    """Classifier-free guidance: a model whose output is eps_u + w (eps_c - eps_u), w = `guidance_scale`.

    w = 0 is unconditional, w = 1 plain conditional. One call runs both halves as a batch of two.
    Source: Ho & Salimans 2022 (arXiv 2207.12598), whose own w is this one minus 1.
    """

    def guided(x_t, t, c):
        both = model(torch.cat([x_t, x_t]), torch.cat([t, t]), torch.cat([torch.zeros_like(c) + c_null, c]))
        unconditional, conditional = both.chunk(2)
        return unconditional + guidance_scale * (conditional - unconditional)

    return guided


def exact_denoiser(points, schedule, std=0.0, weights=None):
    """The best possible eps_model of a finite data set (std = 0) or a mixture of round Gaussians.

    points: `[K, ...]`, the data or the means; std: standard deviation of every component; weights: `[K]`
    or None for equal ones. Returns a function of x_t `[B, ...]` and t `[B]` that gives E[eps | x_t].
    Bayes' rule on DDPM Eq. 4: component k has mean sqrt(alpha_bar) m_k, variance alpha_bar std^2 + 1 - alpha_bar.
    """
    flat = points.flatten(1).double()
    log_weight = torch.zeros(len(flat)).double() if weights is None else weights.double().log()

    def eps_model(x_t, t, c=None):
        x = x_t.flatten(1).double()
        alpha_bar_t = gather(schedule.alpha_bar, t, x)  # [B, 1]
        signal, spread = alpha_bar_t.sqrt(), alpha_bar_t * std**2 + 1 - alpha_bar_t
        distance = (x**2).sum(1, keepdim=True) - 2 * signal * x @ flat.T + alpha_bar_t * (flat**2).sum(1)  # [B, K]
        belief = (log_weight - distance / (2 * spread)).softmax(dim=1)  # [B, K], rows sum to 1
        mean = belief @ flat  # [B, D]
        x_0_hat = mean + signal * std**2 / spread * (x - signal * mean)
        return ((x - signal * x_0_hat) / (1 - alpha_bar_t).sqrt()).view_as(x_t).to(x_t.dtype)

    return eps_model


# ---------------------------------------------------------------- training


def training_loss(model, x_0, schedule, generator=None, c=None, predicts="eps"):
    """Mean squared error of one random level per image: DDPM Eq. 14 and Algorithm 1. Returns a scalar.

    x_0: `[B, ...]` in [-1, 1]; c: labels `[B]` or None. Raises ValueError on values outside or NaN.
    """
    if not (x_0.detach().abs().max() <= 1.0001):  # also catches NaN
        raise ValueError(f"x_0 must lie in [-1, 1]; got {x_0.min():.3g}..{x_0.max():.3g}. Scale pixels by 2 * x - 1.")
    t = torch.randint(1, schedule.T + 1, x_0.shape[:1], generator=generator).to(x_0.device)
    eps = torch.randn(x_0.shape, generator=generator).to(x_0.device)
    x_t = q_sample(x_0, t, eps, schedule)
    target = convert(eps, x_t, t, schedule, "eps", predicts)
    return F.mse_loss(_call(model, x_t, t, c), target)


def _call(model, x_t, t, c):
    return model(x_t, t) if c is None else model(x_t, t, c)


class Trainer:
    """Algorithm 1 with AdamW, a warm-up and cosine decay of the rate, and a moving average of the weights.

    images: `[N, C, H, W]` in [-1, 1]; labels: `[N]` or None. A share `drop_label` of the labels is
    replaced by the model's `c_null`. All randomness comes from one generator, so `state_dict` holds
    everything that a resumed run needs to go on to the same losses. `ema_model` is the one to sample from.
    """

    def __init__(self, model, schedule, images, labels=None, *, batch_size=128, lr=2e-3, ema_decay=0.999,
                 drop_label=0.1, predicts="eps", seed=0):  # fmt: skip
        self.model, self.schedule, self.images, self.labels = model, schedule, images, labels
        self.batch_size, self.lr, self.ema_decay = batch_size, lr, ema_decay
        self.drop_label, self.predicts = drop_label, predicts
        self.ema_model = copy.deepcopy(model).requires_grad_(False).eval()
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        self.generator = torch.Generator().manual_seed(seed)
        self.steps_done = 0

    def step(self, progress):
        """One gradient step; progress in [0, 1] is the share of the training that is over. Returns the loss, a float."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * min(1.0, (self.steps_done + 1) / 100) * 0.5 * (1 + math.cos(math.pi * progress))
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.steps_done += 1
        decay = min(self.ema_decay, self.steps_done / (self.steps_done + 10))
        with torch.no_grad():
            for slow, fast in zip(self.ema_model.parameters(), self.model.parameters()):
                slow.lerp_(fast, 1 - decay)
        return loss.item()

    def backward(self):
        """The loss of one batch, its gradients left in the model."""
        rows = torch.randint(len(self.images), (self.batch_size,), generator=self.generator)
        c = None
        if self.labels is not None:
            dropped = torch.rand(self.batch_size, generator=self.generator) < self.drop_label
            c = torch.where(dropped.to(self.labels.device), self.model.c_null, self.labels[rows])
        loss = training_loss(self.model, self.images[rows], self.schedule, self.generator, c, self.predicts)
        loss.backward()
        return loss

    def state_dict(self):
        """Everything that a resumed run needs, as one flat dict of tensors."""
        parts = {"model": self.model.state_dict(), "ema": self.ema_model.state_dict()}
        parts |= {f"optimizer.{i}": state for i, state in self.optimizer.state_dict()["state"].items()}
        tensors = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
        return tensors | {"generator": self.generator.get_state(), "steps_done": torch.tensor(self.steps_done)}

    def load_state_dict(self, tensors):
        """Go on from what `state_dict` gave. Raises KeyError or RuntimeError if it belongs to another network."""
        parts = collections.defaultdict(dict)
        for key, value in tensors.items():
            part, _, name = key.rpartition("/")
            parts[part][name] = value
        self.model.load_state_dict(parts["model"])
        self.ema_model.load_state_dict(parts["ema"])
        states = {int(part.split(".")[1]): parts[part] for part in parts if part.startswith("optimizer.")}
        self.optimizer.load_state_dict({"state": states, "param_groups": self.optimizer.state_dict()["param_groups"]})
        self.generator.set_state(tensors["generator"])
        self.steps_done = int(tensors["steps_done"])
