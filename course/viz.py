"""Figures of the course, one style: data blue, noise grey, prediction orange, truth black.

Functions take tensors and `ax=None` and return the axes; `show` puts a figure under the cell
with the text that a screen reader speaks. Colours: Okabe & Ito's palette for colour-blind readers.
"""

import html
import io
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Audio, display
from matplotlib.ticker import MaxNLocator
from PIL import Image

DATA, NOISE, PREDICTION, TRUTH = "#0072B2", "#8a8a8a", "#E69F00", "#000000"
GREEN, RED, SKY, PINK = "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
COLORS = [DATA, PREDICTION, GREEN, RED, SKY, PINK, NOISE, TRUTH]
SHARP = 2  # pixels of a figure for each pixel of the page
LARGE = 128  # pixels from which a picture is drawn smooth and in full colour
DASHED = {"color": TRUTH, "ls": "--"}  # the style of a curve to compare with

plt.rcParams.update({
    "figure.dpi": 96, "font.size": 9, "axes.titlesize": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.prop_cycle": plt.cycler(color=COLORS), "legend.frameon": False,
    "figure.constrained_layout.use": True,
})  # fmt: skip


def panels(rows=1, columns=1, width=3.0, height=2.4, **kwargs):
    """A figure of equal panels. width, height: inches of one panel. Returns the array of axes, or the only one."""
    return plt.subplots(rows, columns, figsize=(width * columns, height * rows), **kwargs)[1]


def show(axes, alt):
    """Put the figure that holds these axes under the cell, with `alt`, one or two sentences that say what it shows."""
    _display(encoded(np.ravel(axes)[0].figure), alt)


def animate(draw, frames, alt, seconds=3.0):
    """Put an animation under the cell, which plays for ever: an APNG, so that GitHub and a stored page show it too.

    draw: called with each of `frames`, returns axes, all of one size; the last frame stays for a second. alt: as for `show`.
    Put a strip of stills beside it, for print.
    """
    pictures = [_rendered(np.ravel(draw(frame))[0].figure) for frame in frames]
    film = np.concatenate([np.asarray(picture) for picture in pictures])
    film = Image.fromarray(film).quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    width, height = pictures[0].size
    stills = [film.crop((0, i * height, width, (i + 1) * height)) for i in range(len(pictures))]
    pace, data = 1000 * seconds / len(stills), io.BytesIO()
    times = [pace] * (len(stills) - 1) + [pace + 1000]
    stills[0].save(data, "png", save_all=True, append_images=stills[1:], duration=times, loop=0, optimize=True)
    _display(data.getvalue(), alt)


def play(wave, rate, alt):
    """Put a player under the cell for one wave `[L]` in [-1, 1], `rate` samples a second, which the page keeps as 16 bits.

    alt: a sentence that says what is heard. Put a spectrogram beside it: some pages show no players. Raises ValueError on
    other shapes and values.
    """
    wave = _numbers(wave)
    if wave.ndim != 1 or not len(wave) or not np.abs(wave).max() <= 1:
        raise ValueError(f"a wave is one row [L] of numbers in -1..1, such as waves[0, 0]; got {list(wave.shape)}")
    player = Audio(wave, rate=rate, normalize=False)._repr_html_()
    player = player.replace("<audio", f'<audio aria-label="{html.escape(_told(alt))}"', 1)
    display({"text/html": player.strip(), "text/plain": f"[sound] {alt}"}, raw=True)


def _told(alt):
    """The text for those who cannot see or hear. Raises ValueError if it is empty."""
    if not alt.strip():
        raise ValueError("alt is empty; say in a sentence or two what the figure shows")
    return alt


def _display(data, alt):
    _told(alt)
    kind = f"image/{form(data)}"
    look = {kind: {"alt": alt, "width": width(data)}}
    display({kind: data, "text/plain": f"[figure] {alt}"}, metadata=look, raw=True)


def form(data):
    """What the bytes of a figure are: "png" or "jpeg"."""
    return Image.open(io.BytesIO(data)).format.lower()


def width(data):
    """The width in CSS pixels at which the bytes of a figure are to be shown: half of theirs, for sharp screens."""
    return Image.open(io.BytesIO(data)).size[0] // SHARP


def encoded(fig, small=True):
    """The figure as bytes: `png`, or a JPEG if it holds pictures of `LARGE` pixels, whose colours no palette has. It is closed.

    small: whether to take the time for the fewest bytes, as for a page that is stored.
    """
    if not any(image.get_gid() == "large" for ax in fig.axes for image in ax.images):
        return png(fig, small)
    data = io.BytesIO()
    _rendered(fig).save(data, "jpeg", quality=88)
    return data.getvalue()


def _rendered(fig):
    """The figure as a PIL picture, `SHARP` times as large as it is shown; it is closed."""
    full = io.BytesIO()
    fig.savefig(full, format="png", dpi=96 * SHARP, pil_kwargs={"compress_level": 0})  # it is opened again at once
    plt.close(fig)
    return Image.open(full).convert("RGB")


def png(fig, small=True):
    """The figure as PNG bytes of at most 256 colours, a third of the size of full colour; the figure is closed."""
    picture, data = _rendered(fig), io.BytesIO()
    colors = picture.getcolors(256)
    if colors is None:
        picture = picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    elif all(red == green == blue for _, (red, green, blue) in colors):
        picture = picture.convert("L")  # the same picture, two thirds of the bytes
    picture.save(data, "png", optimize=small)
    return data.getvalue()


def _numbers(x):
    return x.detach().cpu().float().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


def images(x, columns=None, column_titles=None, row_titles=None, ax=None, scale=0.62, limits=(-1, 1), title=None):
    """A sheet of pictures `[N, C, H, W]`, C = 1 or 3, row by row, values clipped to `limits`.

    scale: inches a picture. column_titles, row_titles: texts at the edge. Returns the axes.
    Raises ValueError on other shapes, on none at all, and on NaN or infinity, which would be drawn as white.
    """
    x = _numbers(x)
    if x.ndim != 4 or not len(x) or not np.isfinite(x).all():
        holds = "" if np.isfinite(x).all() else " with NaN or infinity: look at what made them"
        raise ValueError(f"a sheet needs pictures [N, C, H, W], at least one; got {list(x.shape)}{holds}")
    low, high = limits
    x = (np.clip(x, low, high) - low) / (high - low)
    count, channels, height, width = x.shape
    columns = columns or min(count, 10)
    rows = -(-count // columns)
    sheet = np.ones((rows, columns, height + 2, width + 2, channels))
    for i in range(count):
        sheet[i // columns, i % columns, 1:-1, 1:-1] = x[i].transpose(1, 2, 0)
    sheet = sheet.transpose(0, 2, 1, 3, 4).reshape(rows * (height + 2), columns * (width + 2), channels)
    if ax is None:
        beside = max(0.9, 0.15 + 0.085 * max(map(len, row_titles))) if row_titles else 0.1
        ax = panels(
            width=columns * scale + beside,
            height=rows * scale * height / width + (0.3 if column_titles else 0.1),
        )
    large = min(height, width) >= LARGE
    look = {"interpolation": "antialiased", "gid": "large"} if large else {"interpolation": "nearest"}
    ax.imshow(sheet.squeeze(), cmap="gray", vmin=0, vmax=1, **look)
    ax.set_xticks((np.arange(columns) + 0.5) * (width + 2) - 0.5, column_titles or [""] * columns)
    ax.set_yticks((np.arange(rows) + 0.5) * (height + 2) - 0.5, row_titles or [""] * rows)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    ax.set(title=title)
    return ax


def lines(x, ys, xlabel, ylabel, ax=None, logx=False, logy=False, title=None, styles=None, ticks=None, **window):
    """Curves over one x. ys: dict label -> values `[len(x)]`; styles: dict label -> keywords of `plot`, such as DASHED.

    styles may also be a list of formats, one for each curve, such as "--" or "o-". ticks: the only x to be marked,
    as plain numbers. window: keywords of `Axes.set`, such as ylim. Returns the axes.
    """
    ax = ax or panels(width=4.2, height=2.8)
    formats, styles = (dict(zip(ys, styles)), {}) if isinstance(styles, list) else ({}, styles or {})
    for label, y in ys.items():
        ax.plot(_numbers(x), _numbers(y), *filter(None, [formats.get(label)]), label=label, **styles.get(label, {}))
    if logx:
        ax.set_xscale("log")
    if logy:
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title, **window)
    if ticks is not None:
        xticks(ax, ticks)
    if _numbers(x).dtype.kind == "U":  # names, not numbers
        ax.tick_params(axis="x", rotation=60)
    if len(ys) > 1:
        ax.legend()
    return ax


def histogram(
    samples, xlabel, ax=None, bins=60, limits=None, color=DATA, label=None, title=None, filled=True, **window
):
    """Samples (any shape) as a histogram of area 1. Returns the axes.

    filled: False for an outline, to lie over another histogram. window: keywords of `Axes.set`, such as ylim or yscale.
    """
    ax = ax or panels(width=3.4, height=2.4)
    values = _numbers(samples).ravel()
    limits = limits or (values.min(), values.max())
    style = {"alpha": 0.65} if filled else {"histtype": "step", "lw": 1.3}
    ax.hist(values, bins=bins, range=limits, density=True, color=color, label=label, **style)
    ax.set(xlabel=xlabel, ylabel="density", xlim=limits, title=title, **window)
    if label is not None:
        ax.legend()
    return ax


def cloud(points, ax=None, color=DATA, limits=2.5, title=None, size=4, label=None, names=("$x_1$", "$x_2$")):
    """Points `[N, 2]` in the plane, equal scales. limits: half the width; names: of the two axes. Returns the axes."""
    ax = ax or panels(width=2.4, height=2.5)
    p, window = _numbers(points), (-limits, limits)
    ax.scatter(p[:, 0], p[:, 1], s=size, color=color, alpha=0.55, linewidths=0, label=label)
    ax.set(xlim=window, ylim=window, aspect="equal", title=title, xlabel=names[0], ylabel=names[1])
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return ax


def clouds(rows, column_titles, limits=2.5, colors=(DATA, PREDICTION)):
    """Rows of clouds in equal windows. rows: dict name -> list of points `[N, 2]`; colors: one per row. Returns axes."""
    axes = panels(len(rows), len(column_titles), width=1.65, height=1.75, squeeze=False)
    for line, (name, row_of_points), color in zip(axes, rows.items(), colors):
        for ax, points, title in zip(line, row_of_points, column_titles):
            cloud(points, ax, color, limits, f"{name}, {title}", size=3)
    return axes


def heatmap(matrix, xlabel, ylabel, ax=None, title=None, limits=None, cmap="viridis", bar=None):
    """A matrix `[rows, columns]` in colours, with a colour bar called `bar`. Returns the axes."""
    ax = ax or panels(width=3.2, height=2.6)
    low, high = limits or (None, None)
    drawn = ax.imshow(_numbers(matrix), cmap=cmap, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.figure.colorbar(drawn, ax=ax, label=bar)
    return ax


def bars(values, ylabel, ax=None, title=None, form="{:.3g}", level=None):
    """Labelled bars with their numbers. values: label -> number; level: a height to compare with. Returns the axes."""
    ax = ax or panels(width=max(2.4, 0.9 * len(values)), height=2.4)
    drawn = ax.bar(list(values), [float(v) for v in values.values()], color=DATA, width=0.6)
    numbers, plate = [form.format(float(v)) for v in values.values()], {"fc": "white", "ec": "none", "pad": 0.5}
    ax.bar_label(drawn, numbers, padding=2, bbox=plate)
    if level is not None:
        ax.axhline(level, **DASHED, zorder=0)
    ax.margins(y=0.15)
    ax.set(ylabel=ylabel, title=title)
    return ax


def xticks(ax, values):
    """Tick marks at these x alone, written as plain numbers, also on a logarithmic axis. Returns the axes."""
    ax.minorticks_off()
    ax.set_xticks(values, [f"{v:g}" for v in values])
    return ax


def row(draw, things, *args, width=2.4, height=2.2, sharey=False, **kwargs):
    """Panels side by side, one for each of `things`, a dict title -> what to draw. Returns the axes.

    draw: a function of this module, called as `draw(thing, *args, ax=ax, title=title, **kwargs)`.
    """
    axes = panels(1, len(things), width, height, sharey=sharey)
    for ax, (title, thing) in zip(np.ravel(axes), things.items()):
        draw(thing, *args, ax=ax, title=title, **kwargs)
    return axes


def wrapped(texts, width):
    """The texts, each broken into lines of at most `width` letters, as a list."""
    return [textwrap.fill(text, width) for text in texts]
