"""Lesson plans: `python tools/plans.py` writes, for each plan in teaching/plans/, a page and the notebooks of its cells to dist/plans/.

A plan is a TOML file: title, minutes, what it is for, and blocks in their order. A block has its minutes, what to `say`,
`ask`, `skip` and do when `late`, and where a notebook is open its number and cells, "first..last" by their ids. A range
holds no claims and no side roads, unless it begins in one. The set-up comes along by itself.
"""

import re
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

import nbformat

from course import ROOT, index

PLANS, OUT = ROOT / "teaching" / "plans", ROOT / "dist" / "plans"
WORDS = ("say", "ask", "skip", "late")


class Plan(NamedTuple):
    """A lesson plan: blocks are dicts with minutes, title, and at will notebook, cells, say, ask, skip, late."""

    name: str
    title: str
    minutes: int
    purpose: str
    blocks: list


def plans(folder=PLANS):
    """All plans of a folder. Raises ValueError on a file with other entries than a plan has."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        data = tomllib.loads(path.read_text("utf-8"))
        allowed = {"title", "minutes", "notebook", "cells", *WORDS}
        odd = [key for block in data["block"] for key in block.keys() - allowed]
        if odd or data.keys() != {"title", "minutes", "purpose", "block"}:
            raise ValueError(
                f"{path.name}: a plan has title, minutes, purpose and [[block]]s with {', '.join(allowed)}; got {odd}"
            )
        found.append(Plan(path.stem, data["title"], data["minutes"], data["purpose"], data["block"]))
    return found


def chosen(cells, ranges):
    """The places of the cells that ranges name, rising. Raises ValueError on an id that is not there or a range that falls."""
    at = {cell.id: place for place, cell in enumerate(cells)}
    beside = [place for place, what in enumerate(index.sections(cells)) if what == "side-road"]
    found = set()
    for text in ranges:
        first, _, last = text.partition("..")
        missing = [name for name in (first, last or first) if name not in at]
        if missing or at[last or first] < at[first]:
            raise ValueError(f"{text!r}: {missing[0] if missing else 'the second'} is no cell, or none after the first")
        span = range(at[first], at[last or first] + 1)
        found |= {place for place in span if "claims" not in cells[place].metadata.get("tags", [])
                  and (place not in beside or at[first] in beside)}  # fmt: skip
    return sorted(found)


def path_of(plan):
    """The notebooks of a plan, {number: notebook of exactly its cells}, each with its set-up first."""
    wanted = {}
    for block in plan.blocks:
        if "notebook" in block:
            wanted.setdefault(block["notebook"], []).extend(block["cells"])
    made = {}
    for [row], ranges in ((index.choose([number]), ranges) for number, ranges in wanted.items()):
        notebook = nbformat.read(row.path, as_version=4)
        first = [cell.id for cell in notebook.cells if cell.id in ("fetch-course", "setup")]
        notebook.cells = [notebook.cells[place] for place in chosen(notebook.cells, [*first, *ranges])]
        made[row.number] = notebook
    return made


def reading(notebook):
    """Minutes to read a notebook at the course's own rate, its exercises with those that they announce."""
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(notebook, Path(folder) / "path.ipynb")
        return sum(index.minutes(Path(folder) / "path.ipynb"))


def numbers(block):
    """Which cells a block has, as JupyterLab counts them from 1, in words."""
    [row] = index.choose([block["notebook"]])
    places = chosen(nbformat.read(row.path, as_version=4).cells, block["cells"])
    runs = [[places[0], places[0]]]
    for place in places[1:]:
        if place > runs[-1][1] + 1:
            runs.append([place, place])
        runs[-1][1] = place
    return ", ".join(str(a + 1) if a == b else f"{a + 1}–{b + 1}" for a, b in runs)


def page(plan):
    """A plan to read, as Markdown."""
    lines = [f"# {plan.title}", "", f"{plan.purpose}", "", f"{plan.minutes} minutes."]
    clock = 0
    for block in plan.blocks:
        lines += ["", f"## {clock}–{clock + block['minutes']}: {block['title']}", ""]
        clock += block["minutes"]
        if "notebook" in block:
            names = ", ".join(f"`{name}`" for name in block["cells"])
            lines += [f"**Notebook {block['notebook']}**, cells {numbers(block)} ({names})", ""]
        lines += [f"*{word.capitalize()}*: {block[word].strip()}\n" for word in WORDS if word in block]
    lines += ["", "The cells of each notebook, read alone: "]
    lines[-1] += ", ".join(f"{number} {reading(made):.0f} minutes" for number, made in path_of(plan).items()) + "."
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def main():
    for plan in plans():
        folder = OUT / plan.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "plan.md").write_text(page(plan), "utf-8")
        for number, notebook in path_of(plan).items():
            nbformat.write(notebook, folder / f"{number}.ipynb")
        print(f"{folder.relative_to(ROOT)}: {plan.title}, notebooks {', '.join(path_of(plan))}")


if __name__ == "__main__":
    main()
