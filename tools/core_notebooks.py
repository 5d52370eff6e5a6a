"""Write each notebook that has code on side roads once more without them, into `runs/core/`, where nbval runs it.

    python tools/core_notebooks.py

Whoever skips every side road must miss nothing that a later cell needs, and see the same numbers.
"""

import shutil

import nbformat
import own_course  # noqa: F401, before course

from course import ROOT, index

FOLDER = ROOT / "runs" / "core"


def without_side_roads(notebook):
    """The notebook with the cells of its core alone."""
    places = index.sections(notebook.cells)
    notebook.cells = [cell for cell, place in zip(notebook.cells, places) if place == "core"]
    return notebook


def count_code(notebook):
    return sum(cell.cell_type == "code" for cell in notebook.cells)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for row in index.rows() + index.extras():
        notebook = nbformat.read(row.path, as_version=4)
        count = count_code(notebook)
        if count_code(without_side_roads(notebook)) < count:
            nbformat.write(notebook, FOLDER / f"core_of_{row.path.name}")


if __name__ == "__main__":
    main()
