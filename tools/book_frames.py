"""Draw the pictures behind the book's sliders: `python tools/book_frames.py [NOTEBOOK ...]`, or `make book SLIDERS=yes`.

A notebook is run up to its last explorer. For each explorer its pictures are written as WebP into `build/frames/`, with
their sentences in `explorers.json`: {cell id: [explorer, ...]}. The folder is named after the code that drew them, so
that a notebook which has not changed is not run again, and one that has changed never shows old pictures.
"""

import hashlib
import io
import json
import shutil
import sys
import time

import nbformat
import own_course  # noqa: F401, before course
from nbclient import NotebookClient
from PIL import Image

from course import ROOT, index, viz, widgets

FRAMES = ROOT / "build" / "frames"
KIND = "application/x-explorer+json"
LARGEST = 60_000  # bytes of a picture
BEFORE = "import sys; sys.path.append({tools!r}); import book_frames; book_frames.record({folder!r})"


def folder_of(row):
    """Where a notebook's frames lie: named by its code cells and the course's modules, whatever outputs are stored."""
    notebook = nbformat.read(row.path, as_version=4)
    parts = [cell.source.encode() for cell in notebook.cells if cell.cell_type == "code"]
    parts += [path.read_bytes() for path in sorted((ROOT / "course").rglob("*.py"))]
    return FRAMES / f"{row.name}-{hashlib.sha256(b''.join(parts)).hexdigest()[:12]}"


def stored(row):
    """The explorers of a notebook whose frames were drawn, {cell id: [dict, ...]}; an empty dict otherwise."""
    path = folder_of(row) / "explorers.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def small(data):
    """The bytes of a PNG or JPEG as WebP, without loss where that is smaller; at half the size where they exceed `LARGEST`."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    tried = [webp(picture, lossless=True), webp(picture, quality=85)]
    while min(map(len, tried)) > LARGEST:
        picture = picture.reduce(2)
        tried.append(webp(picture, quality=85))
    return min(tried, key=len)


def webp(picture, **options):
    out = io.BytesIO()
    picture.save(out, "webp", **options)
    return out.getvalue()


def export(explorer, folder):
    """Write an explorer's pictures into `folder` and return what the page needs to show them, a dict."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = []
    for values, data in explorer.pictures.items():
        data = small(data)
        name = f"{hashlib.sha256(data).hexdigest()[:12]}.webp"
        (folder / name).write_bytes(data)
        frames.append([name, explorer.sentences[values]])
    return {
        "names": [name.replace("_", " ") for name in explorer.choices],
        "choices": [[str(value) for value in values] for values in explorer.choices.values()],
        "start": [slider.index for slider in explorer.sliders.values()],
        "width": viz.width(next(iter(explorer.pictures.values()))),
        "frames": frames,
    }


def record(folder):
    """From now on every explorer that is shown, in the kernel where this is called, is exported into `folder`."""
    from pathlib import Path

    from IPython.display import display

    widgets.Explorer.show = lambda self: display({KIND: export(self, Path(folder))}, raw=True)


def up_to_the_last_explorer(notebook):
    """Drop the cells that no explorer needs."""
    shows = [i for i, cell in enumerate(notebook.cells) if "Explorer" in cell.source and ".show()" in cell.source]
    notebook.cells = notebook.cells[: shows[-1] + 1] if shows else []
    return notebook


def draw(row):
    """Run a notebook and leave its frames, whole, in its folder; frames of its earlier versions are removed."""
    folder, unfinished = folder_of(row), FRAMES / f"{row.name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    notebook = up_to_the_last_explorer(nbformat.read(row.path, as_version=4))
    before = BEFORE.format(tools=str(ROOT / "tools"), folder=str(unfinished))
    notebook.cells.insert(0, nbformat.v4.new_code_cell(before))
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": row.path.parent}}).execute()
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if KIND in output.get("data", {}):
                found.setdefault(cell.id, []).append(output.data[KIND])
    (unfinished / "explorers.json").write_text(json.dumps(found), "utf-8")
    for old in FRAMES.glob(f"{row.name}-*"):
        shutil.rmtree(old)
    unfinished.rename(folder)


def main(words):
    try:
        chosen = index.choose(words)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    for row in chosen:
        if not folder_of(row).exists():
            started = time.monotonic()
            draw(row)
            sizes = [path.stat().st_size for path in folder_of(row).glob("*.webp")]
            print(
                f"{row.name}: {len(sizes)} pictures, {sum(sizes) / 1e6:.1f} MB, the largest {max(sizes, default=0) / 1e3:.0f} kB, "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
