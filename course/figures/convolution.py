"""Figures of a convolution for notebook 04: a kernel with its numbers, and where it stops.

Letters in the shape comments: H and W height and width of a picture, k width of a kernel.
"""

import torch
import torch.nn.functional as F
from matplotlib.patches import Rectangle

from course import viz


def sliding(x, kernel, padding=0):
    """The frames of a film for `viz.animate`: a function of 0, 1, ... that draws the kernel at that place of the answer."""
    columns = x.shape[1] + 2 * padding - kernel.shape[1] + 1
    return lambda number: at_place(x, kernel, (number // columns, number % columns), padding)


def at_place(x, kernel, place, padding=0, axes=None):
    """A kernel that stands at one place of a small picture: the picture, the kernel, and the answers so far. Returns axes.

    x: `[H, W]`, kernel: `[k, k]`, whole numbers. place: row and column of the answer that is being computed; answers
    after it, in reading order, are not yet written. Around the picture lie `padding` rows and columns of zeros.
    """
    axes = viz.panels(1, 3, width=2.2, height=2.3, width_ratios=[1.25, 0.8, 1]) if axes is None else axes
    answer = F.conv2d(x[None, None].float(), kernel[None, None].float(), padding=padding)[0, 0]
    row, column = place
    padded, k = F.pad(x, (padding,) * 4), len(kernel)
    _grid(
        axes[0],
        padded,
        f"picture {len(x)} x {len(x)}" + (f", padding {padding}" if padding else ""),
        0,
        max(x.max(), 1),
    )
    axes[0].add_patch(Rectangle((column, row), k, k, fill=False, edgecolor=viz.RED, linewidth=2.5, zorder=5))
    _grid(axes[1], kernel, f"kernel {k} x {k}", -9, 9)
    _grid(axes[2], answer, f"answer {len(answer)} x {len(answer)}", -9, 9, until=row * answer.shape[1] + column)
    axes[2].add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=viz.RED, linewidth=2.5, zorder=5))
    return axes


def _grid(ax, numbers, title, low, high, until=None):
    """Cells with their numbers, dark for low; those after `until` in reading order are empty."""
    rows, columns = numbers.shape
    shown = numbers.float().clone()
    hidden = torch.arange(numbers.numel()).view(rows, columns) > (numbers.numel() if until is None else until)
    shown[hidden] = float("nan")
    cmap = "Greys" if low == 0 else "RdBu_r"
    ax.imshow(shown.numpy(), cmap=cmap, vmin=low, vmax=3 * high if low == 0 else high, extent=(0, columns, rows, 0))
    for i in range(rows):
        for j in range(columns):
            ax.add_patch(Rectangle((j, i), 1, 1, fill=False, edgecolor="#bbbbbb", linewidth=0.8))
            if not hidden[i, j]:
                ax.text(j + 0.5, i + 0.5, f"{numbers[i, j]:.0f}", ha="center", va="center", fontsize=9)
    ax.set(title=title, xlim=(0, columns), ylim=(rows, 0), aspect="equal")
    ax.axis("off")


def stops(side, kernel, choices, axes=None):
    """For each (padding, stride) of `choices`: where a kernel stops on a picture, and how large the answer is. Returns axes.

    The dots are the centres of the kernel's stops; the first two stops are outlined, zeros of the padding are white.
    """
    axes = viz.panels(1, len(choices), width=2.3, height=2.5) if axes is None else axes
    for ax, (padding, stride) in zip(axes, choices):
        places = torch.arange(0, side + 2 * padding - kernel + 1, stride)
        ax.add_patch(
            Rectangle((-padding,) * 2, *(side + 2 * padding,) * 2, facecolor="white", edgecolor="#bbbbbb", ls=":")
        )
        for i in range(side):
            for j in range(side):
                ax.add_patch(Rectangle((j, i), 1, 1, facecolor="#dddddd", edgecolor="white"))
        centres = places - padding + kernel / 2
        x, y = torch.meshgrid(centres, centres, indexing="xy")
        ax.scatter(x.numpy(), y.numpy(), color=viz.DATA, s=22, zorder=4)
        for stop, style in zip(places[:2].tolist(), ("-", "--")):
            corner = (stop - padding, -padding)
            ax.add_patch(
                Rectangle(corner, kernel, kernel, fill=False, edgecolor=viz.RED, linewidth=2, linestyle=style, zorder=5)
            )
        answer = f"{side} x {side} to {len(places)} x {len(places)}"
        ax.set(title=f"padding {padding}, stride {stride}\n{answer}", xlim=(-1.2, side + 1.2), ylim=(side + 1.2, -1.2))
        ax.set(aspect="equal")
        ax.axis("off")
    return axes
