"""What notebook 04 measures in a U-Net: what its stages answer, see and know, how attention spreads, what a call costs.

Stages are called by their names in `course/mini_unet.py`. Letters in the shape comments: B pictures, C channels, H and
W height and width of a map.
"""

import copy
import json

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course import belonging, viz
from course.figures.unet import STAGES
from course.mini_unet import time_embedding


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


def places_for_half(weights):
    """On how few places half of the attention lies, for each row of weights `[N, places]` that sum to 1: `[N]`."""
    together = weights.sort(dim=1, descending=True).values.cumsum(dim=1)  # the largest, the two largest, ...
    return (together < 0.5).sum(dim=1) + 1


def bars_with_limits(values, limits, ylabel, ax=None, title=None):
    """Labelled bars, some of them with a dashed line of their own. limits: label -> height of its line. Returns the axes."""
    ax = viz.bars(values, ylabel, ax, title, form="{:.2f}")
    for i, name in enumerate(values):
        if name in limits:
            ax.plot([i - 0.42, i + 0.42], [limits[name]] * 2, **viz.DASHED, zorder=5)
    return ax


def long_runs(where="t = 1000"):
    """The longer runs that `benchmarks/unet.py` has measured: dict network -> {steps: loss}, with seed 0.

    where: "t = 1000" or "all levels".
    """
    lines = belonging("benchmarks", "results", "unet.jsonl").read_text("utf-8").splitlines()
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
