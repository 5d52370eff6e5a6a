"""Every plan's path runs from top to bottom alone: with the exercises as students find them, and as a late group goes."""

import sys

import pytest

pytest.importorskip("nbclient")
from nbclient import NotebookClient  # noqa: E402
from notebook_files import ROOT  # noqa: E402

sys.path.append(str(ROOT / "tools"))
import plans  # noqa: E402


def paths():
    """{what is run: notebook}; a path that two plans share is run once."""
    wanted = [(name, plans.load(name), False) for name in plans.names()]
    wanted += [(name, plans.load(name), True) for name in ("two_hour_lab", "one_day_workshop")]
    found, seen = {}, set()
    for name, plan, late in wanted:
        for notebook, made in plans.notebooks(plan, late).items():
            cells = (notebook, *(cell.id for cell in made.cells))
            if cells not in seen:
                found[f"{name}-{notebook}{'-late' * late}"] = made
            seen.add(cells)
    return found


PATHS = paths()


@pytest.mark.parametrize("case", PATHS)
def test_the_path_runs_alone(case, monkeypatch):
    """One kernel on one thread; a stub that is not filled in says "to do", and the next cell goes on."""
    monkeypatch.setenv("COURSE_THREADS", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = PATHS[case]
    resources = {"metadata": {"path": str(ROOT / "notebooks")}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        if "exercise" in cell.metadata.get("tags", []):
            printed = "".join(output.get("text", "") for output in cell.outputs)
            assert "to do" in printed.lower(), cell.id
