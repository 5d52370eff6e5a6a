"""Fetch Stable Diffusion's full weights; nothing else in the course downloads any.

    python -m course.stable_diffusion.fetch [--name ID] [--yes]      (or: make full-weights)

Says size, licence and disk first, goes on where it was interrupted, leaves a network that stalls, and compares every
file with the checksum that the hub states.
"""

import argparse
import contextlib
import errno
import shutil
import time
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import WeakFileLock, build_hf_headers
from tqdm import tqdm

from course.stable_diffusion.check import FULL, PARTS, check
from course.weights import WeightsError

WANTED = ["model_index.json", *(f"{part}/*.{kind}" for part in PARTS for kind in ("json", "txt", "safetensors"))]
ERRORS = (*HfHubHTTPError.__bases__, ValueError)  # the base class of the hub's HTTP library, whichever that is; OSError
PATIENCE = 30  # seconds
SLOWEST = 30_000  # bytes a second


def fetch(name=FULL, agreed=False, ask=input):
    """Fetch the full weights into the hub's own cache. Returns the folder, or None if the user says no.

    Raises WeightsError without network, without room, if it is no v1, or if a checksum is wrong. A second try goes on.
    """
    huggingface_hub.utils.disable_progress_bars()  # its own, which would show first of all that nothing was fetched
    try:
        info = huggingface_hub.HfApi().model_info(name)
        small, large = list_files(name, info.sha)
    except ERRORS as error:
        raise WeightsError(f"the hub does not answer for {name!r}: {error}") from None
    if not small:
        raise WeightsError(f"{name} holds no pipeline in diffusers' layout")
    cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
    announce(name, getattr(info.card_data, "license", None), sum(map(missing, small + large)), cache)
    if not agreed and ask("Fetch? [y/N] ").strip().lower() not in ("y", "yes"):
        return None
    try:
        with alone(cache / ".locks" / ("models--" + name.replace("/", "--") + ".lock")):
            folder = fetch_files(name, info.sha, small, large)
    except ERRORS as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise WeightsError(
                "the disk is full; make room or choose another with HF_HOME, then run this again"
            ) from None
        raise WeightsError(f"the connection broke off ({error}); run this again, it goes on from there") from None
    check(folder)
    print(f"complete and checked: {folder}")
    return folder


def announce(name, licence, size, cache):
    """Say what is to be fetched, size in bytes, and where to. Raises WeightsError if there is no room for it."""
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    print(f"{name}: {size / 1e9:.2f} GB to fetch into {cache} ({free / 1e9:.0f} GB free).")
    print(f"Licence: {licence or 'not stated'}; read it at https://huggingface.co/{name} before you go on.")
    print("A safety checker comes along and stays on.")
    if free < 1.1 * size:
        raise WeightsError(
            f"{size / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free; HF_HOME chooses another disk"
        )


def list_files(name, revision):
    """(small, large): what is wanted of a repository; where a part has files of half the size, those alone."""
    files = huggingface_hub.snapshot_download(
        name, revision=revision, allow_patterns=WANTED, ignore_patterns=["*non_ema*"], dry_run=True
    )
    slim = {file.filename.split("/")[0] for file in files if ".fp16" in file.filename}
    weights = [file for file in files if ".safetensors" in file.filename]
    large = [file for file in weights if (".fp16" in file.filename) == (file.filename.split("/")[0] in slim)]
    return [file for file in files if file not in weights], large


def part_of(file):
    """Where the beginning of a file lies until it is whole."""
    return Path(file.local_path + ".part")


def missing(file):
    """How many bytes of a file are still to be fetched."""
    here = part_of(file).stat().st_size if part_of(file).exists() else 0
    return max(0, file.file_size - here) if file.will_download else 0


@contextlib.contextmanager
def alone(lock):
    """One process at a time; a second one waits, and then finds what the first has fetched."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(WeakFileLock(lock, timeout=1))
        except TimeoutError:
            print("another process is fetching the same weights; waiting for it")
            stack.enter_context(WeakFileLock(lock))
        yield


def fetch_files(name, revision, small, large):
    """Fetch what is not here, large files only once the small ones say that it is a v1. Returns the folder."""
    folder = Path(small[0].local_path).parents[small[0].filename.count("/")]
    for files in small, large:
        for file in files:
            if file.is_cached:  # under the name of another revision, perhaps
                huggingface_hub.hf_hub_download(name, file.filename, revision=revision)
            elif not Path(file.local_path).exists():
                fetch_file(huggingface_hub.hf_hub_url(name, file.filename, revision=revision), file)
        check(folder, large=False)
    verify(name, revision, folder)
    names = [file.filename for file in small + large]
    return Path(huggingface_hub.snapshot_download(name, allow_patterns=names))  # notes which revision is here


def verify(name, revision, folder):
    """Compare all files with the hub's checksums. Deletes those that differ and names them in a WeightsError."""
    found = huggingface_hub.HfApi().verify_repo_checksums(name, revision=revision)
    wrong = [each["path"] for each in found.mismatches]
    for path in wrong:
        (folder / path).resolve().unlink()
        (folder / path).unlink(missing_ok=True)  # where it was a link to the first
    if wrong:
        raise WeightsError(f"{', '.join(wrong)} does not have the hub's checksum and was deleted; run this again")


def fetch_file(url, file):
    """Fetch one file, going on where an earlier try stopped. It gets its name when it is whole."""
    part = part_of(file)
    part.parent.mkdir(parents=True, exist_ok=True)
    with open(part, "ab") as out:
        if out.tell() != file.file_size:
            stream(url, out, file)
        if out.tell() != file.file_size:
            raise OSError(f"{out.tell():,} of {file.file_size:,} bytes of {file.filename} came")
    part.replace(file.local_path)


def stream(url, out, file):
    """Append what is missing of a file to `out`. Raises OSError if for a while nothing or next to nothing comes."""
    if out.tell() > file.file_size:
        out.truncate(0)
        out.seek(0)
    headers = build_hf_headers() | {"Range": f"bytes={out.tell()}-", "Accept-Encoding": "identity"}
    with huggingface_hub.get_session().stream("GET", url, headers=headers, timeout=PATIENCE) as answer:
        answer.raise_for_status()
        if answer.status_code != 206:  # the server sends the whole file
            out.truncate(0)
            out.seek(0)
        began, had = time.monotonic(), out.tell()
        with tqdm(desc=file.filename, total=file.file_size, initial=had, unit="B", unit_scale=True) as bar:
            for block in answer.iter_raw():
                bar.update(out.write(block))
                if time.monotonic() - began > PATIENCE:
                    if out.tell() - had < PATIENCE * SLOWEST:
                        raise OSError(f"less than {SLOWEST:,} bytes a second came")
                    began, had = time.monotonic(), out.tell()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default=FULL)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    args = parser.parse_args()
    try:
        fetch(args.name, args.yes)
    except WeightsError as error:
        raise SystemExit(f"error: {error}") from None
