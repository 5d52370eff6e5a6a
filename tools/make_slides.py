"""Slides of each notebook from its own cells and figures, in `dist/slides/`: `make slides`.

    python tools/make_slides.py            # all notebooks
    python tools/make_slides.py 05 06      # these

`teaching/slides/slides.toml` names the cells. nbconvert makes reveal.js slides of them; reveal.js and KaTeX lie beside the
pages, so they work without a network, served (`python -m http.server -d dist/slides`) or opened as files. The key S opens
the speaker's view, which says which cell of the notebook is shown.
"""

import argparse
import base64
import html
import io
import re
import shutil
import tomllib

import make_book
import make_sheets
import nbformat
import numpy as np
import own_course  # noqa: F401, before course
import plans
from nbconvert import SlidesExporter
from PIL import Image
from traitlets.config import Config

from course import ROOT, index

TABLE = ROOT / "teaching" / "slides" / "slides.toml"
TEMPLATES = TABLE.parent
OUT, REVEAL = ROOT / "dist" / "slides", ROOT / "build" / "reveal"
VERSION = "5.2.1"  # of reveal.js
KINDS, GAP = ("image/png", "image/jpeg"), 20  # of figures; pixels between parts of one


def table():
    """{notebook: list of [cell, title, sentence] or [..., "code", "printed", "text" or parts of the figure]}."""
    return tomllib.loads(TABLE.read_text("utf-8"))


def fetch_reveal():
    """reveal.js from the npm registry, once."""
    if (REVEAL / "dist" / "reveal.js").exists():
        return
    with make_book.from_npm("reveal.js", VERSION, "make slides") as made:
        for part in ("dist/reveal.js", "dist/reveal.css", "dist/theme/white.css", "plugin/notes/notes.js", "LICENSE"):
            (REVEAL / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(made / part, REVEAL / part)
    style = REVEAL / "dist" / "theme" / "white.css"  # its fonts are not needed: the slides have their own
    style.write_text(re.sub(r"@import url\([^)]*\);", "", style.read_text("utf-8")), "utf-8")


def kept(fractions, length):
    """The places that pairs of fractions [from, to, from, to, ...] of a length keep, an array of integers.

    Raises ValueError where they are no pairs, or do not rise from 0 to 1.
    """
    rising = sorted(set(fractions))
    if not rising or list(fractions) != rising or len(rising) % 2 or rising[0] < 0 or rising[-1] > 1:
        raise ValueError(f"{list(fractions)}: pairs from, to are needed that rise, none below 0 or above 1")
    ends = [round(fraction * length) for fraction in fractions]
    return np.concatenate([np.arange(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True)])


def part(image, x=(0, 1), y=(0, 1)):
    """What the fractions x of the width and y of the height keep of a PIL image, without its white margin.

    Raises ValueError for fractions that are no rising pairs, and where nothing but white is kept.
    """
    pixels = np.asarray(image.convert("RGB"))[kept(y, image.height)][:, kept(x, image.width)]
    ink = (pixels < 250).any(axis=2)
    if not ink.any():
        raise ValueError(f"x {list(x)}, y {list(y)}: only white is kept there")
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return Image.fromarray(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def stacked(images):
    """PIL images below one another, with a gap."""
    width = max(image.width for image in images)
    height = sum(image.height + GAP for image in images) - GAP
    sheet, top = Image.new("RGB", (width, height), "white"), 0
    for image in images:
        sheet.paste(image, (0, top))
        top += image.height + GAP
    return sheet


def picture(cell, file, chosen):
    """The chosen parts of a cell's stored figure as a file, and as HTML with its alternative text; None without a figure.

    chosen: a list of dicts for `part`; empty for the whole figure. A film is stored as it is.
    """
    for output in cell.get("outputs", []):
        for kind in KINDS:
            if kind in output.get("data", {}):
                data = base64.b64decode("".join(output["data"][kind]))
                image = Image.open(io.BytesIO(data))
                file.parent.mkdir(exist_ok=True)
                if getattr(image, "is_animated", False):
                    if chosen:
                        raise ValueError("its figure is a film, which is shown whole; name a cell with a still picture")
                    file.write_bytes(data)
                else:
                    stacked([part(image, **one) for one in chosen or [{}]]).save(file)
                alt = ("Part of: " if chosen else "") + output.get("metadata", {}).get(kind, {}).get("alt", "")
                return f'<img src="figures/{file.name}" alt="{html.escape(alt)}">'
    return None


def shown(cell, how, file):
    """What stands below a slide's sentence, as Markdown; a figure is written to the file."""
    if how == "code":
        return f"```python\n{''.join(cell['source']).strip()}\n```"
    if how == "printed":
        printed = "".join("".join(output.get("text", "")) for output in cell["outputs"] if "text" in output)
        lines = html.escape(printed.strip("\n"))
        return f"<pre>{lines}</pre>"
    if how == "text":
        return ""
    if isinstance(how, str):
        raise SystemExit(f"error: {TABLE.name}, cell {cell['id']}: {how!r} is none of code, printed and text")
    try:
        figure = picture(cell, file, [how] if isinstance(how, dict) else how)
    except TypeError:
        raise SystemExit(
            f"error: {TABLE.name}, cell {cell['id']}: {how} is no part; needed is {{ x = [from, to], y = [from, to] }}, "
            "one of the two or both, or a list of such parts"
        ) from None
    except ValueError as error:
        raise SystemExit(f"error: {TABLE.name}, cell {cell['id']}: {error}") from None
    if not figure:
        raise SystemExit(
            f"error: {TABLE.name}, cell {cell['id']} has no stored figure; name another, or say code, printed or text"
        )
    return figure


def slides(row, folder):
    """The slides of one notebook as a notebook, a slide a cell; its figures are written to the folder."""
    cells = {cell["id"]: cell for cell in plans.cells_of(row.name)}
    numbers = plans.numbers(row.name)
    first = "".join(next(iter(cells.values()))["source"])
    question = re.search(r"^\*\*(.+\?)\*\*", first, re.M)
    pages = [f"# {row.number}. {row.title}\n\n{question[1] if question else row.line.capitalize() + '.'}"]
    for name, title, sentence, *how in table()[row.name]:
        file = folder / "figures" / f"{row.number}-{len(pages)}-{name}.png"
        body = shown(cells[name], how[0] if how else [], file)
        notes = f'<aside class="notes">Notebook {row.number}, cell {numbers[name]} ({name})</aside>'
        pages.append(f"## {title}\n\n{sentence}\n\n{body}\n\n{notes}")
    tasks = re.findall(r"^### (Exercise .+?) \(", "\n".join("".join(cell["source"]) for cell in cells.values()), re.M)
    pages.append("## Now you\n\n" + "\n".join(f"* {task}" for task in tasks))
    made = [nbformat.v4.new_markdown_cell(text, metadata={"slideshow": {"slide_type": "slide"}}) for text in pages]
    return nbformat.v4.new_notebook(cells=made, metadata={"title": f"{row.number}. {row.title}"})


def exporter():
    """nbconvert's exporter with the course's template and reveal.js beside the page."""
    chosen = Config()
    chosen.SlidesExporter.extra_template_basedirs = [str(TEMPLATES)]
    chosen.SlidesExporter.template_name = "course"
    chosen.SlidesExporter.reveal_url_prefix = "reveal"
    return SlidesExporter(config=chosen)


def main(words=()):
    try:
        wanted = [row for row in index.choose(words) if row.name in table()]
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    fetch_reveal()
    OUT.mkdir(parents=True, exist_ok=True)
    shutil.copytree(REVEAL, OUT / "reveal", dirs_exist_ok=True)
    make_sheets.katex_files(OUT / "katex")
    export = exporter()
    for row in wanted:
        text, _ = export.from_notebook_node(slides(row, OUT))
        (OUT / f"{row.name}.html").write_text(text, "utf-8")
        print(OUT / f"{row.name}.html")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="*", help="numbers or names; all if none is named")
    main(parser.parse_args().notebooks)
