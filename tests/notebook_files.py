"""The stored notebooks as JSON, and what several test files ask of them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXTRAS = sorted((ROOT / "notebooks" / "extras").glob("*.ipynb"))  # without a number, beside the course
ALL = [*NOTEBOOKS, *EXTRAS]


def checks_of(path):
    """The module of course/check/ with a notebook's checks: "nb03" for a numbered one, an extra's own name."""
    return path.stem if path in EXTRAS else f"nb{path.stem[:2]}"


def code_cells(notebook):
    """The code cells of a notebook, a dict as JSON gives it."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell):
    """The text of a cell, which is stored line by line."""
    return "".join(cell["source"])


def tagged(notebook, tag):
    """The code cells that bear this tag."""
    return [cell for cell in code_cells(notebook) if tag in cell["metadata"].get("tags", [])]
