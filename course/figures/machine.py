"""The machine of notebook 10: a map of Stable Diffusion with its true tensors as thumbnails, and the film of a walk.

Functions take tensors and `ax=None` and return the axes. Latents `[1, 4, h, w]` are drawn in false colours: their first
three channels as red, green and blue. B pictures, L tokens, D numbers per token, h and w latent cells.
"""

import torch
import torch.nn.functional as F
from matplotlib.patches import FancyBboxPatch

from course import viz

BOXES = {  # name on the map -> centre, in the map's own units
    "tokenizer": (4.3, 6.5),
    "text encoder": (8.3, 6.5),
    "U-Net": (10.4, 2.3),
    "scheduler": (15.6, 2.3),
    "VAE decoder": (15.6, 6.5),
}
TENSORS = {  # name of a thumbnail -> centre and the words under it
    "z_T": (1.3, 2.3, "start noise $z_T$"),
    "z_t": (5.6, 2.3, "state $z_t$"),
    "c": (11.6, 6.5, "token states $c$"),
    "eps_hat": (13.0, 2.3, r"noise $\hat\varepsilon$"),
    "picture": (19.1, 6.5, "picture"),
}
SIDE = 1.9  # of a thumbnail
WIDE, HIGH = 2.3, 1.15  # of a box
LATENT = 2.5  # false colours end at these values


def false_colours(z, limit=LATENT):
    """Latents `[B, 4, h, w]` as pictures `[B, 3, h, w]` in [-1, 1]: three of the four channels, clipped to +-limit."""
    return (z[:, :3].detach().float().cpu() / limit).clamp(-1, 1)


def draw_map(tensors, live=(), ax=None):
    """The parts of Stable Diffusion as boxes, and on the arrows between them what one prompt made of them so far.

    tensors: dict of what is there already, any of "prompt" (a text), "ids" `[1, L]`, "c" `[1, L, D]`, "z_T", "z_t", "eps_hat"
    `[1, 4, h, w]` and "picture" `[1, 3, H, W]`; what is missing is an empty frame. live: names of `BOXES` to colour.
    Returns the axes. Raises ValueError on other names.
    """
    unknown = [name for name in live if name not in BOXES]
    unknown += [name for name in tensors if name not in (*TENSORS, "prompt", "ids")]
    if unknown:
        raise ValueError(f"the map has no {', '.join(unknown)}")
    ax = ax or viz.panels(width=8.9, height=3.75)
    ax.set(xlim=(-0.1, 20.6), ylim=(-0.35, 8.4), aspect="equal")
    ax.set_axis_off()
    for name, (x, y) in BOXES.items():
        _box(ax, x, y, name, name in live)
    for name, (x, y, words) in TENSORS.items():
        _thumbnail(ax, x, y, name, words, tensors.get(name))
    _text_row(ax, tensors)
    _arrows(ax)
    return ax


def _box(ax, x, y, name, is_live):
    corner, colour = (x - WIDE / 2, y - HIGH / 2), viz.PREDICTION if is_live else "white"
    shape = FancyBboxPatch(corner, WIDE, HIGH, "round,pad=0.08", fc=colour, ec=viz.TRUTH, lw=1.8 if is_live else 1)
    ax.add_patch(shape)
    ax.text(x, y, name, ha="center", va="center", fontsize=9, weight="bold" if is_live else "normal")


def _thumbnail(ax, x, y, name, words, tensor):
    extent = (x - SIDE / 2, x + SIDE / 2, y - SIDE / 2, y + SIDE / 2)
    edges = (
        [extent[0], extent[0], extent[1], extent[1], extent[0]],
        [extent[2], extent[3], extent[3], extent[2], extent[2]],
    )
    if tensor is None:
        ax.plot(*edges, color=viz.NOISE, lw=0.8, ls="--")
        ax.text(x, y - SIDE / 2 - 0.12, words, ha="center", va="top", fontsize=8, color=viz.NOISE)
        return
    tensor = tensor.detach().float().cpu()
    if name == "c":
        ax.imshow(
            tensor[0].numpy(), cmap="RdBu", vmin=-2, vmax=2, extent=extent, aspect="auto", interpolation="antialiased"
        )
    else:
        shown = tensor.clamp(-1, 1) if name == "picture" else false_colours(tensor)
        kind = "antialiased" if name == "picture" else "nearest"
        ax.imshow(shown[0].permute(1, 2, 0).numpy() / 2 + 0.5, extent=extent, aspect="auto", interpolation=kind)
    ax.plot(*edges, color=viz.TRUTH, lw=0.8)
    shape = " x ".join(str(n) for n in tensor.shape[1:])
    ax.text(x, y - SIDE / 2 - 0.12, f"{words}\n{shape}", ha="center", va="top", fontsize=8)


def _text_row(ax, tensors):
    prompt = tensors.get("prompt")
    words = "prompt" if prompt is None else f'"{prompt}"'
    ax.text(1.3, 6.5, "\n".join(viz.wrapped([words], 12)), ha="center", va="center", fontsize=9,
            color=viz.NOISE if prompt is None else viz.TRUTH)  # fmt: skip
    numbers = "token\nnumbers"
    if "ids" in tensors:
        first = tensors["ids"].flatten().tolist()
        numbers = f"{', '.join(str(i) for i in first[:3])}, ...\n({len(first)} numbers)"
    ax.text(
        6.3, 7.2, numbers, ha="center", va="bottom", fontsize=7.5, color=viz.TRUTH if "ids" in tensors else viz.NOISE
    )


def _arrows(ax):
    def arrow(start, end, bend=0.0):
        look = {"arrowstyle": "-|>", "color": viz.TRUTH, "lw": 1.1, "shrinkA": 0, "shrinkB": 0}
        if bend:
            look["connectionstyle"] = f"arc3,rad={bend}"
        ax.annotate("", end, start, arrowprops=look)

    half, gap = WIDE / 2 + 0.12, SIDE / 2 + 0.08
    upper, lower = 6.5, 2.3
    arrow((2.6, upper), (4.3 - half, upper))
    arrow((4.3 + half, upper), (8.3 - half, upper))
    arrow((8.3 + half, upper), (11.6 - gap, upper))
    arrow((11.6 - 0.2, 4.62), (10.9, lower + HIGH / 2 + 0.14))
    arrow((1.3 + gap, lower), (5.6 - gap, lower))
    ax.text(3.45, lower + 0.15, "once", ha="center", va="bottom", fontsize=8)
    arrow((5.6 + gap, lower), (10.4 - half, lower))
    ax.text(8.4, lower + 0.95, "level $t$", ha="center", va="center", fontsize=8)
    arrow((8.9, lower + 0.85), (10.4 - half, lower + 0.35))
    arrow((10.4 + half, lower), (13.0 - gap, lower))
    arrow((13.0 + gap, lower), (15.6 - half, lower))
    arrow((15.6, lower + HIGH / 2 + 0.14), (15.6, upper - HIGH / 2 - 0.14))
    ax.text(15.8, 4.4, "after the\nlast step", ha="left", va="center", fontsize=8)
    arrow((15.6 + half, upper), (19.1 - gap, upper))
    ax.plot([15.6, 15.6, 5.6], [lower - HIGH / 2 - 0.1, -0.15, -0.15], color=viz.TRUTH, lw=1.1)  # and back
    arrow((5.6, -0.16), (5.6, lower - SIDE / 2 - 0.98))
    ax.text(10.6, -0.05, "the state at the next lower level: 25 or 50 times", ha="center", va="bottom", fontsize=8)
    ax.text(1.3, lower + SIDE / 2 + 0.1, "seed", ha="center", va="bottom", fontsize=8)


FILM_ROWS = [
    "state,\ndecoded",
    "noise seen\nwithout prompt",
    "noise seen\nwith prompt",
    "difference",
    "estimate,\ndecoded",
]


def film(frames, ax=None, scale=1.0, quiet=0.25):
    """Moments of a walk as columns, noise at the left: state, both predictions, their difference, the estimate.

    frames: list of dicts with "t", "state" and "estimate" `[1, 3, H, W]` in [-1, 1], "eps_u" and "eps_c" `[1, 4, h, w]`.
    quiet: the value at which the false colours of the difference end. Returns the axes.
    """
    rows = zip(*(_five(frame, quiet) for frame in frames))
    sheet = torch.cat([picture for row in rows for picture in row])
    titles = [f"t = {frame['t']}" for frame in frames]
    return viz.images(sheet, len(frames), titles, FILM_ROWS, ax=ax, scale=scale)


def moment(frame, ax=None, scale=1.7, quiet=0.25):
    """One column of `film` as a row of five pictures with their names. Returns the axes."""
    return viz.images(torch.cat(_five(frame, quiet)), 5, FILM_ROWS, ax=ax, scale=scale)


def _five(frame, quiet):
    """The five pictures of a moment, each `[1, 3, H, W]`."""
    size = frame["state"].shape[2:]
    latents = [(frame["eps_u"], LATENT), (frame["eps_c"], LATENT), (frame["eps_c"] - frame["eps_u"], quiet)]
    answers = [F.interpolate(false_colours(z, limit), size) for z, limit in latents]
    return [frame["state"].float().cpu(), *answers, frame["estimate"].float().cpu()]


def over_grey(picture, cells, ax=None, title=None, highest=None):
    """A picture `[3, H, W]` in grey, and over it a map `[h, w]` of values from 0 on as colours: bright is high.

    highest: the value of the brightest colour, default the map's own. Returns the axes.
    """
    ax = ax or viz.panels(width=1.8, height=2.0)
    ax.spines[:].set_visible(False)
    grey = (picture.detach().float().cpu().mean(0) / 2 + 0.5).clamp(0, 1)
    height, width = grey.shape
    box = (-0.5, width - 0.5, height - 0.5, -0.5)
    ax.imshow(grey.numpy(), cmap="gray", vmin=0, vmax=1, extent=box)
    values = cells.detach().float().cpu()
    top = float(values.max() if highest is None else highest)
    ax.imshow(values.numpy(), cmap="viridis", vmin=0, vmax=top, alpha=0.55, extent=box, interpolation="nearest")
    ax.set(xticks=[], yticks=[], title=title)
    return ax
