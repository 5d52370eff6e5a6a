"""Handwritten digits, wherever this computer can find them.

Looked for in this order: the folder named by the environment variable COURSE_DATA, the
repository's own `data/`, torchvision's download of MNIST into it (checksummed), and, without
a network, the 1,797 real 8x8 digits that scikit-learn carries, enlarged to 28x28.
"""

import os
import queue
import shutil
import socket
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F

ROOT = Path(__file__).resolve().parents[1]
PROBE_SECONDS = 1.5


class Digits(NamedTuple):
    """images: float32 `[N, 1, 28, 28]` in [-1, 1]; labels: long `[N]` in 0..9; source: where they come from."""

    images: torch.Tensor
    labels: torch.Tensor
    source: str


def digits(train=True, n=None, quiet=False):
    """The training or the test digits, the first n of them if n is given. Returns `Digits`; says which it found.

    Raises ValueError if n is less than 1.
    """
    if n is not None and n < 1:
        raise ValueError(f"n is {n}, but at least one image is needed; None means all")
    pixels, labels, source = _mnist(train) or _embedded(train)
    images = pixels[:n, None].float() / 127.5 - 1
    if not quiet:
        print(f"data: {len(images):,} {'training' if train else 'test'} digits, {source}")
    return Digits(images, labels[:n].long(), source)


def _mnist(train):
    """Pixels `[N, 28, 28]` uint8, labels and source, or None where MNIST cannot be had."""
    named = os.environ.get("COURSE_DATA")
    for folder, source in [(named, "MNIST from COURSE_DATA"), (ROOT / "data", "MNIST from data/")]:
        if folder and (Path(folder) / "MNIST" / "raw").is_dir():
            try:
                return _read(folder, train, source)
            except Exception as error:
                print(f"data: {source} cannot be read ({error}); looking further")
        elif folder == named and named:
            print("data: COURSE_DATA names a folder without MNIST/raw/ in it; looking further")
    if not reachable():
        return None
    try:
        _download(ROOT / "data")
        return _read(ROOT / "data", train, "MNIST, downloaded to data/")
    except Exception as error:  # no room, read-only, cut off: the course goes on with what it carries
        print(f"data: MNIST could not be downloaded ({error})")
        return None


def _read(folder, train, source):
    from torchvision.datasets import MNIST

    mnist = MNIST(folder, train=train)
    expected = (60_000 if train else 10_000, 28, 28)
    if tuple(mnist.data.shape) != expected or len(mnist.targets) != expected[0]:
        raise ValueError(f"expected {expected[0]} images of 28x28, found {tuple(mnist.data.shape)}")
    return mnist.data, mnist.targets, source


def reachable(seconds=PROBE_SECONDS):
    """Whether one of torchvision's MNIST addresses answers within so many seconds, name look-up included."""
    from torchvision.datasets import MNIST

    answers = queue.Queue()

    def knock(url):
        try:
            request = urllib.request.Request(url + "t10k-labels-idx1-ubyte.gz", method="HEAD")
            answers.put(urllib.request.urlopen(request, timeout=seconds).status == 200)
        except Exception:
            answers.put(False)

    end = time.monotonic() + seconds
    for url in MNIST.mirrors:  # a look-up in a dead network can hang for long, so it hangs in a thread of its own
        threading.Thread(target=knock, args=(url,), daemon=True).start()
    try:
        return any(answers.get(timeout=max(0, end - time.monotonic())) for _ in MNIST.mirrors)
    except queue.Empty:
        return False


def _download(folder):
    """MNIST by torchvision into `folder`, moved there only when complete and checked."""
    from torchvision.datasets import MNIST

    folder.mkdir(exist_ok=True)
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(10)
    unfinished = tempfile.mkdtemp(dir=folder)
    try:
        MNIST(unfinished, download=True)
        shutil.rmtree(folder / "MNIST", ignore_errors=True)
        os.replace(Path(unfinished) / "MNIST", folder / "MNIST")
    finally:
        socket.setdefaulttimeout(patience)
        shutil.rmtree(unfinished, ignore_errors=True)


def _embedded(train):
    """scikit-learn's digits, 8x8 with values 0..16, in MNIST's form: 20x20 inside a frame of 4. 1,500 train, 297 test."""
    from sklearn.datasets import load_digits

    found = load_digits()
    small = torch.from_numpy(found.images).float()[:, None] / 16
    large = F.interpolate(small, size=(20, 20), mode="bicubic", align_corners=False).clamp(0, 1)
    pixels = (F.pad(large, (4, 4, 4, 4))[:, 0] * 255).round().to(torch.uint8)
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    rows = order[:1500] if train else order[1500:]
    source = "scikit-learn's embedded 8x8 digits enlarged to 28x28 (no MNIST found, no network)"
    return pixels[rows], torch.from_numpy(found.target)[rows], source
