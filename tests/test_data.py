"""Digits in every situation: a named folder, a download, no network, a damaged or read-only folder."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from course import data

REAL_MNIST = torchvision.datasets.MNIST


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """A repository without data/, no COURSE_DATA and a dead network."""
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setattr(data, "ROOT", tmp_path)
    monkeypatch.setattr(REAL_MNIST, "mirrors", ["http://127.0.0.1:9/"])
    return tmp_path


def make_mnist(folder, train=60_000, test=10_000):
    """IDX files of the right sizes, filled with a pattern."""
    raw = Path(folder) / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, n in (("train", train), ("t10k", test)):
        pixels = np.arange(28 * 28, dtype=np.uint8)[None].repeat(n, 0)
        header = np.array([0x803, n, 28, 28], ">i4").tobytes()
        (raw / f"{name}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        labels = (np.arange(n) % 10).astype(np.uint8)
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(np.array([0x801, n], ">i4").tobytes() + labels.tobytes())
    return raw


def check(digits, n):
    assert digits.images.shape == (n, 1, 28, 28) and digits.images.dtype == torch.float32
    assert digits.images.min() == -1 and digits.images.max() <= 1
    assert digits.labels.dtype == torch.long and set(digits.labels.tolist()) == set(range(10))


def test_folder_named_by_course_data(alone, monkeypatch, tmp_path, capsys):
    make_mnist(tmp_path / "mine")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "mine"))
    check(data.digits(), 60_000)
    check(data.digits(train=False, n=100), 100)
    assert "COURSE_DATA" in capsys.readouterr().out


def test_folder_of_the_repository(alone, capsys):
    make_mnist(alone / "data")
    check(data.digits(n=500), 500)
    assert "MNIST from data/" in capsys.readouterr().out


def test_without_network_real_digits_within_three_seconds(alone, capsys):
    data.reachable(0.01)  # torchvision's import is not the network's fault
    started = time.monotonic()
    train = data.digits()
    assert time.monotonic() - started < 3
    check(train, 1500)
    check(data.digits(train=False), 297)
    assert "scikit-learn" in capsys.readouterr().out
    border = train.images[:, :, [0, 1, 2, 3, -4, -3, -2, -1]]
    assert (border == -1).all() and train.images.max() > 0.9


def test_silent_network_is_given_up(monkeypatch, alone):
    """An address that never answers, name look-up included."""
    monkeypatch.setattr(data.urllib.request, "urlopen", lambda *_, **__: time.sleep(20))
    started = time.monotonic()
    assert not data.reachable()
    assert time.monotonic() - started < 2


def test_download_is_torchvisions_and_lands_whole(alone, monkeypatch):
    monkeypatch.setattr(data, "reachable", lambda *_: True)
    source = alone / "elsewhere"
    make_mnist(source)

    class MNIST(REAL_MNIST):
        def download(self):
            shutil.copytree(source / "MNIST", Path(self.root) / "MNIST")

    monkeypatch.setattr(torchvision.datasets, "MNIST", MNIST)
    check(data.digits(n=1000), 1000)
    assert [p.name for p in (alone / "data").iterdir()] == ["MNIST"]


def test_download_cut_off_leaves_nothing_behind(alone, monkeypatch, capsys):
    monkeypatch.setattr(data, "reachable", lambda *_: True)

    class MNIST(REAL_MNIST):
        def download(self):
            (Path(self.root) / "MNIST" / "raw").mkdir(parents=True)
            raise OSError("No space left on device")

    monkeypatch.setattr(torchvision.datasets, "MNIST", MNIST)
    check(data.digits(), 1500)
    assert "No space left" in capsys.readouterr().out
    assert list((alone / "data").iterdir()) == []


def test_read_only_folder(alone, monkeypatch, capsys):
    monkeypatch.setattr(data, "reachable", lambda *_: True)

    def refuse(*_, **__):
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(data.Path, "mkdir", refuse)
    check(data.digits(), 1500)
    assert "Read-only file system" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["cut", "wrong size", "missing"])
def test_damaged_folder_is_named_and_passed_over(alone, monkeypatch, capsys, damage):
    raw = make_mnist(alone / "mine", train=60_000 if damage == "cut" else 50)
    if damage == "cut":
        images = raw / "train-images-idx3-ubyte"
        images.write_bytes(images.read_bytes()[:1000])
    if damage == "missing":
        shutil.rmtree(raw)
    monkeypatch.setenv("COURSE_DATA", str(alone / "mine"))
    check(data.digits(), 1500)
    assert "COURSE_DATA" in capsys.readouterr().out


def test_no_images_asked_for():
    with pytest.raises(ValueError, match="at least one"):
        data.digits(n=0)
