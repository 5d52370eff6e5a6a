"""A class at a real JupyterHub on this computer: N students open a notebook at once and run it from top to bottom.

    python benchmarks/hub.py --students 20 --notebook 05 --memory-limit 22

Starts the hub of hub/ with its own settings (one thread a kernel), logs N students in, opens a kernel for each, and runs all
code cells of the notebook in all kernels together. Prints one JSON line: seconds until the last picture, memory, failures.
It stops, and says so, before more than the limit (GB used on the whole computer) is taken. Linux only; needs [lab,hub]
and configurable-http-proxy. --environment NAME=VALUE tries another setting of the servers; --before CODE runs Python first.
"""

import argparse
import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import psutil

from course import index

sys.path.append(str(Path(__file__).resolve().parents[1] / "hub"))
import trial  # noqa: E402


def code_cells(path):
    """The code of a notebook, a list of cells; exercises as they stand, with their stubs."""
    cells = json.loads(path.read_bytes())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


class Watch:
    """Memory while the class computes, looked at twice a second. pids: of the kernels, which the students fill in."""

    def __init__(self, limit_GB):
        self.limit, self.pids, self.private, self.used = limit_GB * 1e9, {}, {}, 0
        self.before, self.together, self.stopped = self._used(), 0, False

    @staticmethod
    def _used():
        memory = psutil.virtual_memory()
        return memory.total - memory.available

    async def look(self, students):
        while not self.stopped:
            now = {}
            for name, pid in list(self.pids.items()):
                try:
                    memory = psutil.Process(pid).memory_info()
                    now[name] = memory.rss - memory.shared
                    self.private[name] = max(self.private.get(name, 0), now[name])
                except psutil.NoSuchProcess:
                    pass
            self.together = max(self.together, sum(now.values()))
            self.used = max(self.used, self._used())
            if self._used() > self.limit:
                self.stopped = True
                students.cancel()
            await asyncio.sleep(0.5)


async def attend(student, cells, before, watch, mine, all_here):
    """One student's lesson. mine: a dict that is filled in on the way: cells, last_picture, seconds."""
    try:
        await student.log_in()
        await student.open_kernel("notebooks")
        said = await student.run(f"import os\nprint(os.getpid())\n{before}")
        watch.pids[student.name] = int(said[0][1]["text"].split()[0])
    finally:
        await all_here.wait()  # with those whose server did not start
    started = time.monotonic()
    for cell in cells:
        outputs = await student.run(cell, seconds=7200)
        mine["cells"] += 1
        if any("image/png" in content.get("data", {}) for _, content in outputs):
            mine["last_picture"] = time.monotonic() - started
    mine["seconds"] = time.monotonic() - started


async def counted(student, cells, before, watch, mine, all_here):
    """The same, with the failure noted, so that the others go on."""
    try:
        await attend(student, cells, before, watch, mine, all_here)
    except asyncio.CancelledError:
        mine["failure"] = "stopped: the limit of memory was reached"
    except Exception as error:
        mine["failure"] = f"{type(error).__name__}: {error}"


async def lesson(hub, row, args):
    """The whole class. Returns done (name -> a student's dict), the watch, whether the limit stopped it, and seconds in all."""
    names = [f"student{i:02}" for i in range(args.students)]
    done, watch = {name: {"cells": 0, "failure": None} for name in names}, Watch(args.memory_limit)
    for name in names:
        place = hub.homes / name / "notebooks"
        place.mkdir(parents=True)
        shutil.copy(row.path, place)
    cells, all_here, started = code_cells(row.path), asyncio.Barrier(args.students), time.monotonic()
    jobs = [counted(trial.Student(hub, name), cells, args.before, watch, done[name], all_here) for name in names]
    together = asyncio.gather(*jobs)
    looking = asyncio.create_task(watch.look(together))
    with contextlib.suppress(asyncio.CancelledError):
        await together
    watch.stopped, stopped = True, watch.stopped
    await looking
    return done, watch, stopped, time.monotonic() - started


def report(row, args, done, watch, stopped, seconds):
    """The JSON line: memory in MB, seconds of the fastest and the slowest student."""
    finished = [mine for mine in done.values() if not mine["failure"] and "seconds" in mine]
    pictures = sorted(mine["last_picture"] for mine in finished if "last_picture" in mine)
    failures = {
        name: f"after {mine['cells']} cells: {mine['failure']}" for name, mine in done.items() if mine["failure"]
    }
    private = sorted(watch.private.values())
    line = {
        "notebook": row.name, "students": args.students, "finished": len(finished), "seconds": round(seconds),
        "last_picture_seconds": [round(pictures[0]), round(pictures[-1])] if pictures else None,
        "private_MB": [round(private[0] / 1e6), round(private[-1] / 1e6)] if private else None,
        "kernels_together_MB": round(watch.together / 1e6), "used_MB": round((watch.used - watch.before) / 1e6),
        "cores": psutil.cpu_count(), "stopped_by_limit": stopped, "failures": failures,
    }  # fmt: skip
    if args.environment or args.before:
        line["with"] = [*args.environment, *filter(None, [args.before])]
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=4)
    parser.add_argument("--notebook", default="05")
    parser.add_argument("--memory-limit", type=float, default=12, help="GB used on the whole computer; default 12")
    parser.add_argument("--proxy", help="the program configurable-http-proxy, where the shell does not find it")
    parser.add_argument("--environment", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--before", default="", help="Python that each kernel runs before the notebook")
    args = parser.parse_args()
    try:
        (row,) = index.choose([args.notebook])
        settings = dict(word.split("=", 1) for word in args.environment)
        if args.students < 1:
            raise ValueError(f"--students is {args.students}, but at least one is needed")
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    with tempfile.TemporaryDirectory() as folder:
        try:
            extra = (
                f"c.Spawner.environment.update({settings!r})\nc.JupyterHub.concurrent_spawn_limit = {args.students}\n"
            )
            with trial.start(Path(folder, "hub"), args.proxy, extra) as hub:
                print(json.dumps(report(row, args, *asyncio.run(lesson(hub, row, args)))))
        except RuntimeError as error:
            raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
