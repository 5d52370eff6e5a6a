"""Figures of sounds: wave and spectrogram one above the other, and a spectrogram at several levels of a walk.

Functions take waves `[B, 1, L]` and `axes=None` (or `ax=None`) and return the axes.
"""

import torch

from course import sounds, viz
from course.toy_sounds import RATE


def wave(samples, ax=None, title=None, limit=1.05):
    """One wave `[L]` over time, in milliseconds. limit: of the axis. Returns the axes."""
    ax = ax or viz.panels(width=3.2, height=1.4)
    time = 1000 * torch.arange(len(samples)) / RATE
    ax.plot(time, samples, color=viz.DATA, lw=0.6)
    ax.set(xlim=(0, time[-1]), ylim=(-limit, limit), xlabel="milliseconds", ylabel="air pressure", title=title)
    return ax


def spectrogram(decibels, ax=None, title=None):
    """One spectrogram `[129, places]` from `sounds.spectrogram`, bright where it is loud. Returns the axes."""
    ax = ax or viz.panels(width=3.2, height=2.0)
    place = (0, 1000 * decibels.shape[1] * sounds.HOP / RATE, 0, RATE / 2)
    ax.imshow(decibels, origin="lower", aspect="auto", extent=place, cmap="magma", vmin=sounds.QUIETEST, vmax=0)
    ax.set(xlabel="milliseconds", ylabel="hertz", title=title)
    return ax


def heard(waves, titles, axes=None, width=2.1):
    """Each wave above its own spectrogram, side by side, all on the same scales. Returns the axes `[2, B]`."""
    axes = viz.panels(2, len(waves), width, 1.5, sharex=True, sharey="row", squeeze=False) if axes is None else axes
    for i, title in enumerate(titles):
        wave(waves[i, 0], axes[0, i], title)
        spectrogram(sounds.spectrogram(waves[i : i + 1])[0], axes[1, i])
        axes[0, i].set_xlabel(None)
    for ax in axes[:, 1:].flat:
        ax.set_ylabel(None)
    return axes


def strip(waves, titles, axes=None, columns=None, width=1.7):
    """Spectrograms alone, side by side, in rows of `columns` (None: one row). Returns the axes."""
    columns = columns or len(waves)
    rows = -(-len(waves) // columns)
    if axes is None:
        axes = viz.panels(rows, columns, width, 1.5, sharex=True, sharey=True, squeeze=False)
    for ax, decibels, title in zip(axes.flat, sounds.spectrogram(waves), titles):
        spectrogram(decibels, ax, title)
    for ax in axes.flat:
        ax.label_outer()
    return axes
