"""Lay what students handed in into the sheet that they got: their cells, our tests, and remarks on what was odd."""

import copy
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import nbformat
import own_course  # noqa: F401, before course
import sheets
from careful import NOT_RUN, within_room

from course import index

UNREADABLE = "the file cannot be read as a notebook; ask for it again"
MISSING, UNANSWERED = "the answer's cell is missing", "not answered"
BESIDE = "the answer's cell is empty or missing, but cells were added beside it"
AS_HANDED_IN = "# Added below the last answer that is graded by machine: shown as it was handed in, not run again.\n"
PICTURE = re.compile(r"attachment:([^\s)\"'>]+)")


class Found(NamedTuple):
    """One submitted notebook: the student's name (that of the folder), the row of the index it belongs to, the file."""

    student: str
    row: index.Row
    path: Path


def collect(folder):
    """([Found, ...], [(student, file, remark), ...]): the newest file for each student and notebook in `folder/STUDENT/`.

    A file belongs to the notebook whose name is in its own: "01_gaussian_noise (2).ipynb" and
    "ADA_01_gaussian_noise.ipynb" are of 01. Remarks tell of older and other files, and of folders without any.
    Raises ValueError where there is no such folder, or no student in it.
    """
    folder = Path(folder)
    students = sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".") if folder.is_dir() else []
    if not students:
        raise ValueError(
            f"{str(folder)!r} holds no students; a folder is needed with one folder for each student, named as in your "
            "list, and in it the notebooks that the student handed in, such as ADA/01_gaussian_noise.ipynb"
        )
    newest, known = {}, index.rows() + index.extras() + sheets.assignments()
    remarks = [
        ("", path.name, f"{path.name} was left out: it lies in no student's folder") for path in folder.glob("*.ipynb")
    ]
    for student in students:
        files = [p for p in student.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts]
        if not files:
            remarks.append((student.name, "", "nothing was handed in: no .ipynb file is in the folder"))
        for path in sorted(files, key=lambda p: p.stat().st_mtime):
            rows = [row for row in known if row.name.lower() in path.stem.lower()]
            if not rows:
                said = f"{path.name} was left out: no notebook of the course is called so"
                remarks.append((student.name, path.name, said))
                continue
            row = max(rows, key=lambda row: len(row.name))
            if older := newest.get((student.name, row.name)):
                said = f"{older.path.name} was left out: {path.name} is newer"
                remarks.append((student.name, older.path.name, said))
            newest[student.name, row.name] = Found(student.name, row, path)
    return list(newest.values()), remarks


def fitted(sheet, path, shipped, whole):
    """(notebook, remarks): the sheet with the answers of the file, and the cells that its author added, where they stood.

    shipped: the cells of the course's own notebook. A set-up cell that was changed is run after ours. whole: whether the
    sheet is all of it, as in an assignment; then text, and all cells of the course that were changed, count as added too,
    and added code below the last answer that is graded by machine keeps its outputs and is not run. remarks: {id of an
    answer's cell, or None for all: text}.
    Never raises on a bad file: it counts as one without answers.
    """
    made = copy.deepcopy(sheet)
    asked = [cell.id for cell in sheet.cells if _mark(cell).get("solution")]
    try:
        cells = nbformat.read(path, as_version=4).cells
    except Exception:  # not JSON, not a notebook, not text
        for cell in made.cells:
            cell.source = _instead(cell, UNREADABLE) if cell.id in asked else cell.source
        made.cells.insert(0, nbformat.v4.new_markdown_cell("**This file cannot be read as a notebook.**"))
        return made, {None: UNREADABLE}
    answers, added = _sorted_out(cells, asked, sheet.cells, shipped, whole)
    remarks, made.cells, above = {}, [], None
    last = max(
        (i for i, cell in enumerate(sheet.cells) if cell.id in asked and not _mark(cell).get("grade")), default=-1
    )
    for i, cell in enumerate(copy.deepcopy(sheet.cells)):
        if cell.id in asked:
            beside = [one for one in added.get(cell.id, []) + added.get(above, []) if _own(one, made.cells)]
            remarks |= _answered(cell, answers.get(cell.id), beside)
        made.cells.append(cell)
        made.cells += [_kept(one) if whole and i >= last else _fresh(one) for one in added.get(cell.id, [])]
        above = cell.id
    start = 1 + next(i for i, one in enumerate(made.cells) if one.id == "setup")
    made.cells[start:start] = [_fresh(one) for one in added.get(None, [])]
    return made, remarks


def _mark(cell):
    return cell.metadata.get("nbgrader", {})


def _own(cell, above):
    """Whether an added cell holds words of the student: not where it is only a cell of the course in an older wording."""
    ours = {one.id: one.source for one in above}
    return ours.get(cell.get("id"), "") in cell.source


def _answered(cell, answer, beside):
    """Put an answer into its cell, or what stands for it. Returns a remark where there is none."""
    if answer is None:
        cell.source = _instead(cell, MISSING)
        return {cell.id: BESIDE if beside and cell.cell_type == "markdown" else MISSING}
    before, cell.source = cell.source.strip(), answer.source
    if cell.cell_type == "markdown":
        _with_pictures(cell, answer)
        if cell.source.strip() in ("", before):
            return {cell.id: BESIDE if beside else UNANSWERED}
    return {}


def _instead(cell, why):
    """What stands where no answer is: a comment in code, and no heading in text."""
    return f"# {why}" if cell.cell_type == "code" else f"*({why})*"


def _with_pictures(cell, handed_in):
    """Give a text cell its pasted pictures; where one is missing, nbconvert would stop, so its link is changed."""
    pictures = {name: data for name, data in handed_in.get("attachments", {}).items() if data}

    def linked(link):
        name = link[1] if link[1] in pictures else unquote(link[1])
        if name in pictures:
            cell.setdefault("attachments", {})[link[1]] = pictures[name]
            return link[0]
        return f"missing:{link[1]}"

    cell.source = PICTURE.sub(linked, cell.source)


def _fresh(cell):
    """An added cell without its outputs, to be run."""
    if cell.cell_type == "code":
        return nbformat.v4.new_code_cell(cell.source)
    made = nbformat.v4.new_markdown_cell(cell.source)
    _with_pictures(made, cell)
    return made


def _kept(cell):
    """An added cell as it was handed in; code is not run."""
    made = _fresh(cell)
    if cell.cell_type == "code":
        made.source = AS_HANDED_IN + made.source
        made.outputs, made.metadata.tags = within_room(cell.outputs), [NOT_RUN]
    return made


def _sorted_out(cells, asked, own, shipped, whole):
    """({answer: cell}, {cell of the sheet: the cells added below it}): what is neither asked for nor known was added.

    Some editors drop the ids of cells, so what has the text of a known cell is known too.
    """
    known = {cell.id: cell.source.strip() for cell in [*shipped, *own]}
    named = {source: name for name, source in known.items()}
    places, answers, added, last = {cell.id for cell in own}, {}, {}, None
    for cell in cells:
        source = cell.source.strip()
        name = _mark(cell).get("grade_id") or cell.get("id")
        name = name if name in known else named.get(source, name)
        if name in asked and name not in answers:
            answers[name] = cell
        elif _mark(cell).get("locked"):  # our tests
            continue
        elif name not in known or (source != known[name] and (whole or name == "setup")):
            if cell.cell_type == "code" or (whole and cell.cell_type == "markdown"):
                last = name if whole and name in places else last
                added.setdefault(last, []).append(cell)
            continue
        last = name if name in (places if whole else asked) else last
    return answers, added
