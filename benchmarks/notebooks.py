"""Run each notebook in a fresh process and print its seconds and peak memory, one JSON line a notebook.

    python benchmarks/notebooks.py [NOTEBOOK ...]

The numbers include the kernel's start. peak_MB: the largest resident set of the kernel process. private_MB: the largest part of
it that no other process can share, looked at five times a second: what one more reader on the same computer costs. Linux only.
"""

import json
import subprocess
import sys
import time

from course import index

RUN = """
import pathlib, resource, sys, threading, nbclient, nbformat, psutil
path, over, private = pathlib.Path(sys.argv[1]), threading.Event(), 0
def watch():
    global private
    while not over.wait(0.2):
        for memory in [kernel.memory_info() for kernel in psutil.Process().children()]:
            private = max(private, memory.rss - memory.shared)
threading.Thread(target=watch).start()
try:
    nbclient.NotebookClient(nbformat.read(path, as_version=4), timeout=600, resources={"metadata": {"path": path.parent}}).execute()
finally:
    over.set()
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, private)
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
        peak, private = map(int, done.stdout.split()[-2:])
        found = {"notebook": row.name, "seconds": round(time.monotonic() - started, 1)}
        print(json.dumps(found | {"peak_MB": peak * unit // 10**6, "private_MB": private // 10**6}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
