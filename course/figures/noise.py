"""Figures of notebook 01: pictures of two pixels, the shadow of a cloud on a tilted axis, and the shell of noise.

Functions take tensors and `ax=None` (or `axes=None`) and return the axes.
"""

import math

import matplotlib.pyplot as plt
import torch

from course import viz

SHADES = [-1.0, 0.0, 1.0]  # dark, grey, light


def two_pixel_table(table, ax=None, title=None):
    """The nine pictures of two pixels with three shades, each with its share from `table` `[3, 3]`, and all the sums.

    table: rows are the shades of the left pixel, columns those of the right one, dark first. Returns the axes.
    Raises ValueError on other shapes.
    """
    if table.shape != (3, 3):
        raise ValueError(f"the table holds three shades by three, [3, 3]; got {list(table.shape)}")
    ax = ax or viz.panels(width=3.2, height=3.2)
    for row in range(3):
        for column in range(3):
            _two_pixels(ax, column, row, SHADES[row], SHADES[column])
            share = table[row, column].item()
            color = viz.RED if share < 1e-6 else viz.TRUTH
            ax.text(column + 0.5, row + 0.84, f"{share:.3f}", ha="center", va="center", color=color)
    for i in range(3):
        ax.text(3.4, i + 0.5, f"{table[i].sum().item():.2f}", ha="center", va="center", color=viz.DATA, weight="bold")
        ax.text(
            i + 0.5, 3.3, f"{table[:, i].sum().item():.2f}", ha="center", va="center", color=viz.DATA, weight="bold"
        )
    names = ["dark", "grey", "light"]
    ax.set_xticks([0.5, 1.5, 2.5], names)
    ax.set_yticks([0.5, 1.5, 2.5], names)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.xaxis.set_label_position("top")
    ax.spines[:].set_visible(False)
    ax.set(xlim=(0, 3.8), ylim=(3.6, 0), aspect="equal", title=title, xlabel="right pixel", ylabel="left pixel")
    return ax


def _two_pixels(ax, x, y, left, right):
    """A picture of two pixels in the upper part of the cell whose corner is (x, y)."""
    for place, shade in ((0.2, left), (0.5, right)):
        face = str((shade + 1) / 2)
        ax.add_patch(plt.Rectangle((x + place, y + 0.2), 0.3, 0.45, facecolor=face, edgecolor=viz.NOISE, lw=0.8))


def tilted(beta):
    """The unit vector (sqrt(1 - beta), sqrt(beta)), `[2]`: the axis on which a shadow is a mix of the two numbers."""
    return torch.tensor([math.sqrt(1 - beta), math.sqrt(beta)])


def shadow(points, beta, axes=None, color=viz.DATA, title=None, threads=5):
    """A cloud with an axis tilted by beta through it, and under it the histogram of its shadow on that axis.

    points: `[N, 2]`, first number and fresh noise, variance 1 each; 90 of them are drawn, and for `threads` of these
    the way to the axis. Returns two axes, the cloud's and the histogram's; the standard bell is black, and the variance is written over it.
    """
    if axes is None:
        axes = viz.panels(2, 1, width=2.5, height=2.1)
    axis = tilted(beta)
    cloud, bars = viz.cloud(points[:90], axes[0], viz.NOISE, limits=3.2, title=title, size=7), axes[1]
    cloud.set(xlabel="first number", ylabel="fresh noise")
    end = 3.1 * axis
    cloud.plot([-end[0], end[0]], [-end[1], end[1]], color=color, lw=1.6)
    for point in points[:threads]:
        foot = (point @ axis) * axis
        cloud.plot([point[0], foot[0]], [point[1], foot[1]], color=viz.TRUTH, lw=1.0, ls=":")
        cloud.plot([foot[0]], [foot[1]], "o", color=color, ms=4)
    mixed = points @ axis
    viz.histogram(mixed, "place on the axis", bars, limits=(-3.5, 3.5), bins=56, color=color, ylim=(0, 0.46))
    bars.set_title(f"variance {mixed.var().item():.2f}")
    bell = torch.linspace(-3.5, 3.5, 200)
    bars.plot(bell, torch.exp(-(bell**2) / 2) / math.sqrt(2 * math.pi), color=viz.TRUTH, lw=1.2)
    return axes


def two_shadows(round_cloud, square_cloud, beta, axes=None):
    """`shadow` of two clouds side by side, for one beta. Returns axes `[2, 2]`."""
    if axes is None:
        axes = viz.panels(2, 2, width=1.9, height=1.75)
    shadow(round_cloud, beta, axes[:, 0], viz.DATA, f"Gaussian, $\\beta$ = {beta:.1f}")
    shadow(square_cloud, beta, axes[:, 1], viz.GREEN, f"uniform, $\\beta$ = {beta:.1f}")
    return axes


def turning(round_cloud, square_cloud):
    """A function of beta that draws `two_shadows` of these clouds."""

    def draw(beta):
        return two_shadows(round_cloud, square_cloud, beta)

    return draw


def shadow_strip(round_cloud, square_cloud, betas):
    """`shadow` of two clouds for several betas, one a column: two rows for each cloud. Returns axes `[4, len(betas)]`."""
    axes = viz.panels(4, len(betas), width=2.2, height=1.9)
    for column, beta in enumerate(betas):
        shadow(round_cloud, beta, axes[:2, column], viz.DATA, f"Gaussian, $\\beta$ = {beta:g}")
        shadow(square_cloud, beta, axes[2:, column], viz.GREEN, f"uniform, $\\beta$ = {beta:g}")
    return axes


def shell(draws, ax=None, color=viz.NOISE, title=None, limits=None, label=None, size=4):
    """Points of many dimensions `[N, D]` on the page: each keeps its distance from the middle, and the direction of its
    first two numbers. For D = 2 this is the cloud itself. The first 800 are drawn. Returns the axes.
    """
    ax = viz.cloud(flattened(draws[:800]), ax, color, limits or 1.6 * math.sqrt(draws.shape[1]), title, size, label)
    ax.set(xlabel="", ylabel="")
    ax.plot([0], [0], "+", color=viz.TRUTH, ms=8)
    return ax


def flattened(draws):
    """Where `shell` draws the points `[N, D]`: `[N, 2]`, each as far from the middle as in its own D dimensions."""
    direction = draws[:, :2] / draws[:, :2].norm(dim=1, keepdim=True)
    return direction * draws.norm(dim=1, keepdim=True)


def bubble(eps_1, eps_2, average, repaired):
    """Left, the first of each of the four `[N, 784]` as a picture; right, all of them by `shell`. Returns two axes."""
    axes = viz.panels(1, 2, width=3.4, height=3.0)
    names = ["noise", "another noise", "their average", "repaired"]
    four = torch.stack([x[0] for x in (eps_1, eps_2, average, repaired)]).view(4, 1, 28, 28)
    small = axes[0].inset_axes
    axes[0].set_axis_off()
    for i, name in enumerate(names):
        box = small([0.52 * (i % 2), 0.52 - 0.52 * (i // 2), 0.46, 0.42])
        viz.images(four[i : i + 1], ax=box, limits=(-2.5, 2.5), title=name)
    shell(eps_1, axes[1], label="noise", limits=50)
    shell(repaired[:100], axes[1], viz.GREEN, label="repaired", limits=50, size=9)
    shell(average, axes[1], viz.RED, label="their average", limits=50, size=3)
    axes[1].legend(loc="upper right", fontsize=7, markerscale=2, handletextpad=0.1)
    return axes


def kinds_of_noisy(kinds, maps):
    """A column for each kind: its first picture, its correlation map, the histogram of all its values. Returns axes.

    kinds: name -> pictures `[N, 1, H, W]`; maps: the same names -> `[H, W]`.
    """
    axes = viz.panels(3, len(kinds), width=1.9, height=1.75)
    for column, (name, pictures) in zip(axes.T, kinds.items()):
        viz.images(pictures[:1], ax=column[0], limits=(-2.5, 2.5), title=name)
        drawn = column[1].imshow(maps[name].cpu().numpy(), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        column[1].set(xlabel="column", xticks=[0, 14, 27], yticks=[0, 14, 27])
        viz.histogram(pictures, "pixel value", column[2], limits=(-4, 4), yscale="log", ylim=(1e-4, 20))
        column[2].set(xticks=[-3, -1, 1, 3], ylabel="")
    axes[1, 0].set_ylabel("row")
    axes[2, 0].set_ylabel("density")
    axes[0, 0].figure.colorbar(drawn, ax=axes[1].tolist(), label="correlation", ticks=[-1, 0, 1], aspect=12)
    return axes


def strips(pictures, numbers, names, below=None):
    """Rows of pictures `[1, H, W]`, one row for each name, each picture under its number. Returns the axes.

    below: a text under each picture, or None.
    """
    across = len(pictures) // len(names)
    axes = viz.panels(len(names), across, width=1.0, height=1.25 if below is None else 1.45, squeeze=False)
    for i, (ax, picture, number) in enumerate(zip(axes.flat, pictures, numbers)):
        viz.images(picture[None], ax=ax, limits=(-2.5, 2.5), title=f"{number:.2f}")
        if below is not None:
            ax.set_xlabel(below[i])
        if i % across == 0:
            ax.set_ylabel(names[i // across])
    return axes
