"""The list of the notebooks, `notebooks/index.toml`, and how long each takes.

README's table, the map of notebook 00 and the choice of `make notebooks ONLY=...` are made from it. The numbered ones
are read in order; an extra has no number, lies in `notebooks/extras/`, and is for those who need it. It stands in the
package because notebook 00 imports it from whatever folder it is opened in.
"""

import json
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

from course import ROOT, belonging

FOLDER = ROOT / "notebooks"
MADE = re.compile(r"<!-- (\w+) -->.*?<!-- /\1 -->", re.S)  # between such marks stands what a tool wrote


class Row(NamedTuple):
    """One notebook: the file's name without its ending, the title in its first line, what it is about, its folder."""

    name: str
    title: str
    line: str
    folder: Path = FOLDER

    @property
    def number(self):
        return self.name.split("_")[0]

    @property
    def path(self):
        return self.folder / f"{self.name}.ipynb"


def rows():
    """The numbered notebooks in reading order, a list of `Row`."""
    return _listed("notebook", FOLDER)


def extras():
    """The notebooks beside the course, a list of `Row`."""
    return _listed("extra", FOLDER / "extras")


def _listed(kind, folder):
    found = tomllib.loads(belonging("notebooks", "index.toml").read_text("utf-8"))
    return [Row(**row, folder=folder) for row in found.get(kind, [])]


def choose(words):
    """The rows that `words` name: numbers ("5", "05") or files, each word one or several with commas; for none all.

    Extras, which have no number, are named by their files and come last.
    Raises ValueError on a word that names no notebook.
    """
    numbered, beside = rows(), extras()
    known = numbered + beside
    called = {key: row for row in numbered for key in (row.number, row.number.lstrip("0") or "0", row.name)}
    called.update((row.name, row) for row in beside)
    wanted = [Path(part).name.removesuffix(".ipynb") for word in words for part in word.replace(",", " ").split()]
    unknown = [word for word in wanted if word not in called]
    if unknown:
        raise ValueError(
            f"there is no notebook {' and no '.join(map(repr, unknown))}; there are "
            f"{', '.join(row.number for row in numbered)}, also by their names, for example {numbered[-1].name}, "
            f"and beside them {', '.join(row.name for row in beside)}"
        )
    return [row for row in known if not wanted or row in map(called.get, wanted)]


def minutes(path):
    """Minutes to read a stored notebook, and those that its exercises announce: (float, int).

    Reading: 120 words, 12 lines of code or one displayed formula per minute, half a minute per figure (two trials of
    notebooks 04 and 05 took 130 and 120 minutes where 150 words and 15 lines would have said 100). Cells tagged
    `claims` (folded proofs) and what stands between marks, a tool's or those of parts to look things up in, are not counted.
    """
    return minutes_of(json.loads(path.read_bytes())["cells"])


def minutes_of(cells):
    """The same for some cells of a notebook, a list of dicts as JSON gives them."""
    cells = [cell for cell in cells if "claims" not in cell["metadata"].get("tags", [])]
    text = MADE.sub("", "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown"))
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    figures = text.count("![") + sum(any(kind.startswith("image/") for kind in data) for data in outputs)
    lines = sum(bool(line.strip()) for line in code.splitlines())
    formulas = text.count("$$") // 2
    exercises = sum(map(int, re.findall(r"^### Exercise .*?(\d+) min", text, re.M)))
    return len(text.split()) / 120 + lines / 12 + formulas + figures / 2, exercises


def sections(cells):
    """What each cell of a notebook belongs to, a list of "core" and "side-road".

    A side road begins with a heading "Side road: ..." and ends before the next heading of its level or above. Headings
    stand at the beginning of their cells.
    """
    places, depth = [], 0  # depth: of the side road's heading, 0 on the core
    for cell in cells:
        heading = re.match(r"(#{1,6}) (.*)", "".join(cell["source"])) if cell["cell_type"] == "markdown" else None
        if heading and (not depth or len(heading[1]) <= depth):
            depth = len(heading[1]) if heading[2].startswith("Side road:") else 0
        places.append("side-road" if depth else "core")
    return places


def measured():
    """Seconds and memory of each notebook as `benchmarks/notebooks.py` found them: {name: {"seconds", "peak_MB", "private_MB"}}."""
    lines = belonging("benchmarks", "results", "notebooks.jsonl").read_text("utf-8").splitlines()
    return {row["notebook"]: row for row in map(json.loads, lines)}
