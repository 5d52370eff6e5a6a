"""Figures of notebook 03: reverse steps as curves, walks back to the data, and the score as a field of arrows.

Functions take tensors and `ax=None` and return the axes.
"""

import math
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import make_moons

from course import viz

WINDOW = 2.7  # half the width of the panels
TRAIL = 8  # so many levels back a walker's track begins
MOMENTS = [1000, 700, 500, 380, 300, 240, 190, 150, 115, 85, 60, 40, 20, 1]  # of the film


def three_clouds(n=400):
    """Three data sets in the plane: dict name -> points `[n, 2]`, each of variance near 1."""
    moons = torch.from_numpy(make_moons(n, noise=0.05, random_state=0)[0]).float()
    turn = 3.5 * math.pi * torch.linspace(0, 1, n).sqrt()
    corner = math.pi / 4 * (torch.arange(n) % 8)
    jitter = 0.07 * torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    return {
        "two moons": (moons - moons.mean(0)) / moons.std(0),
        "spiral": 0.16 * turn[:, None] * torch.stack([turn.cos(), turn.sin()], 1),
        "eight spots": 1.5 * torch.stack([corner.cos(), corner.sin()], 1) + jitter,
    }


# ---------------------------------------------------------------- reverse steps as curves


def reverse_step(x, prior, reverse, gaussian, ax=None, title=None):
    """Prior, reverse step and the Gaussian of its mean and variance, three densities `[N]` over x. Returns the axes."""
    curves = {"prior": prior, "reverse step": reverse, "Gaussian": gaussian}
    styles = {"prior": {"ls": ":"}, "reverse step": {"lw": 3}, "Gaussian": viz.DASHED}
    window = {"xlim": (-2.2, 2.2), "ylim": (0, 4.6)}
    ax = viz.lines(x, curves, "$x_{t-1}$", "density", ax, title=title, styles=styles, **window)
    ax.legend(loc="upper left", fontsize=7, handlelength=1.6)
    return ax


def witnesses(x, prior, likelihood, product, ax=None):
    """Two Gaussian curves and their product, three densities `[N]` over x. Returns the axes."""
    curves = {"prior: jump from $x_0$": prior, "likelihood: step to $x_3$": likelihood, "product": product}
    looks = ({"color": viz.DATA, "ls": ":"}, {"color": viz.NOISE, "ls": "--"}, {"color": viz.PREDICTION, "lw": 3})
    return viz.lines(x, curves, "$x_2$", "density", ax, styles=dict(zip(curves, looks)), ylim=(0, 1.3))


def pasts(seen, told, law):
    """Histograms of x_2, given x_3 alone on the left and x_0 too on the right, with a law in black. Returns the axes.

    seen, told: dict name of the data -> samples; law: density, a function of x.
    """
    axes = viz.panels(1, 2, width=3.4, height=2.4, sharey=True)
    for name, color, filled in zip(seen, (viz.SKY, viz.RED), (True, False)):
        style = {"bins": 45, "limits": (-2, 3), "color": color, "label": name, "filled": filled}
        viz.histogram(seen[name], "$x_2$", axes[0], title="given $x_3$ alone", **style)
        viz.histogram(told[name], "$x_2$", axes[1], title="given $x_3$ and $x_0$", **style)
    x = torch.linspace(-2, 3, 300)
    axes[1].plot(x, law(x), color=viz.TRUTH, label="Eq. 6 and 7")
    axes[1].legend()
    return axes


def two_cases(samples, x, heads, tails, ax=None):
    """Samples of x_2 as a histogram, and over it the curves `[N]` of two cases and their sum. Returns the axes."""
    ax = ax or viz.panels(width=4.4, height=2.6)
    viz.histogram(samples, "$x_2$", ax, bins=45, limits=(-2, 3), color=viz.SKY, label="counted")
    curves = {"if $x_0 = 1$": heads, "if $x_0 = -1$": tails, "sum": heads + tails}
    looks = ({"color": viz.RED, "ls": ":"}, {"color": viz.RED, "ls": "--"}, {"color": viz.TRUTH})
    return viz.lines(x, curves, "$x_2$", "density", ax, styles=dict(zip(curves, looks)))


def floor_and_gap(floor, value, ax=None):
    """How the floor and the gap add up to the value: stacked on the left, the value on the right. Returns the axes."""
    ax = ax or viz.panels(width=3.4, height=2.5)
    floor, value = round(floor, 2), round(value, 2)  # so that the numbers that are seen add up
    bottom = floor - 0.6 * (value - floor)
    for place, low, high, color, text in [
        (0, bottom, floor, viz.SKY, f"ELBO\n{floor:.2f}"),
        (0, floor, value, viz.PREDICTION, f"gap\n{value - floor:.2f}"),
        (1, bottom, value, viz.NOISE, f"log p\n{value:.2f}"),
    ]:
        ax.bar([place], [high - low], bottom=low, color=color, width=0.75)
        ax.text(place, (low + high) / 2, text, ha="center", va="center")
    ax.axhline(value, color=viz.TRUTH, lw=0.8, ls="--")
    ax.set(ylabel="nats", ylim=(bottom, value + 0.2 * (value - floor)))
    ax.set_xticks([0, 1], ["the account", "the value"])
    return ax


def losses(levels, loss_of, ax=None):
    """Losses at some levels. loss_of: dict with the network's first, then the best possible ones. Returns the axes."""
    looks = ({"color": viz.PREDICTION, "marker": "o"}, {"color": viz.TRUTH, "marker": "s", "ls": "--"})
    styles = dict(zip(loss_of, looks))
    window = {"xlim": (1.2 * max(levels), min(levels) / 1.2), "ylim": (0, 1.15)}  # as the walk goes
    ax = viz.lines(levels, loss_of, "level t", "loss", ax, logx=True, styles=styles, **window)
    return viz.xticks(ax, [1, 3, 10, 30, 100, 300, 1000])


# ---------------------------------------------------------------- the field of arrows


class Scene(NamedTuple):
    """What one picture of the field shows.

    starts, pushes: `[N, 2]`, the arrows; data: `[K, 2]`, the cloud at level t; places: level -> walkers `[W, 2]`.
    """

    t: int
    starts: torch.Tensor
    pushes: torch.Tensor
    data: torch.Tensor
    places: dict


def grid(count=10, limit=WINDOW):
    """Places where arrows start: `count` a side of an even grid, `[count * count, 2]`."""
    side = torch.linspace(-0.9 * limit, 0.9 * limit, count)
    return torch.cartesian_prod(side, side)


def capped(pushes, longest):
    """Arrows `[N, 2]`, those cut that are longer than `longest`: far from the data only the direction counts."""
    return pushes * (longest / pushes.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1)


def field(scene, ax=None, title=None):
    """A `Scene`: grey arrows, the data in pale blue, walkers in orange with the tracks of their last steps. Returns the axes."""
    ax = ax or plt.subplots(figsize=(2.0, 2.15))[1]
    viz.cloud(scene.data, ax, viz.SKY, WINDOW, title or f"t = {scene.t}", size=5)
    p, d = viz._numbers(scene.starts), viz._numbers(capped(scene.pushes, longest=0.42))
    ax.quiver(p[:, 0], p[:, 1], d[:, 0], d[:, 1], color="#555555", angles="xy", scale_units="xy", scale=1, width=0.006)
    levels = [t for t in range(scene.t + TRAIL, scene.t - 1, -1) if t in scene.places]
    for track in viz._numbers(torch.stack([scene.places[t] for t in levels], dim=1)):
        ax.plot(track[:, 0], track[:, 1], color=viz.RED, lw=0.8)
        ax.scatter(*track[-1], s=24, color=viz.PREDICTION, edgecolors="black", linewidths=0.6, zorder=3)
    ax.set(xlabel=None, ylabel=None, xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
    return ax


# ---------------------------------------------------------------- walks


def stations(walk, chosen, pointed=6):
    """A walk at some of its steps: above the points, below what they were led by, the estimates of x_0. Returns the axes.

    walk: list of `(t, x_t, x_0_hat)` as `toy_ddpm.sample` yields them, x_0_hat the estimate from which this x_t was
    made; chosen: the steps to be shown, from 1 on; pointed: how many points are joined to their estimates.
    """
    axes = viz.panels(2, len(chosen), width=1.75, height=1.85, squeeze=False)
    for (above, below), i in zip(axes.T, chosen):
        t, x_t, _ = walk[i - 1]  # where the denoiser was asked
        x_0_hat = walk[i][2]
        viz.cloud(x_t, above, viz.NOISE, WINDOW, f"$x_t$ at t = {t}", size=3)
        viz.cloud(x_0_hat, below, viz.PREDICTION, WINDOW, r"estimates $\hat x_0$", size=3)
        for here, there in zip(viz._numbers(x_t)[:pointed], viz._numbers(x_0_hat)[:pointed]):
            above.plot([here[0], there[0]], [here[1], there[1]], color=viz.RED, lw=1)
            above.scatter(*here, s=10, color=viz.TRUTH, zorder=3)
            above.scatter(*there, s=18, color=viz.PREDICTION, edgecolors="black", linewidths=0.5, zorder=3)
    for ax in np.ravel(axes):
        ax.set(xlabel=None, ylabel=None)
    return axes


def there_and_back(forward, returns, ax=None):
    """A walk into the noise and its ways back along one axis; on the way back t falls to the right. Returns the axes.

    forward: `[T + 1]`, from t = 0 on; returns: dict label -> `[T + 1]`, from t = T on, at most two.
    """
    ax = ax or viz.panels(width=6.4, height=2.7)
    T = len(forward) - 1
    ax.plot(np.arange(T + 1), viz._numbers(forward), color=viz.NOISE, lw=0.8, label="forward")
    for (name, values), color, style in zip(returns.items(), (viz.PREDICTION, viz.DATA), ("-", "--")):
        ax.plot(T + np.arange(T + 1), viz._numbers(values), style, color=color, lw=0.9, label=name)
    ax.axvline(T, color=viz.TRUTH, lw=0.8, ls=":")
    ax.set_xticks([0, T // 2, T, 2 * T - T // 2, 2 * T], [f"t = {t}" for t in (0, T // 2, T, T // 2, 0)])
    ax.set(xlabel="forward into the noise, then back", ylabel="$x_t$", ylim=(-4, 4.6))
    ax.legend(ncols=3, loc="upper left")
    return ax
