"""The schedule, a pair of arrays, and five ways to make it. `toy_ddpm` hands all of this on.

x_t = signal_t x_0 + std_t eps. Time runs 1..T as in DDPM (Ho, Jain, Abbeel 2020, arXiv 2006.11239), index 0 means clean.
"""

import math
import numbers
from dataclasses import dataclass

import torch

WHOLE = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}


@dataclass(frozen=True, eq=False)
class Schedule:
    """How much signal and how much noise there is at each level: x_t = signal_t x_0 + std_t eps.

    signal, std: `[T + 1]`, the clean level first: signal[0] = 1, std[0] = 0, and std / signal rises with t.
    Raises ValueError on others.
    """

    signal: torch.Tensor
    std: torch.Tensor

    def __post_init__(self):
        a, s = self.signal, self.std
        good = a.is_floating_point() and a.dim() == 1 and a.shape == s.shape and len(a) > 1 and a[0] == 1 and s[0] == 0
        if not (
            good
            and a.isfinite().all()
            and s.isfinite().all()
            and (a >= 0).all()
            and (s[1:] > 0).all()
            and (s / a).diff().gt(0).all()
        ):
            raise ValueError(
                "signal and std are two rows of T + 1 numbers that begin with 1 and 0, and the noise std / signal rises "
                f"from level to level; got {tuple(a.shape)} and {tuple(s.shape)}: "
                f"{a.flatten()[:3].tolist()} ... and {s.flatten()[:3].tolist()} ..."
            )

    @property
    def T(self):
        return len(self.signal) - 1

    @property
    def snr(self):
        """Signal-to-noise ratio signal^2 / std^2, `[T + 1]`, infinite at 0."""
        return (self.signal / self.std) ** 2

    @property
    def alpha_bar(self):
        """signal^2, `[T + 1]`: DDPM Eq. 4. Raises ValueError unless signal^2 + std^2 = 1, the variance-preserving case."""
        if not torch.allclose(self.signal**2 + self.std**2, torch.ones_like(self.std), atol=1e-6):
            raise ValueError("alpha_bar, alpha and beta belong to schedules with signal^2 + std^2 = 1; this is another")
        return self.signal**2

    @property
    def alpha(self):
        """alpha_bar_t / alpha_bar_{t-1}, `[T + 1]`, 1 at index 0."""
        alpha_bar = self.alpha_bar
        return torch.cat([alpha_bar[:1], alpha_bar[1:] / alpha_bar[:-1]])

    @property
    def beta(self):
        """The variance of each forward step, 1 - alpha, `[T + 1]`, 0 at index 0: DDPM Sec. 2."""
        return 1 - self.alpha

    def at(self, t, x):
        """signal_t and std_t as columns `[B, 1, ..., 1]` (or `[1, ..., 1]`) in x's type and device, to multiply x `[B, ...]`.

        t: whole numbers `[B]` in 0..T, or one for all rows. Raises ValueError on others.
        """
        return tuple(like(column, x) for column in self.columns(t, x))

    def columns(self, t, x):
        """The same in float64 on the CPU, so that a formula is rounded to x's type once, at its end."""
        if not x.is_floating_point():
            raise ValueError(
                f"x is {x.dtype}, but decimal numbers are needed: pixels 0..255 become x by pixels / 127.5 - 1"
            )
        t = levels(t, x)
        if t.numel() and (t.min() < 0 or t.max() > self.T):
            raise ValueError(f"t must lie in 1..{self.T}; got {t.min().item()}..{t.max().item()}")
        return tuple(array[t].double().view(-1, *[1] * (x.dim() - 1)) for array in (self.signal, self.std))


def levels(t, x):
    """t as whole numbers on the CPU, `[B]`, or without an axis where it is one for all rows of x. Raises ValueError on others.

    The CPU is where the loops of this course keep it: asking a GPU for it would make the GPU wait.
    """
    if isinstance(t, numbers.Integral) and not isinstance(t, bool):
        t = torch.tensor(int(t))
    if not isinstance(t, torch.Tensor) or t.dtype not in WHOLE or t.shape not in {(), tuple(x.shape[:1])}:
        got = f"{t.dtype} {tuple(t.shape)}" if isinstance(t, torch.Tensor) else repr(t)
        raise ValueError(f"t is a whole number, or a tensor of one per row, shape {tuple(x.shape[:1])}; got {got}")
    return t.cpu().long()


def from_betas(beta):
    """The variance-preserving schedule of these steps: DDPM Sec. 2. beta: `[T]`, each in (0, 1), else ValueError."""
    if beta.dim() != 1 or not len(beta) or not ((beta > 0) & (beta < 1)).all():
        raise ValueError(
            f"beta is one row beta_1, ..., beta_T with every beta_t between 0 and 1; got shape {tuple(beta.shape)} "
            f"with {beta.flatten()[:3].tolist()} ... {beta.flatten()[-1:].tolist()}. Where T is small, choose a smaller beta_T."
        )
    beta = beta.double()
    alpha_bar = torch.cat([beta.new_ones(1), torch.cumprod(1 - beta, dim=0)])
    return Schedule(alpha_bar.sqrt(), (1 - alpha_bar).sqrt())


def linear(T=1000, beta_1=1e-4, beta_T=0.02):
    """beta_t on a straight line: DDPM Sec. 4. For other T, Nichol & Dhariwal scale both ends by 1000 / T."""
    return from_betas(torch.linspace(beta_1, beta_T, T, dtype=torch.float64))


def scaled_linear(T=1000, beta_1=0.00085, beta_T=0.012):
    """sqrt(beta_t) on a straight line: Stable Diffusion v1's schedule."""
    return from_betas(torch.linspace(beta_1**0.5, beta_T**0.5, T, dtype=torch.float64) ** 2)


def cosine(T=1000, s=0.008, largest_beta=0.999):
    """alpha_bar_t a squared cosine, beta_t clipped: Nichol & Dhariwal 2021 (arXiv 2102.09672), Sec. 3.2."""
    t = torch.arange(T + 1, dtype=torch.float64)
    f = torch.cos((t / T + s) / (1 + s) * math.pi / 2) ** 2
    return from_betas((1 - f[1:] / f[:-1]).clamp(max=largest_beta))


def flow(T=1000):
    """The straight path of flow matching, (1 - t/T) x_0 + t/T eps: Lipman et al. 2022 (arXiv 2210.02747), Eq. 22 with sigma_min = 0."""
    std = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    return Schedule(1 - std, std)


def edm(T=1000, sigma_min=0.002, sigma_max=80.0, rho=7.0):
    """Noise alone, the signal left as it is: Karras et al. 2022 (arXiv 2206.00364), Eq. 5, from sigma_min at t = 1 to sigma_max."""
    ramp = torch.linspace(sigma_min ** (1 / rho), sigma_max ** (1 / rho), T, dtype=torch.float64) ** rho
    std = torch.cat([ramp.new_zeros(1), ramp])
    return Schedule(torch.ones_like(std), std)


SCHEDULES = {maker.__name__: maker for maker in (linear, scaled_linear, cosine, flow, edm)}


def make_schedule(name, T=1000):
    """The schedule of that name in `SCHEDULES`. Raises ValueError for other names, or a T that is no whole number from 1 on."""
    if name not in SCHEDULES:
        raise ValueError(f"no schedule is called {name!r}; choose one of {', '.join(SCHEDULES)}")
    if not isinstance(T, numbers.Integral) or isinstance(T, bool) or T < 1:
        raise ValueError(f"T is {T!r}, but a chain has a whole number of steps, at least 1")
    return SCHEDULES[name](T)


def like(column, x):
    """A column of `Schedule.columns` in x's type and device. A GPU is handed it without having to wait."""
    return column.to(x.dtype).to(x.device, non_blocking=True)
