"""Figures of notebook 09: guidance as an arrow, walks in one dimension, clouds over the truth, curves over the scale.

Functions take tensors and `ax=None` (or `axes=None`) and return the axes.
"""

import torch

from course import viz

THIN = {"color": viz.PREDICTION, "lw": 0.7}


def arrow(eps_u, eps_c, scales, ax=None):
    """Two predictions for two pixels, `[2]` each, as arrows, and the points eps_u + w (eps_c - eps_u) for these scales w.

    The line through all of them is dotted; the arrow to the last point is orange. Returns the axes.
    """
    ax = ax or viz.panels(width=3.6, height=3.4)
    u, c = eps_u.double(), eps_c.double()
    points = torch.stack([u + w * (c - u) for w in scales])
    tips = [(u, viz.NOISE, r"$\varepsilon_u$"), (c, viz.DATA, r"$\varepsilon_c$"),
            (points[-1], viz.PREDICTION, rf"$\tilde\varepsilon$, w = {scales[-1]:g}")]  # fmt: skip
    line = torch.stack([u - 0.25 * (c - u), points[-1] + 0.35 * (c - u)])
    ax.plot(line[:, 0], line[:, 1], color=viz.TRUTH, ls=":", lw=1, zorder=0)
    for (x, y), color, name in tips:
        look = {"arrowstyle": "-|>", "color": color, "lw": 1.8, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 13}
        ax.annotate("", (x, y), (0, 0), arrowprops=look)
        ax.annotate(name, (0.6 * x, 0.6 * y), (-3, 6), textcoords="offset points", ha="right", color=color, fontsize=11)
    ax.plot(points[:, 0], points[:, 1], "o", color=viz.TRUTH, ms=4)
    for w, (x, y) in zip(scales, points):
        ax.annotate(f"w = {w:g}", (x, y), (8, -9), textcoords="offset points", fontsize=8)
    edge = 1.25 * points.abs().max().item()
    ax.set(xlim=(0, edge), ylim=(0, edge), aspect="equal", xlabel="noise in pixel 1", ylabel="noise in pixel 2")
    return ax


def trajectories(schedule, states, ax=None, title=None, mean=1.0, std=0.5, guided=None, shown=25):
    """x_t of a walk in one dimension against the level, which falls to the right. Returns the axes.

    states: `[steps + 1, n]`, the walk at even levels from T to 0; `shown` of its points are drawn. The blue band is where
    the class N(mean, std^2) lies at each level, one standard deviation to both sides. guided: the levels (low, high]
    between which there was guidance, marked at the bottom; None: nothing is marked.
    """
    ax = ax or viz.panels(width=2.4, height=2.5)
    every = torch.arange(schedule.T + 1)
    middle = schedule.signal * mean
    wide = (schedule.signal**2 * std**2 + schedule.std**2).sqrt()
    ax.fill_between(every, middle - wide, middle + wide, color=viz.DATA, alpha=0.18, lw=0)
    ax.plot(every, middle, color=viz.DATA, lw=1, ls="--")
    levels = torch.linspace(schedule.T, 0, len(states))
    columns = torch.linspace(0, states.shape[1] - 1, shown + 2)[1:-1].round().long()
    ax.plot(levels, states[:, columns], **THIN)
    if guided is not None:
        ax.plot(guided, (-2.85, -2.85), color=viz.RED, lw=4, solid_capstyle="butt")
    ax.set(xlim=(schedule.T, 0), ylim=(-3, 4), xlabel="noise level t", ylabel="$x_t$", title=title)
    ax.label_outer()
    return ax


def clouds_over(truth, rows, column_titles, limits=2.0):
    """Rows of clouds `[N, 2]`, orange, over the true points `[M, 2]`, grey. rows: dict name -> list of clouds. Returns the axes."""
    axes = viz.panels(len(rows), len(column_titles), width=1.75, height=1.85, squeeze=False)
    for line, (name, clouds) in zip(axes, rows.items()):
        for ax, points, title in zip(line, clouds, column_titles):
            viz.cloud(truth, ax, viz.NOISE, limits, size=6)
            viz.cloud(points, ax, viz.PREDICTION, limits, f"{name}, {title}", size=3)
            ax.label_outer()
    return axes


def over_scale(scales, curves, ylabel, ax=None, real=None, log=False, title=None, names=True):
    """Curves over the guidance scale, each with its name; dashed black what real data reach. Returns the axes.

    curves: dict name -> values `[len(scales)]`; real: one number, or None. log: a logarithmic y axis. names: whether to
    write them, beside the first points, where the curves lie apart. w = 1, the plain condition, is marked by a grey line.
    """
    ax = ax or viz.panels(width=3.0, height=2.6)
    ax.axvline(1, color=viz.NOISE, lw=0.8, zorder=0)
    for (name, values), marker, style in zip(curves.items(), "osD^", ("-", "--", "-.", ":")):
        (line,) = ax.plot(scales, values, ls=style, marker=marker, ms=4, lw=1.4, label=name)
        if names and len(curves) > 1:
            ax.annotate(
                name, (scales[0], values[0]), (8, 3), textcoords="offset points", color=line.get_color(), fontsize=8
            )
    if real is not None:
        ax.axhline(real, **viz.DASHED, lw=1, zorder=0)
    if log:
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0)
    ax.set(xlabel="guidance scale w", ylabel=ylabel, title=title)
    return ax


def by_world(lines):
    """A sweep of benchmarks/toy_zoo_quality.py, its lines as dictionaries, made ready to be drawn.

    Returns the scales; what was measured -> set of scenes -> values over the scales; the same numbers of true renderings of
    the held-out scenes; and of how many pictures each point is. Of several sweeps that with the most scales.
    """
    swept = [line for line in lines if "guidance_scale" in line and "scenes" in line]
    counts = [line["prompts"] for line in swept]
    count = max(set(counts), key=counts.count)
    swept = sorted((line for line in swept if line["prompts"] == count), key=lambda line: line["guidance_scale"])
    worlds = ("dog with glasses", "held-out", "training")
    scales = [line["guidance_scale"] for line in swept if line["scenes"] == "held-out"]
    curves = {
        key: {world: [line[key] for line in swept if line["scenes"] == world] for world in worlds}
        for key in ("prompt_accuracy", "frechet_distance", "diversity")
    }
    true = [line for line in lines if line.get("what") == "true renderings" and line["prompts"] == count]
    return scales, curves, next(line for line in true if line["scenes"] == "held-out"), count
