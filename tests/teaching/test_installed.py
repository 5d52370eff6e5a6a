"""The notebooks' folder alone, copied somewhere, beside a plain `pip install` of the course: what they read is found."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("setuptools")
ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = r"\bROOT\b|\bindex\.|\bmeasured\(|\blong_runs\(|check\.computer|weights\.FOLDER"  # what reads a file of the repository


def names(tree, kind):
    """The names that a cell uses (kind `ast.Load`) or makes (`ast.Store`), functions and imports among them."""
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, kind)}
    if kind is ast.Store:
        found |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return found


def concerned(path):
    """The code of a notebook that reads files outside its folder, and of the cells before it that this needs."""
    cells = [cell for cell in json.loads(path.read_bytes())["cells"] if cell["cell_type"] == "code"]
    cells = [cell for cell in cells if "claims" not in cell["metadata"].get("tags", [])]
    wanted, taken = set(), []
    for cell in reversed(cells):
        source = "".join(cell["source"])
        tree = ast.parse(source)
        if cell["id"] == "setup" or re.search(OUTSIDE, source) or names(tree, ast.Store) & wanted:
            wanted = wanted - names(tree, ast.Store) | names(tree, ast.Load) - names(tree, ast.Store)
            taken.append((cell["id"], source))
    return taken[::-1]


FOUND = {path.stem: concerned(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
READERS = [name for name, cells in FOUND.items() if len(cells) > 1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the course as `pip install .` leaves it, and nothing of the repository around it."""
    place = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("course", "assets", "benchmarks", "notebooks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", place, source], check=True)
    shutil.rmtree(source)
    return place


def run(site, folder, code):
    environment = os.environ | {"PYTHONPATH": str(site), "MPLBACKEND": "agg", "COURSE_THREADS": "1"}
    environment.pop("PWD", None)
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_search_finds_the_notebooks_that_read_outside():
    assert {"00_start_here", "04_unet", "09_classifier_free_guidance", "13_wider_family"} <= set(READERS)
    assert "map" in dict(FOUND["00_start_here"]) and "draw-digits" in dict(FOUND["00_start_here"])


@pytest.mark.parametrize("name", READERS)
def test_a_copied_notebook_reads_what_it_needs(site, tmp_path, name):
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    (tmp_path / "cells.json").write_text(json.dumps(FOUND[name]))
    code = (
        "import json, course\n"
        f"assert course.__file__.startswith({str(site)!r}), course.__file__\n"
        "space = {'__name__': '__main__'}\n"
        "for name, source in json.load(open('../cells.json')):\n"
        "    exec(compile(source, name, 'exec'), space)\n"
    )
    done = run(site, tmp_path / "notebooks", code)
    assert done.returncode == 0, done.stderr[-1500:]


def test_a_course_without_what_belongs_to_it_says_so(site, tmp_path):
    shutil.copytree(ROOT / "course", tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__"))
    for code in ("from course import index; index.rows()", "from course import index; index.measured()"):
        done = run(tmp_path, tmp_path, code)
        assert done.returncode and "pip install FOLDER_OF_THE_COURSE" in done.stderr
    assert "Install the course" in run(tmp_path, tmp_path, "from course import weights; weights.load('x')").stderr


def test_the_wheel_carries_every_weight_and_result(site):
    shipped = site / "course" / "shipped"
    for folder in ("assets/weights", "benchmarks/results"):
        theirs, ours = (
            {p.relative_to(r / folder) for p in (r / folder).rglob("*") if p.is_file()} for r in (shipped, ROOT)
        )
        assert theirs == ours
