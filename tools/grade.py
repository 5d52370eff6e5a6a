"""Grade what students handed in, by nbgrader: `make grade SUBMITTED=folder`, or

    python tools/grade.py SUBMITTED [--out OUT] [--seed N] [--timeout SECONDS]

OUT gets nbgrader's folders (source, release, submitted, autograded, feedback) and gradebook.db, and besides
exercises.csv (points and a remark for each exercise), grades.csv (nbgrader's own) and report.txt.
"""

import argparse
import csv
import os
import re
import shutil
import sys
import warnings
from pathlib import Path

import nbformat
import own_course  # noqa: F401, before course
import sheets
import submissions
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import CsvExportPlugin
from traitlets.config import PyFileConfigLoader

from course import ROOT

REMOTE = re.compile(r'<script[^>]*src="http[^>]*>\s*</script>')
FIELDS = ["student", "notebook", "exercise", "title", "points", "of", "remark"]


def main(words):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submitted", help="a folder with one folder for each student")
    parser.add_argument("--out", default=str(ROOT / "runs" / "graded"), help="default: runs/graded, which is emptied")
    parser.add_argument("--seed", type=int, default=1, help="from which the hidden numbers are drawn; 1 or more")
    parser.add_argument("--timeout", type=int, default=120, help="seconds that a cell may take")
    asked = parser.parse_args(words)
    here = Path(os.environ.get("PWD", "."))  # where make was called
    try:
        rows = grade(here / asked.submitted, here / asked.out, asked.seed, asked.timeout)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    print((here / asked.out / "report.txt").read_text("utf-8"))
    print(f"{len(rows)} exercises graded; look into {asked.out}")


def grade(submitted, out, seed=1, timeout=120):
    """Grade a folder of submissions into the folder `out`. Returns the rows of exercises.csv, a list of dicts.

    Raises ValueError where nothing can be graded, or where `out` holds something that is not an earlier grading.
    """
    found, remarks = submissions.collect(submitted)
    if not found:
        raise ValueError(
            f"no notebook of the course is in {str(submitted)!r}: {'; '.join(text for _, text in remarks)}"
        )
    _empty(out)
    _before("PYTHONPATH", ROOT)  # for the kernels: this course and no other that is installed
    _before("PATH", Path(sys.executable).parent)  # nbgrader calls alembic by name
    warnings.filterwarnings("ignore", "Object of type")  # SQLAlchemy, of nbgrader's tables
    api = nbgrader(out, timeout)
    rows = []
    for row in {one.row.name: one.row for one in found}.values():
        notebook = sheets.read(row)
        release(api, row, notebook, out, seed)
        for one in (one for one in found if one.row == row):
            rows += graded(api, one, notebook, out)
    write(rows, remarks, api, out)
    return rows


def _before(variable, folder):
    """Put a folder in front of those that an environment variable names."""
    os.environ[variable] = os.pathsep.join([str(folder), *filter(None, [os.environ.get(variable)])])


def _empty(out):
    if out.exists() and any(out.iterdir()) and not (out / "gradebook.db").exists():
        raise ValueError(f"{str(out)!r} is not empty and holds no gradebook.db; name a new folder with OUT=")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)


def nbgrader(out, timeout):
    """nbgrader with the course's settings, for the folder `out`."""
    config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT / "tools")).load_config()
    config.CourseDirectory.root = str(out.resolve())
    config.CarefulExecute.timeout = timeout
    return NbGraderAPI(coursedir=CourseDirectory(config=config), config=config)


def release(api, row, notebook, out, seed):
    """Write the source sheet of a notebook, and let nbgrader make the students' version and the gradebook's entries."""
    source = out / "source" / row.name
    source.mkdir(parents=True)
    nbformat.write(sheets.sheet(row, notebook, seed), source / f"{row.name}.ipynb")
    for beside in row.folder.glob("*.py") if row in sheets.assignments() else ():
        shutil.copy(beside, source)  # an assignment's judge, which nbgrader lays beside each submission
    said = api.generate_assignment(row.name, force=True)
    if not said["success"]:
        raise ValueError(f"nbgrader could not make the sheet of {row.name}:\n{said['log'] or said['error']}")


def graded(api, one, notebook, out):
    """Let nbgrader grade one submission and write its feedback. Returns its rows, also where that went wrong."""
    name = one.row.name
    sheet = nbformat.read(out / "release" / name / f"{name}.ipynb", as_version=4)
    made, remarks = submissions.fitted(sheet, one.path, {cell.id for cell in notebook.cells})
    folder = out / "submitted" / one.student / name
    folder.mkdir(parents=True)
    nbformat.write(made, folder / f"{name}.ipynb")
    said = api.autograde(name, one.student, force=True)
    if said["success"]:
        said = api.generate_feedback(name, one.student, force=True)
        for page in (out / "feedback" / one.student / name).glob("*.html"):  # nothing is loaded from elsewhere
            page.write_text(REMOTE.sub("", page.read_text("utf-8")), "utf-8")
    if not said["success"]:
        (out / f"{one.student}-{name}.log").write_text(f"{said['error']}\n{said['log']}", "utf-8")
        remarks.append(f"nbgrader stopped; see {one.student}-{name}.log")
    done = out / "autograded" / one.student / name / f"{name}.ipynb"
    cells = {cell.id: cell for cell in nbformat.read(done, as_version=4).cells} if done.exists() else {}
    with api.gradebook as book:
        return [_row(book, one, part, cells, remarks) for part in sheets.graded(one.row, notebook)]


def _row(book, one, part, cells, remarks):
    grades = [book.find_grade(name, one.row.name, one.row.name, one.student) for name in part.names]
    said = [text for text in remarks if part.cell in text or "answer's cell" not in text]
    said += [_said(cells[name]) for name in (part.cell, *part.names) if name in cells]
    said += ["to be read by a person" for grade in grades if grade.needs_manual_grade]
    told = "; ".join(dict.fromkeys(filter(None, said)))
    got = round(sum(grade.auto_score or 0.0 for grade in grades), 2)
    return dict(zip(FIELDS, [one.student, one.row.name, part.number, part.title, got, part.points, told]))


def _said(cell):
    """The check's verdict in the outputs of an answer's cell, and what stopped the cell, in one line."""
    lines = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and not cell.metadata.nbgrader.get("grade"):
            verdicts = ("right:", "hint:", "not yet:", "to do:", "... this cell printed")
            lines += [line for line in output.text.splitlines() if line.startswith(verdicts)]
        if output.output_type == "error" and output.ename != "KeyboardInterrupt":  # that is how a time-out begins
            lines.append(f"{output.ename}: {output.evalue or 'it took longer than is allowed'}")
    return "; ".join(dict.fromkeys(lines))


def write(rows, remarks, api, out):
    """exercises.csv, grades.csv and report.txt."""
    with open(out / "exercises.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, FIELDS)
        table.writeheader()
        table.writerows(rows)
    export = CsvExportPlugin(to=str(out / "grades.csv"))
    with api.gradebook as book:
        export.export(book)
    lines = []
    for key in dict.fromkeys((row["student"], row["notebook"]) for row in rows):
        own = [row for row in rows if (row["student"], row["notebook"]) == key]
        lines.append(f"{key[0]}, {key[1]}: {sum(r['points'] for r in own):g} of {sum(r['of'] for r in own)} points")
        lines += [f"    {r['exercise']}: {r['points']:g} of {r['of']}. {r['remark']}"[:200] for r in own]
    lines += [f"{student}: {text}" for student, text in remarks]
    (out / "report.txt").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
