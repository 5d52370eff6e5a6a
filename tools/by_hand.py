"""What people write into by_hand.csv: points of written answers, and of what a machine graded where they find that unfair."""

import sheets
import tables

TO_READ, CHANGED = "to be read by a person", "set by a person"


def read(api, rows, out):
    """{key of a row: line of by_hand.csv}: those of the file, also of what a machine graded, and all that a person reads.

    Where the line of what a person reads has no points, it gets those of the gradebook.
    """
    parts = sheets.known_parts({row["notebook"] for row in rows})
    lines = tables.by_hand(out, [row for row in rows if row["exercise"]])
    with api.gradebook as book:
        for row in rows:
            if row["exercise"] and parts[row["notebook"], row["exercise"]].by_hand:
                line = lines.setdefault(tables.key(row), line_of(row))
                if line["points"] is None and not tables.failed([row]):
                    line["points"] = _grades(book, row, parts)[0].manual_score  # given in nbgrader's Formgrader
    return lines


def line_of(row, before=None, same=False):
    """The line of by_hand.csv for a row. The mark before holds if the same was handed in again; if not, it is named."""
    line = {name: row.get(name, "") for name in tables.BY_HAND}
    if before is None or before["points"] is None:
        return line
    if same or tables.failed([row]):
        return before
    again = f"handed in again; the mark before was {before['points']:g}"
    return line | {"comment": before["comment"], "remark": "; ".join(filter(None, [row["remark"], again]))}


def enter(api, rows, lines):
    """Put what people wrote into nbgrader's gradebook and into the rows of exercises.csv. lines: {key of a row: line}."""
    parts = sheets.known_parts({row["notebook"] for row in rows})
    with api.gradebook as book:
        for row in (row for row in rows if row["exercise"] and not tables.failed([row])):
            line = lines.get(tables.key(row))
            if parts[row["notebook"], row["exercise"]].by_hand:
                _enter(book, row, line, parts)
            elif line or CHANGED in row["remark"]:
                _change(book, row, line, parts)
        book.db.commit()


def _enter(book, row, line, parts):
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


def _grades(book, row, parts):
    """nbgrader's entries for a row, one for each cell that gives points."""
    names = parts[row["notebook"], row["exercise"]].names
    return [book.find_grade(name, row["notebook"], row["notebook"], row["student"]) for name in names]
