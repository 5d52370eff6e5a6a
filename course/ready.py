"""Is this computer ready for the course? Looks for a minute at most, says what to do, and ends with a code for the teacher.

python -m course.ready                what is here, line by line; exit status 1 if something is to do
python -m course.ready --read CODE    for the teacher: what a student's code says, or several codes

Works where packages are missing: everything but Python's own library is imported only after a look whether it is there.
"""

import argparse
import hashlib
import importlib.metadata
import os
import platform
import re
import sys
import time
from pathlib import Path

from course import ROOT, ready_code, settings

NEEDED = (3, 11)  # Python
INSTALL = f'"{sys.executable}" -m pip install'
SLOW = 20  # seconds for one digit: then notebook 05 takes a quarter of an hour


def numbers(version):
    """The leading numbers of a version, a tuple: (2, 11) of "2.11rc1+cpu"."""
    return (
        tuple(map(int, re.match(r"\d*(?:\.\d+)*", version)[0].strip(".").split("."))) if version[:1].isdigit() else ()
    )


def floors():
    """What the course and its pages need, a dict package -> oldest version that will do.

    From pyproject.toml in the repository, elsewhere from what was installed; empty where neither is.
    """
    try:
        import tomllib  # not before Python 3.11

        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        lines = [*project["dependencies"], *project["optional-dependencies"]["lab"]]
    except (OSError, ImportError):
        try:
            asked = importlib.metadata.requires("diffusion-course") or []
        except importlib.metadata.PackageNotFoundError:
            return {}
        lines = [line for line in asked if "extra" not in line or re.search(r"extra == .lab.", line)]
    return dict(re.match(r"([\w.-]+)\s*>=\s*([\d.]+)", line).groups() for line in lines)


# ---------------------------------------------------------------- the checks: each returns (state, sentence)


def python():
    here = sys.version_info[:2]
    if here >= NEEDED:
        return "ok", f"Python {platform.python_version()}"
    return "to do", f"Python {here[0]}.{here[1]} is running, {NEEDED[0]}.{NEEDED[1]} or later is needed"


def packages(wanted=None):
    wanted, missing = floors() if wanted is None else wanted, []
    if not wanted:
        return "to do", f"the course is not installed: {INSTALL} FOLDER_OF_THE_COURSE"
    for name, oldest in wanted.items():
        try:
            here = importlib.metadata.version(name)
            if numbers(here) < numbers(oldest):
                missing.append(f"{name} {here} is older than {oldest}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{name} is missing")
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        return "to do", f'{", ".join(missing[:3])}{more}: {INSTALL} --upgrade "FOLDER_OF_THE_COURSE[lab]"'
    return "ok", f"{len(wanted)} packages, all new enough"


def torch(outcome):
    try:
        import torch
    except Exception as error:  # missing, or a library of the system is
        return "to do", f"PyTorch cannot be imported ({error}): {INSTALL} --force-reinstall torch torchvision"
    outcome["torch_major"], outcome["torch_minor"] = numbers(torch.__version__)[:2]
    return "ok", f"PyTorch {torch.__version__} starts"


def weights():
    folder = ROOT / "assets" / "weights"
    try:
        sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text("utf-8").splitlines())
    except OSError:
        return (
            "to do",
            f"no weights in {folder}: install the course from its repository, {INSTALL} FOLDER_OF_THE_COURSE",
        )
    found = {name: folder / name for name in sums}
    wrong = [name for name, path in found.items() if not path.is_file() or _sum(path) != sums[name]]
    if wrong:
        return (
            "to do",
            f"missing or damaged: {', '.join(wrong[:3])} ({len(wrong)} of {len(sums)}): fetch the course anew",
        )
    return "ok", f"{len(sums)} files of weights, checksums right"


def _sum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def mnist():
    try:
        from course import mnist as by_hand
    except ImportError:
        return "not looked at", "MNIST: needs the packages first"
    try:
        folder = by_hand.home()
        faults = by_hand.faults(folder)
    except ValueError as error:
        return "to do", str(error)
    if not faults:
        return "ok", f"MNIST is in {folder}, checksums right"
    if settings.read("COURSE_DATA") or any("delete it" in fault for fault in faults):
        return "to do", f"COURSE_DATA or data/ does not hold MNIST: {'; '.join(faults)}"
    here = f"no MNIST in {folder}; notebooks go on with smaller digits"
    return "note", f'{here}. Fetch it (11 MB) with: "{sys.executable}" -m course.data, or set COURSE_DATA to its folder'


def digit(outcome):
    try:
        import torch

        from course import device, judges, toy_ddpm
        from course import weights as shipped

        device.setup(quiet=True)
        asked = toy_ddpm.guide(shipped.load("digit-unet").given(torch.tensor([7])), 1.5)
        x_T = torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
        toy_ddpm.last(toy_ddpm.sample(asked, x_T, 2, toy_ddpm.ddim))  # the first time much is read from the disk
        started = time.perf_counter()
        drawn = toy_ddpm.last(toy_ddpm.sample(asked, x_T, 25, toy_ddpm.ddim))
        outcome["seconds"] = time.perf_counter() - started
        chances = judges.load_digit_judge()(drawn).softmax(1)[0]
    except ImportError:
        return "not looked at", "one digit: needs the packages first"
    except Exception as error:
        return "to do", f"a digit could not be drawn: {error}"
    read, sure = chances.argmax().item(), chances.max().item()
    told = f"asked for a 7, drawn in {outcome['seconds']:.1f} seconds, the judge reads {read} ({sure:.0%} sure)"
    if read != 7:
        return "to do", f"{told}: this PyTorch computes wrongly; install another version"
    return ("note", f"{told}: slow, run single cells") if outcome["seconds"] > SLOW else ("ok", told)


def memory(outcome):
    try:
        import psutil

        from course import index

        limit = os.environ.get("MEM_LIMIT", "")  # what a JupyterHub allows
        outcome["free"] = min([psutil.virtual_memory().available, *([int(limit)] if limit.isdigit() else [])]) / 1e9
        need = max(row["peak_MB"] for row in index.measured().values()) / 1000
    except (ImportError, OSError):
        return "not looked at", "memory: needs the packages first"
    told = f"{outcome['free']:.1f} GB of memory free; the largest notebook takes {need:.1f}"
    if outcome["free"] < need:
        return "note", f"{told}: close other programs, and one notebook before the next"
    return "ok", told


def folder(place=None, system=None):
    """Known traps of where the course and Python lie."""
    place, system = str(place or Path.cwd()), system or platform.system()
    if "WindowsApps" in sys.base_prefix:
        return (
            "note",
            "Python is the Microsoft Store's, which hides its files: the one of python.org makes less trouble",
        )
    if "onedrive" in place.lower():
        return "note", f"{place} is kept in step by OneDrive, which locks files: move the course to another folder"
    if system == "Windows" and len(place) > 100:
        return "note", f"{place} is long, and Windows ends paths at 260 signs: use a short one such as C:\\course"
    return "ok", f"working in {place}"


def look():
    """Run all checks. Yields (name, state, sentence); the last is ("code", "", the code)."""
    outcome = {"system": _system(), "python_minor": sys.version_info[1], "cores": os.cpu_count() or 0}
    run = {
        "python": python, "packages": packages, "torch": lambda: torch(outcome), "weights": weights, "mnist": mnist,
        "digit": lambda: digit(outcome), "memory": lambda: memory(outcome), "folder": folder,
    }  # fmt: skip
    for name in ready_code.CHECKS:
        state, sentence = run[name]()
        outcome[name] = ready_code.STATES.index(state)
        yield name, state, sentence
    seconds = outcome.pop("seconds", None)
    outcome["tenths"] = 0 if seconds is None else max(1, round(10 * seconds))
    outcome["free_GB"] = int(outcome.pop("free", 0))
    yield "code", "", ready_code.encode(outcome)


def _system():
    known = platform.system()
    return ready_code.SYSTEMS.index(known if known in ready_code.SYSTEMS else "other")


def read(codes):
    """Print what each code says. Returns how many say nothing, because they were mistyped."""
    mistyped = 0
    for code in codes:
        try:
            print(code, *ready_code.explain(code), "", sep="\n")
        except ValueError as error:
            mistyped += 1
            print(f"error: {error}\n")
    return mistyped


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--read", metavar="CODE", nargs="+", help="explain students' codes")
    codes = parser.parse_args().read
    if codes:
        raise SystemExit(read(codes))
    to_do = 0
    for name, state, sentence in look():
        if name == "code":
            print(f"{'ready' if not to_do else f'{to_do} to do'}. Send this code to your teacher: {sentence}")
        else:
            print(f"{state:14}{sentence}", flush=True)
            to_do += state == "to do"
    raise SystemExit(bool(to_do))


if __name__ == "__main__":
    main()
