"""A figure of notebook 05: the noise of single pixels, as a network estimates it, against the true one.

The function takes tensors and `ax=None` and returns the axes.
"""

from course import viz


def estimated_noise(eps, eps_hat, strokes, ax=None, title=None, shown=700):
    """The estimated noise of single pixels against the true one: of the background grey, of strokes orange.

    eps, eps_hat: of one shape; strokes: bool of the same shape, True where a pixel belongs to a stroke; shown: so many
    pixels of either kind are drawn, evenly chosen. The line of equal values is black. Returns the axes.
    Raises ValueError where the shapes differ.
    """
    if not eps.shape == eps_hat.shape == strokes.shape:
        raise ValueError(
            f"eps, eps_hat and strokes have one shape; got {list(eps.shape)}, {list(eps_hat.shape)}, {list(strokes.shape)}"
        )
    names = ("true noise", "estimated noise")
    for kind, label, color in ((~strokes, "background", viz.NOISE), (strokes, "strokes", viz.PREDICTION)):
        points = eps.new_empty(int(kind.sum()), 2)
        points[:, 0], points[:, 1] = eps[kind], eps_hat[kind]
        some = points[:: max(1, len(points) // shown)]
        ax = viz.cloud(some, ax, color, 4, title, 5, label, names)
    ax.plot((-4, 4), (-4, 4), color=viz.TRUTH, lw=0.8)
    ax.legend(loc="upper left", markerscale=2, handletextpad=0.1, borderaxespad=0)
    return ax
