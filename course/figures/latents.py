"""Figures of notebook 07: codes and clouds in the plane, the weight of the KL, one cell's reach; and what is measured there.

Functions take tensors and `ax=None` (or `axes=None`) and return the axes. A code of two numbers is a point (z_1, z_2).
"""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Circle, Ellipse, Rectangle

from course import viz

TEN = plt.get_cmap("tab10").colors  # a colour for each digit
NAMES = ("$z_1$", "$z_2$")
AXES = {"xlabel": NAMES[0], "ylabel": NAMES[1]}


# ---------------------------------------------------------------- latents as pictures


def tiles(z):
    """Latents `[B, 4, H, W]` as pictures `[B, 3, 64, 64]`: each cell as two by two grey values, on one scale for all."""
    grey = torch.pixel_shuffle(z / z.abs().max(), 2)  # [B, 1, 2H, 2W]
    wide = 64 // grey.shape[-1]
    return torch.kron(grey, torch.ones(wide, wide)).expand(-1, 3, -1, -1)


# ---------------------------------------------------------------- the plane


def plane(codes, labels, ax=None, limits=4.0, title=None, prior=True):
    """Codes `[N, 2]` as dots in the colour of their label 0..9, that numeral large at the median of the label's codes.

    Numerals that would cover each other are moved apart, each with a line to its place.
    prior: circles of radius 1 and 2 about 0, between which and inside which standard normal draws fall. Returns the axes.
    """
    ax = viz.cloud(codes[:0], ax, limits=limits, title=title, names=NAMES)
    p, labels = codes.detach().float(), labels.long()
    for k in labels.unique().tolist():
        own = p[labels == k]
        ax.scatter(own[:, 0], own[:, 1], s=5, color=TEN[k], alpha=0.55, linewidths=0)
    kinds = labels.unique().tolist()
    middles = torch.stack([p[labels == k].median(dim=0).values for k in kinds])
    wide = ax.get_window_extent().width / ax.figure.dpi * 72  # of the window, in points; a numeral's plate has 12
    for k, (x, y), (to_x, to_y) in zip(kinds, middles.tolist(), apart(middles, 2 * limits * 12.5 / wide).tolist()):
        if (x, y) != (to_x, to_y):
            ax.plot([x, to_x], [y, to_y], color=TEN[k], lw=1.0, zorder=2.5)
        plate = {"boxstyle": "circle,pad=0.12", "fc": "white", "ec": TEN[k], "lw": 1.2, "alpha": 0.85}
        style = {"ha": "center", "va": "center", "fontsize": 9, "weight": "bold", "color": TEN[k], "zorder": 6}
        ax.text(to_x, to_y, str(k), bbox=plate, clip_on=True, **style)
    if prior:
        prior_circles(ax)
    return ax


def apart(places, gap):
    """Places `[K, 2]`, those of them moved that are nearer than `gap` to another, until none is."""
    if len(places) < 2 or torch.pdist(places).min() >= gap:
        return places
    turn = torch.arange(len(places)) * 2.4  # so that equal places part in all directions
    moved = places + 1e-3 * gap * torch.stack([turn.cos(), turn.sin()], dim=1)
    for _ in range(500):
        ways = moved[:, None] - moved  # [K, K, 2], from each to each
        far = ways.norm(dim=2).fill_diagonal_(torch.inf)
        if far.min() >= gap:
            break
        push = (1.02 * gap - far).clamp(min=0) / far  # [K, K]
        moved = moved + 0.1 * (push[..., None] * ways).sum(dim=1)
    return moved


def prior_circles(ax):
    """Circles of radius 1 and 2: 39 % and 86 % of the draws from N(0, I) in the plane lie inside."""
    for radius in (1, 2):
        ax.add_patch(Circle((0, 0), radius, fill=False, edgecolor=viz.TRUTH, ls="--", lw=1.0))
    return ax


def clouds(means, stds, names=None, ax=None, limits=3.0, title=None, filled=True):
    """Clouds N(mean, std^2) of single pictures as ellipses of one and two standard deviations, and the prior as circles.

    means, stds: `[N, 2]`; names: a text for each, or None; filled: False for black outlines over other dots. Returns the axes.
    """
    ax = viz.cloud(means[:0], ax, limits=limits, title=title, names=NAMES)
    for i, ((x, y), (wide, high)) in enumerate(zip(means.tolist(), stds.tolist())):
        for size in (1, 2):
            look = {"color": viz.DATA, "alpha": 0.3, "lw": 0} if filled else {"ec": viz.TRUTH, "fc": "none", "lw": 0.8}
            ellipse = Ellipse((x, y), 2 * size * wide, 2 * size * high, **look)
            ax.add_patch(ellipse)
        if names is not None:
            ax.text(x, y, names[i], ha="center", va="center", fontsize=8)
    return prior_circles(ax)


def against_prior(cases, prices, axes=None):
    """Clouds of one number over the prior N(0, 1), a panel for each. cases: list of (mean, std); prices: their KLs. Returns the axes."""
    axes = viz.panels(1, len(cases), width=1.95, height=1.9, sharey=True) if axes is None else axes
    z = torch.linspace(-4, 4, 400)
    for ax, (mean, std), price in zip(np.ravel(axes), cases, prices):
        ax.plot(z, _bell(z, 0, 1), color=viz.TRUTH, ls="--", lw=1.2, label="prior")
        ax.plot(z, _bell(z, mean, std), color=viz.DATA, label="cloud")
        ax.set(title=f"mean {mean:g}, std {std:g}\nKL {price:.2f} nats", xlabel="z", xlim=(-4, 4), ylim=(0, 1.05))
    np.ravel(axes)[0].set_ylabel("density")
    np.ravel(axes)[0].legend(fontsize=7, loc="upper left", handlelength=1.2)
    return axes


def _bell(z, mean, std):
    return torch.exp(-((z - mean) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))


def densities(sets, limits=3.0, bins=44, axes=None):
    """How densely points `[N, 2]` lie in the plane, a panel for each set, on one scale. sets: dict title -> points. Returns the axes."""
    axes = viz.panels(1, len(sets), width=2.5, height=2.6, sharey=True) if axes is None else axes
    edges, maps = np.linspace(-limits, limits, bins + 1), []
    for points in sets.values():
        x, y = points.detach().float().numpy().T
        maps.append(np.histogram2d(y, x, bins=[edges, edges])[0] / len(points))
    brightest = np.quantile(
        maps[0][maps[0] > 0], 0.98
    )  # of the first, so that a single full bin does not darken the rest
    for ax, (title, _), counts in zip(np.ravel(axes), sets.items(), maps):
        window = (-limits, limits, -limits, limits)
        ax.imshow(counts, origin="lower", extent=window, vmin=0, vmax=brightest, cmap="magma", interpolation="nearest")
        ax.set(title=title, aspect="equal", **AXES)
        ax.label_outer()
    return axes


def place(codes, labels, at, digit, limits=3.0):
    """A place in the plane and what the decoder draws there, side by side. at: (z_1, z_2); digit: `[1, 1, H, W]`. Returns the axes."""
    axes = viz.panels(1, 2, width=2.6, height=2.6)
    plane(codes, labels, axes[0], limits)
    axes[0].plot([at[0]], [at[1]], "P", color=viz.TRUTH, ms=13, markeredgecolor="white", mew=1.5, zorder=9)
    viz.images(digit, ax=axes[1], title=f"decoded at ({at[0]:g}, {at[1]:g})")
    return axes


def strangers(codes, labels):
    """The share of codes `[N, D]` whose nearest neighbour has another label, a number in 0..1."""
    near = torch.cdist(codes, codes).fill_diagonal_(torch.inf).argmin(dim=1)
    return (labels[near] != labels).float().mean().item()


def share_in_gaps(points, codes, known=3000):
    """The share of points `[N, D]` (of the last `known`) that lie farther from a known code than 95 % of other codes do.

    codes: `[M, D]`, of which the first `known` are the known ones, or the first third where there are not enough.
    """
    known = min(known, len(codes) // 3)
    near, others = codes[:known], codes[known : 2 * known]
    limit = torch.cdist(others, near).min(dim=1).values.quantile(0.95)
    return (torch.cdist(points[-known:], near).min(dim=1).values > limit).float().mean().item()


# ---------------------------------------------------------------- the dial


def dial(weights, errors, distances, marks, needs_help, real=None, axes=None):
    """What the KL's weight does: error of restored pictures above, distance of pictures drawn from the prior below.

    weights: W numbers, rising; errors, distances: W numbers; marks: dict name -> weight, drawn as vertical lines.
    needs_help: the weight up to which the prior's pictures are useless, shaded; real: what real pictures get. Returns the two axes.
    """
    axes = viz.panels(2, 1, width=6.4, height=1.95, sharex=True) if axes is None else axes
    rows = [(errors, "error of a\nrestored digit", "o-", viz.DATA), (distances, "distance of digits\ndrawn from N(0, I)", "s-", viz.PREDICTION)]  # fmt: skip
    for ax, (values, name, style, color) in zip(axes, rows):
        ax.plot(weights, values, style, color=color)
        ax.axvspan(weights[0] / 3, needs_help, color=viz.SKY, alpha=0.22, lw=0)
        for at in marks.values():
            ax.axvline(at, color=viz.TRUTH, ls=":", lw=1.2)
        ax.set(ylabel=name, xscale="log", xlim=(weights[0] / 3, weights[-1] * 2))
    axes[0].set_ylim(0, 1.15 * max(errors))
    axes[1].set(yscale="log", xlabel="weight w of the KL")
    if real is not None:
        axes[1].axhline(real, **viz.DASHED)
        axes[1].text(weights[0] * 1.5, real * 1.12, "real digits", fontsize=8)
        axes[1].set_ylim(real / 1.6, 5 * max(distances))
    for name, at in marks.items():
        axes[0].text(at * 1.15, 1.1 * max(errors), name, va="top", fontsize=8)
    middle = math.sqrt(weights[0] * needs_help)
    axes[1].text(middle, 3.6 * max(distances), "here a second network must draw the codes", ha="center", va="top", fontsize=8)  # fmt: skip
    return axes


# ---------------------------------------------------------------- one cell


def patch(change, row, column, ax=None, side=8, title=None, highest=None):
    """How much each pixel moves, `[H, W]`, when one cell of the latent is exchanged; the cell's own patch is framed.

    side: pixels of a cell; the dashed frame holds the 3 x 3 cells round it, the dotted one 5 x 5. highest: the change
    that has the brightest colour, default the largest. Returns the axes.
    """
    limits = None if highest is None else (0, highest)
    ax = viz.heatmap(change, "pixel column", "pixel row", ax, title, limits, bar="mean change")
    ax.set_aspect("equal")
    for around, style in ((0, "-"), (1, "--"), (2, ":")):
        corner = ((column - around) * side - 0.5, (row - around) * side - 0.5)
        wide = (2 * around + 1) * side
        ax.add_patch(Rectangle(corner, wide, wide, fill=False, edgecolor="white", lw=1.4, ls=style))
    ax.set(xlim=(-0.5, change.shape[1] - 0.5), ylim=(change.shape[0] - 0.5, -0.5))
    return ax


def shares(change, row, column):
    """Shares of the whole change `[64, 64]` that fall on the cell's own patch, on 3 x 3 and beyond 5 x 5 cells, three numbers."""
    cells = change.view(8, 8, 8, 8).sum((1, 3)) / change.sum()  # [8, 8]
    inside = [cells[max(row - n, 0) : row + n + 1, max(column - n, 0) : column + n + 1].sum().item() for n in (0, 1, 2)]
    return inside[0], inside[1], 1 - inside[2]


def freeze_norms(network):
    """Let every group norm of the network keep the means and variances of its first call, for all later ones. Returns the network.

    The first call and the later ones need as many rows.
    """
    for module in network.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.register_forward_hook(_FirstStatistics())
    return network


class _FirstStatistics:
    """A hook that normalises by the statistics of the first input it has seen."""

    def __init__(self):
        self.mean = self.std = None

    def __call__(self, module, args, output):
        x = args[0]
        groups = x.reshape(len(x), module.num_groups, -1)
        if self.mean is None:
            self.mean = groups.mean(2, keepdim=True)
            self.std = (groups.var(2, correction=0, keepdim=True) + module.eps).sqrt()
        normal = ((groups - self.mean) / self.std).view_as(x)
        shape = (1, -1, *[1] * (x.dim() - 2))
        return normal * module.weight.view(shape) + module.bias.view(shape)
