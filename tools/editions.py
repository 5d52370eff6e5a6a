"""Write the students' and the instructors' edition of the course: `python tools/editions.py [OUT]`, or `make editions`.

OUT (dist/) gets student/ and instructor/, and a zip of each with the version in its name. Both are made from the
shipped notebooks and checks each time anew; nobody keeps them by hand.
"""

import ast
import base64
import os
import re
import shutil
import sys
import tomllib
import zlib
from pathlib import Path

import nbformat
import own_course  # noqa: F401, before course
import sheets

from course import ROOT, index
from course.check import grading

FILES = ["LICENSE", "pyproject.toml", "setup.py", "requirements.txt", "constraints.txt"]
FOLDERS = ["course", "assets", "benchmarks/results"]
BOTH = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "TRANSLATING.md",
    "Makefile",
    "tools",
    "tests",
    "teaching",
    "benchmarks",
    "book",
    "hub",
]
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "*.egg-info")
SECRET = "grading.py"  # in course/check: what marks are given for is no business of the students' edition

PACKED = '''"""What the checks of this notebook compare with, packed so that nobody reads it by accident.

Who unpacks it finds the answers, and has learned how base64 and zlib work instead.
"""

import base64
import zlib

_PACKED = """
{text}
"""
exec(compile(zlib.decompress(base64.b85decode(_PACKED.replace("\\n", ""))), "<checks>", "exec"))
'''

READ_ME = """# {name}, version {version}: the students' edition

Notebooks on diffusion models, from one Gaussian random number to text-to-image. Begin with
`notebooks/00_start_here.ipynb`, which says what is where.

You need Python 3.11 or later. In this folder:

```
python -m venv .venv
.venv/bin/python -m pip install -e ".[lab]" -c constraints.txt          # Windows: .venv\\Scripts\\python
.venv/bin/python -m jupyter lab notebooks/00_start_here.ipynb
```

Each notebook has exercises. Below the task stands a cell with `...` in it; put your answer there and run it. The check
says "right", gives a hint, or says which part is right. There are no solutions in this edition. Longer tasks, if your
teacher sets them, are in `teaching/assignments/`. They need MNIST: `.venv/bin/python -m course.data` fetches it into
`data/`, or into the folder that the environment variable COURSE_DATA names. Whoever has MNIST sets COURSE_DATA to it.

Hand in the notebook itself, or the sheet with the same exercises in `exercises/`, under the name that it has. Each
answer must run after the notebook's first code cell alone: what you made elsewhere goes into the answer's cell as well.
An assignment has its own rules for that, in its notebook.
"""


def main(words):
    out = Path(os.environ.get("PWD", "."), words[0]) if words else ROOT / "dist"  # from where make was called
    for name, write in (("student", student), ("instructor", instructor)):
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write(folder)
        packed = shutil.make_archive(out / f"{project()['name']}-{project()['version']}-{name}", "zip", out, name)
        print(f"{folder}/ and {packed}, {Path(packed).stat().st_size / 1e6:.0f} MB")


def project():
    """The table [project] of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def student(folder):
    """The course without solutions, with packed checks, and a sheet of exercises for each notebook."""
    copied(FILES + FOLDERS, folder)
    (folder / "README.md").write_text(READ_ME.format(**project()), "utf-8")
    (folder / "course" / "check" / SECRET).unlink()
    for path in sorted((folder / "course" / "check").glob("*.py")):
        if path.name[:2] == "nb" or path.stem in {row.name for row in index.extras()}:
            path.write_text(packed_check(path.read_text("utf-8")), "utf-8")
    (folder / "exercises").mkdir()
    copied(["notebooks/index.toml"], folder)
    for row in index.rows() + index.extras():
        notebook = sheets.read(row)
        place = folder / row.path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(sheets.for_students(row, notebook), place)
        sheet = without_tests(sheets.sheet(row, notebook, seed=0))
        nbformat.write(sheet, folder / "exercises" / f"{row.name}.ipynb")
    for row in sheets.assignments():
        copied([str(path.relative_to(ROOT)) for path in row.folder.glob("*.py")], folder)
        nbformat.write(without_tests(sheets.read(row)), folder / row.path.relative_to(ROOT))


def without_tests(notebook):
    """The notebook without its hidden tests."""
    for cell in notebook.cells:
        cell.source = re.sub("### BEGIN HIDDEN.*### END HIDDEN TESTS", "", cell.source, flags=re.S).rstrip()
    return notebook


def packed_check(source):
    """A check module's source as Python that runs it and does not show it."""
    text = base64.b85encode(zlib.compress(source.encode(), 9)).decode()
    return PACKED.format(text="\n".join(text[i : i + 100] for i in range(0, len(text), 100)))


def instructor(folder):
    """The whole course as it is, and `answers/`: what each exercise is worth, and the hint that each mistake gets."""
    copied(FILES + FOLDERS + ["notebooks"] + BOTH, folder)
    (folder / "answers").mkdir()
    for row in index.rows() + index.extras():
        (folder / "answers" / f"{row.name}.md").write_text(answers(row), "utf-8")


def copied(names, folder):
    """Copy files and folders of the repository, those that there are."""
    for name in names:
        source, place = ROOT / name, folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, ignore=LEFT_OUT, dirs_exist_ok=True)
        elif source.exists():
            shutil.copy(source, place)


def answers(row):
    """One notebook's page for the instructor, Markdown."""
    notebook = sheets.read(row)
    found = sheets.tasks(row, notebook)
    points, minutes = sum(task.points for task in found), sum(task.minutes for task in found)
    head = f"# {row.title}: answers and usual mistakes\n\nPoints: {points}. Minutes: {minutes}.\n"
    return "\n".join([head, *(_answer(task) for task in found)])


def _answer(task):
    about = f"## {task.number}: {task.title}\n\n{task.kind}, {task.difficulty}. Points: {task.points}. Minutes: {task.minutes}.\n"
    tables = [f"\n{_table(check)}" for check, _ in task.checks]
    return f"{about}\n```python\n{task.solution.rstrip()}\n```\n{''.join(tables)}"


def _table(check):
    """The mistakes of one check that people make, with their hints and the share of the points that they get."""
    module, name = check.split(".")
    checks = grading.with_seed(module, 0)
    exercise = getattr(checks, name)
    slow = check == "nb10.text_to_image"  # a minute of drawing, to find that all are worth nothing
    sources = _sources(module, name)
    rows = ["| what was answered | hint | share of the points |", "|---|---|---|"]
    for source, (wrong, hint) in zip(sources, exercise.mistakes):
        share = 0 if slow else grading.score(exercise, wrong)
        rows.append(f"| `{source}` | {hint} | {share:.2g} |")
    if defined := _defined(module, sources):
        rows += ["", "with", "", "```python", defined, "```"]
    return "\n".join(rows) + "\n"


def _defined(module, sources):
    """What a module of checks defines of the private names in these texts, and in those definitions, as Python."""
    text = (ROOT / "course" / "check" / f"{module}.py").read_text("utf-8")
    private, found, words = {}, set(), " ".join(sources)
    for node in ast.parse(text).body:
        name = getattr(node, "name", ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else "")
        if name.startswith("_"):
            private[name] = ast.get_source_segment(text, node)
    while more := {name for name in private if re.search(rf"\b{name}\b", words)} - found:
        found |= more
        words = " ".join(private[name] for name in more)
    return "\n\n".join(code for name, code in private.items() if name in found)


def _sources(module, name):
    """How each wrong answer of an exercise is written in its module, on one line."""
    tree = ast.parse((ROOT / "course" / "check" / f"{module}.py").read_text("utf-8"))
    made = next(
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    )
    listed = next(word.value for word in made.keywords if word.arg == "mistakes")
    return [ast.unparse(pair.elts[0]).replace("|", "\\|") for pair in listed.elts]


if __name__ == "__main__":
    main(sys.argv[1:])
