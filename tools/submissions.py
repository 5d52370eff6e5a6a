"""Lay what students handed in into the sheet that they got: their cells, our tests, and remarks on what was odd."""

import copy
from pathlib import Path
from typing import NamedTuple

import nbformat
import own_course  # noqa: F401, before course
import sheets

from course import index

MISSING = "# The cell of this answer is missing from what was handed in."


class Found(NamedTuple):
    """One submitted notebook: the student's name (that of the folder), the row of the index it belongs to, the file."""

    student: str
    row: index.Row
    path: Path


def collect(folder):
    """([Found, ...], remarks): the newest file for each student and notebook in `folder/STUDENT/...`.

    A file belongs to the notebook whose name its own name begins with: "01_gaussian_noise (2).ipynb" is one of 01.
    Raises ValueError where there is no such folder, or no student in it.
    """
    folder = Path(folder)
    students = sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".") if folder.is_dir() else []
    if not students:
        raise ValueError(
            f"{str(folder)!r} holds no students; a folder is needed with one folder for each student, named as in your "
            "list, and in it the notebooks that the student handed in, such as ADA/01_gaussian_noise.ipynb"
        )
    newest, remarks, known = {}, [], index.rows() + index.extras() + sheets.assignments()
    for student in students:
        files = [p for p in student.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts]
        for path in sorted(files, key=lambda p: p.stat().st_mtime):
            row = next((row for row in known if path.stem.startswith(row.name)), None)
            if row is None:
                remarks.append((student.name, f"{path.name} was left out: no notebook of the course is called so"))
                continue
            newest[student.name, row.name] = Found(student.name, row, path)
    return list(newest.values()), remarks


def fitted(sheet, path, shipped):
    """(notebook, remarks): the sheet with the answers of the file, and the cells that its author added.

    shipped: the ids of the cells that the course's own notebook has, which are left out. Never raises on a bad file:
    it counts as an empty sheet, with a remark that says what is wrong.
    """
    made = copy.deepcopy(sheet)
    try:
        cells = nbformat.read(path, as_version=4).cells
    except Exception as error:  # not JSON, not a notebook, not text
        return made, [f"the file cannot be read as a notebook ({type(error).__name__}: {str(error)[:80]})"]
    asked = [cell.id for cell in sheet.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    answers, added = _sorted_out(cells, asked, shipped | {cell.id for cell in sheet.cells})
    remarks = [f"the answer's cell {name} is missing" for name in asked if name not in answers]
    for name in asked:
        target = next(i for i, one in enumerate(made.cells) if one.id == name)
        made.cells[target].source = answers.get(name, MISSING)
        made.cells[target + 1 : target + 1] = added.get(name, [])
    start = next(i for i, one in enumerate(made.cells) if one.id == "setup") + 1
    made.cells[start:start] = added.get(None, [])
    return made, remarks


def _sorted_out(cells, asked, known):
    """({answer: source}, {answer: the code cells added after it}): what is neither asked for nor known was added."""
    answers, added, last = {}, {}, None
    for cell in cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id") or cell.get("id")
        if name in asked:
            answers.setdefault(name, cell.source)
            last = name
        elif name not in known and cell.cell_type == "code":
            added.setdefault(last, []).append(nbformat.v4.new_code_cell(cell.source))
    return answers, added
