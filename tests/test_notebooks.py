"""What every stored notebook must be: run 1..n, without errors, small, described, and checked by nbval for real."""

import ast
import base64
import builtins
import json
import re
import subprocess
import sys

import nbclient
import nbformat
import pytest
from notebook_files import NOTEBOOKS, code_cells, source, tagged

from course import index


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: p.stem)
def notebook(request):
    return json.loads(request.param.read_bytes())


def test_the_notebooks_are_those_of_the_index():
    assert [path.stem for path in NOTEBOOKS] == [row.name for row in index.rows()]
    for row in index.rows():
        title = source(json.loads(row.path.read_bytes())["cells"][0]).splitlines()[0]
        assert title == f"# {row.number}. {row.title}"


def test_executed_in_order_without_errors(notebook):
    cells = code_cells(notebook)
    assert [c["execution_count"] for c in cells] == list(range(1, len(cells) + 1))
    outputs = [o for c in cells for o in c["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "error"]
    assert not [o for o in outputs if o.get("name") == "stderr"]


def test_no_widget_state_and_no_machine_in_the_metadata(notebook):
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    assert "widget-view" not in json.dumps(notebook["cells"])


def test_nbval_has_something_to_compare(notebook):
    checked = tagged(notebook, "nbval-check-output")
    assert len(checked) >= 3
    for cell in checked:
        assert cell["execution_count"] and cell["outputs"], f"{cell['id']} is marked but holds no output"


def test_size_and_form(notebook):
    assert 25 <= len(notebook["cells"]) <= 90
    assert len(json.dumps(notebook)) < 1_000_000
    claims = tagged(notebook, "claims")
    assert max(len(source(c).splitlines()) for c in code_cells(notebook) if c not in claims) <= 25
    kinds = "".join(c["cell_type"][0] for c in notebook["cells"] if c not in claims)
    assert "ccc" not in kinds
    ids = [c["id"] for c in notebook["cells"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-z0-9-]+", i) for i in ids)


def test_every_picture_is_small_local_and_described(notebook):
    for cell in code_cells(notebook):
        for output in cell["outputs"]:
            if "image/png" in output.get("data", {}):
                assert output["metadata"]["image/png"]["alt"].strip(), cell["id"]
                png = output["data"]["image/png"]
                assert len(base64.b64decode("".join(png))) <= 150_000, cell["id"]
    text = "".join(source(c) for c in notebook["cells"] if c["cell_type"] == "markdown")
    assert not re.search(r"!\[\s*\]\(|!\[[^\]]*\]\(http|<img", text)


def test_at_least_one_explorer_beside_a_static_figure(notebook):
    text = [source(c) for c in code_cells(notebook)]
    assert any("Explorer(" in t for t in text) and any(".select(" in t for t in text)
    assert any("viz.show(" in t for t in text)


def test_functions_read_only_their_arguments(notebook):
    """A function that uses a variable of the notebook breaks when cells are run in another order."""
    tree = ast.parse("\n".join(s for s in map(source, code_cells(notebook)) if not s.startswith(("%", "!"))))
    imported = {
        alias.asname or alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        inside = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        inside |= {
            a.arg
            for n in ast.walk(function)
            if isinstance(n, ast.arguments)
            for a in [*n.args, *n.kwonlyargs, *filter(None, [n.vararg, n.kwarg])]
        }
        inside |= {n.name for n in ast.walk(function) if isinstance(n, ast.FunctionDef)}
        used = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        stray = used - inside - imported - defined - set(dir(builtins))
        assert not stray, f"{function.name} reads {stray}"


def test_nothing_is_stale_or_local(notebook):
    text = json.dumps(notebook)
    assert not re.search(r"\b(TO[D]O|FIX[M]E|XX[X])\b|/home/\w|/root/|C:\\\\Users", text)


def test_a_notebook_that_was_copied_away_says_what_to_do(notebook, tmp_path):
    """The set-up cell, where neither the course nor anything else is installed."""
    setup = next(source(cell) for cell in notebook["cells"] if cell["id"] == "setup")
    done = subprocess.run([sys.executable, "-I", "-S", "-c", setup], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode and "course/ is not here" in done.stderr.splitlines()[-1] and "make lab" in done.stderr


def test_the_first_notebook_runs_alone_in_any_folder(tmp_path):
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
