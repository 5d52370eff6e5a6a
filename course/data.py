"""Handwritten digits, wherever this computer can find them.

Looked for in this order: the folder named by the environment variable COURSE_DATA, the
repository's own `data/` (on a workshop's stick the `data/` beside the environment), a download of MNIST into it (from
torchvision's addresses, checksummed), and, without a network, the 1,797 real 8x8 digits that scikit-learn carries,
enlarged to 28x28.

    python -m course.data            fetches MNIST into COURSE_DATA or data/, or says that it is there
    python -m course.data --share    besides, for a computer with many readers, stores its numbers as the course computes
                                     with them: they are mapped, so all notebooks together hold them in memory once
"""

import gzip
import hashlib
import os
import queue
import re
import shutil
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F

from course import ROOT, SHIPPED, settings

PROBE_SECONDS = 1.5
DOWNLOAD_SECONDS = 60  # for the 11 MB of MNIST, from each of its two addresses
UNFINISHED = ".unfinished-"
SHARED = "mnist-{}-float32"
# as people have them: train-images-idx3-ubyte, train-images.idx3-ubyte, TRAIN-LABELS-IDX1-UBYTE.GZ, and the folders around
FILE = r"{}[-_.]{}[-_.]idx\d[-_.]ubyte(\.gz)?"
FOLDER = r"mnist([-_.]?data(set)?)?|raw|(train|t10k)[-_.](images|labels)[-_.]idx\d[-_.]ubyte"


class Digits(NamedTuple):
    """images: float32 `[N, 1, 28, 28]` in [-1, 1]; labels: long `[N]` in 0..9; source: where they come from, in words.

    is_mnist: whether they are MNIST's, so that figures may be put beside others' figures.
    """

    images: torch.Tensor
    labels: torch.Tensor
    source: str
    is_mnist: bool


def digits(train=True, n=None, quiet=False):
    """The training or the test digits, the first n of them if n is given. Returns `Digits`; says which it found.

    Raises ValueError if n is less than 1.
    """
    if n is not None and n < 1:
        raise ValueError(f"n is {n}, but at least one image is needed; None means all")
    mnist = _mnist(train)
    pixels, labels, source = mnist or _embedded(train)
    images = pixels[:n] if pixels.is_floating_point() else to_float(pixels[:n])
    if not quiet:
        print(f"data: {len(images):,} {'training' if train else 'test'} digits, {source}")
    return Digits(images, labels[:n].long(), source, is_mnist=bool(mnist))


def to_float(pixels):
    """Bytes `[N, 28, 28]` as images `[N, 1, 28, 28]` in [-1, 1], float32; in place, for MNIST as float32 is 190 MB."""
    return pixels[:, None].float().div_(127.5).sub_(1)


def own_folder():
    """The course's own folder of data, whether or not it is there: data/ of the repository.

    Installed without its repository, the course takes data/ beside its environment if MNIST lies there, as on a stick.
    """
    beside = Path(sys.prefix).parent / "data"
    return beside if ROOT == SHIPPED and (beside / "MNIST" / "raw").is_dir() else ROOT / "data"


def _mnist(train):
    """Pixels `[N, 28, 28]` uint8 (or, where they are mapped, images), labels and source; None where MNIST cannot be had."""
    own = own_folder()
    _remove_leftovers(own)
    places = {"MNIST from COURSE_DATA": settings.read("COURSE_DATA"), "MNIST from data/": own if own.is_dir() else None}
    for source, folder in places.items():
        if folder and (found := _look(folder, train, source)):
            return found
    if reachable():
        print("data: MNIST is being downloaded to data/, 11 MB")
        try:
            _download(own)
        except Exception as error:  # no room, read-only, cut off: the course goes on with what it carries
            print(f"data: MNIST could not be downloaded ({error})")
    placed = own / "MNIST" / "raw"  # by this process, or by another one meanwhile
    return _look(placed, train, "MNIST, downloaded to data/") if placed.is_dir() else None


def _look(folder, train, source):
    """What `_mnist` returns, from the files in a folder; None where they are missing or cannot be read, which is said."""
    from torchvision.datasets.mnist import read_image_file, read_label_file  # a second, and only digits need it

    part, n = ("train", 60_000) if train else ("(t10k|test)", 10_000)
    try:
        pixels = _mapped(folder, n)
        if pixels is None:
            pixels = _read(read_image_file, _find(folder, FILE.format(part, "images")))
        labels = _read(read_label_file, _find(folder, FILE.format(part, "labels")))
        if pixels.shape not in [(n, 28, 28), (n, 1, 28, 28)] or labels.shape != (n,) or labels.max() > 9:
            found = f"{tuple(pixels.shape)} with {len(labels)} labels up to {labels.max()}"
            raise ValueError(f"expected {n} images of 28x28 and their labels 0..9, found {found}")
        return pixels, labels, source
    except Exception as error:
        print(f"data: {source} cannot be read ({str(error) or 'no IDX file'}); looking further")
        return None


def _mapped(folder, n):
    """The n images that `mnist.share` stored in the folder, float32; None if it did not. Whoever changes them gets copies of his own."""
    path = Path(folder) / SHARED.format(n)
    if not path.is_file() or path.stat().st_size != n * 784 * 4:
        return None
    return torch.from_file(str(path), shared=False, size=n * 784).view(n, 1, 28, 28)


def _find(folder, pattern):
    """The first file of such a name in the folder, or in folders inside it that are called as MNIST's are."""
    folders = [folder]
    for folder in folders:
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        for path in entries:
            if re.fullmatch(pattern, path.name, re.IGNORECASE) and path.is_file():
                return path
        folders += [path for path in entries if re.fullmatch(FOLDER, path.name, re.IGNORECASE)]
    raise ValueError(f"{folders[0]} holds neither MNIST's files, train-images-idx3-ubyte and so on, nor MNIST/raw/")


def _read(reader, path):
    """What one of torchvision's readers reads in one of MNIST's files, packed or not."""
    if path.suffix.lower() != ".gz":
        return reader(path)
    with tempfile.TemporaryDirectory() as folder:
        unpacked = Path(folder) / path.stem
        unpacked.write_bytes(gzip.decompress(path.read_bytes()))
        return reader(unpacked)


# ---------------------------------------------------------------- download


def reachable(seconds=PROBE_SECONDS):
    """Whether one of torchvision's MNIST addresses answers within so many seconds, name look-up included."""
    from torchvision.datasets import MNIST

    def knock(url):
        request = urllib.request.Request(url + "t10k-labels-idx1-ubyte.gz", method="HEAD")
        return urllib.request.urlopen(request, timeout=seconds).status == 200

    end, answers = time.monotonic() + seconds, [_ask(knock, url) for url in MNIST.mirrors]
    return any(_wait(answer, end) is True for answer in answers)


def _ask(function, *arguments):
    """Begin a call that may hang and cannot be stopped, only left, in a thread of its own. Returns the queue for its answer."""
    answer = queue.Queue()

    def call():
        try:
            answer.put(function(*arguments))
        except Exception as error:
            answer.put(error)

    threading.Thread(target=call, daemon=True).start()
    return answer


def _wait(answer, end):
    """What was asked for, or the exception that came instead: TimeoutError once the time `end` has come."""
    try:
        return answer.get(timeout=max(0, end - time.monotonic()))
    except queue.Empty:
        return TimeoutError("the network is too slow")


def _download(folder):
    """MNIST's four files into `folder`/MNIST/raw, each there whole or not at all. Raises the last address's exception.

    Nothing is written before all is here and checked, and whoever comes second only puts the same in its place.
    torchvision's own download would wait for a trickling network for ever.
    """
    from torchvision.datasets import MNIST

    def fetch(mirror):
        files = {}
        for name, md5 in MNIST.resources:
            packed = urllib.request.urlopen(mirror + name, timeout=10).read()
            if hashlib.md5(packed, usedforsecurity=False).hexdigest() != md5:
                raise ValueError(f"{mirror}{name} is damaged")
            files[name.removesuffix(".gz")] = gzip.decompress(packed)
        return files

    for mirror in MNIST.mirrors:
        files = _wait(_ask(fetch, mirror), time.monotonic() + DOWNLOAD_SECONDS)
        if isinstance(files, dict):
            break
    else:
        raise files
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as unfinished:
        for name, content in files.items():
            (Path(unfinished) / name).write_bytes(content)
        raw = folder / "MNIST" / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        for name in files:
            os.replace(Path(unfinished) / name, raw / name)


def _remove_leftovers(folder):
    """Remove what a process that was killed while it wrote has left behind; one that still writes is younger."""
    for path in folder.glob(UNFINISHED + "*"):
        if time.time() - path.stat().st_mtime > 300:
            shutil.rmtree(path, ignore_errors=True)


# ---------------------------------------------------------------- without a network


def _embedded(train):
    """scikit-learn's digits, 8x8 with values 0..16, in MNIST's form: 20x20 inside a frame of 4. 1,500 train, 297 test."""
    from sklearn.datasets import load_digits

    found = load_digits()
    small = torch.from_numpy(found.images).float()[:, None] / 16
    large = F.interpolate(small, size=(20, 20), mode="bicubic", align_corners=False).clamp(0, 1)
    pixels = (F.pad(large, (4, 4, 4, 4))[:, 0] * 255).round().to(torch.uint8)
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    rows = order[:1500] if train else order[1500:]
    source = "scikit-learn's embedded 8x8 digits enlarged to 28x28 (no MNIST found, no network; COURSE_DATA=FOLDER names where MNIST lies)"
    return pixels[rows], torch.from_numpy(found.target)[rows], source


if __name__ == "__main__":
    from course import mnist

    mnist.main()
