"""Figures of notebook 04: the drawn U with the names of its stages, what a stage sees and knows, attention.

Stages are called by their names in `course/mini_unet.py`. Letters in the shape comments: B pictures, C channels, H and
W height and width of a map.
"""

import copy
import json
from itertools import pairwise

import torch
import torch.nn.functional as F
from matplotlib.patches import Rectangle
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course import ROOT, viz
from course.mini_unet import time_embedding

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
BOX = (2.2, 0.5)  # width and height


def the_u(lit=(), channels=(16, 32), side=28, ax=None, width=8.0):
    """MiniUNet with two levels as boxes, those of `lit` coloured. Returns the axes.

    lit: names of stages, "outer" and "inner" for the bridges, "t" for the six blocks that are told the level.
    """
    ax = ax or viz.panels(width=width, height=width * 0.3)
    _write_edges(ax, channels, side)
    for name, place in PLACES.items():
        _box(ax, place, name, LIT if name in lit else "white")
    for start, end in pairwise(STAGES):
        _arrow(ax, PLACES[start], PLACES[end])
    _arrow(ax, (0, 0), PLACES["conv_in"])
    _arrow(ax, PLACES["conv_out"], (20.4, 0))
    for name, (start, end) in BRIDGES.items():
        on = name in lit
        _arrow(ax, PLACES[start], PLACES[end], color=viz.RED, linestyle="--", linewidth=2.6 if on else 1.1)
        middle = (PLACES[start][0] + PLACES[end][0]) / 2
        ax.text(middle, PLACES[start][1] + 0.1, f"{name} bridge", ha="center", color=viz.RED, fontsize=7.5)
    for name in TOLD_THE_LEVEL:
        x, y = PLACES[name]
        badge = {
            "boxstyle": "circle,pad=0.18",
            "facecolor": viz.GREEN if "t" in lit else "white",
            "edgecolor": viz.GREEN,
        }
        ax.text(x - BOX[0] / 2, y + BOX[1] / 2, "$t$", fontsize=7, ha="center", va="center", bbox=badge, zorder=5)
    ax.set(xlim=(-1.3, 21.3), ylim=(-2.4, 0.6))
    ax.axis("off")
    return ax


def _write_edges(ax, channels, side):
    """What goes in and out, and the size of the maps on each row."""
    for x, name in [(0, "$x_t$"), (20.0, "answer")]:
        _box(ax, (x, 0), f"{name}\n1 x {side} x {side}", "white", edge="white", shape=(2.0, 0.5))
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


# ---------------------------------------------------------------- what a stage answers, sees and knows


def watch(model, x_t, t, stages=STAGES):
    """What each stage answers when the model is given x_t `[B, C, H, W]` and t `[B]`: dict stage -> maps.

    A hook is hung on every stage, a function that PyTorch calls with the stage's answer, and is taken off again.
    Gradients are kept only if x_t asks for them.
    """
    answers, hooks = {}, []
    for stage in stages:
        keep = lambda layer, inputs, answer, stage=stage: answers.update({stage: answer})  # noqa: E731
        hooks.append(model.get_submodule(stage).register_forward_hook(keep))
    try:
        with torch.set_grad_enabled(x_t.requires_grad):
            model(x_t, t)
    finally:
        for hook in hooks:
            hook.remove()
    return answers


def drawn_anew(model, std=0.1):
    """The model with new random numbers everywhere, so that no layer is silent, as the last one is at the start."""
    generator = torch.Generator().manual_seed(0)
    for p in model.parameters():
        p.data = std * torch.randn(p.shape, generator=generator)
    return model


@torch.no_grad()
def operate(denoiser, x_t, t, block, change, *arguments):
    """The estimate of the clean picture when the maps that `up_blocks[block]` is given are changed on their way.

    change: called as `change(h, *arguments)` with these maps `[B, 2 C, H, W]`; returns others of their shape.
    """
    before = lambda layer, inputs: (change(inputs[0], *arguments), *inputs[1:])  # noqa: E731
    hook = denoiser.network.up_blocks[block].register_forward_pre_hook(before)
    try:
        x_0_hat, _ = denoiser(x_t, t)
    finally:
        hook.remove()
    return x_0_hat


def liveliest(h, count=6, side=14):
    """The channels of one map `[C, H, W]` that vary most, standardised, as pictures `[count, 1, side, side]`."""
    h = F.interpolate(h[None], side)[0]
    h = h[h.std((1, 2)).argsort(descending=True)[:count]]
    return ((h - h.mean((1, 2), keepdim=True)) / h.std((1, 2), keepdim=True))[:, None]


def rows_of_places(x, side):
    """The numbers of each square of side x side places in a row of its own: `[B, C, H, W]` to `[B * squares, C * side^2]`."""
    return F.pixel_unshuffle(x, side).permute(0, 2, 3, 1).flatten(0, 2)


def explained(h, target):
    """R^2 of the best weighted sum of the channels of h at a place, and an offset, for the pixels of target there.

    h: maps `[B, C, h, w]`; target: pictures `[B, 1, H, W]`, H a multiple of h. The weights come from least squares.
    """
    pixels, channels = rows_of_places(target, target.shape[-1] // h.shape[-1]), rows_of_places(h, 1)
    channels = F.pad(channels, (0, 1), value=1.0)  # a column of ones: the offset
    rest = pixels - channels @ torch.linalg.lstsq(channels, pixels).solution
    return 1 - (rest.square().sum() / (pixels - pixels.mean(0)).square().sum()).item()


def maps_of_stages(maps, stages, picture, noisy, axes=None):
    """The liveliest channels of the first row of these maps, stage by stage, beside the picture. Returns the axes.

    maps: dict stage -> `[B, C, H, W]`; picture, noisy: `[1, 1, H, W]`.
    """
    axes = viz.panels(1, 2, width=3.2, height=3.4, width_ratios=[1, 3.4]) if axes is None else axes
    viz.images(torch.cat([picture, noisy]), 1, ax=axes[0], title="digit, and $x_t$")
    rows = torch.cat([liveliest(maps[stage][0]) for stage in stages])
    viz.images(rows, 6, row_titles=stages, ax=axes[1], limits=(-2.5, 2.5))
    return axes


def knowledge(knows, axes=None):
    """How much of digit and noise each stage holds, one panel for each network. Returns the axes.

    knows: dict network -> dict "digit", "noise" -> one R^2 for each of the first stages, in the order of `STAGES`. In
    panels whose name begins with "U-Net" the stages are marked at which a bridge comes in.
    """
    axes = viz.panels(1, len(knows), width=2.9, height=2.9, squeeze=False)[0] if axes is None else axes
    styles = {"noise": {"color": viz.NOISE, "ls": "--"}}
    for ax, (network, curves) in zip(axes, knows.items()):
        names = STAGES[: len(curves["noise"])]
        viz.lines(names, curves, None, "explained, $R^2$", ax, title=network, styles=styles, ylim=(0, 1.12))
        ax.tick_params(axis="x", rotation=90, labelsize=8)
        for bridge, stage in (("inner", "up_blocks.0"), ("outer", "up_blocks.1")) if network[:5] == "U-Net" else ():
            at, text = names.index(stage), f"{bridge}\nbridge"
            ax.axvline(at, color=viz.RED, ls=":", lw=1.2)
            ax.text(at - 0.15, 1.11, text, color=viz.RED, fontsize=7, ha="right", va="top")
        ax.get_legend().set_visible(network == next(iter(knows)))
    axes[0].legend(loc="lower left")
    return axes


def receptive_field(model, stages=STAGES, side=96):
    """How many pixels wide the square is that the central place of each stage depends on: dict stage -> width.

    Measured by the gradient of that place with respect to an input of side x side pixels, so `side` means everything.
    Group normalisation, whose mean lets everything touch everything a little, is taken out first.
    """
    model, generator, width = drawn_anew(_without_norms(model)), torch.Generator().manual_seed(0), {}
    x = torch.randn(1, model.config["in_channels"], side, side, generator=generator).requires_grad_()
    for stage, h in watch(model, x, torch.tensor([500]), stages).items():
        centre = h[0, :, h.shape[2] // 2, h.shape[3] // 2].sum()
        (gradient,) = torch.autograd.grad(centre, x, retain_graph=True)
        columns = gradient[0].abs().amax((0, 1)).nonzero()
        width[stage] = (columns.max() - columns.min() + 1).item()
    return width


def _without_norms(model):
    """A copy of the model in which every group normalisation passes its input on."""
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.GroupNorm):
                setattr(parent, name, nn.Identity())
    return model


def clocks(width, t, axes=None):
    """The time embedding of the first 200 levels, and the similarity of all levels to level t. Returns the axes."""
    axes = viz.panels(1, 2, width=3.7, height=2.5) if axes is None else axes
    table = time_embedding(torch.arange(1, 1001), width)
    names = "level $t$", "sines, then cosines"
    viz.heatmap(table[:200].T, *names, axes[0], f"D = {width}", (-1, 1), "RdBu")
    near = {"": F.cosine_similarity(table[t - 1], table)}
    viz.lines(range(1, 1001), near, "level", f"similarity to level {t}", axes[1], ylim=(-1.05, 1.05))
    return axes


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


def places_for_half(weights):
    """On how few places half of the attention lies, for each row of weights `[N, places]` that sum to 1: `[N]`."""
    together = weights.sort(dim=1, descending=True).values.cumsum(dim=1)  # the largest, the two largest, ...
    return (together < 0.5).sum(dim=1) + 1


# ---------------------------------------------------------------- the U-Net and its rivals


def bars_with_limits(values, limits, ylabel, ax=None, title=None):
    """Labelled bars, some of them with a dashed line of their own. limits: label -> height of its line. Returns the axes."""
    ax = viz.bars(values, ylabel, ax, title, form="{:.2f}")
    for i, name in enumerate(values):
        if name in limits:
            ax.plot([i - 0.42, i + 0.42], [limits[name]] * 2, **viz.DASHED, zorder=5)
    return ax


def two_us(sides, axes=None):
    """The U-Net of 2015 with the sides of its maps, 18 numbers from picture to answer, beside ours. Returns the axes."""
    axes = viz.panels(1, 2, width=4.1, height=3.3) if axes is None else axes
    boxes = [f"{a} \u2192 {b}" for a, b in zip(sides[::2], sides[1::2])]
    ours = ["14 x 14", "7 x 7"]
    viz.u_shape(boxes[:5], boxes[:4:-1], axes[0], "2015: no padding", "copy, crop")
    viz.u_shape([*ours, "7 x 7, mid"], ours, axes[1], "ours: the size is kept")
    return axes


def long_runs(where="t = 1000"):
    """The longer runs that `benchmarks/unet.py` has measured: dict network -> {steps: loss}, with seed 0.

    where: "t = 1000" or "all levels".
    """
    lines = (ROOT / "benchmarks" / "results" / "unet.jsonl").read_text("utf-8").splitlines()
    runs = {}
    for run in map(json.loads, lines):
        if run["seed"] == 0:
            runs.setdefault(run["network"], {})[run["steps"]] = round(run[where], 3)
    return {name: dict(sorted(found.items())) for name, found in runs.items()}


def multiplications(network, side):
    """How many multiplications the network needs for one picture of side x side pixels, a whole number."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # attention in steps that it counts
        network(torch.zeros(1, 1, side, side), torch.tensor([500]))
    return counter.get_total_flops() // 2  # a multiplication and an addition each
