"""Figures of notebook 00: a film of digits that come out of noise, and the map of the notebooks.

The map's little pictures are drawn for it, from one digit and Toy Zoo's scenes; no network is asked.
"""

import textwrap

import numpy as np
import torch

from course import toy_zoo, viz

NOISE_REACH, CLEAN_REACH = 2.5, 1.0  # how far from 0 the values of a picture lie, in noise and at the end
WIDE, HIGH = 1.55, 1.75  # from one station to the next; a picture is 1 by 1


def exposed(film):
    """The pictures `[steps + 1, N, C, H, W]` of a walk, each divided by its reach, so that -1..1 shows all of it.

    The reach falls evenly from NOISE_REACH in the first to CLEAN_REACH in the last, as if a camera set its exposure anew.
    """
    reach = torch.linspace(NOISE_REACH, CLEAN_REACH, len(film))
    return film / reach.view(-1, 1, 1, 1, 1)


def moment(numbered):
    """One picture of the film. numbered: the number of the step, and its pictures `[N, C, H, W]`. Returns the axes."""
    step, pictures = numbered
    return viz.images(pictures, 5, scale=1.0, title=f"step {step}")


def draw_map(rows, extras, digit, columns=7):
    """Stations of the notebooks `rows`, joined by arrows, and before the first the `extras` in dashed frames. Returns the axes.

    rows, extras: of course.index. digit: a picture `[1, 28, 28]` in [-1, 1] that some of the stations show.
    """
    places = [(WIDE * (i % columns), -HIGH * (i // columns)) for i in range(len(rows))]
    before = [(-WIDE, -HIGH * i) for i in range(len(extras))]
    lines = max(-(-len(rows) // columns), len(extras))
    ax = viz.panels(width=1.1 * (columns + 1), height=1.4 * lines)
    ax.set(xlim=(-WIDE - 0.3, WIDE * columns - 0.2), ylim=(-HIGH * lines + 0.85, 1.08), aspect="equal")
    ax.set_axis_off()
    for (x, y), row in zip([*places, *before], [*rows, *extras]):
        frame = ax.inset_axes((x, y, 1, 1), transform=ax.transData)
        frame.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
        frame.spines[:].set(visible=True, color=viz.DATA if row in rows else viz.NOISE, lw=1.2)
        frame.spines[:].set_linestyle("-" if row in rows else "--")
        THEMES.get(row.number, words)(frame, digit)
        number = row.number if row in rows else "extra"
        ax.text(x + 0.5, y - 0.06, f"{number}\n{textwrap.fill(row.title, 15)}", ha="center", va="top", fontsize=8)
    for x, y in places[1:]:  # an arrow arrives at each but the first
        ax.annotate("", (x - 0.06, y + 0.5), (x - 0.5, y + 0.5), arrowprops={"arrowstyle": "-|>", "color": viz.TRUTH})
    return ax


def in_words(rows):
    """The map of these rows for readers who do not see it."""
    return "Little pictures, joined by arrows: " + ", ".join(f"{row.number} {row.title}" for row in rows) + "."


def as_bytes(x):
    """Pictures `[N, ...]` around -1..1 as a file keeps them, one byte per value: first clamped, then not. `[2 N, ...]`."""
    whole = ((x + 1) * 127.5).round().to(torch.int32)
    return torch.cat([whole.clamp(0, 255), whole]).to(torch.uint8) / 127.5 - 1


def picture(ax, x, limit=1.0):
    """A picture `[C, H, W]`, values clipped to -limit..limit, that fills the station."""
    shown = (x / limit).clamp(-1, 1).permute(1, 2, 0).squeeze().numpy() / 2 + 0.5
    ax.imshow(shown, cmap="gray", vmin=0, vmax=1, extent=(0, 1, 0, 1), aspect="auto", interpolation="nearest")


def white_noise(seed=0):
    return torch.randn(1, 28, 28, generator=torch.Generator().manual_seed(seed))


def zoo(worn="nothing", subject="dog", coat="brown", background="yellow"):
    """One of Toy Zoo's pictures, `[3, 64, 64]` in [-1, 1]."""
    scene = toy_zoo.Scene(subject, coat, background, worn)
    pixels = toy_zoo.render(scene, np.random.default_rng(3))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1) / 127.5 - 1


def noise(ax, digit):
    picture(ax, white_noise(), 2.5)


def forward(ax, digit):
    picture(ax, 0.8 * digit + 0.6 * white_noise(), 2.0)


def reverse(ax, digit):
    """Arrows to the nearer of two places where the data are."""
    ends = torch.tensor([[0.27, 0.62], [0.73, 0.38]])
    grid = torch.cartesian_prod(torch.linspace(0.1, 0.9, 7), torch.linspace(0.1, 0.9, 7))
    near = torch.softmax(-torch.cdist(grid, ends).square() / 0.05, dim=1)
    way = 0.35 * (near @ ends - grid)
    ax.quiver(*grid.T.numpy(), *way.T.numpy(), color=viz.PREDICTION, angles="xy", scale_units="xy", scale=1, width=0.02)
    ax.plot(*ends.T.numpy(), "o", color=viz.DATA, ms=6)


def unet(ax, digit):
    """Five bars, high at the edges and low in the middle, and a bridge over it."""
    ax.bar([0.14, 0.32, 0.5, 0.68, 0.86], [0.72, 0.46, 0.24, 0.46, 0.72], width=0.11, bottom=0.12, color=viz.DATA)
    for left, y in ((0.2, 0.74), (0.38, 0.5)):
        ax.plot([left, 1 - left], [y, y], color=viz.RED, ls="--", lw=1.2)


def drawn(ax, digit):
    picture(ax, digit)


def walk(ax, digit):
    """A bent curve, and the few straight steps that follow it."""
    x = np.linspace(0.1, 0.9, 60)
    ax.plot(x, bend(x), color=viz.NOISE, lw=2)
    few = np.linspace(0.1, 0.9, 5)
    ax.plot(few, bend(few) + 0.1 * (few - 0.1), "o-", color=viz.PREDICTION, ms=3.5, lw=1.2)


def bend(x):
    return 0.45 - 0.3 * np.tanh(6 * (x - 0.6))


def latent(ax, digit):
    """A picture, and the few cells that stand for it."""
    picture(ax, torch.nn.functional.adaptive_avg_pool2d(zoo(), 8))


def words(ax, digit):
    """Where there is no picture: lines of text."""
    for y, end in ((0.72, 0.8), (0.5, 0.66), (0.28, 0.74)):
        ax.plot([0.2, end], [y, y], color=viz.NOISE, lw=3)


def caption(ax, digit):
    picture(ax, zoo())
    ax.text(
        0.5, 0.1, "a brown dog", ha="center", va="center", fontsize=7, bbox={"fc": "white", "ec": "none", "pad": 1.5}
    )


def guided(ax, digit):
    """The same picture with everything that sets it apart pushed too far."""
    plain = zoo()
    picture(ax, plain.mean((1, 2), keepdim=True) + 2.2 * (plain - plain.mean((1, 2), keepdim=True)))


def stable(ax, digit):
    picture(ax, zoo("glasses"))


def mask(ax, digit):
    """A picture with a hole to be filled."""
    holed = zoo("glasses")
    holed[:, 36:60, 14:52] = 0
    picture(ax, holed)


def small_and_large(ax, digit):
    """A picture whose left half has few pixels and whose right half has many."""
    whole = zoo("glasses")
    few = torch.nn.functional.adaptive_avg_pool2d(whole, 16).repeat_interleave(4, 1).repeat_interleave(4, 2)
    picture(ax, torch.cat([few[:, :, :32], whole[:, :, 32:]], dim=2))


def heard(ax, digit):
    """A wave that swings ever faster and fades."""
    x = np.linspace(0, 1, 400)
    ax.plot(
        0.06 + 0.88 * x, 0.5 + 0.36 * np.exp(-2 * x) * np.sin(2 * np.pi * (3 * x + 7 * x**2)), color=viz.DATA, lw=1.2
    )


THEMES = {
    "01": noise, "02": forward, "03": reverse, "04": unet, "05": drawn, "06": walk,
    "07": latent, "08": caption, "09": guided, "10": stable, "11": mask, "12": small_and_large,
    "13": heard,
}  # fmt: skip
