"""Lesson plans name cells that are there, keep to their minutes, and lack no name that a cell of their path needs."""

import os
import re
import shutil
import subprocess
import symtable
import sys

import pytest
from notebook_files import NOTEBOOKS, ROOT

sys.path.append(str(ROOT / "tools"))
import plans  # noqa: E402

EXERCISE = re.compile(r"Exercise (\d\d)\.(\d)")


def names_of(code):
    """The global names that a cell makes and those that it reads, its functions included: two sets."""
    made, read = set(), set()
    tables = [symtable.symtable(code, "cell", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for name in table.get_symbols():
            top = table.get_type() == "module"
            if name.is_referenced() and (top or name.is_global()):
                read.add(name.get_name())
            if top and (name.is_assigned() or name.is_imported()):
                made.add(name.get_name())
    return made, read


def lacking(notebook, path):
    """(cell, name, maker) where a cell of the path reads a name as a cell outside of the path left it, a list.

    The last cell before it that makes the name, in the whole notebook, must be on the path: a name that an earlier cell
    made too would hold something else. Folded proofs make nothing that is read.
    """
    maker, found = {}, []
    for cell in plans.cells_of(notebook):
        if cell["cell_type"] != "code" or "claims" in cell["metadata"].get("tags", []):
            continue
        made, read = names_of("".join(cell["source"]))
        if cell["id"] in path:
            outside = [name for name in sorted(read - made) if name in maker and maker[name] not in path]
            found += [(cell["id"], name, maker[name]) for name in outside]
        maker |= dict.fromkeys(made, cell["id"])
    return found


def words_of(block):
    return " ".join(block.get(word, "") for word in plans.TEXTS)


@pytest.fixture(params=plans.names())
def plan(request):
    return plans.load(request.param)


def test_minutes_add_up_and_leave_slack(plan):
    assert sum(session["minutes"] for session in plan["session"]) == plan["minutes"]
    for session in plan["session"]:
        assert sum(block["minutes"] for block in session["block"]) == session["minutes"], session["title"]
    spent = [sum(plans.minutes(block)) for block in plans.blocks(plan)]
    for block, used in zip(plans.blocks(plan), spent):
        assert used <= block["minutes"], f"{block['title']} needs {used:.1f} minutes"
    assert plan["minutes"] - sum(spent) >= plan["slack"] > 0


@pytest.mark.parametrize("late", [False, True])
def test_no_cell_of_a_path_lacks_a_name(plan, late):
    for name, notebook in plans.notebooks(plan, late).items():
        assert lacking(name, {cell.id for cell in notebook.cells}) == [], f"{plan['title']}, {name}"


def test_what_the_texts_name_is_there(plan):
    """Each `cell` of a text is in the block's notebook, what is to be run and each exercise not "at home" on its path."""
    for block in plans.blocks(plan):
        if "notebook" not in block:
            assert "`" not in words_of(block), block["title"]
            continue
        cells = {cell["id"]: "".join(cell["source"]) for cell in plans.cells_of(block["notebook"])}
        quoted = {word for word in re.findall(r"`([a-z0-9-]+)`", words_of(block))}
        assert quoted <= set(cells), block["title"]
        run = {word for word in re.findall(r"`([a-z0-9-]+)`", block.get("run", ""))}
        assert run <= set(plans.path(block)), block["title"]
        on_path = " ".join(cells[name] for name in plans.path(block))
        for number in {"Exercise " + ".".join(found) for found in EXERCISE.findall(words_of(block))}:
            at_home = re.search(re.escape(number) + r"[^.]* at home", words_of(block))
            assert number in on_path or at_home, f"{number} is not on the path of {block['title']}"
        left_out = set(plans.path(block)) - set(plans.path(block, late=True))
        asked = re.findall(r"`([a-z0-9-]+)`", block.get("run", "") + block.get("ask", ""))
        said = re.findall(r"`([a-z0-9-]+)`", block.get("late", ""))
        assert left_out & set(asked) <= set(said), f"{block['title']}: late groups leave out what is asked"


def test_the_blocks_of_a_notebook_follow_its_order(plan):
    """Its exercises, which stand at the end, may come before what the next block begins with."""
    last = {}
    for block in plans.blocks(plan):
        if "notebook" in block:
            ids = [cell["id"] for cell in plans.cells_of(block["notebook"])]
            begin = ids.index(plans.pick(block["notebook"], block["read"])[0])
            assert begin > last.get(block["notebook"], -1), block["title"]
            last[block["notebook"]] = begin


def test_a_path_without_what_it_needs_is_found():
    """Two cuts that broke a lesson: 02 without `walk`; and 02 with an `eps` of another shape, which an earlier cell made."""
    name = "02_forward_process"
    assert ("with-the-shrink-factor", "walk", "walk") in lacking(name, {"setup", "with-the-shrink-factor"})
    path = set(plans.pick(name, ["setup", "q-sample-in-full", "three-schedules-in-numbers", "alpha-bar-decides"]))
    assert ("alpha-bar-decides", "eps", "film-strips-linear-and-cosine") in lacking(name, path)


def test_errors_say_what_is_wrong_and_what_is_there(monkeypatch, tmp_path):
    with pytest.raises(plans.PlanError, match="no cell 'sampel'"):
        plans.pick("06_samplers", ["title", "sampel"])
    with pytest.raises(plans.PlanError, match="'title' comes after 'setup'|'setup' comes after 'title'"):
        plans.pick("06_samplers", ["setup..title"])
    with pytest.raises(plans.PlanError, match="there are .*two_hour_lab"):
        plans.load("three_hour_lab")
    with pytest.raises(plans.PlanError, match="no notebook '6'"):
        plans.cells_of("6")
    monkeypatch.setattr(plans, "PLANS", tmp_path)
    (tmp_path / "odd.toml").write_text('[[session]]\n[[session.block]]\ntitle = "x"\ndrops = []\n')
    with pytest.raises(plans.PlanError, match="odd.toml: a block has no drops; it may have .*drop"):
        plans.load("odd")


def test_the_page_numbers_cells_as_jupyterlab_does():
    """The second code cell of 06 is the helper of its first figure; its text cells are found by their headings."""
    shown = plans.numbers("06_samplers")
    assert (shown["setup"], shown["draw-digits"], shown["title"]) == ("[1]", "[2]", 'text under "06. Samplers"')
    page = plans.page(plans.load("two_hour_lab"))
    assert "[1] to [6] (`title..a-thousand-calls`)" in page
    assert "### 0:48 Training, live (34 minutes)" in page
    assert "starts `train` [19] together" in page and '`step-in-numbers` ["3. One forward step"] calc' in page
    page = plans.page(plans.load("one_day_workshop"))
    assert re.search(r'`clip-outside` \["Side road: .*?"\] of the whole notebook tests it', page)


def test_what_late_groups_save_is_summed(plan):
    page = plans.page(plan)
    parts = [int(n) for n in re.findall(r"which saves (\d+) minutes", page)]
    sums = [int(n) for n in re.findall(r"saves (\d+) more", page)]
    assert abs(sum(parts) - sum(sums)) <= len(parts) / 2 + len(sums) / 2  # each is rounded
    assert len(re.findall(r"\d+ of the \d+ minutes are left over", page)) == len(plan["session"])


def test_the_plans_notebooks_show_the_pages_numbers_and_minutes():
    plan = plans.load("two_hour_lab")
    made = plans.notebooks(plan)["02_forward_process"]
    numbers = [f"[{cell.execution_count}]" for cell in made.cells if cell.cell_type == "code"]
    shown = plans.numbers("02_forward_process")
    assert numbers == [shown[cell.id] for cell in made.cells if cell.cell_type == "code"] and numbers[:2] == [
        "[1]",
        "[2]",
    ]
    assert "38 minutes" in made.cells[0].source and "About 105 minutes" not in made.cells[0].source
    assert "00_start_here (About 25 minutes, 4 of them for the exercises)" in plans.page(plan)


def test_plans_are_those_beside_the_tool_where_another_course_is_installed(tmp_path):
    """As after `pip install ".[lab]"`: the course among the packages has notebooks in course/shipped, and no plans."""
    shutil.copytree(ROOT / "course", tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "notebooks", tmp_path / "course" / "shipped" / "notebooks")
    command = [sys.executable, ROOT / "tools" / "plans.py", "two_hour_lab", "--out", tmp_path / "out"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / "out" / "two_hour_lab.md").exists(), done.stderr
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    command[1] = tmp_path / "tools" / "plans.py"
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "there is no plan in" in done.stderr


def cells_by_number():
    return {path.stem[:2]: {cell["id"] for cell in plans.cells_of(path.stem)} for path in NOTEBOOKS}


def test_the_map_of_misconceptions_names_cells_that_are_there():
    lines = (ROOT / "teaching" / "misconceptions.md").read_text("utf-8").splitlines()
    table = [line for line in lines if line.startswith("| ")][1:]
    assert len(table) >= 30
    for line in table:
        number, cell = re.search(r"\| (\d\d) `([a-z0-9-]+)` \|$", line).groups()
        assert cell in cells_by_number()[number], line
    assert [line[2:4] for line in table[:6]] == ["V1", "V2", "V3", "V4", "V5", "V6"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_instructors_notes_name_cells_and_hints_that_are_there(path):
    """Half a page for each notebook; what a check "says" is said by the checks of this notebook."""
    number = path.stem[:2]
    text = (ROOT / "teaching" / "notes" / f"{number}.md").read_text("utf-8")
    for part in ("What goes wrong", "Ask", "Show live", "If late"):
        assert f"**{part}.**" in text
    assert 110 <= len(text.split()) <= 260
    code = {"u2", "v", "alpha_bar", "course", "steps", "COURSE_SD"}
    assert set(re.findall(r"`([^`]+)`", text)) - code <= cells_by_number()[number]
    checks = (ROOT / "course" / "check" / f"nb{number}.py").read_text("utf-8").replace('"\n            "', "")
    hints = [hint for hint in re.findall(r'"([^"]+)"', text) if len(hint) > 25]
    assert hints and all(hint in checks for hint in hints), [hint for hint in hints if hint not in checks]
    assert re.match(rf"# {number}\. ", text)
