"""Every lesson plan's cells run from top to bottom alone, as a student has them, with the exercises to do."""

import sys

import nbformat
import pytest
from nbclient import NotebookClient
from notebook_files import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import plans  # noqa: E402

PATHS = [(plan.name, number) for plan in plans.plans() for number in plans.path_of(plan)]


@pytest.mark.parametrize("name, number", PATHS)
def test_the_path_runs_alone(name, number):
    plan = next(plan for plan in plans.plans() if plan.name == name)
    notebook = plans.path_of(plan)[number]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": ROOT / "notebooks"}}).execute()
    asked = [cell for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]
    told = ["".join(out.get("text", "") for out in cell.outputs) for cell in asked]
    assert all("to do" in text for text in told)


def test_a_path_that_leaves_out_what_it_needs_stops():
    """The fault that this file is for: 06's walk without the helper that draws."""
    [row] = plans.index.choose(["06"])
    notebook = nbformat.read(row.path, as_version=4)
    notebook.cells = [
        notebook.cells[place] for place in plans.chosen(notebook.cells, ["setup", "ten-noises-few-calls"])
    ]
    with pytest.raises(Exception, match="draw_digits"):
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": ROOT / "notebooks"}}).execute()
