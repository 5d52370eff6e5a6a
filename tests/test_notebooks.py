"""What every stored notebook must be: run 1..n, without errors, small, described, and checked by nbval for real."""

import ast
import base64
import builtins
import io
import json
import re
import subprocess
import sys

import nbclient
import nbformat
import numpy as np
import pytest
from notebook_files import ALL, EXTRAS, NOTEBOOKS, code_cells, source, tagged
from PIL import Image

from course import index


@pytest.fixture(params=ALL, ids=lambda p: p.stem)
def notebook(request):
    return json.loads(request.param.read_bytes())


def test_the_notebooks_are_those_of_the_index():
    assert [row.path for row in index.rows()] == NOTEBOOKS
    assert sorted(row.path for row in index.extras()) == EXTRAS
    titles = [f"# {row.number}. {row.title}" for row in index.rows()] + [f"# {row.title}" for row in index.extras()]
    for row, title in zip(index.rows() + index.extras(), titles):
        assert source(json.loads(row.path.read_bytes())["cells"][0]).splitlines()[0] == title


def test_time_and_memory_keep_to_the_budget_as_measured():
    """Two minutes on two cores, and 1.5 GiB: `benchmarks/notebooks.py`."""
    measured = index.measured()
    assert measured and set(measured) <= {row.name for row in index.rows()}
    limits = {"seconds": 120, "peak_MB": 1.5 * 1024**3 / 1e6}
    over = {name: row for name, row in measured.items() if any(row[key] > limit for key, limit in limits.items())}
    assert not over


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
    assert 25 <= len(notebook["cells"]) <= 120
    assert len(json.dumps(notebook)) < 1_000_000
    claims = tagged(notebook, "claims")
    kinds = "".join(c["cell_type"][0] for c in notebook["cells"] if c not in claims)
    assert "ccc" not in kinds
    ids = [c["id"] for c in notebook["cells"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-z0-9-]+", i) for i in ids)


# ---------------------------------------------------------------- the reader's edition

OLD_FORM = []
READABLE = [path for path in ALL if path.stem[:2] not in OLD_FORM]
readable = pytest.mark.parametrize("path", READABLE, ids=lambda p: p.stem)


def nodes_per_line(text):
    """Syntax nodes on a line that is not empty: 8 to 12 where code is calm."""
    lines = [line for line in text.splitlines() if line.strip()]
    return sum(1 for _ in ast.walk(ast.parse(text))) / max(len(lines), 1)


def visible_code(notebook):
    """Code cells that the reader sees, but the set-up."""
    return [
        c
        for c in code_cells(notebook)
        if c["id"] not in ("setup", "fetch-course") and c not in tagged(notebook, "claims")
    ]


def words(text):
    """Words of prose: without tables, displayed formulas, solutions' code and what tools wrote."""
    text = re.sub(r"\$\$.*?\$\$|```.*?```", "", index.MADE.sub("", text), flags=re.S)
    return len([word for line in text.splitlines() if not line.startswith("|") for word in line.split()])


@readable
def test_code_is_calm(path):
    cells = {c["id"]: source(c) for c in visible_code(json.loads(path.read_bytes()))}
    density = {name: nodes_per_line(text) for name, text in cells.items()}
    assert nodes_per_line("\n".join(cells.values())) <= 12, density
    assert not {name: round(value, 1) for name, value in density.items() if value > 18}
    assert not {name for name, text in cells.items() if max(map(len, text.splitlines())) > 88}
    assert not {name for name, text in cells.items() if len(text.splitlines()) > 25}


@readable
def test_asserts_are_seen_only_where_asserting_is_the_lesson(path):
    cells = {c["id"]: c for c in visible_code(json.loads(path.read_bytes()))}
    seen = {
        name
        for name, cell in cells.items()
        for node in ast.walk(ast.parse(source(cell)))
        if isinstance(node, ast.Assert)
    }
    assert seen <= {name for name, cell in cells.items() if "agree" in cell["metadata"]["tags"]} and len(seen) <= 4


@readable
def test_a_text_prepares_one_cell(path):
    cells = [
        c for c in json.loads(path.read_bytes())["cells"] if c["cell_type"] == "markdown" and c["id"] != "references"
    ]
    assert not {c["id"]: words(source(c)) for c in cells if words(source(c)) > 150}


@readable
def test_sections_are_tagged_and_claims_are_folded(path):
    notebook = json.loads(path.read_bytes())
    for cell, place in zip(notebook["cells"], index.sections(notebook["cells"])):
        tags = cell["metadata"]["tags"]
        assert [tag for tag in tags if tag in ("core", "side-road")] == [place], cell["id"]
        assert (
            cell["metadata"].get("jupyter", {}).get("source_hidden", False)
            == ("claims" in tags)
            == ("hide-input" in tags)
        )
        assert not re.search(r"\n#{2,6} ", source(cell)) or cell["cell_type"] == "code", (
            f"{cell['id']}: a heading inside"
        )
    assert tagged(notebook, "claims")


@readable
def test_exercises_stand_alone(path):
    """The task, directly under it the stub, then the folded solution, each in a cell of its own."""
    cells = json.loads(path.read_bytes())["cells"]
    stubs = [i for i, c in enumerate(cells) if "exercise" in c["metadata"]["tags"]]
    number = r"\d" if path in EXTRAS else r"\d\d\.\d"
    for i in stubs:
        assert re.match(rf"### Exercise {number}: .*\(.*\d+ min", source(cells[i - 1])), cells[i]["id"]
        assert source(cells[i + 1]).startswith("<details><summary>Solution"), cells[i]["id"]
        assert source(cells[i + 1]).rstrip().endswith("</details>") and "### " not in source(cells[i + 1])


def test_every_picture_is_small_local_and_described(notebook):
    for cell in code_cells(notebook):
        for output in cell["outputs"]:
            if "image/png" in output.get("data", {}):
                assert output["metadata"]["image/png"]["alt"].strip(), cell["id"]
                png = output["data"]["image/png"]
                data = base64.b64decode("".join(png))
                assert len(data) <= (300_000 if b"acTL" in data[:2000] else 150_000), cell["id"]  # animated or not
    text = "".join(source(c) for c in notebook["cells"] if c["cell_type"] == "markdown")
    assert not re.search(r"!\[\s*\]\(|!\[[^\]]*\]\(http|<img", text)


def test_no_picture_is_cut_off(notebook):
    """A letter at the very edge of a picture is one of which a part is missing."""
    for cell in code_cells(notebook):
        for output in cell["outputs"]:
            for kind in {"image/png", "image/jpeg"} & output.get("data", {}).keys():
                data = base64.b64decode("".join(output["data"][kind]))
                pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
                edges = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
                assert min(edge.min() for edge in edges) >= 200, cell["id"]


def test_at_least_one_explorer_beside_a_static_figure(notebook):
    text = [source(c) for c in code_cells(notebook)]
    assert any("Explorer(" in t or "Explorer.of_images(" in t for t in text) and any(".select(" in t for t in text)
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
    text = re.sub(r'"image/\w+": "[^"]*"', "", json.dumps(notebook))  # in a picture's bytes any three letters may stand
    assert not re.search(r"\b(TO[D]O|FIX[M]E|XX[X])\b|/home/\w|/root/|C:\\\\Users", text)


def test_a_notebook_that_was_copied_away_says_what_to_do(notebook, tmp_path):
    """The set-up cell, where neither the course nor anything else is installed."""
    setup = next(source(cell) for cell in notebook["cells"] if cell["id"] == "setup")
    done = subprocess.run([sys.executable, "-I", "-S", "-c", setup], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode and "course/ is not here" in done.stderr.splitlines()[-1] and "make lab" in done.stderr


def test_the_first_notebook_runs_alone_in_any_folder(tmp_path):
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
