"""What every stored notebook must be: run 1..n, without errors, small, described, and checked by nbval for real."""

import ast
import base64
import builtins
import json
import re
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: p.stem)
def notebook(request):
    return json.loads(request.param.read_bytes())


def code_cells(notebook):
    return [c for c in notebook["cells"] if c["cell_type"] == "code"]


def source(cell):
    return "".join(cell["source"])


def tagged(notebook, tag):
    return [c for c in code_cells(notebook) if tag in c["metadata"].get("tags", [])]


def test_the_notebooks_are_complete():
    names = [p.stem for p in NOTEBOOKS]
    first = [
        "00_start_here",
        "01_gaussian_noise",
        "02_forward_process",
        "03_reverse_process",
        "04_unet",
        "05_toy_ddpm",
        "06_samplers",
        "07_latent_space",
        "08_clip_and_conditioning",
        "09_classifier_free_guidance",
        "10_stable_diffusion",
        "11_image_to_image_and_inpainting",
    ]
    assert names[: len(first)] == first


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


def test_expected_exceptions_are_there(notebook):
    for cell in tagged(notebook, "raises-exception"):
        assert any(o["output_type"] == "error" for o in cell["outputs"])


def test_size_and_form(notebook):
    assert 25 <= len(notebook["cells"]) <= 45
    assert len(json.dumps(notebook)) < 1_000_000
    lengths = [len(source(c).splitlines()) for c in code_cells(notebook)]
    assert max(lengths) <= 25 and statistics.median(lengths) <= 8
    kinds = "".join(c["cell_type"][0] for c in notebook["cells"])
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
