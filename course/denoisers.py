"""What a network is asked for, and the denoiser that knows it. `toy_ddpm` hands all of this on.

A network is anything called as `network(x_t, t)` or `network(x_t, t, c)` that answers in x_t's shape. A denoiser is a
network together with its schedule and with what it was trained to predict; guidance, clipping and thresholding wrap it.
Letters in the shape comments: B rows of a batch, K points, D numbers per point.
"""

import numbers
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from course.schedules import Schedule, levels, like

PREDICTIONS = {  # what a network may be asked for: so much of x_0 and so much of eps; a, s: signal and std of the level
    "eps": lambda a, s: (0 * a, 1 + 0 * s),  # DDPM
    "x_0": lambda a, s: (1 + 0 * a, 0 * s),
    "v": lambda a, s: (-s, a),  # Salimans & Ho 2022 (arXiv 2202.00512), App. D
    "score": lambda a, s: (0 * a, -1 / s),  # the gradient of log q: Dhariwal & Nichol 2021 (arXiv 2105.05233), Eq. 11
    "flow": lambda a, s: (-1 + 0 * a, 1 + 0 * s),  # the velocity eps - x_0 of the straight path
}


def known(prediction):
    """The name of a prediction. Raises ValueError on others."""
    if prediction not in PREDICTIONS:
        raise ValueError(f"{prediction!r} is no prediction; choose one of {', '.join(PREDICTIONS)}")
    return prediction


def _weights(x, t, schedule, prediction):
    """signal, std and the two weights of a prediction, columns in float64. Raises ValueError at t = 0 and for other names."""
    known(prediction)
    a, s = schedule.columns(t, x)
    if (s == 0).any():
        raise ValueError(f"t must lie in 1..{schedule.T}; got 0, where there is no noise to be told from the data")
    return a, s, *PREDICTIONS[prediction](a, s)


def target(x_0, eps, t, schedule, prediction):
    """What a network is trained on, the prediction's shares of x_0 and eps. Shapes `[B, ...]`, t in 1..T."""
    _, _, p, q = _weights(x_0, t, schedule, prediction)
    return like(p, x_0) * x_0 + like(q, x_0) * eps


def split(value, x_t, t, schedule, prediction):
    """x_0_hat and eps_hat from what a network said. Shapes `[B, ...]`, t in 1..T.

    Two linear equations, x_t = a x_0 + s eps and value = p x_0 + q eps. Raises ValueError where they have no solution:
    eps alone does not tell x_0 at a level without signal.
    """
    a, s, p, q = _weights(x_t, t, schedule, prediction)
    det = a * q - s * p
    if (det == 0).any():
        raise ValueError(
            f"there is no signal left at t = {schedule.T}, so {prediction} does not tell x_0: use v or flow"
        )
    a, s, p, q, det = (like(column, x_t) for column in (a, s, p, q, det))
    x_0_hat = value if prediction == "x_0" else (q * x_t - s * value) / det
    eps_hat = value if prediction == "eps" else (a * value - p * x_t) / det
    return x_0_hat, eps_hat


def ask(network, x_t, t, c=None):
    """The network's answer for x_t `[B, ...]`, whole numbers t `[B]` and condition c. Raises ValueError on another shape."""
    t = levels(t, x_t).expand(x_t.shape[:1]).to(x_t.device, non_blocking=True)
    value = network(x_t, t) if c is None else network(x_t, t, c)
    if value.shape != x_t.shape:
        raise ValueError(f"the network answers in shape {tuple(value.shape)}, but x_t has {tuple(x_t.shape)}")
    return value


@dataclass
class Denoiser:
    """A network with what it was trained for. Called with x_t `[B, ...]` and t, one whole number or `[B]`: (x_0_hat, eps_hat).

    network: see the top of this file; prediction: a name in `PREDICTIONS`; c: the condition of every row, or None.
    """

    network: Callable
    schedule: Schedule
    prediction: str = "eps"
    c: Any = None

    def __post_init__(self):
        known(self.prediction)

    def __call__(self, x_t, t):
        value = ask(self.network, x_t, t, self.c)
        return split(value.to(x_t.dtype), x_t, t, self.schedule, self.prediction)

    def given(self, c):
        """The same denoiser asked under the condition c, one per row: labels `[B]`, or token states `[B, L, D]`."""
        return replace(self, c=c)


def guide(denoiser, guidance_scale, c_null=None):
    """Classifier-free guidance: a denoiser whose network says u + w (c - u), with w = `guidance_scale`.

    w = 0 is unconditional, w = 1 plain conditional. One call runs both halves as a batch of two. c_null: the empty
    condition, default the network's own. Ho & Salimans 2022 (arXiv 2207.12598), whose own w is this one minus 1.
    guidance_scale: a number, or a tensor of one per row, `[B]` or with x_t's axes.
    Raises ValueError for a denoiser without a condition or an empty one, or if w is not a finite number.
    """
    if getattr(denoiser, "c", None) is None:
        raise ValueError("guidance compares with and without a condition: guide denoiser.given(c), and clip afterwards")
    a_number = isinstance(guidance_scale, numbers.Real | torch.Tensor)
    if not a_number or not torch.as_tensor(guidance_scale).isfinite().all():
        raise ValueError(f"guidance_scale is {guidance_scale}, but a finite number is needed, such as 1.5")
    network = denoiser.network
    c_null = getattr(network, "c_null", None) if c_null is None else c_null
    if c_null is None:
        raise ValueError("this network does not say what its empty condition is: give c_null (and guide only once)")

    def guided(x_t, t, c=None):
        if c is None:
            raise ValueError("a guided denoiser needs a condition: given(c)")
        w = guidance_scale
        if isinstance(w, torch.Tensor) and w.dim():
            w = like(w.view(-1, *[1] * (x_t.dim() - 1)) if w.dim() == 1 else w, x_t)
        empty = torch.zeros_like(c) + c_null  # one label, or token states [1, L, D], for every row
        unconditional, conditional = network(torch.cat([x_t, x_t]), torch.cat([t, t]), torch.cat([empty, c])).chunk(2)
        return unconditional + w * (conditional - unconditional)

    return replace(denoiser, network=guided)


def _limited(denoiser, limit):
    """A denoiser whose x_0_hat goes through `limit`, and whose eps_hat is what then remains of x_t."""

    def limited(x_t, t):
        signal_t, std_t = denoiser.schedule.at(t, x_t)
        x_0_hat = limit(denoiser(x_t, t)[0])
        return x_0_hat, (x_t - signal_t * x_0_hat) / std_t

    limited.schedule = denoiser.schedule
    return limited


def clipped(denoiser, limit=1.0):
    """A denoiser whose x_0_hat stays in [-limit, limit], as the DDPM authors' code keeps it. Raises ValueError unless limit > 0."""
    if not limit > 0:
        raise ValueError(f"limit is {limit}, but values are kept in -limit..limit, so it is more than 0")
    return _limited(denoiser, lambda x_0_hat: x_0_hat.clamp(-limit, limit))


def thresholded(denoiser, share=0.995):
    """Dynamic thresholding: x_0_hat is clipped at that quantile of its own sizes and divided by it, where it exceeds 1.

    Saharia et al. 2022 (Imagen, arXiv 2205.11487), Sec. 2.3. share: of a picture's values, in 0..1, else ValueError.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}, but a share of the values lies in 0..1")

    def limit(x_0_hat):
        sizes = x_0_hat.abs().flatten(1)
        largest = sizes.to(torch.promote_types(sizes.dtype, torch.float32)).quantile(share, dim=1).clamp(min=1)
        largest = largest.to(x_0_hat.dtype).view(-1, *[1] * (x_0_hat.dim() - 1))
        return x_0_hat.clamp(-largest, largest) / largest

    return _limited(denoiser, limit)


def exact_denoiser(points, schedule, std=0.0, weights=None):
    """The best possible denoiser of a finite data set (std = 0) or a mixture of round Gaussians.

    points: `[K, ...]`, the data or the means; std: standard deviation of every component; weights: `[K]` or None
    for equal ones. Its network gives E[x_0 | x_t], by Bayes' rule on DDPM Eq. 4: component k has the mean
    signal m_k and the variance signal^2 std^2 + std_t^2.
    """
    flat = points.flatten(1).double()
    if not len(flat) or not flat.isfinite().all() or weights is not None and not (weights >= 0).all():
        raise ValueError("at least one point is needed, without NaN or infinity, and weights that are not negative")
    log_weight = torch.zeros(len(flat)).double() if weights is None else weights.double().log()

    def network(x_t, t, c=None):
        x = x_t.flatten(1).double()
        signal_t, std_t = schedule.at(t, x)  # [B, 1]
        variance = signal_t**2 * std**2 + std_t**2
        distance = (x**2).sum(1, keepdim=True) - 2 * signal_t * x @ flat.T + signal_t**2 * (flat**2).sum(1)  # [B, K]
        belief = (log_weight - distance / (2 * variance)).softmax(dim=1)  # [B, K], rows sum to 1
        mean = belief @ flat  # [B, D]
        x_0_hat = mean + signal_t * std**2 / variance * (x - signal_t * mean)
        return x_0_hat.view_as(x_t).to(x_t.dtype)

    return Denoiser(network, schedule, "x_0")
