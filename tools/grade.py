"""Grade what students handed in, by nbgrader: `make grade SUBMITTED=folder`, then `make marks`; or

    python tools/grade.py SUBMITTED [--out OUT] [--seed N] [--timeout SECONDS]
    python tools/grade.py --marks [--out OUT]

OUT gets nbgrader's folders (source, release, submitted, autograded, feedback) and gradebook.db, and besides
exercises.csv (points and a remark for each exercise), by_hand.csv (what a person reads or changes), grades.csv and
report.txt. What was graded into OUT before stays, but for the notebooks that are graded again, and so does its seed.
--marks enters the points of by_hand.csv, and writes the tables and the pages of feedback anew.
"""

import argparse
import html
import os
import re
import shutil
import sys
import time
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

from course import ROOT, data, index

REMOTE = re.compile(r'<script[^>]*src="http[^>]*>\s*</script>')
TO_READ, CHANGED = "to be read by a person", "set by a person"
NOT_KNOWN = "only the set-up cell, the answers and cells that were added are run"
SEED = "seed"  # a file in OUT


def main(words):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submitted", nargs="?", help="a folder with one folder for each student")
    parser.add_argument("--marks", action="store_true", help="enter the points of by_hand.csv; nothing is run")
    parser.add_argument("--out", default=str(ROOT / "runs" / "graded"), help="default: runs/graded")
    parser.add_argument("--seed", type=int, help="from which the hidden numbers are drawn; that of before in OUT, or 1")
    parser.add_argument("--timeout", type=int, default=120, help="seconds that a cell may take")
    asked = parser.parse_args(words)
    here = Path(os.environ.get("PWD", "."))  # where make was called
    out = here / asked.out
    try:
        if not asked.marks and not asked.submitted:
            raise ValueError("name the folder with one folder for each student: make grade SUBMITTED=folder")
        if asked.seed is not None and asked.seed < 1:
            raise ValueError(f"the seed is {asked.seed}, but 1 or more is needed")
        if asked.timeout < 1:
            raise ValueError(f"the limit is {asked.timeout} seconds, but 1 or more is needed")
        rows = marks(out) if asked.marks else grade(here / asked.submitted, out, asked.seed, asked.timeout)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    if asked.marks:
        print("the points of by_hand.csv were entered")
    else:
        print((out / "report.txt").read_text("utf-8"))
    print(f"{sum(bool(row['exercise']) for row in rows)} exercises; look into {asked.out}")
    if unread := sum(row["points"] is None and not tables.failed([row]) for row in rows):
        print(f"{unread} answers are to be read: enter their points into by_hand.csv there, then `make marks`")
    if tables.failed(rows) and not asked.marks:
        raise SystemExit(1)


def grade(submitted, out, seed=None, timeout=120):
    """Grade a folder of submissions into the folder `out`. Returns the rows of exercises.csv, a list of dicts.

    seed: that of an earlier grading in `out` if None, else 1. Raises ValueError where nothing can be graded, where `out`
    holds something that is not an earlier grading or one with another seed, or where the by_hand.csv in it cannot be
    read; then nothing was changed.
    """
    found, remarks = submissions.collect(submitted)
    if not found:
        raise ValueError(
            f"no notebook of the course is in {str(submitted)!r}: {'; '.join(text for *_, text in remarks)}"
        )
    if out.exists() and any(out.iterdir()) and not (out / "gradebook.db").exists():
        raise ValueError(f"{str(out)!r} is not empty and holds no gradebook.db; name a new folder with OUT=")
    if any(one.row in sheets.assignments() for one in found) and not data.digits(train=False, quiet=True).is_mnist:
        raise ValueError(
            f"the judges of the assignments need MNIST, which is not here: `{sys.executable} -m course.data` fetches it, or "
            "set COURSE_DATA to the folder that holds it"
        )
    kept = _seed(out)
    if seed and kept and seed != kept:
        raise ValueError(f"{str(out)!r} was graded with SEED={kept}: give no SEED, or name a new folder with OUT=")
    seed = seed or kept or 1
    api = nbgrader(out, timeout)
    before = tables.exercises(out)
    hand = hand_lines(api, before, out) if before else {}
    (out / SEED).write_text(f"{seed}\n")
    rows = [_left_out(*one) for one in remarks]
    points = {tables.key(row): row["points"] for row in before}
    for row in {one.row.name: one.row for one in found}.values():
        notebook = sheets.read(row)
        release(api, row, notebook, out, seed)
        for one in (one for one in found if one.row == row):
            started = time.monotonic()
            new, same = graded(api, one, notebook, out, timeout)
            print(f"{one.student}, {row.name}: {time.monotonic() - started:.0f} s", flush=True)
            for line in new:
                key = tables.key(line)
                if line["by_hand"] or key in hand:
                    hand[key] = _line(line, hand.get(key), same)
                elif None not in (line["points"], points.get(key)) and line["points"] != points[key]:
                    line["remark"] += f"; {points[key]:g} points before"
            rows += new
    pairs = {(row["student"], row["notebook"]) for row in rows}
    students = {row["student"] for row in rows}
    kept = [row for row in before if (row["student"], row["notebook"]) not in pairs]
    kept = [row for row in kept if row["exercise"] or row["student"] not in students]  # what was left out before
    return finish(api, kept + rows, hand, pairs, out)


def _seed(out):
    """The seed of an earlier grading in `out`, or None."""
    return int((out / SEED).read_text()) if (out / SEED).exists() else None


def marks(out):
    """Enter the points of by_hand.csv. Returns the rows of exercises.csv. Raises ValueError, and changes nothing, where they are not right."""
    rows = tables.exercises(out)
    if not rows or not (out / "gradebook.db").exists():
        raise ValueError(
            f"nothing was graded into {str(out)!r}; `make grade SUBMITTED=folder` comes first, with the same OUT="
        )
    api = nbgrader(out, 120)
    hand = hand_lines(api, rows, out)
    return finish(api, rows, hand, {(student, notebook) for student, notebook, _ in hand}, out)


def hand_lines(api, rows, out):
    """{key of a row: line of by_hand.csv}: those of the file, also of what a machine graded, and all that a person reads.

    Where the line of what a person reads has no points, it gets those of the gradebook.
    """
    parts = known_parts(rows)
    lines = tables.by_hand(out, [row for row in rows if row["exercise"]])
    with api.gradebook as book:
        for row in rows:
            if row["exercise"] and parts[row["notebook"], row["exercise"]].by_hand:
                line = lines.setdefault(tables.key(row), _line(row))
                if line["points"] is None and not tables.failed([row]):
                    line["points"] = _grades(book, row, parts)[0].manual_score  # given in nbgrader's Formgrader
    return lines


def known_parts(rows):
    """{(notebook, exercise): what gets the points, a `sheets.Graded`} of all notebooks in these rows."""
    names = {row["notebook"] for row in rows}
    known = [row for row in index.rows() + index.extras() + sheets.assignments() if row.name in names]
    return {(row.name, part.number): part for row in known for part in sheets.graded(row, sheets.read(row))}


def _grades(book, row, parts):
    """nbgrader's entries for a row, one for each cell that gives points."""
    names = parts[row["notebook"], row["exercise"]].names
    return [book.find_grade(name, row["notebook"], row["notebook"], row["student"]) for name in names]


def _line(row, before=None, same=False):
    """The line of by_hand.csv for a row. The mark before holds if the same was handed in again; if not, it is named."""
    line = {name: row.get(name, "") for name in tables.BY_HAND}
    if before is None or before["points"] is None:
        return line
    if same or tables.failed([row]):
        return before
    again = f"handed in again; the mark before was {before['points']:g}"
    return line | {"comment": before["comment"], "remark": "; ".join(filter(None, [row["remark"], again]))}


def finish(api, rows, hand, pairs, out):
    """Enter what was read by hand, write the feedback of these (student, notebook) pairs, and all tables. Returns the rows."""
    rows = sorted(rows, key=lambda row: (row["notebook"], row["student"]))
    parts = known_parts(rows)
    with api.gradebook as book:
        for row in (row for row in rows if row["exercise"] and not tables.failed([row])):
            line = hand.get(tables.key(row))
            if parts[row["notebook"], row["exercise"]].by_hand:
                _read(book, row, line, parts)
            elif line or CHANGED in row["remark"]:
                _change(book, row, line, parts)
        book.db.commit()
    for pair in sorted(pairs):
        own = [row for row in rows if (row["student"], row["notebook"]) == pair and row["exercise"]]
        if own and not tables.failed(own):
            feedback(api, *pair, own, out)
    rows = [{name: row[name] for name in tables.FIELDS} for row in rows]
    tables.write(out, rows, [hand[tables.key(row)] for row in rows if tables.key(row) in hand], _seed(out))
    return rows


def _read(book, row, line, parts):
    """Enter the points and the comment of an answer that a person reads."""
    (grade,) = _grades(book, row, parts)
    row["points"] = grade.manual_score = line["points"]
    grade.needs_manual_grade = line["points"] is None
    where = (row["exercise"], row["notebook"], row["notebook"], row["student"])
    book.find_comment(*where).manual_comment = line["comment"] or None
    said = [TO_READ if line["points"] is None else "", line["remark"], line["comment"]]
    row["remark"] = "; ".join(filter(None, said)) or "read by a person"


def _change(book, row, line, parts):
    """Enter the points that a person gives in place of the machine's; without a line, or points in it, those hold again."""
    grades = _grades(book, row, parts)
    given = line["points"] if line else None
    for i, grade in enumerate(grades):
        grade.manual_score = None if given is None else given * (i == 0)
    machine = round(sum(grade.auto_score or 0.0 for grade in grades), 2)
    row["points"] = machine if given is None else given
    said = row["remark"].split(f"; {CHANGED}")[0]
    why = f": {line['comment']}" if line and line["comment"] else ""
    row["remark"] = said if given is None else f"{said}; {CHANGED}, {machine:g} by machine{why}"


def feedback(api, student, name, own, out):
    """Write a student's page. What a person has not read yet is called so, and nothing is loaded from elsewhere.

    The list above calls each part by its title.
    """
    said = api.generate_feedback(name, student, force=True)
    if not said["success"]:
        _failed(own, said, out)
    total, parts = tables.sums(own), known_parts(own)
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


def _left_out(student, file, remark):
    nothing = dict.fromkeys(tables.FIELDS, "")
    return nothing | {"student": student, "notebook": file, "points": 0, "of": 0, "remark": remark, "by_hand": False}


def _before(variable, folder):
    """Put a folder in front of those that an environment variable names."""
    os.environ[variable] = os.pathsep.join([str(folder), *filter(None, [os.environ.get(variable)])])


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


if __name__ == "__main__":
    main(sys.argv[1:])
