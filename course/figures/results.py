"""What the benchmarks measured and stored, for the figures and tables of the notebooks."""

import json

from course import belonging


def measured(benchmark, what):
    """The lines of `benchmarks/results/BENCHMARK.jsonl` whose "what" is this, as dicts. Raises ValueError where there is none."""
    lines = belonging("benchmarks", "results", f"{benchmark}.jsonl").read_text("utf-8").splitlines()
    found = [line for line in map(json.loads, lines) if line["what"] == what]
    if not found:
        raise ValueError(f"nothing was measured of {what!r}: `python benchmarks/{benchmark}.py` does it")
    return found
