"""The stick: made with stand-ins for the large packages, then followed line by line as its page says, without a network."""

import os
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
        bundle.bundle(["linux"], PYTHON, place)
    return place


def lines_of(stick, system):
    """What the page says to type on a system, without the remarks."""
    text = (stick / "README.txt").read_text("utf-8")
    section = text.split(f"\n{system}")[1].split("\n\n")[0].splitlines()[1:]
    return [line.split("  #")[0].strip() for line in section]


def alone(tmp_path):
    """An environment in which pip knows no index, and every address is dead."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "COURSE_"))}
    return plain | {"PIP_CONFIG_FILE": os.devnull, "HTTPS_PROXY": "http://127.0.0.1:9", "HOME": str(tmp_path)}


@pytest.mark.skipif(sys.platform != "linux", reason="types the lines for Linux")
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
    script = "\n".join(["set -e", *lines[:until], f"{lines[until]} || true"])
    done = subprocess.run(["bash", "-c", script], cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "files are as they should be" in done.stdout
    assert f"{len(ready.floors())} packages, all new enough" in done.stdout and "checksums right" in done.stdout
    assert (here / "course" / "notebooks" / "00_start_here.ipynb").exists()


def test_a_file_that_was_copied_badly_is_named(stick, tmp_path):
    here = tmp_path / "copy"
    shutil.copytree(stick, here)
    (here / "course.zip").write_bytes(b"cut short")
    (here / "data" / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    done = subprocess.run([sys.executable, "check.py"], cwd=here, capture_output=True, text=True)
    assert done.returncode and "damaged: course.zip" in done.stdout and "missing: data/MNIST/raw/t10k" in done.stdout


def test_windows_lines_need_no_activation(stick):
    lines = lines_of(stick, "WINDOWS")
    assert any(line.startswith(r"course-env\Scripts\python -m pip install --no-index") for line in lines)
    assert not any("activate" in line.lower() for line in lines)
    text = (stick / "README.txt").read_bytes()
    assert b"\r\n" in text and b"VERSION" not in text and b"DISK" not in text
    for trap in (b"Microsoft Store", b"OneDrive", b"Anaconda", b"execution of scripts", b"too long", b"py -0"):
        assert trap in text


def test_without_mnist_there_is_no_stick(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match="python -m course.data"):
        bundle.copy_mnist(tmp_path / "data")


def test_another_system_is_refused():
    done = subprocess.run([sys.executable, ROOT / "tools" / "bundle.py", "amiga"], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode and "there are linux, windows, macos" in done.stderr
