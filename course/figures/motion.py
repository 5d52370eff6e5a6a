"""Figures of the section on films: the way of the figure from frame to frame, and what was measured of a hundred films."""

import json

from course import ROOT, viz

LINES = {"true walk": viz.DASHED, "own noise": {"color": viz.NOISE}, "one noise": {"color": viz.DATA},
         "trained": {"color": viz.PREDICTION}}  # fmt: skip


def measured(how):
    """The line of `benchmarks/results/motion.jsonl` of films drawn this way, a dict. Raises ValueError where there is none."""
    lines = (ROOT / "benchmarks" / "results" / "motion.jsonl").read_text("utf-8").splitlines()
    found = [line for line in map(json.loads, lines) if line["how"] == how]
    if not found:
        raise ValueError(f"nothing was measured of {how!r}: `python benchmarks/motion.py` does it")
    return found[0]


def ways(paths, ax=None):
    """Where the figure is in each frame. paths: dict of `LINES`' names -> `[F]` in pixels. Returns the axes."""
    ax = ax or viz.panels(width=4.4, height=2.8)
    frames = range(1, 1 + len(next(iter(paths.values()))))
    styles = {name: {"marker": "o", "ms": 3} | LINES[name] for name in paths}
    return viz.lines(frames, paths, "frame", "pixels from the middle of its way", ax, ticks=frames, styles=styles)
