"""Figures of notebook 11: masks with their cells, walks with a seam, what one number tells of another.

Functions take tensors and `ax=None` (or `axes=None`) and return the axes. Letters in the shape comments: B pictures,
H and W height and width. Beside them: the two photographs that scikit-learn ships, and what `benchmarks/editing.py` measured.
"""

import torch
from sklearn.datasets import load_sample_image

from course import pictures, viz
from course.figures import results


def photographs(names, size):
    """Photographs that come with scikit-learn ("china.jpg", "flower.jpg"; CC BY 2.0), cut square: `[B, 3, size, size]`."""
    return torch.cat([pictures.from_image(load_sample_image(name), size) for name in names])


def measured(what):
    """What `benchmarks/editing.py` stored of this: see `results.measured`."""
    return results.measured("editing", what)


# ---------------------------------------------------------------- masks


def cells(picture, mask, cell, ax=None, title=None):
    """The picture `[1, 3, H, W]`, pale where the mask `[1, 1, H, W]` is 1, with the grid of latent cells of `cell` pixels."""
    ax = ax or viz.panels(width=2.3, height=2.5)
    viz.images(picture, 1, ax=ax, title=title)
    height, width = picture.shape[2:]
    place = (0.5, width + 0.5, height + 0.5, 0.5)  # a sheet has one pixel of edge around a picture
    pale = torch.cat([torch.ones(3, height, width), 0.72 * mask[0].cpu().float()]).permute(
        1, 2, 0
    )  # red, green, blue, alpha
    ax.imshow(pale.numpy(), extent=place, interpolation="nearest")
    edges = {"color": viz.TRUTH, "linewidth": 4 / (width / cell), "alpha": 0.6}
    ax.vlines([x + 0.5 for x in range(0, width + 1, cell)], 0.5, height + 0.5, **edges)
    ax.hlines([y + 0.5 for y in range(0, height + 1, cell)], 0.5, width + 0.5, **edges)
    ax.set(xlim=(-0.5, width + 1.5), ylim=(height + 1.5, -0.5))
    return ax


def black_and_white(mask, ax=None, title=None):
    """A mask `[1, 1, H, W]` as a picture, 1 white, in a frame. Returns the axes."""
    ax = viz.images(2 * mask - 1, 1, ax=ax or viz.panels(width=2.3, height=2.5), title=title)
    ax.spines[:].set_visible(True)
    return ax


def blocks(mask, cell):
    """The mask of cells `[1, 1, h, w]` as one of pixels `[1, 1, h * cell, w * cell]`."""
    return mask.repeat_interleave(cell, 2).repeat_interleave(cell, 3)


# ---------------------------------------------------------------- walks


def walks(states, levels, edge, ax=None, scale=1.05):
    """States of several walks, row by row, t falling to the right, on [-2.5, 2.5], a line at the edge of the mask.

    states: dict name -> list of pictures `[1, C, H, W]`, one for each of `levels`; edge: the row of pixels at which the mask
    begins. Returns the axes.
    """
    rows = torch.cat([torch.cat(list(row)) for row in states.values()])
    titles = [f"t = {t}" for t in levels]
    ax = viz.images(rows, len(levels), titles, list(states), ax, scale=scale, limits=(-2.5, 2.5))
    high, wide = rows.shape[2] + 2, rows.shape[3] + 2
    for row in range(len(states)):
        y = row * high + edge + 0.5
        ax.plot([-0.5, len(levels) * wide - 0.5], [y, y], color=viz.PREDICTION, lw=1.0, ls="--")
    return ax


# ---------------------------------------------------------------- numbers


def slice_of_a_cloud(points, at, width, law, axes=None):
    """Pairs `[N, 2]` in the plane (the first 3000) with a strip at x_1 = `at`, and the second numbers of those in the strip beside `law`.

    width: of the strip; law: function of x_2, the density that they should have. Returns the axes.
    """
    axes = viz.panels(1, 2, width=3.0, height=2.9) if axes is None else axes
    viz.cloud(points[:3000], axes[0], limits=3.5, title="pairs, and a strip", names=("first number", "second number"))
    axes[0].axvspan(at - width / 2, at + width / 2, color=viz.PREDICTION, alpha=0.35, lw=0)
    inside = points[(points[:, 0] - at).abs() < width / 2, 1]
    _second_numbers(inside, law, (-1, 3.5), axes[1], viz.DATA, f"the {len(inside)} pairs in the strip")
    return axes


def _second_numbers(x, law, limits, ax, color, title):
    """Their histogram, and the density that they should have."""
    viz.histogram(x, "second number", ax, 30, limits, color, title=title)
    grid = torch.linspace(*limits, 400)
    ax.plot(grid, law(grid), color=viz.TRUTH, lw=1.3, label="exact")
    ax.legend(loc="upper left", handlelength=1.2)


def beside_the_law(filled, law, limits=(-2.5, 3.5), axes=None):
    """Histograms of second numbers, one panel for each name, with the density that is right. Returns the axes."""
    axes = viz.panels(1, len(filled), 2.35, 2.3, sharey=True) if axes is None else axes
    for ax, (name, x) in zip(axes, filled.items()):
        _second_numbers(x, law, limits, ax, viz.PREDICTION, name)
        ax.set_ylabel("density" if ax is axes[0] else None)
    return axes


def crossing(strengths, curves, chance=None, ax=None):
    """Shares against strength. curves: dict name -> shares, one for each strength; chance: a share to compare with, or None.

    Returns the axes.
    """
    ax = ax or viz.panels(width=5.6, height=3.0)
    viz.lines(strengths, curves, "strength", "share of the dogs", ax, styles=["o-", "s--", "^:"], ylim=(-0.03, 1.05))
    if chance is not None:
        ax.axhline(chance, color=viz.NOISE, lw=0.9)
        ax.text(strengths[0], chance + 0.015, "chance", color=viz.NOISE, fontsize=8)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax


def by_way(rows):
    """The rows of a benchmark by their "how", in order: dict how -> list of dicts, one for each seed."""
    return {how: [row for row in rows if row["how"] == how] for how in dict.fromkeys(row["how"] for row in rows)}


def seams(rows, axes=None):
    """Seam and share read right for ways to paste, one dot for each seed. Returns the axes.

    rows: dicts with "how", "seam" and "read", as the benchmark's; those without "seed" are rulers, drawn as lines.
    """
    axes = viz.panels(1, 2, 3.9, 2.9, sharey=True) if axes is None else axes
    ways = list(dict.fromkeys(row["how"] for row in rows if "seed" in row))[::-1]
    for ax, key, label in zip(axes, ("seam", "read"), ("seam: step across the edge", "share read as the cut digit")):
        for row in rows:
            if "seed" in row:
                ax.plot(row[key], ways.index(row["how"]), "o", color=viz.PREDICTION, alpha=0.8)
            else:
                ax.axvline(row[key], **viz.DASHED, lw=0.9)
                place = {"rotation": 90, "ha": "right", "va": "center", "fontsize": 7.5}
                ax.text(row[key], len(ways) / 2 - 0.5, row["how"], **place)
        ax.set_yticks(range(len(ways)), ways)
        ax.set(xlabel=label, ylim=(-0.6, len(ways) - 0.4))
        ax.margins(x=0.12)
    return axes
