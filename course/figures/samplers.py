"""Figures of notebook 06: walks where DDIM's steps are straight, one long step, clouds with shadows; and what a walk leaves.

Functions take tensors and `ax=None` (or `axes=None`) and return the axes. sigma = std / signal, x_bar = x_t / signal.
"""

import math

import torch

from course import toy_ddpm, viz

SIGMA, X_BAR = r"noise per picture $\sigma$", r"$\bar x = x_t / \sqrt{\bar\alpha_t}$"
THIN = {"color": viz.NOISE, "lw": 1.6}
CORNERS = {"color": viz.PREDICTION, "marker": "o", "ms": 3.5, "lw": 1.3}


def two_views(schedule, curves, corners, axes=None, widest=3.0):
    """A walk in few even steps over the curves that it should follow: against t on the left, against sigma on the right.

    curves: `[T + 1, K]`, x_t at the levels T..0; corners: `[steps + 1, K]`, x_t at the levels of the walk, its start first.
    widest: the largest sigma drawn. Both axes fall to the right. Returns the two axes.
    """
    axes = viz.panels(1, 2, width=3.9, height=2.9) if axes is None else axes
    fine, few = (toy_ddpm.step_grid(schedule.T, len(x) - 1) for x in (curves, corners))
    for levels, x, style in ((fine, curves, THIN), (few, corners, CORNERS)):
        axes[0].plot(levels, x, **style)
        axes[1].plot(schedule.std[levels] / schedule.signal[levels], x / schedule.signal[levels][:, None], **style)
    edge = 0.03 * schedule.T
    axes[0].set(xlabel="noise level t", ylabel="$x_t$", xlim=(schedule.T + edge, -edge))
    axes[1].set(xlabel=SIGMA, ylabel=X_BAR, xlim=(widest, -0.03 * widest), ylim=(-4, 4))
    return axes


def one_step(schedule, on_curve, t, t_prev, end, ax=None, title=None):
    """One straight step from t to t_prev along its line of sight, over the curve that it should follow, in (sigma, x_bar).

    on_curve: `[T + 1, 1]`, x_t on the true path at the levels 0..T; end: x_t where the step ends, one number. The star is
    where its line meets sigma = 0. Returns the axes.
    """
    ax = ax or viz.panels(width=2.7, height=2.7)
    sigma, bar = schedule.std / schedule.signal, on_curve.flatten() / schedule.signal
    shown = sigma <= 2.2 * sigma[t]
    ax.plot(sigma[shown], bar[shown], **THIN)
    start, end = bar[t].item(), torch.as_tensor(end).item() / schedule.signal[t_prev].item()
    aim = start + (end - start) * (sigma[t] / (sigma[t] - sigma[t_prev])).item()
    ax.plot([sigma[t], 0], [start, aim], color=viz.PREDICTION, ls=":", lw=1.2)
    ax.plot([sigma[t], sigma[t_prev]], [start, end], **CORNERS)
    ax.plot([0], [aim], "*", color=viz.PREDICTION, ms=10, clip_on=False, label="aims at")
    ax.plot([sigma[t_prev]], [bar[t_prev]], "o", color=viz.TRUTH, ms=4, label="should end")
    ax.set(xlabel=SIGMA, ylabel=X_BAR, xlim=(2.2 * sigma[t].item(), -0.02), title=title)
    ax.label_outer()
    if ax.get_subplotspec().is_first_col():
        ax.legend(fontsize=8)
    return ax


def with_shadow(points, ax=None, title=None, std=1.0, limits=3.0, shown=4000):
    """A cloud `[N, 2]` of noises and, along its right edge, the histogram of the second number: its shadow on that axis.

    std: of the Gaussian that is drawn in black over the shadow; shown: how many of the points are drawn. Returns the axes.
    """
    names = ("noise in $x_t$", r"noise in $x_{\rm prev}$")
    ax = viz.cloud(points[:shown], ax, viz.PREDICTION, limits, title, size=2, names=names)
    bins = torch.linspace(-limits, limits, 36, dtype=torch.float64)
    counts, edges = torch.histogram(points[:, 1].double(), bins, density=True)
    wide = 0.35 * limits * std * math.sqrt(2 * math.pi)  # the summit of the bell takes a sixth of the window
    heights = limits - wide * counts
    ax.fill_betweenx((edges[1:] + edges[:-1]) / 2, heights, limits, step="mid", color=viz.PREDICTION, alpha=0.55, lw=0)
    bell = torch.exp(-(bins**2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))
    ax.plot(limits - wide * bell, bins, color=viz.TRUTH, lw=1)
    return ax


def kept_variance(of_data, step, counts, points=20_000, **choices):
    """The share of their variance that walks by this step leave to data, a list with a number for each of `counts` of steps.

    Data are N(0, of_data), one number each, on the linear schedule; the denoiser is exact. choices: keywords of the step.
    """
    exact = toy_ddpm.exact_denoiser(torch.zeros(1, 1), toy_ddpm.linear(), std=of_data**0.5)
    x_T = torch.randn(points, 1, generator=torch.Generator().manual_seed(0)).double()
    shares = []
    for steps in counts:
        chance = torch.Generator().manual_seed(3)
        ends = toy_ddpm.last(toy_ddpm.sample(exact, x_T, steps, step, generator=chance, **choices))
        shares.append(ends.var().item() / of_data)
    return shares


def spreads(counts, shares, axes=None):
    """What several rules leave of the variance, over the number of steps: a panel for each variance of the data.

    counts: of steps; shares: variance of the data -> name of the rule -> a share for each of `counts`. Returns the axes.
    """
    axes = viz.panels(1, len(shares), width=3.3, height=2.9, sharey=True) if axes is None else axes
    styles = ["s-", "^-", "o-", "v-.", "--"]
    for ax, (of_data, share) in zip(axes, shares.items()):
        viz.lines(counts, share, "steps", "share of the variance", ax, logx=True, styles=styles, ticks=counts)
        ax.set(title=f"data of variance {of_data:g}", ylim=(0, 1.3))
        ax.label_outer()
        ax.get_legend().remove()
    handles, labels = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(handles, labels, loc="outside right center")
    return axes
