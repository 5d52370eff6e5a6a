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
import re
import shutil
import tomllib

import make_book
import make_sheets
import nbformat
import own_course  # noqa: F401, before course
import plans
from nbconvert import SlidesExporter
from traitlets.config import Config

from course import ROOT, index

TABLE = ROOT / "teaching" / "slides" / "slides.toml"
TEMPLATES = TABLE.parent
OUT, REVEAL = ROOT / "dist" / "slides", ROOT / "build" / "reveal"
VERSION = "5.2.1"  # of reveal.js
ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}


def table():
    """{notebook: list of [cell, title, sentence] or [..., "code", "printed" or "text"]}."""
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


def picture(cell, name, folder):
    """The stored figure of a cell as a file of the folder, as HTML with its alternative text; None where there is none."""
    for output in cell.get("outputs", []):
        for kind, ending in ENDINGS.items():
            if kind in output.get("data", {}):
                file = folder / "figures" / f"{name}-{cell['id']}.{ending}"
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(base64.b64decode("".join(output["data"][kind])))
                alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
                return f'<img src="figures/{file.name}" alt="{html.escape(alt)}">'
    return None


def shown(cell, how, name, folder):
    """What stands below a slide's sentence, as Markdown."""
    if how == "code":
        return f"```python\n{''.join(cell['source']).strip()}\n```"
    if how == "printed":
        printed = "".join("".join(output.get("text", "")) for output in cell["outputs"] if "text" in output)
        lines = html.escape(printed.strip("\n"))
        return f"<pre>{lines}</pre>"
    if how == "text":
        return ""
    figure = picture(cell, name, folder)
    if not figure:
        raise SystemExit(
            f"error: cell {cell['id']} of {name} has no stored figure; name another, or say code, printed or text"
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
        body = shown(cells[name], how[0] if how else "", row.number, folder)
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
