"""Figures of notebook 04: the drawn U with the names of its stages, the one of 2015, attention.

Stages are called by their names in `course/mini_unet.py`.
"""

from itertools import pairwise

import torch
from matplotlib.patches import Rectangle

from course import viz

LIT = "#FBE3B5"  # the orange of predictions, so pale that text can be read on it
STAGES = [
    "conv_in", "down_blocks.0", "downsample.0", "down_blocks.1", "mid.0", "mid.1", "mid.2",
    "up_blocks.0", "upsample.0", "up_blocks.1", "conv_out",
]  # fmt: skip
PLACES = {  # centres of the boxes of a MiniUNet with two levels
    "conv_in": (2.2, 0), "down_blocks.0": (4.8, 0), "downsample.0": (4.8, -1), "down_blocks.1": (7.4, -1),
    "mid.0": (7.4, -2), "mid.1": (10.0, -2), "mid.2": (12.6, -2), "up_blocks.0": (12.6, -1), "upsample.0": (15.2, -1),
    "up_blocks.1": (15.2, 0), "conv_out": (17.8, 0),
}  # fmt: skip
TOLD_THE_LEVEL = ("down_blocks.0", "down_blocks.1", "mid.0", "mid.2", "up_blocks.0", "up_blocks.1")
BRIDGES = {"outer": ("down_blocks.0", "up_blocks.1"), "inner": ("down_blocks.1", "up_blocks.0")}
START, END = (-0.5, 0), (20.5, 0)
BOX = (2.2, 0.5)  # width and height


def the_u(lit=(), channels=(16, 32), side=28, ax=None, width=9.0):
    """MiniUNet with two levels as boxes, those of `lit` coloured. Returns the axes.

    lit: names of stages, "outer" and "inner" for the bridges, "t" for the six blocks that are told the level.
    """
    ax = ax or viz.panels(width=width, height=width * 0.27)
    _write_edges(ax, channels, side)
    for name, place in PLACES.items():
        _box(ax, place, name, LIT if name in lit else "white")
    for start, end in pairwise(STAGES):
        _arrow(ax, PLACES[start], PLACES[end])
    _arrow(ax, START, PLACES["conv_in"])
    _arrow(ax, PLACES["conv_out"], END)
    for name, (start, end) in BRIDGES.items():
        on = name in lit
        _arrow(ax, PLACES[start], PLACES[end], color=viz.RED, linestyle="--", linewidth=2.6 if on else 1.1)
        middle = (PLACES[start][0] + PLACES[end][0]) / 2
        ax.text(middle, PLACES[start][1] + 0.1, f"{name} bridge", ha="center", color=viz.RED, fontsize=7.5)
    for name in TOLD_THE_LEVEL:
        x, y = PLACES[name]
        ink, paper = ("white", viz.GREEN) if "t" in lit else ("black", "white")
        badge = {"boxstyle": "circle,pad=0.18", "facecolor": paper, "edgecolor": viz.GREEN}
        style = {"fontsize": 7, "ha": "center", "va": "center", "color": ink}
        ax.text(x - BOX[0] / 2, y + BOX[1] / 2, "$t$", bbox=badge, zorder=5, **style)
    ax.set(xlim=(-1.7, 21.7), ylim=(-2.4, 0.6))
    ax.axis("off")
    return ax


def _write_edges(ax, channels, side):
    """What goes in and out, and the size of the maps on each row."""
    for place, name in [(START, "$x_t$"), (END, "answer")]:
        _box(ax, place, f"{name}\n1 x {side} x {side}", "white", edge="white", shape=(2.0, 0.5))
    rows = [f"maps of {side // 2} x {side // 2},\n{channels[0]} channels"]
    rows += [f"maps of {side // 4} x {side // 4},\n{channels[1]} channels"] * 2
    for y, text in zip((0, -1, -2), rows):
        x = 10.0 if y == 0 else 1.2
        ax.text(x, y - (0.14 if y == 0 else 0), text, ha="center", va="top" if y == 0 else "center", fontsize=7.5)


def _box(ax, centre, text, face, edge=viz.DATA, shape=BOX):
    corner = (centre[0] - shape[0] / 2, centre[1] - shape[1] / 2)
    ax.add_patch(Rectangle(corner, *shape, facecolor=face, edgecolor=edge, linewidth=1.2, zorder=3))
    ax.text(*centre, text, ha="center", va="center", fontsize=7.2, zorder=4)


def _arrow(ax, start, end, **style):
    """From the edge of one box to the edge of another, along a row or a column."""
    (x, y), (x_end, y_end) = start, end
    if y == y_end:
        x, x_end = (x + BOX[0] / 2, x_end - BOX[0] / 2) if x < x_end else (x - BOX[0] / 2, x_end + BOX[0] / 2)
    else:
        y, y_end = (y - BOX[1] / 2, y_end + BOX[1] / 2) if y > y_end else (y + BOX[1] / 2, y_end - BOX[1] / 2)
    arrow = {"arrowstyle": "-|>", "color": viz.TRUTH, "shrinkA": 0, "shrinkB": 0} | style
    ax.annotate("", (x_end, y_end), (x, y), arrowprops=arrow, zorder=2)


def two_us(sides, axes=None):
    """The U-Net of 2015 with the sides of its maps, 18 numbers from picture to answer, beside ours. Returns the axes."""
    axes = viz.panels(1, 2, width=4.1, height=3.3) if axes is None else axes
    boxes = [f"{a} \u2192 {b}" for a, b in zip(sides[::2], sides[1::2])]
    ours = ["14 x 14", "7 x 7"]
    u_shape(boxes[:5], boxes[:4:-1], axes[0], "2015: no padding", "copy, crop")
    u_shape([*ours, "7 x 7, mid"], ours, axes[1], "ours: the size is kept")
    return axes


def u_shape(down, up, ax=None, title=None, bridge="copy"):
    """A U-Net as boxes. Returns the axes.

    down, up: the texts of the levels, finest first; the last of `down` is the bottom. bridge: the text between them.
    """
    ax = ax or viz.panels(width=4.6, height=3.4)
    box = dict(boxstyle="round,pad=0.35", facecolor="white", edgecolor=viz.DATA)
    away = 5 + 6 * max(text.count("\n") + 1 for text in [*down, *up])  # points from a box's centre to its edge
    arrow = dict(arrowstyle="->", color=viz.TRUTH, shrinkA=away, shrinkB=away)
    depth = len(down) - 1
    left = [(0.6 * level, -level) for level in range(depth)] + [(0.6 * depth + 0.7, -depth)]
    right = [(1.2 * depth + 1.4 - 0.6 * level, -level) for level in range(depth)]
    for place, text in zip(left + right, [*down, *up]):
        ax.text(*place, text, ha="center", va="center", bbox=box, fontsize=8)
    for way in (left, [left[-1], *reversed(right)]):
        for start, end in zip(way, way[1:]):
            ax.annotate("", end, start, arrowprops=arrow)
    for start, end in zip(left, right):
        ax.annotate("", end, start, arrowprops=arrow | dict(color=viz.RED, linestyle="--", shrinkA=38, shrinkB=38))
        ax.text((start[0] + end[0]) / 2, start[1] + 0.12, bridge, ha="center", color=viz.RED, fontsize=8)
    ax.set(xlim=(-0.7, 1.2 * depth + 2.1), ylim=(-depth - 0.5, 0.6), title=title)
    ax.axis("off")
    return ax


def squares(picture, widths, ax=None):
    """The central place's squares of `widths`, a dict name -> pixels, over a picture `[H, W]`. Returns the axes."""
    ax = ax or viz.panels(width=3.4, height=3.4)
    height, width = picture.shape
    ax.imshow(picture.numpy(), cmap="gray", extent=(0, width, height, 0))
    for (name, side), color in zip(widths.items(), viz.COLORS[1:]):
        corner = (width / 2 - side / 2, height / 2 - side / 2)
        ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=color, linewidth=2))
        plate = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        ax.text(corner[0], corner[1] - 0.4, f"{name}: {side}", color=color, fontsize=7, va="bottom", bbox=plate)
    reach = max(max(widths.values()), width) / 2 + 3
    ax.set(xlim=(width / 2 - reach, width / 2 + reach), ylim=(height / 2 + reach, height / 2 - reach))
    ax.axis("off")
    return ax


def attention_over(picture, weights, place, ax=None, title=None):
    """Attention weights `[h, w]` of one place as squares of orange over a picture `[H, W]`; the place is outlined. Returns axes."""
    ax = ax or viz.panels(width=2.0, height=2.2)
    rows, columns = weights.shape
    window = (0, columns, rows, 0)
    ax.imshow(picture.numpy(), cmap="Greys", vmin=-1, vmax=2.2, extent=window)
    light = (weights / weights.max()).clamp(min=0)
    color = torch.tensor([0.902, 0.624, 0.0]).expand(rows, columns, 3)
    ax.imshow(torch.cat([color, 0.85 * light[..., None]], dim=2).numpy(), extent=window, interpolation="nearest")
    corner = (place[1], place[0])
    ax.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=viz.SKY, linewidth=2.2))
    ax.set(title=title, xlim=window[:2], ylim=window[2:], xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="#bbbbbb")
    return ax


def attention_maps(pictures, looks, chosen, axes=None):
    """For each level of `looks` a row of panels, in each where one place of one picture looks. Returns the axes.

    pictures: `[B, 1, H, W]`; looks: dict level -> weights `[B, N, N]` of N = side^2 places; chosen: list of (number of
    the picture, row, column).
    """
    axes = viz.panels(len(looks), len(chosen), width=1.9, height=2.05, squeeze=False) if axes is None else axes
    for line, (level, weights) in zip(axes, looks.items()):
        side = round(weights.shape[-1] ** 0.5)
        for ax, (number, row, column) in zip(line, chosen):
            cells = weights[number, side * row + column].view(side, side)
            attention_over(pictures[number, 0], cells, (row, column), ax, f"t = {level}")
    return axes
