"""nbgrader's work on one notebook: the sheet, a submission's points with remarks, a student's page of feedback."""

import html
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
import tables
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from traitlets.config import PyFileConfigLoader

from course import ROOT

REMOTE = re.compile(r'<script[^>]*src="http[^>]*>\s*</script>')
NOT_KNOWN = "only the set-up cell, the answers and cells that were added are run"


def nbgrader(out, timeout):
    """nbgrader with the course's settings, for the folder `out`."""
    os.environ.setdefault("COURSE_THREADS", "1")  # so that the time of a cell does not hang on what else is running
    _before("PYTHONPATH", ROOT)  # for the kernels: this course and no other that is installed
    _before("PATH", Path(sys.executable).parent)  # nbgrader calls alembic by name
    warnings.filterwarnings("ignore", "Object of type")  # SQLAlchemy, of nbgrader's tables
    out.mkdir(parents=True, exist_ok=True)
    config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT / "tools")).load_config()
    config.CourseDirectory.root = str(out.resolve())
    config.CarefulExecute.timeout = timeout
    return NbGraderAPI(coursedir=CourseDirectory(config=config), config=config)


def _before(variable, folder):
    """Put a folder in front of those that an environment variable names."""
    os.environ[variable] = os.pathsep.join([str(folder), *filter(None, [os.environ.get(variable)])])


def release(api, row, notebook, out, seed):
    """Write the source sheet of a notebook, and let nbgrader make the students' version and the gradebook's entries."""
    source = out / "source" / row.name
    source.mkdir(parents=True, exist_ok=True)
    nbformat.write(sheets.sheet(row, notebook, seed), source / f"{row.name}.ipynb")
    for beside in row.folder.glob("*.py") if row in sheets.assignments() else ():
        shutil.copy(beside, source)  # an assignment's judge, which nbgrader lays beside each submission
    said = api.generate_assignment(row.name, force=True)
    if not said["success"]:
        raise ValueError(f"nbgrader could not make the sheet of {row.name}:\n{said['log'] or said['error']}")


def graded(api, one, notebook, out, timeout):
    """Let nbgrader grade one submission. Returns its rows, also where that went wrong, and whether it is the same as before.

    A row has "by_hand" besides the columns of exercises.csv.
    """
    name = one.row.name
    sheet = nbformat.read(out / "release" / name / f"{name}.ipynb", as_version=4)
    parts = sheets.graded(one.row, notebook)
    made, remarks = submissions.fitted(sheet, one.path, notebook.cells, one.row in sheets.assignments())
    path = out / "submitted" / one.student / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    same = path.exists() and _told(nbformat.read(path, as_version=4)) == _told(made)
    nbformat.write(made, path)
    said = api.autograde(name, one.student, force=True)
    if not said["success"]:
        rows = [_row(one, part, None, "") for part in parts]
        _failed(rows, said, out)
        return rows, same
    (out / f"{one.student}-{name}.log").unlink(missing_ok=True)  # of an earlier grading
    done = nbformat.read(out / "autograded" / one.student / name / f"{name}.ipynb", as_version=4).cells
    if slow := _too_slow(done, sheet.cells):
        rows = [_row(one, part, None, "") for part in parts]
        _not_graded(rows, f"this computer is too slow for {timeout} seconds a cell, in which the assignment's own cell "
                          f"{slow} did not end; grade again with TIMEOUT={5 * timeout}")  # fmt: skip
        return rows, same
    _say_what_stopped(done, {cell.id for cell in sheet.cells}, parts, remarks)
    with api.gradebook as book:
        return [_graded(book, one, part, {cell.id: cell for cell in done}, remarks) for part in parts], same


def _told(notebook):
    """What a person reads of a submission: the text of its cells and the pasted pictures."""
    return [(cell.cell_type, cell.source, cell.get("attachments", {})) for cell in notebook.cells]


def _row(one, part, points, remark):
    row = dict(zip(tables.FIELDS, [one.student, one.row.name, part.number, part.title, points, part.points, remark]))
    return row | {"by_hand": part.by_hand}


def _graded(book, one, part, cells, remarks):
    """The row of one part. What a person reads has no points yet, or 0 where nothing was written."""
    unreadable, own = remarks.get(None), remarks.get(part.cell, "")
    if part.by_hand:
        empty = unreadable or own in (submissions.MISSING, submissions.UNANSWERED)
        return _row(one, part, 0.0 if empty else None, unreadable or own)
    if unreadable:
        return _row(one, part, 0.0, unreadable)
    said = [
        remarks.get(part.names[0]),
        own,
        *(_said(cells[name]) for name in (part.cell, *part.names) if name in cells),
    ]
    told = "; ".join(dict.fromkeys(filter(None, said)))
    told += f"; {NOT_KNOWN}" if "NameError" in told and own != submissions.MISSING else ""
    grades = [book.find_grade(name, one.row.name, one.row.name, one.student) for name in part.names]
    return _row(one, part, round(sum(grade.auto_score or 0.0 for grade in grades), 2), told)


def _say_what_stopped(done, known, parts, remarks):
    """Add to the remarks what stopped a cell that the student added: it stands with the next part graded by machine."""
    places = {cell.id: i for i, cell in enumerate(done)}
    for i, cell in enumerate(done):
        stopped = "" if cell.id in known or submissions.NOT_RUN in cell.metadata.get("tags", []) else _said(cell)
        below = [part for part in parts if not part.by_hand and places.get(part.names[0], -1) > i]
        if stopped and below:
            name = below[0].names[0]
            remarks[name] = "; ".join(
                filter(None, [remarks.get(name), f"in a cell of the student's own above: {stopped}"])
            )


def _too_slow(done, ours):
    """The id of a cell of the sheet, above all answers, that ran out of time; None where all came to an end."""
    answers = [i for i, cell in enumerate(ours) if cell.metadata.get("nbgrader", {}).get("solution")]
    above = {cell.id for cell in ours[: answers[0]]}
    ends = [cell.id for cell in done if cell.id in above and "CellTimeoutError" in _said(cell)]
    return ends[0] if ends else None


def _said(cell):
    """The check's verdict in the outputs of an answer's cell, what the judge says, and what stopped the cell, in one line."""
    verdicts = ("right:", "hint:", "not yet:", "to do:", "... this cell printed")
    lines, ours = [], cell.metadata.get("nbgrader", {}).get("locked")
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            lines += [line for line in output.text.splitlines() if ours or line.startswith(verdicts)]
        if output.output_type == "error" and output.ename != "KeyboardInterrupt":  # that is how a time-out begins
            lines.append(f"{output.ename}: {output.evalue or 'it took longer than is allowed'}")
    return "; ".join(dict.fromkeys(lines))


def feedback(api, student, name, own, out):
    """Write a student's page. What a person has not read yet is called so, and nothing is loaded from elsewhere.

    The list above calls each part by its title.
    """
    said = api.generate_feedback(name, student, force=True)
    if not said["success"]:
        _failed(own, said, out)
    total, parts = tables.sums(own), sheets.known_parts({name})
    for path in (out / "feedback" / student / name).glob("*.html"):
        page = REMOTE.sub("", path.read_text("utf-8"))
        for row in own:
            if row["points"] is None:
                places = (
                    rf'(href="#{row["exercise"]}">[^(<]*</a> \(|name="{row["exercise"]}"></a>.*?)Score: [\d.]+ / [\d.]+'
                )
                page = re.sub(places, rf"\1not read yet, of {row['of']:g}", page, flags=re.S)
            number = f"{row['exercise']}: " if row["exercise"][0].isdigit() else ""
            for one in parts[name, row["exercise"]].names:
                for word in ("Test cell", "Written response"):
                    page = page.replace(f'"#{one}">{word}<', f'"#{one}">{number}{html.escape(row["title"])}<')
        if total["not read yet"]:
            page = re.sub(r"(<h4>[^<]*?)\(Score: [\d. /]+\)", rf"\1(preliminary: {tables.told(*total.values())})", page)
        path.write_text(page, "utf-8")


def _failed(own, said, out):
    """Say in the rows of a notebook that nbgrader stopped, and put its log into a file."""
    log = f"{own[0]['student']}-{own[0]['notebook']}.log"
    (out / log).write_text(f"{said['error']}\n{said['log']}", "utf-8")
    _not_graded(own, f"nbgrader stopped; see {log}")


def _not_graded(own, why):
    for row in own:
        row["points"], row["remark"] = None, f"{tables.NOT_GRADED}: {why}"
