"""Digits in every situation: a named folder, a download, no network, a damaged or read-only folder."""

import gzip
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch.testing import assert_close

from course import ROOT, data, mnist

REAL_MNIST = torchvision.datasets.MNIST
NAMES = [name.removesuffix(".gz") for name, _ in REAL_MNIST.resources]


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
    assert digits.is_mnist == (n not in (1500, 297))


def files_in(folder):
    return sorted(path.name for path in Path(folder).rglob("*") if path.is_file())


# ---------------------------------------------------------------- folders


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


def test_beside_the_environment_as_on_a_stick(alone, monkeypatch, capsys):
    monkeypatch.setattr(data, "ROOT", alone / "site-packages" / "shipped")
    monkeypatch.setattr(data, "SHIPPED", data.ROOT)
    monkeypatch.setattr(sys, "prefix", str(alone / "course-env"))
    (alone / "data").mkdir()
    assert mnist.home() == data.ROOT / "data"  # a folder data/ without MNIST is somebody's own
    make_mnist(alone / "data")
    assert mnist.home() == alone / "data"
    check(data.digits(n=500), 500)
    assert "MNIST from data/" in capsys.readouterr().out


def packed(raw):
    for path in list(raw.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), 1))
        path.unlink()


def renamed(change):
    def do(raw):
        for path in list(raw.iterdir()):
            path.rename(raw / change(path.name))

    return do


def each_in_a_folder_of_its_name(raw):
    for path in list(raw.iterdir()):
        path.rename(raw / "file")
        path.mkdir()
        (raw / "file").rename(path / path.name)


@pytest.mark.parametrize("named", ["mine", "mine/MNIST", "mine/MNIST/raw"])
@pytest.mark.parametrize("change", [
    lambda raw: None, packed, renamed(str.upper), renamed(lambda name: name.replace("-idx", ".idx")),
    renamed(lambda name: name.replace("t10k", "test")), each_in_a_folder_of_its_name,
])  # fmt: skip
def test_files_and_folders_are_called_as_people_call_them(alone, monkeypatch, named, change):
    change(make_mnist(alone / "mine", train=10))
    monkeypatch.setenv("COURSE_DATA", str(alone / named))
    test = data.digits(train=False)
    check(test, 10_000)
    assert_close(test.images[-1, 0, 0, :3], torch.tensor([0.0, 1.0, 2.0]) / 127.5 - 1)
    assert_close(test.labels, torch.arange(10_000) % 10)


@pytest.mark.parametrize("folder", ["Mnist", "mnist_data", "raw"])
def test_folders_around_the_files(alone, monkeypatch, folder):
    raw = make_mnist(alone / "there", train=10)
    (alone / "mine").mkdir()
    raw.rename(alone / "mine" / folder)
    monkeypatch.setenv("COURSE_DATA", str(alone / "mine"))
    check(data.digits(train=False, quiet=True), 10_000)


def test_clothes_are_no_digits(alone, monkeypatch, capsys):
    """Fashion-MNIST and its like have files of the same names; torchvision lays them beside MNIST."""
    raw = make_mnist(alone / "mine")
    raw.parent.rename(alone / "mine" / "FashionMNIST")
    monkeypatch.setenv("COURSE_DATA", str(alone / "mine"))
    check(data.digits(train=False), 297)
    assert "holds neither MNIST's files" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["cut", "wrong size", "missing", "no IDX", "cut packed", "no folder", "letters"])
def test_damaged_folder_is_named_and_passed_over(alone, monkeypatch, capsys, damage):
    raw = make_mnist(alone / "mine", train=50 if damage == "wrong size" else 60_000)
    images = raw / "train-images-idx3-ubyte"
    if damage == "cut":
        images.write_bytes(images.read_bytes()[:1000])
    if damage == "no IDX":
        images.write_bytes(b"<html>not found</html>" * 100)
    if damage == "cut packed":
        images.with_name(images.name + ".gz").write_bytes(gzip.compress(images.read_bytes(), 1)[:1000])
        images.unlink()
    if damage == "letters":  # EMNIST's labels go to 46
        labels = raw / "train-labels-idx1-ubyte"
        labels.write_bytes(labels.read_bytes()[:-1] + bytes([46]))
    if damage == "missing":
        shutil.rmtree(raw)
    if damage == "no folder":
        shutil.rmtree(alone / "mine")
    monkeypatch.setenv("COURSE_DATA", str(alone / "mine"))
    check(data.digits(), 1500)
    said = capsys.readouterr().out
    assert "MNIST from COURSE_DATA cannot be read (" in said and "()" not in said


def test_no_images_asked_for():
    with pytest.raises(ValueError, match="at least one"):
        data.digits(n=0)


# ---------------------------------------------------------------- without a network


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


# ---------------------------------------------------------------- download


class Mirror(http.server.BaseHTTPRequestHandler):
    """A small MNIST by HTTP. pace: "" sends all, "body" and "head" trickle it byte by byte, for an hour or so."""

    files, pace = {}, ""

    def do_HEAD(self):
        self.send_response(200 if self.path[1:] in self.files else 404)
        self.end_headers()

    def do_GET(self):
        try:
            if self.pace == "head":
                self.trickle(b"HTTP/1.0 200 " + b"O" * 60_000)
            self.do_HEAD()
            content = self.files.get(self.path[1:], b"")
            if self.pace == "body":
                self.trickle(content + bytes(60_000))
            self.wfile.write(content)
        except OSError:
            pass  # the other side has left

    def trickle(self, content):
        for i in range(len(content)):
            self.wfile.write(content[i : i + 1])
            self.wfile.flush()
            time.sleep(0.05)

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(alone, monkeypatch):
    """torchvision's addresses and checksums are those of a server here. Yields its class, and the lines that tell a child so."""
    raw = make_mnist(alone / "elsewhere")
    Mirror.files = {f"{name}.gz": gzip.compress((raw / name).read_bytes(), 1) for name in NAMES}
    Mirror.pace = ""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    resources = [(name, hashlib.md5(content).hexdigest()) for name, content in Mirror.files.items()]
    mirrors = [f"http://127.0.0.1:{server.server_port}/"]
    monkeypatch.setattr(REAL_MNIST, "mirrors", mirrors)
    monkeypatch.setattr(REAL_MNIST, "resources", resources)
    yield Mirror
    server.shutdown()
    server.server_close()


def child(root, then):
    """A process of its own that sees the same mirror and the same repository."""
    lines = [
        "import pathlib, time, torchvision", "from course import data", "MNIST = torchvision.datasets.MNIST",
        f"MNIST.mirrors, MNIST.resources = {REAL_MNIST.mirrors}, {REAL_MNIST.resources}",
        f"data.ROOT = pathlib.Path({str(root)!r})", then,
    ]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "COURSE_DATA"} | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )


def test_download_lands_whole_where_torchvision_looks(mirror, alone, capsys):
    check(data.digits(n=1000), 1000)
    assert [p.name for p in (alone / "data").iterdir()] == ["MNIST"] and files_in(alone / "data") == sorted(NAMES)
    assert "MNIST, downloaded to data/" in capsys.readouterr().out
    theirs = REAL_MNIST(alone / "data", train=False)
    assert_close(data.digits(train=False).images, theirs.data[:, None] / 127.5 - 1)


def test_a_damaged_file_in_data_is_replaced(mirror, alone):
    raw = make_mnist(alone / "data")
    (raw / "train-images-idx3-ubyte").write_bytes(b"cut")
    check(data.digits(n=1000), 1000)


def test_the_second_address_helps_out(mirror, alone, monkeypatch):
    monkeypatch.setattr(REAL_MNIST, "mirrors", ["http://127.0.0.1:9/", *REAL_MNIST.mirrors])
    check(data.digits(n=1000), 1000)


def test_two_processes_that_download_at_once_both_get_mnist(mirror, alone):
    wait = f"while not pathlib.Path({str(alone / 'go')!r}).exists(): time.sleep(0.001)"
    ask = "print([data.digits(train).source for train in (True, False)])"
    processes = [child(alone, f"print(flush=True)\n{wait}\n{ask}") for _ in range(2)]
    for process in processes:
        process.stdout.readline()  # it has imported all that it needs
    (alone / "go").touch()
    for process in processes:
        said, _ = process.communicate(timeout=60)
        assert "scikit-learn" not in said and process.returncode == 0, said
    assert files_in(alone / "data") == sorted(NAMES) and [p.name for p in (alone / "data").iterdir()] == ["MNIST"]


@pytest.mark.parametrize("placed_at", ["the probe", "the download"])
def test_the_loser_takes_what_the_winner_placed(mirror, alone, monkeypatch, placed_at):
    """Its own network fails, just when another process has placed the files."""

    def place(*_):
        make_mnist(alone / "data")
        if placed_at == "the download":
            raise OSError("connection reset")
        return False

    monkeypatch.setattr(data, "reachable" if placed_at == "the probe" else "_download", place)
    check(data.digits(n=1000), 1000)


@pytest.mark.parametrize("pace", ["body", "head"])
def test_a_trickling_network_is_left(mirror, alone, monkeypatch, capsys, pace):
    mirror.pace = pace
    monkeypatch.setattr(data, "DOWNLOAD_SECONDS", 0.5)
    check(data.digits(), 1500)
    assert "could not be downloaded (the network is too slow)" in capsys.readouterr().out
    assert not (alone / "data").exists()


def test_a_killed_download_leaves_nothing(mirror, alone):
    mirror.pace = "body"
    process = child(alone, "print(flush=True)\ndata.digits()")
    process.stdout.readline()
    process.stdout.readline()  # "is being downloaded"
    process.kill()
    process.communicate()
    assert not (alone / "data").exists()


def test_leftovers_of_a_killed_process_are_removed_and_a_living_ones_kept(alone):
    make_mnist(alone / "data")
    for name, age in (("old", 3600), ("new", 0)):
        folder = alone / "data" / (data.UNFINISHED + name)
        folder.mkdir()
        (folder / "train-images-idx3-ubyte").write_bytes(b"half")
        os.utime(folder, (time.time() - age,) * 2)
    check(data.digits(n=1000), 1000)
    assert sorted(p.name for p in (alone / "data").iterdir()) == [data.UNFINISHED + "new", "MNIST"]


def test_a_file_with_another_checksum_is_not_taken(mirror, alone, capsys):
    mirror.files[f"{NAMES[0]}.gz"] = gzip.compress(b"a login page")
    check(data.digits(), 1500)
    assert "train-images-idx3-ubyte.gz is damaged" in capsys.readouterr().out
    assert not (alone / "data").exists()


def test_download_cut_off_leaves_nothing_behind(mirror, alone, monkeypatch, capsys):
    def refuse(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(data.Path, "write_bytes", refuse)
    check(data.digits(), 1500)
    assert "No space left" in capsys.readouterr().out
    assert list((alone / "data").iterdir()) == []


def test_read_only_folder(mirror, alone, monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(data.Path, "mkdir", refuse)
    check(data.digits(), 1500)
    assert "Read-only file system" in capsys.readouterr().out


# ---------------------------------------------------------------- python -m course.data


@pytest.fixture
def patterned(alone, monkeypatch, tmp_path):
    """Files of MNIST's sizes, and their checksums in place of MNIST's. Returns their folder."""
    raw = make_mnist(tmp_path / "elsewhere")
    files = {("train", "images"): NAMES[0], ("train", "labels"): NAMES[1]}
    files |= {("(t10k|test)", "images"): NAMES[2], ("(t10k|test)", "labels"): NAMES[3]}
    sums = {key: hashlib.sha256((raw / name).read_bytes()).hexdigest() for key, name in files.items()}
    monkeypatch.setattr(mnist, "SUMS", sums)
    return raw


def test_what_is_there_is_checked_and_not_fetched(patterned, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(patterned))
    assert "Nothing was fetched" in mnist.fetch()
    packed(patterned)
    assert "checksums right" in mnist.fetch()
    with open(patterned / f"{NAMES[1]}.gz", "wb") as file:
        file.write(gzip.compress(b"\0" * 60_008, 1))
    (damaged,) = mnist.faults(patterned)
    assert NAMES[1] in damaged and "delete it" in damaged
    (patterned / f"{NAMES[1]}.gz").write_bytes(b"no gzip")
    assert len(mnist.faults(patterned)) == 1


def test_digits_of_another_data_set_are_not_taken_for_mnist(alone):
    assert len(mnist.faults(make_mnist(alone / "fashion"))) == 4


def test_fetching_without_a_network_says_so_and_writes_nothing(alone, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(alone / "new"))
    with pytest.raises(ValueError, match="is there a network.*copied into .*new"):
        mnist.fetch()
    assert not (alone / "new").exists()


def test_fetching_puts_the_files_where_course_data_points(patterned, monkeypatch, tmp_path):
    target = tmp_path / "deep" / "folder"
    monkeypatch.setenv("COURSE_DATA", str(target))
    monkeypatch.setattr(data, "reachable", lambda seconds: True)
    monkeypatch.setattr(data, "_download", lambda folder: shutil.copytree(patterned, folder / "MNIST" / "raw"))
    assert str(target) in mnist.fetch() and not mnist.faults(target)
    assert "Nothing" in mnist.fetch()


def test_shared_digits_are_the_same_and_nobody_changes_them_for_another(alone, monkeypatch):
    raw = make_mnist(alone / "mine")
    monkeypatch.setenv("COURSE_DATA", str(raw))
    first = data.digits(n=300)
    mnist.share(raw)
    os.remove(raw / NAMES[0])  # so what comes now was mapped
    shared = data.digits(n=300)
    check(data.digits(train=False), 10_000)
    assert_close(shared.images, first.images, rtol=0, atol=0)
    shared.images.zero_()
    assert_close(data.digits(n=300).images, first.images, rtol=0, atol=0)
    (raw / "mnist-60000-float32").write_bytes(b"cut short")
    assert not data.digits().is_mnist
