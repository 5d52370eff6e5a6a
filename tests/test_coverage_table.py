"""`notebooks/coverage.csv` says where each item of the source notes is shown; this keeps it true."""

import csv
import json

import pytest
from test_notebooks import NOTEBOOKS, ROOT

with open(ROOT / "notebooks" / "coverage.csv", newline="", encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))

# the items of the five notes whose home is one of the notebooks 00 to 11
ITEMS = """
000-01 000-05 000-06 000-07 000-08 000-09 000-10 000-11 000-12 000-13 000-14 000-15 000-16 000-17 000-18 000-19 000-24 000-25
001-03 001-04 001-05 001-06 001-07 001-08 001-09 001-10 001-11 001-12 001-13 001-14 001-15 001-16 001-17 001-18 001-19 001-20
001-21 001-22 001-23 001-25 001-27 001-48 001-49 001-50
002-01 002-03 002-04 002-05 002-06 002-07 002-08 002-09 002-10 002-12 002-13 002-14 002-15 002-16 002-18 002-19 002-21 002-22
002-23 002-24 002-25 002-27 002-28 002-29 002-30 002-31 002-32
003-02 003-11 003-12 003-13 003-15 003-16 003-17 003-18 003-19 003-20 003-21 003-22 003-23 003-24 003-25 003-26 003-27 003-28
003-29 003-30 003-31 003-32 003-33 003-34 003-35 003-36
004-02 004-03 004-04 004-05 004-06 004-07 004-08 004-09 004-10 004-11 004-12 004-13 004-23 004-24
000-20 000-21 000-22 001-24 001-26 001-28 001-29 001-30 001-31 001-32 001-33 001-34 001-35 001-36 001-37 001-38 001-39
001-41 001-42 001-43 001-44 001-51 002-11 002-17 003-08 003-09 003-10 003-14 004-14 004-15 004-16 004-18
000-02 000-03 000-04 000-23 001-01 001-02 001-40 001-45 001-46 001-47 001-52 001-53 001-54 001-55 001-56 002-20 003-01 003-03
003-04 003-05 003-07 004-21 002-02
""".split()
ERRORS = [f"E{i:02d}" for i in [*range(1, 68), 73, 74, 75, 76, 77, 78, 80, 81, 82, 83]]
LABS = [f"M{i}" for i in range(1, 11)]
TRAPS = [f"trap-{i}" for i in range(1, 23)]


@pytest.mark.parametrize("wanted", [*ITEMS, *ERRORS, *LABS, *TRAPS])
def test_every_item_has_a_row(wanted):
    assert any(row["item"] == wanted for row in ROWS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_row_points_at_a_cell(path):
    cells = {cell["id"] for cell in json.loads(path.read_bytes())["cells"]}
    missing = [(row["item"], row["cell"]) for row in ROWS if row["notebook"] == path.stem and row["cell"] not in cells]
    assert not missing
    assert any(row["notebook"] == path.stem for row in ROWS)


def test_rows_name_existing_notebooks_and_say_what():
    assert {row["notebook"] for row in ROWS} <= {path.stem for path in NOTEBOOKS}
    assert all(row["item"] and row["note"] and row["what"] for row in ROWS)
