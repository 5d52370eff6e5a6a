"""Everything for a workshop without Wi-Fi in one folder, dist/stick/, for `make bundle`.

    python tools/bundle.py [linux] [windows] [macos]

For each system the wheels of the course and of all that it needs, on one version of Python; MNIST; the course as a zip, with
its weights; the book and the students' edition if they were made; checksums, and one page of instructions. Which packages a
system needs is resolved by uv, which knows the markers of other systems; pip then fetches exactly those.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import urllib.request
from typing import NamedTuple

import own_course  # noqa: F401, before course

from course import ROOT, data, mnist

STICK = ROOT / "dist" / "stick"
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


def copy_mnist(folder):
    """MNIST's files, checked, from where the course has them. Raises SystemExit if they are not here."""
    if faults := mnist.faults(mnist.home()):
        raise SystemExit(f"error: {'; '.join(faults)}. `python -m course.data` fetches MNIST")
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for (part, kind), _ in mnist.SUMS.items():
        shutil.copy(data._find(mnist.home(), data.FILE.format(part, kind)), raw)


def copy_made(stick):
    """What other commands made: the book, and zips of the editions for students. Returns what was there, in words."""
    found, book = [], ROOT / "build" / "book" / "html"
    if book.is_dir():
        shutil.copytree(book, stick / "book")
        found.append("the book")
    for path in sorted((ROOT / "dist").glob("*student*.zip")):
        shutil.copy(path, stick)
        found.append(path.name)
    return found


def instructions(stick, python, size):
    """The one page and the checker."""
    text = (ROOT / "tools" / "stick.txt").read_text("utf-8").replace("VERSION", python)
    (stick / "README.txt").write_text(text.replace("DISK", f"{size:.0f} GB"), "utf-8", newline="\r\n")
    shutil.copy(ROOT / "tools" / "stick_check.py", stick / "check.py")


def note_sums(stick):
    """SHA256SUMS of everything in the folder."""
    files = sorted(path for path in stick.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(stick).as_posix()}\n" for path in files
    ]
    (stick / "SHA256SUMS").write_text("".join(lines), "utf-8", newline="\n")


def bundle(systems, python, stick=STICK):
    """Make the folder. Says what is on it, and what is not."""
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
    print(
        f"besides: MNIST, course.zip, {', '.join(copy_made(stick)) or 'no book and no edition: `make book editions` makes them'}"
    )
    instructions(stick, python, 7 if "linux" in systems and not cpu else 2)
    note_sums(stick)
    print(f"{stick}: Python {python}; README.txt says how to install")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"of {', '.join(SYSTEMS)}; default all")
    parser.add_argument("--python", default=PYTHON, help=f"version that the wheels are for; default {PYTHON}")
    args = parser.parse_args()
    if unknown := [name for name in args.systems if name not in SYSTEMS]:
        raise SystemExit(f"error: there is no system {unknown[0]!r}; there are {', '.join(SYSTEMS)}")
    bundle(args.systems or list(SYSTEMS), args.python)


if __name__ == "__main__":
    main()
