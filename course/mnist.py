"""MNIST by hand, which `python -m course.data` calls: is it here, is it whole, fetch it, and share it among many readers."""

import argparse
import gzip
import hashlib
import os
import zlib
from pathlib import Path

from course import data, settings

SUMS = {  # SHA-256 of MNIST's unpacked files: the pictures of another data set have the same names
    ("train", "images"): "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ("train", "labels"): "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ("(t10k|test)", "images"): "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ("(t10k|test)", "labels"): "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def home():
    """The folder where MNIST is looked for first and fetched to by hand: COURSE_DATA's, or data/."""
    return settings.read("COURSE_DATA") or data.own_folder()


def faults(folder):
    """What is wrong with MNIST's four files in a folder, a list of sentences: none where all are there and are MNIST's."""
    found = []
    for (part, kind), digest in SUMS.items():
        try:
            path = data._find(folder, data.FILE.format(part, kind))
            content = path.read_bytes()
            content = gzip.decompress(content) if path.suffix.lower() == ".gz" else content
            if hashlib.sha256(content).hexdigest() != digest:
                found.append(f"{path} is damaged, or another data set's: delete it")
        except (ValueError, OSError, EOFError, zlib.error) as error:
            found.append(str(error))
    return list(dict.fromkeys(found))


def fetch():
    """Fetch MNIST into `home()` unless it is there. Returns what was done, a sentence. Raises ValueError with what to do."""
    folder = home()
    if not faults(folder):
        return f"MNIST is in {folder}: 70,000 digits, checksums right. Nothing was fetched"
    by_hand = f"MNIST's four files can also be copied into {folder} from another computer. Without them the course uses"
    by_hand += " the smaller digits that scikit-learn carries"
    if not data.reachable(5):
        raise ValueError(f"neither address of MNIST answers, so nothing was fetched: is there a network? {by_hand}")
    try:
        data._download(folder)
    except Exception as error:  # cut off, no room, no right to write there
        raise ValueError(f"MNIST could not be fetched ({error}). {by_hand}") from None
    if left := faults(folder):
        raise ValueError("; ".join(left))
    return f"MNIST was fetched into {folder}: 70,000 digits, checksums right"


def share(folder):
    """Store MNIST's images in a folder that holds MNIST as they are computed with, 220 MB, for `_mapped`."""
    from torchvision.datasets.mnist import read_image_file

    for part, n in (("train", 60_000), ("(t10k|test)", 10_000)):
        images = data.to_float(data._read(read_image_file, data._find(folder, data.FILE.format(part, "images"))))
        unfinished = Path(folder) / f"{data.UNFINISHED}{n}"
        unfinished.write_bytes(images.numpy().tobytes())
        os.replace(unfinished, Path(folder) / data.SHARED.format(n))


def main():
    parser = argparse.ArgumentParser(prog="python -m course.data", description="Fetch MNIST, or say that it is there.")
    parser.add_argument(
        "--share", action="store_true", help="store it for many readers on one computer as well, 220 MB"
    )
    args = parser.parse_args()
    try:
        print(fetch())
        if args.share:
            print(f"its numbers are stored in {home()} as well, 220 MB", flush=True)
            share(home())
            print("all notebooks on this computer hold them in memory once")
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
