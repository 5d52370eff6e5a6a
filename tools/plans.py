"""Lesson plans: what a plan of `teaching/plans/` asks for, as a page to read and as notebooks to run.

    python tools/plans.py                    # all plans, into dist/plans/
    python tools/plans.py two_hour_lab       # one of them

A plan is one TOML file. Its sessions have blocks; a block names cells of one notebook by their ids, "a" or from "a" to
"b" as "a..b": those that the class reads, and those that it only runs. The page shows the cells with the numbers
that JupyterLab shows in the shipped notebook; the notebooks hold exactly the cells of the plan, in their order, with these
numbers until they are run. Folded proofs (cells tagged `claims`) belong to a path only if they are named alone.
"""

import argparse
import json
import re
import tomllib
from pathlib import Path

import nbformat
import own_course  # noqa: F401, before course
from store_notebooks import between_marks, told

from course import ROOT, index

PLANS = ROOT / "teaching" / "plans"
PICKED = (
    "These are the cells of a lesson: {:.0f} minutes with all talk. What is said to be needed is for the whole "
    "notebook, and texts may speak of sections that only the whole notebook has."
)
LEGEND = """How to read this page. **Talk** is yours. **Reading**: all read and run the cells for themselves, or you
lead through them. **Exercises** take what they announce. **Left over** is for questions, trouble and slow computers.

`name` [3] is a cell and the number beside it in JupyterLab; a text has no number, and the heading above it stands in
its place. Running a cell changes its number, so keep a second copy of each notebook open that you do not run. Run all
cells that a block names in the notebook's order, those to be only run among them."""
TEXTS = ("say", "run", "skip", "ask", "late")  # of a block, in the order of the page
ENTRIES = ["title", "minutes", "talk", "notebook", "read", "only_run", "drop", *TEXTS]  # all that a block may have


class PlanError(ValueError):
    """A plan that names what is not there."""


def names():
    """The plans that are there, a list. Raises PlanError where there is none."""
    found = sorted(path.stem for path in PLANS.glob("*.toml"))
    if not found:
        raise PlanError(f"there is no plan in {PLANS}; this program belongs into tools/ of the course's repository")
    return found


def load(name):
    """One plan as a dict. Raises PlanError for a name that is none, and for a block with an entry that no block has."""
    path = PLANS / f"{name}.toml"
    if not path.exists():
        raise PlanError(f"there is no plan {name!r} in {PLANS.name}/; there are {', '.join(names())}")
    plan = tomllib.loads(path.read_text("utf-8"))
    for block in blocks(plan):
        if odd := block.keys() - ENTRIES:
            raise PlanError(
                f"{path.name}: a block has no {' and no '.join(sorted(odd))}; it may have {', '.join(ENTRIES)}"
            )
    return plan


def blocks(plan):
    """All blocks of a plan in order, a list of dicts."""
    return [block for session in plan["session"] for block in session["block"]]


def cells_of(notebook):
    """The cells of a shipped notebook, such as "06_samplers", a list of dicts."""
    path = index.FOLDER / f"{notebook}.ipynb"
    if not path.exists():
        raise PlanError(f"there is no notebook {notebook!r}; its file's name without .ipynb is wanted")
    return json.loads(path.read_bytes())["cells"]


def pick(notebook, ranges):
    """The ids that a list of "a" and "a..b" stands for, a list in the notebook's order, without folded proofs on the way.

    Raises PlanError where an id is not in the notebook, or where the second of a pair comes before the first.
    """
    cells = cells_of(notebook)
    ids = [cell["id"] for cell in cells]
    folded = {cell["id"] for cell in cells if "claims" in cell["metadata"].get("tags", [])}
    chosen = set()
    for words in ranges:
        ends = words.split("..")
        if unknown := [end for end in ends if end not in ids]:
            raise PlanError(f"{notebook} has no cell {' and no '.join(map(repr, unknown))}")
        first, last = ids.index(ends[0]), ids.index(ends[-1])
        if last < first:
            raise PlanError(f"in {notebook} {ends[0]!r} comes after {ends[-1]!r}; turn the pair round")
        chosen.update(name for name in ids[first : last + 1] if name not in folded or name in ends)
    return [name for name in ids if name in chosen]


def path(block, late=False):
    """The ids of a block's cells in order; with `late` without those that a late group drops."""
    if "notebook" not in block:
        return []
    dropped = pick(block["notebook"], block.get("drop", [])) if late else []
    wanted = pick(block["notebook"], block.get("read", []) + block.get("only_run", []))
    return [name for name in wanted if name not in dropped]


def minutes(block, late=False):
    """Minutes of a block as they are spent: (talk, reading, exercises), floats; cells that are only run take none."""
    if "notebook" not in block:
        return block.get("talk", 0), 0.0, 0
    read = set(pick(block["notebook"], block.get("read", []))) & set(path(block, late))
    cells = [cell for cell in cells_of(block["notebook"]) if cell["id"] in read]
    return block.get("talk", 0), *index.minutes_of(cells)


def numbers(notebook):
    """How to find the cells of the shipped notebook: {id: "[7]"} for code, {id: 'text under "1. Ink"'} for text."""
    shown, heading = {}, ""
    for cell in cells_of(notebook):
        if cell["cell_type"] == "code":
            shown[cell["id"]] = f"[{cell['execution_count']}]"
        else:
            found = re.search(r"^#+ (.+)$", "".join(cell["source"]), re.M)
            heading = found[1] if found else heading
            shown[cell["id"]] = f'text under "{heading}"'
    return shown


def notebooks(plan, late=False):
    """The plan's path through each notebook: {name: notebook of nbformat without outputs}, told to take the blocks' minutes."""
    wanted, spent = {}, {}
    for block in blocks(plan):
        name = block.get("notebook")
        wanted.setdefault(name, set()).update(path(block, late))
        spent[name] = spent.get(name, 0) + block["minutes"]
    wanted.pop(None, None)
    made = {}
    for name, ids in wanted.items():
        notebook = nbformat.read(index.FOLDER / f"{name}.ipynb", as_version=4)
        notebook.cells = [cell for cell in notebook.cells if cell.id in ids]
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = []
            else:
                cell.source = between_marks(cell.source, {"minutes": PICKED.format(spent[name])})
        made[name] = notebook
    return made


def page(plan):
    """The plan as Markdown for people."""
    lines = [f"# {plan['title']}", "", plan["about"], "", LEGEND, ""]
    for session in plan["session"]:
        lines += [f"## {session['title']} ({session['minutes']} minutes)", ""]
        if home := session.get("home"):
            lines += ["Read beforehand: " + "; ".join(map(_at_home, home)) + ".", ""]
        lines += [_spare(session), ""]
        clock = 0
        for block in session["block"]:
            lines += _block(block, clock)
            clock += block["minutes"]
    return "\n".join(lines)


def _at_home(name):
    return f"{name} ({told(index.FOLDER / f'{name}.ipynb')[:-1]})"


def _spare(session):
    """How much of a session is left over, and what all that late groups leave out saves, as a sentence."""
    spent = sum(sum(minutes(block)) for block in session["block"])
    saved = spent - sum(sum(minutes(block, late=True)) for block in session["block"])
    more = f'; leaving out the cells that stand under "If late" saves {saved:.0f} more' if saved else ""
    return f"{session['minutes'] - spent:.0f} of the {session['minutes']} minutes are left over{more}."


def _block(block, clock):
    """The lines of one block that begins `clock` minutes after the session's start."""
    lines = [f"### {clock // 60}:{clock % 60:02d} {block['title']} ({block['minutes']} minutes)", ""]
    talk, reading, exercises = minutes(block)
    spent = talk + reading + exercises
    if "notebook" in block:
        lines += [
            f"Talk {talk}, reading {reading:.0f}, exercises {exercises}, left over {block['minutes'] - spent:.0f} minutes.",
            "",
            f"* **Cells** of {block['notebook']}: {_ranges(block, block.get('read', []))}",
        ]
        if only_run := block.get("only_run"):
            lines.append(f"* **Only run**: {_ranges(block, only_run)}")
    lines += [f"* **{word.capitalize()}:** {_numbered(block, block[word])}" for word in TEXTS[:-1] if word in block]
    late = _numbered(block, block.get("late", ""))
    if "drop" in block:
        saved = spent - sum(minutes(block, late=True))
        late = f"leave out {_ranges(block, block['drop'])}, which saves {saved:.0f} minutes. {late}"
    if late:
        lines.append(f"* **If late:** {late}")
    return [*lines, ""]


def _numbered(block, text):
    """A text of a block, each `cell` followed by its number, or by the heading above it: `film` [3], `sums` ["Sums"]."""
    shown, lesson = numbers(block["notebook"]) if "notebook" in block else {}, path(block)

    def numbered(found):
        if found[1] not in shown:
            return found[0]
        number = shown[found[1]]
        where = number if number[0] == "[" else f"[{number.removeprefix('text under ')}]"
        return f"{found[0]} {where}" + ("" if found[1] in lesson else " of the whole notebook")

    return re.sub(r"`([^`]+)`", numbered, text)


def _ranges(block, ranges):
    """Ranges of ids with the numbers of their first and last code cells."""
    shown, said = numbers(block["notebook"]), []
    for words in ranges:
        counts = [shown[name] for name in pick(block["notebook"], [words]) if shown[name][0] == "["]
        text = shown[words.split("..")[0]]
        count = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else (counts or [text])[0]
        said.append(f"{count} (`{words}`)")
    return ", ".join(said)


def write(name, folder):
    """The page and the notebooks of one plan into a folder; the notebooks expect `course` to be installed."""
    plan = load(name)
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(page(plan), "utf-8")
    for notebook, made in notebooks(plan).items():
        nbformat.write(made, folder / name / f"{notebook}.ipynb")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    try:
        parser.add_argument("plans", nargs="*", metavar="plan", help=f"{', '.join(names())}; all if none is named")
        parser.add_argument("--out", type=Path, default=ROOT / "dist" / "plans", help="the folder to write to")
        given = parser.parse_args()
        for name in given.plans or names():
            write(name, given.out)
            print(f"{given.out / name}.md, and its notebooks in {given.out / name}/")
    except PlanError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
