"""Figures of notebook 13's duties: a mark in the Fourier plane, distances to a key, shares with their errors.

Functions take tensors and `ax=None` and return the axes. Beside them: what `benchmarks/duties.py` measured.
"""

import numpy as np
import torch

from course import toy_zoo, viz
from course.figures import results


def measured(what):
    """What `benchmarks/duties.py` stored of this: see `results.measured`."""
    return results.measured("duties", what)


def counted(scenes, attribute):
    """How many of the scenes have each value of the attribute, as the benchmark counts drawn ones: a dict."""
    seen = [getattr(scene, attribute) for scene in scenes]
    return {value: seen.count(value) for value in toy_zoo.ATTRIBUTES[attribute] if value}


def spectrum(noise, ax=None, title=None):
    """The real part of the orthonormal Fourier transform of one channel `[n, n]`, frequency 0 in the middle, from -2.5 to 2.5."""
    f = torch.fft.fftshift(torch.fft.fft2(noise, norm="ortho")).real
    n = len(noise)
    ax = ax or viz.panels(width=2.3, height=2.4)
    ax.imshow(f, cmap="coolwarm", vmin=-2.5, vmax=2.5, extent=(-n / 2 - 0.5, n / 2 - 0.5, n / 2 - 0.5, -n / 2 - 0.5))
    ax.set(title=title, xlabel="waves across", ylabel="waves down")
    return ax


def strips(groups, xlabel, limit, ax=None):
    """One row of points for each group, dict name -> numbers `[N]`; limit: a dashed line, left of which a mark is found."""
    ax = ax or viz.panels(width=5.2, height=0.6 + 0.42 * len(groups))
    for row, values in enumerate(groups.values()):
        shake = np.random.default_rng(row).uniform(-0.18, 0.18, len(values))
        ax.scatter(np.asarray(values), row + shake, s=14, color=viz.COLORS[row], alpha=0.7, linewidths=0)
    ax.set_yticks(range(len(groups)), list(groups))
    ax.set(xlabel=xlabel, ylim=(len(groups) - 0.5, -0.5))
    ax.axvline(limit, **viz.DASHED)
    return ax


def shares(groups, ax=None, title=None):
    """Bars side by side. groups: dict name -> dict label -> count; the first is exact, the others have one standard error."""
    labels = list(next(iter(groups.values())))
    ax = ax or viz.panels(width=max(3.4, 0.8 * len(labels)), height=2.5)
    width = 0.8 / len(groups)
    colors = [viz.TRUTH, viz.GREEN, viz.DATA, viz.PREDICTION]
    for i, (name, counts) in enumerate(groups.items()):
        n = sum(counts.values())
        heights = np.array([counts[label] / n for label in labels])
        errors = (heights * (1 - heights) / n) ** 0.5 if i else None
        place = np.arange(len(labels)) + (i - (len(groups) - 1) / 2) * width
        ax.bar(place, heights, width, yerr=errors, color=colors[i], label=name, error_kw={"lw": 0.9})
    ax.set_xticks(range(len(labels)), labels)
    ax.set(ylabel="share", title=title)
    return ax
