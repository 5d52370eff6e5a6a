"""Figures of notebook 08: CLIP's two towers, similarities with thumbnails, and who reads which word.

Letters in the shape comments: N pictures, M texts, L tokens, h and w cells of a latent.
"""

import torch
from matplotlib.patches import Polygon, Rectangle

from course import viz

PALE = "#FBE3B5"  # the orange of predictions, so pale that text can be read on it


# ---------------------------------------------------------------- two towers, one space


def towers(pictures, texts, ax=None):
    """CLIP: pictures `[N, 3, H, W]` through one encoder, as many texts through another, all products. Returns the axes."""
    n = len(texts)
    ax = ax or viz.panels(width=0.72 * (n + 4.4), height=0.72 * (n + 4.1))
    for i, picture in enumerate(pictures):
        middle = n - i - 0.5
        _thumbnail(ax, picture, (0, middle - 0.44), 0.88)
        _arrow(ax, (0.95, middle), (1.4, middle))
        _arrow(ax, (2.9, middle), (3.3, middle))
        _box(ax, (3.35, middle - 0.3), (0.55, 0.6), f"$a_{i + 1}$", "white")
    ax.add_patch(_encoder([(1.45, -0.1), (1.45, n + 0.1), (2.85, n - 0.6), (2.85, 0.6)]))
    ax.text(2.12, n / 2, "picture\nencoder", ha="center", va="center", fontsize=10)
    for j, text in enumerate(viz.wrapped(texts, 10)):
        middle = 4.1 + j + 0.5
        ax.text(middle, n + 2.98, text, ha="center", va="bottom", fontsize=8)
        _arrow(ax, (middle, n + 2.9), (middle, n + 2.5))
        _arrow(ax, (middle, n + 1.2), (middle, n + 0.85))
        _box(ax, (middle - 0.3, n + 0.22), (0.6, 0.55), f"$b_{j + 1}$", "white")
    ax.add_patch(_encoder([(4.0, n + 2.45), (n + 4.2, n + 2.45), (n + 3.5, n + 1.25), (4.7, n + 1.25)]))
    ax.text(4.1 + n / 2, n + 1.85, "text encoder", ha="center", va="center", fontsize=10)
    for i in range(n):
        for j in range(n):
            corner, pair = (4.1 + j, n - i - 1), rf"$a_{i + 1}\cdot b_{j + 1}$"
            _box(ax, corner, (1, 1), pair, PALE if i == j else "white")
    ax.set(xlim=(-0.1, n + 4.3), ylim=(-0.2, n + 3.9), aspect="equal")
    ax.axis("off")
    return ax


def similarity(matrix, pictures, texts=None, ax=None, title=None):
    """Cosines `[N, M]` in -1..1, pictures down the left as thumbnails, texts across the top. Returns the axes.

    texts: None leaves the columns without names. The drawn matrix is `ax.images[0]`.
    """
    n, m = matrix.shape
    ax = ax or viz.panels(width=0.42 * m + 0.8, height=0.42 * n + 1.6)
    ax.imshow(matrix.numpy(), cmap="RdBu", vmin=-1, vmax=1, extent=(0, m, n, 0), interpolation="nearest", zorder=1)
    for i, picture in enumerate(pictures):
        _thumbnail(ax, picture, (-1.0, i + 0.95), 0.9, down=True)
    if texts is not None:
        ax.set_xticks([j + 0.5 for j in range(m)], viz.wrapped(texts, 18), rotation=90, fontsize=8)
    else:
        ax.set_xticks([])
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.set(xlim=(-1.05, m), ylim=(n, 0), yticks=[], aspect="equal", xlabel=title)
    ax.spines[:].set_visible(False)
    return ax


def similarities(matrices, pictures, texts):
    """Several matrices `[N, M]` of the same pictures and texts side by side, with one colour bar. Returns the axes.

    matrices: dict title -> cosines.
    """
    n, m = len(pictures), len(texts)
    axes = viz.panels(1, len(matrices), width=0.44 * m + 0.7, height=0.4 * n + 1.35, squeeze=False)[0]
    axes[0].figure.set_layout_engine("compressed")  # leaves no gaps around panels of fixed shape
    for ax, (title, matrix) in zip(axes, matrices.items()):
        similarity(matrix, pictures, texts, ax, title)
    axes[0].figure.colorbar(axes[-1].images[0], ax=list(axes), label="cosine", shrink=0.6)
    return axes


# ---------------------------------------------------------------- places and words


def listening(weights, words, ax=None, place="one place"):
    """One place of a picture and the words it reads: arrows as broad as their weights `[L]`. Returns the axes."""
    ax = ax or viz.panels(width=4.2, height=0.5 * len(words) + 0.3)
    middle = (len(words) - 1) / 2
    _box(ax, (0, middle - 0.3), (1.4, 0.6), place, PALE)
    for j, (weight, word) in enumerate(zip(weights.tolist(), words)):
        y = len(words) - 1 - j
        _box(ax, (4.0, y - 0.3), (1.4, 0.6), word, "white")
        ends = {"xy": (1.45, middle), "xytext": (3.95, y)}
        look = {"arrowstyle": "-", "lw": 14 * weight, "color": viz.DATA, "alpha": 0.45, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", **ends, arrowprops=look)
        ax.text(5.6, y, f"{weight:.2f}", va="center", fontsize=10)
    ax.set(xlim=(-0.1, 6.4), ylim=(-0.5, len(words) - 0.5))
    ax.axis("off")
    return ax


def readers(picture, weights, words, places, names, axes=None):
    """What single places read: each marked in the grey picture, and beside it a bar for each word. Returns the axes.

    picture: `[3, H, W]` in [-1, 1]; weights: `[len(words), h, w]`, sums over the words 1; places: list of (row, column),
    counted from 0; names: what they are called.
    """
    if axes is None:
        axes = viz.panels(len(places), 2, width=2.7, height=2.3, width_ratios=[1, 1.7], squeeze=False)
    highest = max(weights[:, row, column].max().item() for row, column in places)
    for (left, right), (row, column), name in zip(axes, places, names):
        _cells(left, picture, weights.shape[1:])
        left.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=viz.RED, linewidth=2.5))
        left.set(title=name)
        bars = right.barh(words, weights[:, row, column].tolist(), color=viz.DATA)
        right.bar_label(bars, fmt="%.2f", padding=2, fontsize=8)
        right.invert_yaxis()
        right.set(xlim=(0, 1.18 * highest))
        left.spines[:].set_visible(False)
    axes[-1, 1].set_xlabel("weight")
    return axes


def word_maps(picture, maps, words, axes=None):
    """Where each word is read. Above, over the grey picture, on one scale for all; below, each on its own. Returns axes.

    picture: `[3, H, W]` in [-1, 1]; maps: `[len(words), h, w]`.
    """
    if axes is None:
        axes = viz.panels(2, len(words), width=1.12, height=1.2, squeeze=False)
    for i, word in enumerate(words):
        over_picture(picture, maps[i], maps.max().item(), axes[0, i], word)
        axes[1, i].imshow(maps[i].numpy(), cmap="viridis", interpolation="nearest")
        axes[1, i].set(xticks=[], yticks=[])
        axes[1, i].spines[:].set_visible(False)
    axes[0, 0].set_ylabel("one scale")
    axes[1, 0].set_ylabel("each its own")
    axes[0, 0].figure.colorbar(axes[0, -1].images[-1], ax=list(axes[0]), label="weight", aspect=8)
    return axes


def over_picture(picture, cells, highest, ax=None, title=None):
    """A map `[h, w]` of weights from 0 to `highest` in viridis over the grey picture `[3, H, W]`. Returns the axes."""
    ax = ax or viz.panels(width=2.0, height=2.2)
    rows, columns = cells.shape
    window = (0, columns, rows, 0)
    ax.imshow(picture.mean(0).numpy(), cmap="gray", vmin=-1.4, vmax=1, extent=window)
    ax.imshow(cells.numpy(), cmap="viridis", vmin=0, vmax=highest, alpha=0.62, extent=window, interpolation="bilinear")
    ax.set(xticks=[], yticks=[], title=title, xlim=window[:2], ylim=window[2:])
    ax.spines[:].set_visible(False)
    return ax


def triangle(weights, words, ax=None):
    """Weights `[L, L]` with which each word (down) looks at each other (across), numbers in the cells. Returns the axes."""
    ax = ax or viz.panels(width=0.55 * len(words) + 1.2, height=0.4 * len(words) + 0.9)
    ax.imshow(weights.numpy(), cmap="Blues", vmin=0, vmax=1.2, aspect="auto")
    for i, row in enumerate(weights.tolist()):
        for j, weight in enumerate(row):
            number, color = f"{weight:.2f}" if j <= i else "0", "white" if weight > 0.75 else viz.TRUTH
            ax.text(j, i, number, color=color, ha="center", va="center", fontsize=8)
    ax.set_xticks(range(len(words)), words)
    ax.set_yticks(range(len(words)), words)
    ax.set(xlabel="is looked at", ylabel="looks")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


@torch.no_grad()
def own_attention(encoder, ids):
    """How the tokens look at each other in the first layer of a CLIP's text encoder: `[B, L, L]`, the mean of the heads."""
    layer = encoder.text_model.encoder.layers[0] if hasattr(encoder, "text_model") else encoder.encoder.layers[0]
    embeddings = encoder.text_model.embeddings if hasattr(encoder, "text_model") else encoder.embeddings
    h = layer.layer_norm1(embeddings(ids))
    heads = layer.self_attn.num_heads
    q, k = (
        part(h).unflatten(2, (heads, -1)).transpose(1, 2) for part in (layer.self_attn.q_proj, layer.self_attn.k_proj)
    )
    scores = q @ k.mT / q.shape[-1] ** 0.5
    later = torch.ones(ids.shape[1], ids.shape[1]).triu(1).bool()
    return scores.masked_fill(later, -torch.inf).softmax(dim=-1).mean(1)


# ---------------------------------------------------------------- parts


def _shown(picture):
    return (picture.clamp(-1, 1) / 2 + 0.5).permute(1, 2, 0).numpy()


def _thumbnail(ax, picture, corner, side, down=False):
    """A small picture; corner: its lower left one. down: whether y grows downwards in these axes."""
    x, y = corner
    window = (x, x + side, y, y - side) if down else (x, x + side, y, y + side)
    ax.imshow(_shown(picture), extent=window, interpolation="antialiased", zorder=2)


def _cells(ax, picture, shape):
    """The picture in grey with the lines of its h x w cells."""
    rows, columns = shape
    ax.imshow(picture.mean(0).numpy(), cmap="gray", vmin=-1.6, vmax=1, extent=(0, columns, rows, 0))
    for i in range(1, rows):
        ax.axhline(i, color="white", lw=0.5)
    for j in range(1, columns):
        ax.axvline(j, color="white", lw=0.5)
    ax.set(xticks=[], yticks=[], xlim=(0, columns), ylim=(rows, 0), aspect="equal")


def _encoder(corners):
    return Polygon(corners, facecolor="#DCEBF5", edgecolor=viz.DATA, linewidth=1.2)


def _box(ax, corner, shape, text, face):
    ax.add_patch(Rectangle(corner, *shape, facecolor=face, edgecolor=viz.DATA, linewidth=1.0, zorder=3))
    ax.text(corner[0] + shape[0] / 2, corner[1] + shape[1] / 2, text, ha="center", va="center", fontsize=9, zorder=4)


def _arrow(ax, start, end):
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": viz.TRUTH, "shrinkA": 0, "shrinkB": 0})
