"""Every plan's path runs from top to bottom alone: with the exercises as students find them, and as a late group goes."""

import sys

import pytest

pytest.importorskip("nbclient")
from nbclient import NotebookClient  # noqa: E402
from notebook_files import ROOT  # noqa: E402

sys.path.append(str(ROOT / "tools"))
import plans  # noqa: E402

PATHS = {
    f"{name}-{notebook}": made for name in plans.names() for notebook, made in plans.notebooks(plans.load(name)).items()
}
LATE = {
    f"{name}-{notebook}-late": made
    for name in ("two_hour_lab", "one_day_workshop")
    for notebook, made in plans.notebooks(plans.load(name), late=True).items()
    if made != PATHS[f"{name}-{notebook}"]
}


@pytest.mark.parametrize("case", [*PATHS, *LATE])
def test_the_path_runs_alone(case, monkeypatch):
    """One kernel on one thread; a stub that is not filled in says "to do", and the next cell goes on."""
    monkeypatch.setenv("COURSE_THREADS", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = (PATHS | LATE)[case]
    resources = {"metadata": {"path": str(ROOT / "notebooks")}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        if "exercise" in cell.metadata.get("tags", []):
            printed = "".join(output.get("text", "") for output in cell.outputs)
            assert "to do" in printed.lower(), cell.id
