"""Sheets of drawn pictures at a size at which one sees them: small ones as `viz.images` has them, large ones over the page."""

from course import viz

WIDTH = 9.0  # inches of a page


def sheet(x, columns=None, column_titles=None, row_titles=None, scale=1.15):
    """A sheet of pictures `[N, 3, H, W]` in [-1, 1]. scale: inches of a small picture; large ones take what the page has.

    Returns the axes. Raises ValueError where `viz.images` does.
    """
    columns = columns or min(len(x), 10)
    if x.shape[-1] >= viz.LARGE:
        scale = min(3.0, WIDTH / columns)
    return viz.images(x, columns, column_titles, row_titles, scale=scale)
