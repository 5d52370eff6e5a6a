"""The stick: made with stand-ins for the large packages, then followed line by line as its page says, without a network."""

import errno
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))
import bundle  # noqa: E402

from course import mnist, ready  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stick of these tests is for Linux")
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def stand_in(folder, name, version):
    """A wheel of that name with nothing in it."""
    plain = name.replace("-", "_")
    with zipfile.ZipFile(folder / f"{plain}-{version}-py3-none-any.whl", "w") as wheel:
        info = f"{plain}-{version}.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


def stand_ins(system, python, folder, list_of_packages, cpu):
    for name, version in ready.floors().items():
        stand_in(folder, name, version)


@pytest.fixture(scope="module")
def stick(tmp_path_factory):
    place = tmp_path_factory.mktemp("with blank") / "stick"
    small = tmp_path_factory.mktemp("mnist")
    sums = dict.fromkeys(mnist.SUMS, bundle.hashlib.sha256(b"digits").hexdigest())
    names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
    for name in names:
        (small / f"{name}-ubyte").write_bytes(b"digits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_DATA", str(small))
        patch.setattr(mnist, "SUMS", sums)
        patch.setattr(bundle, "has_cpu_builds", lambda: False)
        patch.setattr(bundle, "resolve", lambda system, python, path, cpu: path.write_text(""))
        patch.setattr(bundle, "fetch_wheels", stand_ins)
        patch.setattr(bundle, "copy_made", lambda stick: [])  # whatever lies in dist/
        bundle.bundle(["linux"], PYTHON, place)
    return place


def lines_of(stick, system):
    """What the page says to type on a system."""
    text = (stick / "README.txt").read_text("utf-8")
    section = text.split(f"\n{system}")[1].split("\n\n")[0].splitlines()[1:]
    return [line.strip() for line in section]


def program_of(stick):
    """The stick's program as a module."""
    spec = importlib.util.spec_from_file_location("stick", stick / "stick.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def alone(tmp_path):
    """An environment in which pip knows no index, and every address is dead."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "COURSE_"))}
    return plain | {"PIP_CONFIG_FILE": os.devnull, "HTTPS_PROXY": "http://127.0.0.1:9", "HOME": str(tmp_path)}


def test_the_page_leads_to_an_installed_course(stick, tmp_path):
    here = tmp_path / "my course"
    shutil.copytree(stick, here)
    lines = lines_of(here, "LINUX")
    until = next(i for i, line in enumerate(lines) if "course.ready" in line)
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / f"python{PYTHON}").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (bin / f"python{PYTHON}").chmod(0o755)
    environment = alone(tmp_path)
    environment["PATH"] = f"{bin}{os.pathsep}{environment['PATH']}"
    typed = [line for line in lines[:until] if "labextensions" not in line]  # the stand-in for JupyterLab is empty
    script = "\n".join(["set -e", *typed, f"{lines[until]} || true"])
    done = subprocess.run(["bash", "-c", script], cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "files are as they should be" in done.stdout
    assert f"{len(ready.floors())} packages, all new enough" in done.stdout and "checksums right" in done.stdout
    work = here / "course" / "notebooks" / "00_start_here.ipynb"
    assert work.exists()
    work.write_text("a day's work")
    again = subprocess.run(["bash", "-c", "\n".join(typed)], cwd=here, env=environment, capture_output=True, text=True)
    assert "type the last line as you typed it before" in again.stderr and work.read_text() == "a day's work"


def test_another_python_is_named_before_pip_meets_it(stick, tmp_path, monkeypatch):
    here = tmp_path / "copy"
    shutil.copytree(stick, here)
    program = program_of(here)
    monkeypatch.setattr(sys, "version_info", (3, 99, 0))
    with pytest.raises(SystemExit, match=f"this is Python 3.99, .* Python {PYTHON} alone\n.* your system's packages"):
        program.check()
    assert "python.org" in program.where_python_is("Darwin")
    (here / "python").mkdir()
    (here / "python" / "python-3.11.9-amd64.exe").touch()
    assert "python/ (python-3.11.9-amd64.exe)" in program.where_python_is("Windows")
    assert not program.python_faults(PYTHON, "Darwin", "arm64", 64)
    assert "x86_64, but" in program.python_faults(PYTHON, "Darwin", "x86_64", 64)[0]
    assert "32 bits" in program.python_faults(PYTHON, "Windows", "AMD64", 32)[0]


def test_a_file_that_was_copied_badly_is_named(stick, tmp_path):
    here = tmp_path / "copy"
    shutil.copytree(stick, here)
    (here / "course.zip").write_bytes(b"cut short")
    (here / "data" / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    done = subprocess.run([sys.executable, "stick.py", "check"], cwd=here, capture_output=True, text=True)
    assert done.returncode and "damaged: course.zip" in done.stderr and "missing: data/MNIST/raw/t10k" in done.stderr


def test_unpacking_is_whole_or_nothing(stick, tmp_path, monkeypatch):
    shutil.copy(stick / "stick.py", tmp_path)
    program = program_of(tmp_path)
    packed = tmp_path / "day.zip"
    bundle.day_zip(packed, ROOT / "notebooks")
    whole = packed.read_bytes()
    with pytest.raises(SystemExit, match="daz.zip is not here; there is day.zip"):
        program.unpack("daz.zip")
    for damaged in (whole[:9000], whole[:500] + bytes([255]) * 1000 + whole[1500:]):  # cut short; a block of it wrong
        packed.write_bytes(damaged)
        with pytest.raises(SystemExit, match="day.zip is damaged"):
            program.unpack("day.zip")
    packed.write_bytes(whole)

    def full_disk(self, folder):
        self.extract("day/00_start_here.ipynb", folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extractall", full_disk)
        with pytest.raises(SystemExit, match="no space is left: make room, then type this line again"):
            program.unpack("day.zip")
    assert {path.name for path in tmp_path.iterdir()} == {"stick.py", "day.zip"}
    program.unpack("day.zip")
    work = tmp_path / "day" / "00_start_here.ipynb"
    work.write_text("a day's work")
    with pytest.raises(SystemExit, match="day/ is here already and may hold your work"):
        program.unpack("day.zip")
    assert work.read_text() == "a day's work"


def test_the_page_speaks_of_what_is_on_the_stick(stick):
    text = (stick / "README.txt").read_text("utf-8")
    assert "LINUX (" in text and not re.search("windows|macos|mac with", text, re.I) and "|" not in text
    assert "from python.org" in text and "from the folder python/" not in text
    assert "README.txt" not in (stick / "SHA256SUMS").read_text()  # a teacher may change lines in it


def test_lines_are_the_same_in_every_shell_and_need_no_activation(stick, tmp_path):
    here = tmp_path / "all systems"
    shutil.copytree(stick, here)
    for folder in ("python", "wheels/windows", "wheels/macos"):
        (here / folder).mkdir()
    bundle.instructions(here, PYTHON)
    assert "from the folder python/" in (here / "README.txt").read_text("utf-8")
    for system in ("WINDOWS", "LINUX", "MACOS"):
        lines = lines_of(here, system)
        assert len(lines) == 8 and not re.search("[#$%]|set |export ", " ".join(lines))  # cmd and zsh know no remarks
    lines = lines_of(here, "WINDOWS")
    assert any(line.startswith(r"course-env\Scripts\python -m pip install --no-index") for line in lines)
    assert not any("activate" in line.lower() for line in lines)
    text = (here / "README.txt").read_bytes()
    assert b"\r\n" in text and b"VERSION" not in text and b"DISK" not in text
    for trap in (b"Microsoft Store", b"OneDrive", b"Anaconda", b"execution of scripts", b"too long", b"py -0"):
        assert trap in text


def test_without_mnist_the_old_stick_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    old = tmp_path / "stick" / "README.txt"
    old.parent.mkdir()
    old.touch()
    with pytest.raises(SystemExit, match=f'"{re.escape(sys.executable)}" -m course.data'):
        bundle.bundle(["linux"], PYTHON, old.parent)
    assert old.exists()


def test_what_was_made_before_is_on_the_stick(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    for name in ("dist/plans/one_day_workshop.md", "dist/plans/one_day_workshop/00.ipynb", "dist/plans/two_hour_lab.md",
                 "dist/course-1.0-student.zip", "dist/python/python.exe", "build/book/html/index.html"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    bundle.copy_made(tmp_path / "stick")
    found = {path.relative_to(tmp_path / "stick").as_posix() for path in (tmp_path / "stick").rglob("*.*")}
    assert found == {"plans/one_day_workshop.md", "day.zip", "course-1.0-student.zip", "python/python.exe",
                     "book/index.html"}  # fmt: skip
    assert zipfile.ZipFile(tmp_path / "stick" / "day.zip").namelist() == ["day/00.ipynb"]


@pytest.mark.parametrize("words, said", [
    (["amiga"], "there are linux, windows, macos"), (["--python=3.10"], "3.11 or later"), (["--python="], "3.11 or later"),
])  # fmt: skip
def test_another_system_or_version_is_refused(words, said):
    done = subprocess.run([sys.executable, ROOT / "tools" / "bundle.py", *words], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode and said in done.stderr
