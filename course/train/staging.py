"""A place to try new weights: what a training stores is looked at before it replaces anything."""

import contextlib
import shutil
from pathlib import Path

from course import weights


@contextlib.contextmanager
def staged(folder):
    """Inside, `weights.FOLDER` is `folder`, a fresh copy of it: what is stored there is loaded and measured, and replaces nothing.

    Gives a function that puts into the true one whatever has changed in the copy since.
    """
    home = weights.FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(home, folder) if home.exists() else folder.mkdir(parents=True)
    before = _all_sums(folder)
    weights.FOLDER = folder
    try:
        yield lambda: _publish(folder, home, before)
    finally:
        weights.FOLDER = home


def _all_sums(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    return {path.relative_to(folder).as_posix(): weights.sha256(path) for path in files}


def _publish(folder, home, before):
    weights.FOLDER = home
    changed = [file for file, digest in _all_sums(folder).items() if before.get(file) != digest]
    for file in changed:
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        weights.write(home / file, (folder / file).read_bytes())
    weights.note_sums(file for file in changed if Path(file).name not in weights.UNSUMMED)
    shutil.rmtree(folder)
