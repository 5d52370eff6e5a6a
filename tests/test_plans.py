"""Lesson plans add up, and name cells that are there."""

import re
import sys

import nbformat
import pytest
from notebook_files import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import plans  # noqa: E402


@pytest.mark.parametrize("plan", plans.plans(), ids=lambda plan: plan.name)
def test_a_plan_adds_up(plan):
    assert sum(block["minutes"] for block in plan.blocks) == plan.minutes
    for block in plan.blocks:
        text = "\n".join(
            cell.source
            for cell in plans.path_of(plan._replace(blocks=[block]))
            .get(block.get("notebook"), nbformat.v4.new_notebook())
            .cells
        )
        exercises = [int(number) for number in re.findall(r"^### Exercise .*?(\d+) min", text, re.M)]
        assert sum(exercises) <= block["minutes"], block["title"]
    assert re.search(r"^## 0–\d+: ", plans.page(plan), re.M)


def test_ranges_leave_out_proofs_and_side_roads_and_name_what_is_wrong():
    [row] = plans.index.choose(["06"])
    cells = nbformat.read(row.path, as_version=4).cells
    whole = [cells[place].id for place in plans.chosen(cells, ["number-of-steps..better-tangents"])]
    assert whole == ["number-of-steps", "why-few-fail", "better-tangents"]
    assert "few-guided-steps" in [
        cells[place].id for place in plans.chosen(cells, ["side-explode..side-explode-verdict"])
    ]
    for wrong, message in {"title..nothing": "nothing is no cell", "setup..title": "none after the first"}.items():
        with pytest.raises(ValueError, match=message):
            plans.chosen(cells, [wrong])
