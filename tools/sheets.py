"""What the editions and the grading know of the notebooks' exercises: where they stand, and what they are worth.

An exercise is three cells in a row: its task, a code cell tagged `exercise` with the stub, its folded solution. What
follows a solution up to the next heading or exercise shows the solution at work, and belongs to it.
"""

import ast
import copy
import re
from typing import NamedTuple

import nbformat
import own_course  # noqa: F401, before course

from course import ROOT, index
from course.check import grading

TITLE = re.compile(r"### Exercise ([\d.]+): (.+?) \(([^,]+), (\w+), (\d+) min")
ASSIGNED = re.compile(r"#+ (Task .+?)(?: \([^()]*\))?$", re.M)  # "### Task 3: what did it? (1 hour, 8 points)"
SEEDS = re.compile(r"\bseeds=\(([\d, ]+)\)")
ABOUT_THE_SOLUTION = re.compile(r" ?The (?:folded )?cells? after the solution[^.]*\.")
HANDED_IN = (
    "If the exercises are handed in, each answer is run after the set-up cell alone, and not after the cells above: a "
    "function or a number that you made there goes into the answer's cell as well."
)
POINTS = {"easy": 1, "medium": 2, "hard": 3}


class Task(NamedTuple):
    """One exercise: its number and title, kind ("fill in"), difficulty, minutes, cells, check and solution.

    cell: the id of the code cell; before, after: places in the list of cells; solution: Python; checks: such as
    ("nb01.half_size", "small"), a check and the expression that it is given; one exercise asks two.
    """

    number: str
    title: str
    kind: str
    difficulty: str
    minutes: int
    cell: str
    before: int
    after: int
    checks: list
    solution: str

    @property
    def points(self):
        return POINTS[self.difficulty]

    @property
    def names(self):
        """The ids of the cells that give the points."""
        return [f"points-{i}-{self.cell}" for i in range(len(self.checks))]


def assignments():
    """The assignments of `teaching/assignments/`, as rows like those of the index."""
    found = sorted((ROOT / "teaching" / "assignments").glob("*/*.ipynb"))
    return [index.Row(path.stem, path.stem.replace("_", " "), "an assignment", path.parent) for path in found]


class Graded(NamedTuple):
    """What gets points: a number and a title for the table, the answer's cell, the ids of the cells that give points.

    by_hand: whether a person reads it.
    """

    number: str
    title: str
    points: float
    cell: str
    names: list
    by_hand: bool = False


def graded(row, notebook):
    """What in a notebook gets points, a list of `Graded`. An assignment has nbgrader's marks in its own cells."""
    if row not in assignments():
        return [Graded(task.number, task.title, task.points, task.cell, task.names) for task in tasks(row, notebook)]
    found, last, title = [], None, ""
    for cell in notebook.cells:
        heading = ASSIGNED.match(cell.source) if cell.cell_type == "markdown" else None
        title = heading[1] if heading else title
        mark = cell.metadata.get("nbgrader", {})
        last = mark["grade_id"] if mark.get("solution") else last
        if mark.get("grade"):
            name, by_hand = mark["grade_id"], bool(mark.get("solution"))
            found.append(Graded(name, title, mark["points"], last, [name], by_hand))
    return found


def known_parts(names):
    """{(notebook, exercise): `Graded`} of all that gets points in the notebooks of these names."""
    known = [row for row in index.rows() + index.extras() + assignments() if row.name in names]
    return {(row.name, part.number): part for row in known for part in graded(row, read(row))}


def read(row):
    """The stored notebook of a row of the index."""
    return nbformat.read(row.path, as_version=4)


def has_tag(cell, tag):
    return tag in cell.metadata.get("tags", [])


def tasks(row, notebook):
    """The exercises of a notebook, a list of `Task`."""
    cells = notebook.cells
    module = row.name if row in index.extras() else f"nb{row.number}"
    found = []
    for i, cell in enumerate(cells):
        if has_tag(cell, "exercise"):
            title = TITLE.match(cells[i - 1].source)
            folded = re.search(r"```python\n(.*?)```", cells[i + 1].source, re.S)
            if not title or not folded or not cells[i + 1].source.startswith("<details><summary>Solution"):
                raise ValueError(f"{row.name}: the exercise {cell.id} needs its task above and its solution below")
            number, words, kind, difficulty, minutes = title.groups()
            checks = [(f"{module}.{name}", answer) for name, answer in _calls(cell.source)]
            found.append(Task(number, words, kind, difficulty, int(minutes), cell.id, i - 1, i + 1, checks, folded[1]))
    return found


def _calls(stub):
    """[("half_size", "small")] of a cell that holds check.half_size(small): each check and what it is given."""
    calls = [node for node in ast.walk(ast.parse(stub)) if isinstance(node, ast.Call)]
    found = [call for call in calls if ast.unparse(call.func).startswith("check.")]
    return [(call.func.attr, ast.unparse(call.args[0])) for call in sorted(found, key=lambda call: call.lineno)]


def solution_cells(cells, found):
    """The places of all cells that tell a solution, or show one at work: a set of whole numbers."""
    stop = {task.before for task in found}
    places = set()
    for task in found:
        for i in range(task.after, len(cells)):
            heading = cells[i].cell_type == "markdown" and cells[i].source.startswith("#")
            if i in stop or (heading and i > task.after):
                break
            places.add(i)
    return places


def for_students(row, notebook):
    """The notebook without its solutions; its exercises bear what nbgrader needs to find them again."""
    found = tasks(row, notebook)
    gone = solution_cells(notebook.cells, found)
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        if has_tag(cell, "exercise"):
            cell.metadata["nbgrader"] = _mark(cell.id, solution=True)
        cell.source = ABOUT_THE_SOLUTION.sub("", cell.source)
    made.cells = [cell for i, cell in enumerate(made.cells) if i not in gone]
    first = notebook.cells[found[0].before].id
    place = next(i for i, cell in enumerate(made.cells) if cell.id == first)
    made.cells.insert(place, nbformat.v4.new_markdown_cell(HANDED_IN, id="handed-in"))
    return made


def sheet(row, notebook, seed):
    """The notebook that nbgrader starts from: set-up, tasks, stubs, and after each stub a hidden test for each check.

    An assignment is such a notebook as it stands; `seed` moves the seeds of its hidden tests by hundreds, and 1 not at all.
    """
    if row in assignments():
        made = copy.deepcopy(notebook)
        for cell in made.cells:
            if "### BEGIN HIDDEN" in cell.source:
                cell.source = SEEDS.sub(lambda seeds: _moved(seeds[1], 100 * (seed - 1)), cell.source)
        return made
    found = tasks(row, notebook)
    title = nbformat.v4.new_markdown_cell(_title(notebook, found), id="title")
    made = nbformat.v4.new_notebook(metadata=notebook.metadata, cells=[title])
    made.cells += [_plain(cell) for cell in notebook.cells if cell.id == "setup"]
    for task in found:
        text, stub = (_plain(notebook.cells[i]) for i in (task.before, task.before + 1))
        stub.metadata["nbgrader"] = _mark(stub.id, solution=True)
        made.cells += [text, stub, *_tests(task, seed)]
    return made


def _moved(seeds, by):
    return f"seeds={tuple(int(one) + by for one in seeds.split(',') if one.strip())}"


def _title(notebook, found):
    first = notebook.cells[0].source.splitlines()[0]
    total = sum(task.points for task in found)
    return (
        f"{first}: exercises\n\nThis sheet is to be handed in. It has {total} points. The notebook itself explains what "
        "the tasks need. Each answer must run after the set-up cell alone: a function or a number that you made elsewhere "
        "goes into the answer's cell as well. Add cells where you like, and leave the names as they are."
    )


def _plain(cell):
    made = copy.deepcopy(cell)
    made.source = ABOUT_THE_SOLUTION.sub("", made.source)
    made.metadata = {"tags": cell.metadata.get("tags", [])}
    if made.cell_type == "code":
        made.outputs, made.execution_count = [], None
    return made


def _tests(task, seed):
    """The cells that give points, one for each check: they share the exercise's points evenly."""
    most = task.points / len(task.checks)
    made = []
    for i, (check, answer) in enumerate(task.checks):
        said = f"points: {most:g}." + (" Graded here with other numbers." if grading.asks_other_numbers(check) else "")
        made.append(_test(task, i, said, f'grading.points("{check}", {answer}, {most:g}, seed={seed})', most))
    return made


def _test(task, i, said, call, most):
    source = (
        f"# Exercise {task.number}, {said}\n"
        f"### BEGIN HIDDEN TESTS\nfrom course.check import grading\n\n{call}\n### END HIDDEN TESTS"
    )
    name = task.names[i]
    mark = _mark(name, grade=True, locked=True, points=most)
    return nbformat.v4.new_code_cell(source, id=name[:64], metadata={"nbgrader": mark})


def _mark(name, **what):
    mark = {"grade": False, "locked": False, "solution": False, "task": False, **what}
    return {"schema_version": 3, "cell_type": "code", "grade_id": name, **mark}
