"""Figures of the PyTorch warm-up: broadcasting as a table, a loss with its slope, a curve that is being fitted."""

import numpy as np
import torch

from course import viz


def stretched(column, row):
    """How `[R, 1] + [C]` becomes `[R, C]`: three tables, copies that broadcasting makes in grey. Returns the axes.

    column: `[R, 1]`; row: `[C]`, at most three digits per number.
    """
    shape = torch.broadcast_shapes(column.shape, row.shape)
    axes = viz.panels(1, 3, width=0.5 * shape[1] + 0.35, height=0.45 * shape[0] + 0.5)
    own = [np.arange(shape[1]) == 0, np.arange(shape[0])[:, None] == 0, np.ones(shape, bool)]
    tables = {f"{list(column.shape)}": column, f"+   {list(row.shape)}": row, f"=   {list(shape)}": column + row}
    for ax, (title, table), mine, color in zip(axes, tables.items(), own, (viz.DATA, viz.DATA, viz.PREDICTION)):
        _table(ax, table.expand(shape), np.broadcast_to(mine, shape), color)
        ax.set_title(title)
    return axes


def _table(ax, numbers, own, color):
    """Numbers `[R, C]` in boxes: those that are `own` in colour, the others as grey copies."""
    for (i, j), mine in np.ndenumerate(own):
        edge = {"fc": color, "alpha": 0.35} if mine else {"fc": "white", "ls": ":"}
        ax.add_patch(viz.plt.Rectangle((j, i), 1, 1, ec=viz.NOISE, **edge))
        text = {"color": viz.TRUTH} if mine else {"color": viz.NOISE, "style": "italic"}
        ax.text(j + 0.5, i + 0.5, f"{numbers[i, j]:g}", ha="center", va="center", **text)
    ax.set(xlim=(-0.05, own.shape[1] + 0.05), ylim=(own.shape[0] + 0.05, -0.05), aspect="equal")
    ax.axis("off")


def slope(x, y, w):
    """The line y = w x beside its points `[N, 1]`, and the squared error of every w with its tangent here. Returns the axes."""
    line, loss = viz.panels(1, 2, width=3.0, height=2.5)
    ends = torch.tensor([-2.2, 2.2])
    line.scatter(x, y, s=12, color=viz.DATA, label="data")
    line.plot(ends, w * ends, color=viz.PREDICTION, label=f"y = {w:g} x")
    line.set(xlabel="x", ylabel="y", xlim=(-2.2, 2.2), ylim=(-3.5, 3.5))
    line.legend(loc="upper left")
    every = torch.linspace(-1.5, 3.5, 101)
    errors = (every * x - y).square().mean(0)
    highest = errors.max().item()
    loss.plot(every, errors, color=viz.TRUTH)
    here, steepness = (w * x - y).square().mean(), (2 * (w * x - y) * x).mean()
    nearby = torch.tensor([w - 0.6, w + 0.6])
    loss.plot(nearby, here + steepness * (nearby - w), color=viz.PREDICTION, lw=2.5, label=f"gradient {steepness:.1f}")
    loss.plot([w], [here], "o", color=viz.PREDICTION)
    loss.set(xlabel="slope w", ylabel="loss (mean squared error)", ylim=(-0.15 * highest, 1.2 * highest))
    loss.legend(loc="upper center")
    return line, loss


def fits(x, y, curves):
    """Points x, y `[N, 1]`, and in each panel one of `curves`, dict title -> values `[N, 1]`. Returns the axes."""
    axes = viz.panels(1, len(curves), width=2.0, height=2.1, sharex=True, sharey=True, squeeze=False)[0]
    for ax, (title, curve) in zip(axes, curves.items()):
        ax.scatter(x, y, s=6, color=viz.DATA, alpha=0.55)
        ax.plot(x, curve, color=viz.PREDICTION, lw=2)
        ax.set(title=title, xlabel="x")
    axes[0].set_ylabel("y")
    return axes
