"""Figures of notebook 02: strips of noisy pictures, walkers among a cloud, steps against a jump, three schedules.

Functions take tensors and `ax=None` (or `axes=None`) and return the axes.
"""

import torch

from course import viz


def chain(pictures, names, forward, back, ax=None):
    """Pictures `[N, C, H, W]` in [-1, 1] in a row, joined by solid arrows to the right and dashed ones back.

    names: N texts under the pictures; forward, back: N - 1 texts at the arrows between them. Returns the axes.
    """
    ax = ax or viz.panels(width=2.1 * len(names), height=1.7)
    for i, (picture, name) in enumerate(zip(pictures.clamp(-1, 1) / 2 + 0.5, names)):
        shown = picture.permute(1, 2, 0).squeeze()
        ax.imshow(shown, cmap="gray", vmin=0, vmax=1, extent=(2 * i, 2 * i + 1, 0, 1), interpolation="nearest")
        ax.text(2 * i + 0.5, -0.06, name, ha="center", va="top", fontsize=10)
    for i, (there, home) in enumerate(zip(forward, back)):
        for text, y, tail, head, style in [(there, 0.68, 0.06, 0.94, "-"), (home, 0.32, 0.94, 0.06, "--")]:
            arrow = {"arrowstyle": "-|>", "linestyle": style, "color": viz.TRUTH, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", (2 * i + 1 + head, y), (2 * i + 1 + tail, y), arrowprops=arrow)
            up = style == "-"
            ax.text(2 * i + 1.5, y + (0.05 if up else -0.07), text, ha="center", va="bottom" if up else "top")
    ax.set(xlim=(-0.1, 2 * len(names) - 0.9), ylim=(-0.35, 1.05), aspect="equal")
    ax.set_axis_off()
    return ax


def strip(pictures, levels, rows=None, scale=1.1, name="t"):
    """Noisy pictures, a list of `[1, C, H, W]` row by row, black at -2.5 and white at 2.5, the level over each column.

    rows: names of the rows, or None. name: of the levels. Returns the axes.
    """
    titles = [f"{name} = {level}" for level in levels]
    return viz.images(torch.cat(pictures), len(levels), titles, rows, scale=scale, limits=(-2.5, 2.5))


def spreading(name, states, levels, limits, color=viz.DATA, shown=600):
    """The first `shown` points of states[t] `[N, 2]` for each t of `levels`, in equal windows. Returns the axes."""
    row = [states[t][:shown] for t in levels]
    return viz.clouds({name: row}, [f"t = {t}" for t in levels], limits=limits, colors=[color])


def walkers(states, tagged=3, limits=3.5, ax=None):
    """The last of the states `[steps, N, 2]`, and the paths by which the first `tagged` points, at most 3, came there."""
    title = f"t = {len(states) - 1}"
    ax = viz.cloud(states[-1], ax or viz.panels(width=2.9, height=3.0), limits=limits)
    for i, color in zip(range(tagged), (viz.RED, viz.GREEN, viz.TRUTH)):
        ax.plot(*states[:, i].T, color=color, lw=1.2, alpha=0.7)
        viz.cloud(states[-1:, i], ax, color, limits, title, size=60)
    return ax


def steps_and_jump(chain, jump, schedule, values, axes=None):
    """Histograms of the numbers that walked and of those that jumped, for each level t in `jump`, and Eq. 4 of DDPM.

    chain, jump: indexed by t, each `[N]`; values: what the data are, each with the same share, `[K]`. Returns the axes.
    """
    axes = axes if axes is not None else viz.panels(1, len(jump), width=2.6, height=2.4, sharey=True)
    x = torch.linspace(-4, 4, 200)[:, None]
    window = {"limits": (-4, 4), "ylim": (0, 0.9)}
    for ax, t in zip(axes, jump):
        viz.histogram(chain[t], f"value at t = {t}", ax, label="steps", **window)
        look = {"color": viz.PREDICTION, "filled": False, "label": "one jump"}
        viz.histogram(jump[t], f"value at t = {t}", ax, **look, **window)
        bells = torch.distributions.Normal(schedule.signal[t] * values, schedule.std[t])
        ax.plot(x, bells.log_prob(x).exp().mean(1), "--", color=viz.TRUTH, lw=1.2, label="Eq. 4")
        ax.legend(loc="upper right", fontsize=7)
    return axes


def schedules(made, axes=None):
    """Noise of each step, share of the picture and signal-to-noise ratio over the level. made: dict name -> schedule.

    The third panel has a line where the ratio is 1. Returns the axes.
    """
    axes = axes if axes is not None else viz.panels(1, 3, width=3.0, height=2.6)
    quantities = {"beta": "noise added in step t", "alpha_bar": "share of the picture", "snr": "signal-to-noise ratio"}
    for ax, (quantity, label) in zip(axes, quantities.items()):
        curves = {name: getattr(schedule, quantity)[1:] for name, schedule in made.items()}
        levels = range(1, len(next(iter(curves.values()))) + 1)
        log = quantity != "alpha_bar"
        viz.lines(levels, curves, "level t", label, ax, logy=log, styles=["-", "-.", "--", ":"])
    axes[2].axhline(1, color=viz.TRUTH, lw=0.8)
    axes[2].text(0.98 * levels[-1], 1.4, "SNR = 1", ha="right")
    axes[2].set(ylim=(1e-6, 1e4))
    return axes
