"""Grade what students handed in, by nbgrader: `make grade SUBMITTED=folder`, then `make marks`; or

    python tools/grade.py SUBMITTED [--out OUT] [--seed N] [--timeout SECONDS]
    python tools/grade.py --marks [--out OUT]

OUT gets nbgrader's folders (source, release, submitted, autograded, feedback) and gradebook.db, and besides
exercises.csv (points and a remark for each exercise), by_hand.csv (what a person reads or changes), grades.csv and
report.txt. What was graded into OUT before stays, but for the notebooks that are graded again, and so does its seed.
--marks enters the points of by_hand.csv, and writes the tables and the pages of feedback anew.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import autograde
import by_hand
import own_course  # noqa: F401, before course
import sheets
import submissions
import tables

from course import ROOT, data

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
    earlier = _seed(out)
    if seed and earlier and seed != earlier:
        raise ValueError(f"{str(out)!r} was graded with SEED={earlier}: give no SEED, or name a new folder with OUT=")
    seed = seed or earlier or 1
    api = autograde.nbgrader(out, timeout)
    before = tables.exercises(out)
    hand = by_hand.read(api, before, out) if before else {}
    (out / SEED).write_text(f"{seed}\n")
    rows = [_left_out(*one) for one in remarks]
    points = {tables.key(row): row["points"] for row in before}
    for row in {one.row.name: one.row for one in found}.values():
        notebook = sheets.read(row)
        autograde.release(api, row, notebook, out, seed)
        for one in (one for one in found if one.row == row):
            started = time.monotonic()
            new, same = autograde.graded(api, one, notebook, out, timeout)
            print(f"{one.student}, {row.name}: {time.monotonic() - started:.0f} s", flush=True)
            for line in new:
                key = tables.key(line)
                if line["by_hand"] or key in hand:
                    hand[key] = by_hand.line_of(line, hand.get(key), same)
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
    api = autograde.nbgrader(out, 120)
    hand = by_hand.read(api, rows, out)
    touched = [row for row in rows if tables.key(row) in hand or by_hand.CHANGED in row["remark"]]
    return finish(api, rows, hand, {(row["student"], row["notebook"]) for row in touched}, out)


def finish(api, rows, hand, pairs, out):
    """Enter what was read by hand, write the feedback of these (student, notebook) pairs, and all tables. Returns the rows."""
    rows = sorted(rows, key=lambda row: (row["notebook"], row["student"]))
    by_hand.enter(api, rows, hand)
    for pair in sorted(pairs):
        own = [row for row in rows if (row["student"], row["notebook"]) == pair and row["exercise"]]
        if own and not tables.failed(own):
            autograde.feedback(api, *pair, own, out)
    rows = [{name: row[name] for name in tables.FIELDS} for row in rows]
    tables.write(out, rows, [hand[tables.key(row)] for row in rows if tables.key(row) in hand], _seed(out))
    return rows


def _left_out(student, file, remark):
    nothing = dict.fromkeys(tables.FIELDS, "")
    return nothing | {"student": student, "notebook": file, "points": 0, "of": 0, "remark": remark, "by_hand": False}


if __name__ == "__main__":
    main(sys.argv[1:])
