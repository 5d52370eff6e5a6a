"""Run each notebook in a fresh process and print its seconds and peak memory, one JSON line a notebook.

    python benchmarks/notebooks.py [NOTEBOOK ...]

The numbers include the kernel's start. Memory is the largest resident set of the kernel process (POSIX only).
"""

import json
import subprocess
import sys
import time

from course import index

RUN = """
import sys, nbformat, nbclient, pathlib, resource
path = pathlib.Path(sys.argv[1])
nbclient.NotebookClient(nbformat.read(path, as_version=4), timeout=600, resources={"metadata": {"path": path.parent}}).execute()
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def main(words):
    try:
        chosen = index.choose(words)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    for row in chosen:
        started = time.monotonic()
        done = subprocess.run([sys.executable, "-c", RUN, str(row.path)], stdout=subprocess.PIPE, text=True, check=True)
        unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes on Linux
        peak = int(done.stdout.split()[-1]) * unit / 1e6
        seconds = time.monotonic() - started
        print(json.dumps({"notebook": row.name, "seconds": round(seconds, 1), "peak_MB": round(peak)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
