"""Everything for a workshop without Wi-Fi in one folder, dist/stick/, for `make bundle`.

    python tools/bundle.py [linux] [windows] [macos] [--python 3.12]

For each system the wheels of the course and of all that it needs, on one version of Python; MNIST; the course as a
zip, with its weights; the book, the students' edition, and the day's plan and notebooks if they were made; checksums, a
program that checks and unpacks, and one page of instructions. Which packages a system needs is resolved by uv, which
knows the markers of other systems; pip then fetches exactly those.
"""

import argparse
import hashlib
import math
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from typing import NamedTuple

import own_course  # noqa: F401, before course

from course import ROOT, data, mnist

STICK = ROOT / "dist" / "stick"
PAGES = ("stick.txt", "stick.py")
DAY = "one_day_workshop"
PYTHON = "3.11"  # constraints.txt was proved on it
CPU_BUILDS = (
    "https://download.pytorch.org/whl/cpu"  # PyTorch without CUDA for Linux; elsewhere the package index has no other
)
GLIBC = [*(f"manylinux_2_{n}" for n in range(28, 4, -1)), "manylinux2014", "manylinux2010", "manylinux1"]


class System(NamedTuple):
    """uv: the platform's name in uv; wheels: the tags of wheels that run there, for pip."""

    uv: str
    wheels: tuple


SYSTEMS = {
    "linux": System("x86_64-manylinux_2_28", tuple(f"{name}_x86_64" for name in GLIBC)),
    "windows": System("windows", ("win_amd64",)),
    "macos": System("aarch64-apple-darwin", ("macosx_14_0_arm64",)),
}


def run(*command, **more):
    """A command, its output shown. Raises SystemExit naming it if it fails."""
    try:
        subprocess.run(list(map(str, command)), check=True, **more)
    except subprocess.CalledProcessError:
        raise SystemExit(f"error: this failed, see above: {' '.join(map(str, command))}") from None
    except FileNotFoundError:
        raise SystemExit(f"error: {command[0]} is not here; `make setup-teach` installs it") from None


def has_cpu_builds():
    """Whether PyTorch's own index answers within five seconds."""
    try:
        return urllib.request.urlopen(f"{CPU_BUILDS}/torch/", timeout=5).status == 200
    except OSError:
        return False


def resolve(system, python, list_of_packages, cpu):
    """Write the packages, with versions, that `pip install .[lab]` means on that system. cpu: take PyTorch's CPU builds."""
    command = [
        sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--extra", "lab",
        "--constraint", ROOT / "constraints.txt", "--python-platform", SYSTEMS[system].uv, "--python-version", f"{python}.0",
        *(["--torch-backend", "cpu"] if cpu else []), "-o", list_of_packages, ROOT / "pyproject.toml",
    ]  # fmt: skip
    run(*command, env=os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"})  # the oldest that PyTorch has wheels for


def fetch_wheels(system, python, folder, list_of_packages, cpu):
    """Fetch those packages as wheels into a folder."""
    platforms = [word for tag in SYSTEMS[system].wheels for word in ("--platform", tag)]
    index = ["--extra-index-url", CPU_BUILDS] if cpu else []
    run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--implementation", "cp",
        "--python-version", f"{python}.0", *platforms, *index, "--dest", folder, "--requirement", list_of_packages)  # fmt: skip


def course_wheel(folder):
    """Build the wheel of the course, which carries weights, results and notebooks."""
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)


def course_zip(path):
    """The repository's files as they were last committed, as course/ in a zip."""
    run("git", "-C", ROOT, "archive", "--format=zip", "--prefix=course/", "--output", path, "HEAD")


def check_mnist():
    """Raises SystemExit, with what to do, if MNIST's files are not here or not MNIST's."""
    if faults := mnist.faults(mnist.home()):
        raise SystemExit(
            f'error: {"; ".join(faults)}. "{sys.executable}" -m course.data fetches MNIST; where it lies elsewhere, '
            "COURSE_DATA=FOLDER names the folder"
        )


def copy_mnist(folder):
    """MNIST's files from where the course has them."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for (part, kind), _ in mnist.SUMS.items():
        shutil.copy(data._find(mnist.home(), data.FILE.format(part, kind)), raw)


def copy_made(stick):
    """What other commands made, and Python's installers if the teacher put them into dist/python/. Returns the names."""
    found, dist = [], ROOT / "dist"
    for name, folder in {"book": ROOT / "build" / "book" / "html", "python": dist / "python"}.items():
        if folder.is_dir():
            shutil.copytree(folder, stick / name)
            found.append(f"{name}/")
    for path in sorted(dist.glob("*student*.zip")):
        shutil.copy(path, stick)
        found.append(path.name)
    if (dist / "plans" / DAY).is_dir():
        (stick / "plans").mkdir()
        shutil.copy(dist / "plans" / f"{DAY}.md", stick / "plans")
        day_zip(stick / "day.zip", dist / "plans" / DAY)
        found += [f"plans/{DAY}.md", "day.zip"]
    return found


def day_zip(path, folder):
    """The day's notebooks as day/ in a zip, so that the program that unpacks it writes over nobody's work."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for notebook in sorted(folder.glob("*.ipynb")):
            packed.write(notebook, f"day/{notebook.name}")


def size_on_disk(stick):
    """Bytes of the stick, and of the environment and the course that are made from it, of the largest of its systems."""

    def unpacked(path):
        with zipfile.ZipFile(path) as packed:
            return sum(info.file_size for info in packed.infolist())

    copied = sum(path.stat().st_size for path in stick.rglob("*") if path.is_file())
    environments = [sum(map(unpacked, folder.glob("*.whl"))) for folder in (stick / "wheels").iterdir()]
    return copied + max(environments) + unpacked(stick / "course.zip")


def kept(page, here):
    """A page without the lines for what is not on the stick: "linux|..." stands there only if "linux" is in `here`."""
    marked = [re.fullmatch(r"(?:(\w+) *\|)?(.*)", line).groups() for line in page.splitlines()]
    return "".join(f"{line}\n" for mark, line in marked if mark is None or mark in here)


def instructions(stick, python):
    """The one page, with what is on the stick, and the program."""
    disk = f"{math.ceil(1.1 * size_on_disk(stick) / 1e9)} GB"  # Python's compiled files and pip come on top
    page, program = ((ROOT / "tools" / name).read_text("utf-8").replace("VERSION", python) for name in PAGES)
    here = {folder.name for folder in (stick / "wheels").iterdir()}
    here.add("python" if (stick / "python").is_dir() else "nopython")
    (stick / "README.txt").write_text(kept(page.replace("DISK", disk), here), "utf-8", newline="\r\n")
    (stick / "stick.py").write_text(program, "utf-8", newline="\n")


def note_sums(stick):
    """SHA256SUMS of everything in the folder but README.txt, in which a teacher may change lines."""
    unlisted = (stick / "README.txt", stick / "SHA256SUMS")
    files = sorted(path for path in stick.rglob("*") if path.is_file() and path not in unlisted)
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(stick).as_posix()}\n" for path in files
    ]
    (stick / "SHA256SUMS").write_text("".join(lines), "utf-8", newline="\n")


def bundle(systems, python, place=STICK):
    """Make the folder; an older one is replaced at the end. Says what is on it, and what is not."""
    check_mnist()
    stick = place.with_name(f"{place.name}.unfinished")
    shutil.rmtree(stick, ignore_errors=True)
    stick.mkdir(parents=True)
    cpu = "linux" in systems and has_cpu_builds()
    copy_mnist(stick / "data")
    course_zip(stick / "course.zip")
    for system in systems:
        folder = stick / "wheels" / system
        course_wheel(folder)
        packages = stick / f"{system}.txt"
        resolve(system, python, packages, cpu and system == "linux")
        fetch_wheels(system, python, folder, packages, cpu and system == "linux")
        packages.unlink()
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e9
        print(f"{system}: {len(list(folder.iterdir()))} wheels, {size:.1f} GB", flush=True)
    if "linux" in systems and not cpu:
        print(f"{CPU_BUILDS} does not answer: for Linux PyTorch's build with CUDA was taken, which is 2 GB larger")
    made = ", ".join(copy_made(stick)) or "no plan, no edition and no book: `make plans editions book` makes them"
    print(f"besides: MNIST, course.zip, {made}")
    instructions(stick, python)
    note_sums(stick)
    shutil.rmtree(place, ignore_errors=True)
    stick.rename(place)
    print(f"{place}: Python {python}; README.txt says how to install")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"of {', '.join(SYSTEMS)}; default all")
    parser.add_argument("--python", default=PYTHON, help=f"version that the wheels are for; default {PYTHON}")
    args = parser.parse_args()
    if unknown := [name for name in args.systems if name not in SYSTEMS]:
        raise SystemExit(f"error: there is no system {unknown[0]!r}; there are {', '.join(SYSTEMS)}")
    if not re.fullmatch(r"3\.(1[1-9]|[2-9]\d)", args.python):
        raise SystemExit(f"error: the version of Python is {args.python!r}, but 3.11 or later is needed, such as 3.12")
    bundle(args.systems or list(SYSTEMS), args.python)


if __name__ == "__main__":
    main()
