"""Run each notebook in a fresh process and print its seconds and peak memory, one JSON line a notebook.

    python benchmarks/notebooks.py [NUMBER ...]

The numbers include the kernel's start. Memory is the largest resident set of the kernel process (POSIX only).
"""

import json
import subprocess
import sys
import time
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
RUN = """
import sys, nbformat, nbclient, pathlib, resource
path = pathlib.Path(sys.argv[1])
nbclient.NotebookClient(nbformat.read(path, as_version=4), timeout=600, resources={"metadata": {"path": path.parent}}).execute()
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def main(numbers):
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if numbers and path.name[:2] not in numbers:
            continue
        started = time.monotonic()
        done = subprocess.run([sys.executable, "-c", RUN, str(path)], capture_output=True, text=True, check=True)
        unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes on Linux
        peak = int(done.stdout.split()[-1]) * unit / 1e6
        print(
            json.dumps({"notebook": path.stem, "seconds": round(time.monotonic() - started, 1), "peak_MB": round(peak)})
        )


if __name__ == "__main__":
    main(sys.argv[1:])
