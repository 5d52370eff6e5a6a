"""What the grading writes for people, and what it reads of that again: exercises.csv, by_hand.csv, grades.csv, report.txt.

A row of exercises.csv is a dict; its points are None while a person has not read the answer.
"""

import csv
import io
import textwrap

FIELDS = ["student", "notebook", "exercise", "title", "points", "of", "remark"]
BY_HAND = ["student", "notebook", "exercise", "title", "of", "points", "comment", "remark"]
NOT_GRADED = "NOT GRADED"


def key(row):
    return row["student"], row["notebook"], row["exercise"]


def exercises(out):
    """The rows of an earlier exercises.csv; [] where there is none."""
    path = out / "exercises.csv"
    rows = _read(path, FIELDS) if path.exists() else []
    return [row | {name: float(row[name]) if row[name] else None for name in ("points", "of")} for row in rows]


def by_hand(out, rows):
    """{(student, notebook, exercise): line} of by_hand.csv, {} where there is none; points are a number or None.

    rows: those of exercises.csv. Raises ValueError, which names the line, for an answer that they do not have and for
    points that are no number from 0 to what the answer is worth. A spreadsheet may have put ; for , and 4,5 for 4.5.
    """
    path, known, found = out / "by_hand.csv", {key(row): row for row in rows}, {}
    for number, line in enumerate(_read(path, BY_HAND) if path.exists() else [], 2):
        where = f"{path}, line {number} ({', '.join(key(line))})"
        if key(line) not in known:
            raise ValueError(
                f"{where}: no such answer was graded; student, notebook and exercise stay as they were written"
            )
        if key(line) in found:
            raise ValueError(f"{where}: this answer has a line above already; leave one of them")
        if line["comment"].strip().isdigit():
            raise ValueError(f"{where}: the comment is {line['comment']!r}; a number such as 4,5 is written 4.5 there")
        line["points"] = _points(line["points"], known[key(line)]["of"], where)
        found[key(line)] = line
    return found


def _points(text, most, where):
    if not text.strip():
        return None
    try:
        points = float(text.strip().replace(",", "."))
    except ValueError:
        points = -1.0
    if not 0 <= points <= most:
        raise ValueError(f"{where}: points are {text!r}, but a number from 0 to {most:g} is needed, or nothing yet")
    return points


def _read(path, fields):
    """The lines of a table as dicts. Raises ValueError where a column is missing."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:  # as some spreadsheets write it
        text = data.decode("cp1252", "replace")
    first = text.split("\n", 1)[0]
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    if missing := [name for name in fields if name not in (table.fieldnames or [])]:
        raise ValueError(f"{path} has no column {', '.join(missing)}; its first line must be {','.join(fields)}")
    return [{name: line[name] or "" for name in fields} for line in table if any(filter(None, line.values()))]


def write(out, rows, hand, seed):
    """All four tables, from the rows of exercises.csv and the lines of by_hand.csv. seed: of the hidden numbers."""
    _write(out / "exercises.csv", FIELDS, rows)
    _write(out / "by_hand.csv", BY_HAND, hand)
    each = _each_notebook(rows)
    totals = [_total(own) for own in each]
    _write(out / "grades.csv", list(totals[0]), totals)
    lines = [f"{NOT_GRADED}: {own[0]['student']}, {own[0]['notebook']}" for own in each if failed(own)]
    lines.append(f"Other numbers by SEED={seed}.")
    lines += [_told(own) for own in each]
    (out / "report.txt").write_text("\n".join(lines) + "\n", "utf-8")


def failed(rows):
    """Whether nbgrader itself stopped at one of these."""
    return any(NOT_GRADED in row["remark"] for row in rows)


def told(points, of, unread):
    """ "20 of 26 points, and 14 are not read yet"."""
    return f"{points:g} of {of - unread:g} points" + (f", and {unread:g} more are not read yet" if unread else "")


def sums(rows):
    """{"points", "of", "not read yet"} of rows."""
    points = round(sum(row["points"] or 0.0 for row in rows), 2)
    unread = sum(row["of"] for row in rows if row["points"] is None)
    return {"points": points, "of": sum(row["of"] for row in rows), "not read yet": unread}


def _total(own):
    """The line of grades.csv for a notebook; what was not graded has no points there, not 0."""
    remark = NOT_GRADED if failed(own) else "" if own[0]["exercise"] else own[0]["remark"]
    empty = {"points": ""} if failed(own) else {}
    return {name: own[0][name] for name in FIELDS[:2]} | sums(own) | empty | {"remark": remark}


def _write(path, fields, rows):
    """A table; a file beside it takes its place when it is whole, so nothing is lost where writing stops."""
    new = path.with_suffix(".new")
    with open(new, "w", newline="", encoding="utf-8-sig") as file:  # with its mark, spreadsheets read ü as ü
        table = csv.DictWriter(file, fields)
        table.writeheader()
        table.writerows(
            {name: f"{x:g}" if isinstance(x, int | float) else x for name, x in row.items()} for row in rows
        )
    new.replace(path)


def _each_notebook(rows):
    """The rows of each student's notebook, as lists, in order."""
    own = {}
    for row in rows:
        own.setdefault((row["student"], row["notebook"]), []).append(row)
    return list(own.values())


def _told(own):
    """What the report says of one notebook."""
    if not own[0]["exercise"]:
        return _wrapped(f"{own[0]['student']}: {own[0]['remark']}", "")
    lines = [f"{own[0]['student']}, {own[0]['notebook']}: {told(*sums(own).values())}"]
    for row in own:
        points = "not read yet" if row["points"] is None else f"{row['points']:g} of {row['of']:g}"
        lines.append(_wrapped(f"{row['exercise']}: {points}. {row['remark']}", "    "))
    return "\n".join(lines)


def _wrapped(text, indent):
    return textwrap.fill(text, 120, initial_indent=indent, subsequent_indent=indent + "    ", break_long_words=False)
