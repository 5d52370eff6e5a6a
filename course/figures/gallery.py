"""Sheets of drawn pictures at a size at which one sees them: small ones as `viz.images`, large ones smooth and in true colour.

A sheet of pictures of 512 x 512 pixels holds more colours than a palette of 256 has, and more detail than a thumbnail shows.
"""

import io

import numpy as np
from IPython.display import display

from course import viz

LARGE = 128  # pixels from which a picture counts as large
WIDTH = 9.0  # inches of a page


def sheet(x, columns=None, column_titles=None, row_titles=None, scale=1.15):
    """A sheet of pictures `[N, 3, H, W]` in [-1, 1]. scale: inches of a small picture; large ones take what the page has.

    Returns the axes. Raises ValueError where `viz.images` does.
    """
    if x.shape[-1] < LARGE:
        return viz.images(x, columns, column_titles, row_titles, scale=scale)
    columns = columns or min(len(x), 10)
    ax = viz.images(x, columns, column_titles, row_titles, scale=min(3.0, WIDTH / columns))
    ax.images[0].set_interpolation("antialiased")
    return ax


def is_large(axes):
    """Whether a picture in this figure is larger than a palette and a thumbnail do justice to."""
    return any(image.get_interpolation() == "antialiased" for ax in np.ravel(axes) for image in ax.images)


def show(axes, alt):
    """`viz.show`; with large pictures as a JPEG in full colour."""
    if not is_large(axes):
        return viz.show(axes, alt)
    if not alt.strip():
        raise ValueError("alt is empty; say in a sentence or two what the figure shows")
    fig, data = np.ravel(axes)[0].figure, io.BytesIO()
    wide = round(fig.get_figwidth() * 96)
    fig.savefig(data, format="jpeg", dpi=96 * viz.SHARP, pil_kwargs={"quality": 88})
    viz.plt.close(fig)
    look = {"image/jpeg": {"alt": alt, "width": wide}}
    display({"image/jpeg": data.getvalue(), "text/plain": f"[figure] {alt}"}, metadata=look, raw=True)
