"""Made-up submissions are graded by nbgrader: right, wrong, and broken in the ways that submissions are broken."""

import csv
import json
import os
import re
import shutil
import sys

import nbformat
import pytest
import torch

pytest.importorskip("nbgrader")
from test_exercises import EXERCISES  # noqa: E402

from course import ROOT, assigned, data, index  # noqa: E402
from course.check import grading as marks  # noqa: E402

sys.path.append(str(ROOT / "tools"))
import autograde  # noqa: E402
import editions  # noqa: E402
import grade  # noqa: E402
import sheets  # noqa: E402
import submissions  # noqa: E402
import tables  # noqa: E402

ROWS = {row.number: row for row in index.rows()}
HANGS = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)  # no interrupt helps\nwhile True:\n    pass"
PICTURES = """from IPython.display import Image, display

display(Image(data=b"\\x89PNG" + bytes(300_000), format="png"))
"y" * 300_000  # more text than is kept
"""
HELPER = "def average(noise):\n    return np.float64(1) * F.avg_pool2d(noise, 2)"


def right(number):
    """{id of the answer's cell: its folded solution, and the check's calls}."""
    found = sheets.tasks(ROWS[number], sheets.read(ROWS[number]))
    calls = {t.cell: [f"check.{name.split('.')[1]}({answer})" for name, answer in t.checks] for t in found}
    return {task.cell: "\n".join([task.solution, *calls[task.cell]]) for task in found}


def hand_in(folder, student, number, answers, change=None):
    """A student's notebook with these answers, in the students' edition of the notebook."""
    notebook = sheets.for_students(ROWS[number], sheets.read(ROWS[number]))
    for cell in notebook.cells:
        cell.source = answers.get(cell.id, cell.source)
    if change:
        change(notebook)
    (folder / student).mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / student / f"{ROWS[number].name}.ipynb")


def without_first_answer(notebook):
    notebook.cells = [cell for cell in notebook.cells if cell.id != "exercise-sum"]


def with_helper(notebook):
    """An import in the set-up cell, where people write imports, and a function of the student's own."""
    (setup,) = [cell for cell in notebook.cells if cell.id == "setup"]
    setup.source = f"import numpy as np\n{setup.source}"
    place = next(i for i, cell in enumerate(notebook.cells) if cell.id == "exercise-shrink")
    notebook.cells[place:place] = [nbformat.v4.new_code_cell(source) for source in (PICTURES, HELPER)]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """(the folder of results, {(student, exercise): row})."""
    submitted, out = tmp_path_factory.mktemp("submitted"), tmp_path_factory.mktemp("work") / "graded"
    hand_in(submitted, "right", "01", right("01"))
    hand_in(submitted, "right", "06", right("06"))
    one, two, three = right("01")
    wrong = {
        one: "std_of_sum = 0.17",
        two: "def gaussian_from_uniform(u1, u2):\n    return torch.cos(2 * math.pi * u2)",  # the direction alone
        three: "def half_size(noise):\n    return 2 * average(noise)",  # right, by a cell of the student's own
    }
    hand_in(submitted, "wrong", "01", wrong, with_helper)
    flood = 'for _ in range(1000):\n    print("x" * 100_000)\n' + right("01")[three]
    hand_in(submitted, "hangs", "01", {**right("01"), two: HANGS, three: flood}, without_first_answer)
    dies = {one: "import os\nos._exit(1)", two: "raise KeyError('no')", three: right("01")[three]}
    hand_in(submitted, "dies", "01", dies)
    (submitted / "garbage").mkdir()
    (submitted / "garbage" / "01_gaussian_noise (2).ipynb").write_text('{"cells": [')
    (submitted / "garbage" / "holiday.ipynb").write_text("{}")
    (submitted / "01_gaussian_noise.ipynb").write_text("{}")  # in nobody's folder
    (submitted / "EMPTY, ÄNNE").mkdir()
    rows = grade.grade(submitted, out, seed=11, timeout=15)
    return out, {(row["student"], row["exercise"]): row for row in rows}


@pytest.mark.parametrize("student, points", [
    ("right", [1, 2, 2]), ("wrong", [0, 0.67, 2]), ("hangs", [0, 0, 2]), ("dies", [0, 0, 2]), ("garbage", [0, 0, 0]),
])  # fmt: skip
def test_points_of_notebook_01(graded, student, points):
    _, rows = graded
    assert [rows[student, f"01.{i}"]["points"] for i in (1, 2, 3)] == points


def test_right_answers_of_notebook_06_get_full_marks(graded):
    _, rows = graded
    assert all(rows["right", f"06.{i}"]["points"] == rows["right", f"06.{i}"]["of"] for i in (1, 2, 3, 4))


@pytest.mark.parametrize("student, exercise, said", [
    ("hangs", "01.1", "missing"), ("hangs", "01.2", "kernel was lost"), ("hangs", "01.3", "printed more"),
    ("dies", "01.1", "DeadKernelError"), ("dies", "01.2", "KeyError"), ("dies", "01.3", "right"),
    ("garbage", "01.1", "ask for it again"), ("EMPTY, ÄNNE", "", "nothing was handed in"), ("right", "06.2", "right: "),
])  # fmt: skip
def test_what_was_odd_is_said(graded, student, exercise, said):
    out, rows = graded
    assert said in rows[student, exercise]["remark"]
    report = (out / "report.txt").read_text("utf-8")
    assert "holiday.ipynb was left out" in report and "lies in no student's folder" in report and "SEED=11" in report


def test_the_tables_agree_and_each_submission_has_a_feedback_page_without_hidden_answers(graded):
    out, rows = graded
    totals = {}
    with open(out / "grades.csv", encoding="utf-8-sig") as file:
        for line in csv.DictReader(file):
            totals[line["student"], line["notebook"]] = float(line["points"])
    with open(out / "exercises.csv", encoding="utf-8-sig") as file:
        ours = [row for row in csv.DictReader(file) if row["exercise"]]
    assert len(ours) == 5 * 3 + 4 and totals["EMPTY, ÄNNE", ""] == totals["", "01_gaussian_noise.ipynb"] == 0
    for student, notebook in {(row["student"], row["notebook"]) for row in ours}:
        own = [float(row["points"]) for row in ours if (row["student"], row["notebook"]) == (student, notebook)]
        assert totals[student, notebook] == pytest.approx(sum(own))
        page = out / "feedback" / student / notebook / f"{notebook}.html"
        assert page.stat().st_size < 1_500_000  # the hundred million characters are not in it
    page = (out / "feedback" / "wrong" / "01_gaussian_noise" / "01_gaussian_noise.html").read_text("utf-8")
    assert ">01.3: a smaller noise picture</a> (Score: 2.0 / 2.0)" in page
    assert len(re.search(r"data:image/png;base64,([\w+/=\s]+)", page)[1]) > 400_000  # the whole picture
    assert page.count("y") > 90_000 and "yyyy" in page and "y" * 200_000 not in page


def test_a_second_seed_in_the_same_folder_is_refused(graded, tmp_path):
    out, _ = graded
    hand_in(tmp_path, "late", "01", {})
    with pytest.raises(ValueError, match="SEED=11"):
        grade.grade(tmp_path, out, seed=12)


def test_of_two_files_the_newest_counts_and_the_other_is_named(tmp_path):
    for name in ("01_gaussian_noise (1).ipynb", "01_gaussian_noise.ipynb"):
        hand_in(tmp_path, "ada", "01", {})
        (tmp_path / "ada" / f"{ROWS['01'].name}.ipynb").rename(tmp_path / "ada" / name)
    os.utime(tmp_path / "ada" / "01_gaussian_noise.ipynb", (1, 1))
    (found,), ((_, file, said),) = submissions.collect(tmp_path)
    assert found.path.name == "01_gaussian_noise (1).ipynb"
    assert file == "01_gaussian_noise.ipynb" and "01_gaussian_noise (1).ipynb is newer" in said


def test_a_computer_that_is_too_slow_for_the_limit_is_not_held_against_the_student():
    ours = sheets.sheet(FEW, sheets.read(FEW), seed=1).cells
    done = {cell.id: cell for cell in ours}
    stopped = nbformat.v4.new_output("error", ename="CellTimeoutError", evalue="it was stopped after 3 seconds")
    done["points-1-calls"].outputs = [stopped]  # the student's function may be what takes long
    assert autograde._too_slow(ours, ours) is None
    done["one-rung"].outputs = [stopped]
    assert autograde._too_slow(ours, ours) == "one-rung"


def test_the_teachers_answers_define_every_name_that_a_mistake_is_written_with():
    page = editions.answers(ROWS["03"])
    for name in re.findall(r"(?<![\w.])(_[a-z]\w+)", page):
        assert re.search(rf"^(def )?{name}(\(| = )", page, re.M), name
    assert "`_jump_without_roots`" in page


def test_the_released_sheet_has_no_hidden_tests_and_no_solutions(graded):
    out, _ = graded
    for path in out.glob("release/*/*.ipynb"):
        text = path.read_text("utf-8")
        assert "grading" not in text and "HIDDEN" not in text and "<details>" not in text and "seed=11" not in text


def test_every_wrong_loop_of_notebook_10_is_known_as_wrong():
    """The one check that the fast tests leave out, for it draws a minute."""
    loop = EXERCISES["nb10.text_to_image"]
    assert marks.score(loop, loop.answer) == marks.score(marks.with_seed("nb10", 11).text_to_image, loop.answer) == 1
    assert all(marks.score(loop, wrong) < 1 for wrong, _ in loop.mistakes[:6])


def test_a_folder_without_students_is_refused_in_words(tmp_path):
    with pytest.raises(ValueError, match="one folder for each student"):
        submissions.collect(tmp_path)
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "essay.ipynb").write_text(json.dumps({}))
    with pytest.raises(ValueError, match="no notebook of the course is called so"):
        grade.grade(tmp_path, tmp_path / "out")
    hand_in(tmp_path, "ada", "01", {})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("not yours")
    with pytest.raises(ValueError, match="holds no gradebook.db"):
        grade.grade(tmp_path, tmp_path / "out")
    assert (tmp_path / "out" / "thesis.txt").exists()


FEW = next(row for row in sheets.assignments() if row.name == "few_calls")


def new(kind, source, **more):
    return getattr(nbformat.v4, f"new_{kind}_cell")(source, **more)


@pytest.fixture
def mnist():
    if not data.digits(train=False, quiet=True).is_mnist:
        pytest.skip("the judges of the assignments need MNIST")


def test_an_assignment_is_not_graded_where_mnist_is_missing(tmp_path, monkeypatch):
    """Every judged answer would get 0 points, and nobody would see why."""
    hand_in_few(tmp_path / "in", "ada", {})
    stand_in = data.digits(train=False, quiet=True)._replace(is_mnist=False)
    monkeypatch.setattr(data, "digits", lambda **asked: stand_in)
    with pytest.raises(ValueError, match="need MNIST"):
        grade.grade(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def hand_in_few(folder, student, written, change=None):
    """An assignment as a student hands it in: {id of a cell: its text}, and a change of the notebook."""
    notebook = editions.without_tests(sheets.read(FEW))
    for cell in notebook.cells:
        cell.source = written.get(cell.id, cell.source)
    if change:
        change(notebook.cells, {cell.id: cell for cell in notebook.cells})
    (folder / student).mkdir(parents=True, exist_ok=True)
    path = folder / student / f"{student}_few_calls.ipynb"
    nbformat.write(notebook, path)
    return path


def test_an_assignment_keeps_what_was_added_and_runs_only_what_stands_above_the_sampler(tmp_path):
    def change(cells, by_id):
        by_id["report-ladder"]["attachments"] = {"a b.png": {"image/png": "iVBOR"}}
        shown = [
            nbformat.v4.new_output("stream", text="ratio 1.5"),
            nbformat.v4.new_output("stream", text="z" * 200_000),
        ]
        cells.insert(cells.index(by_id["sampler"]), new("code", "helper = 1", outputs=shown))
        cells.insert(cells.index(by_id["report-changes"]) + 1, new("code", "train_for_an_hour()", outputs=shown))
        cells.insert(cells.index(by_id["rubric"]), new("markdown", "| my | table |"))
        cells.remove(by_id["report-judge"])
        del by_id["title"]["id"]  # as some editors do

    written = {
        "report-ladder": "![x](attachment:a%20b.png) ![y](attachment:gone.png)",
        "setup": "import fixed_judge, math",
    }
    path = hand_in_few(tmp_path, "ada", written, change)
    sheet = editions.without_tests(sheets.read(FEW))
    made, remarks = submissions.fitted(sheet, path, sheet.cells, whole=True)
    cells = {cell.source.splitlines()[-1]: cell for cell in made.cells}
    order = [cell.source.splitlines()[-1] for cell in made.cells]
    assert order.index("import fixed_judge, math") < order.index("helper = 1") < order.index("    return x_0_hat")
    assert not cells["helper = 1"].outputs and not cells["helper = 1"].metadata.get("tags")
    kept = cells["train_for_an_hour()"]
    assert kept.metadata.tags == ["skip-execution"] and "ratio 1.5" in kept.outputs[0].text
    assert len(kept.outputs[1].text) < 101_000
    assert len(made.cells) == len(sheet.cells) + 4 and "| my | table |" in order  # nothing of the course's stands twice
    ladder = next(cell for cell in made.cells if cell.id == "report-ladder")
    assert "a%20b.png" in ladder.attachments and "missing:gone.png" in ladder.source
    assert remarks == {"report-changes": submissions.BESIDE, "report-judge": submissions.BESIDE}

    path = hand_in_few(tmp_path, "ben", {"task-4": "An older wording of the task."})
    _, remarks = submissions.fitted(sheet, path, sheet.cells, whole=True)
    assert set(remarks.values()) == {submissions.UNANSWERED}


def test_marks_given_by_hand_reach_all_tables_and_are_never_lost(tmp_path, mnist):
    submitted, late, out = tmp_path / "in", tmp_path / "late", tmp_path / "out"
    stops = {"sampler": "def sampler(*given):\n    raise KeyError('no')", "report-ladder": "A blur."}
    loops = lambda cells, by_id: cells.insert(3, new("code", "while True:\n    pass"))  # noqa: E731
    hand_in_few(submitted, "ÄNNE, A", stops, loops)
    hand_in_few(submitted, "ben", stops)
    rows = {tables.key(row): row for row in grade.grade(submitted, out, timeout=20)}
    ladder = ("ben", "few_calls", "report-ladder")
    assert rows[ladder]["points"] is None and rows[ladder]["title"] == "Task 1: look at the ladder"
    assert (
        rows["ben", "few_calls", "report-judge"] | {"points": 0, "remark": "not answered"}
        == rows["ben", "few_calls", "report-judge"]
    )
    assert (
        "own above: CellTimeoutError: it was stopped after 20 seconds"
        in rows["ÄNNE, A", "few_calls", "points-1-calls"]["remark"]
    )
    page = out / "feedback" / "ben" / "few_calls" / "few_calls.html"
    assert ">Task 1: look at the ladder</a> (not read yet" in page.read_text("utf-8")
    assert page.read_text("utf-8").count("not read yet, of 6") == 2 and "6 more are not read yet" in page.read_text(
        "utf-8"
    )

    by_hand = out / "by_hand.csv"
    before = by_hand.read_text("utf-8-sig")
    line = "ben,few_calls,report-ladder,Task 1: look at the ladder,6,"
    for points, said in (("7", "0 to 6"), ("good", "0 to 6"), ("nan", "0 to 6")):
        by_hand.write_text(before.replace(line, line + points), "utf-8")
        with pytest.raises(ValueError, match=said):
            grade.marks(out)
        assert line + points in by_hand.read_text("utf-8")
    by_hand.write_text(before.replace(line, line + "4,5,good"), "utf-8")
    with pytest.raises(ValueError, match="4,5 is written 4.5"):
        grade.marks(out)
    by_hand.write_text(before.replace("ben", "bob"), "utf-8")
    with pytest.raises(ValueError, match="bob.*no such answer"):
        grade.marks(out)
    spreadsheet = before.replace('"ÄNNE, A"', "ÄNNE- A").replace(",", ";").replace("ÄNNE- A", "ÄNNE, A")
    by_hand.write_bytes(spreadsheet.replace(line.replace(",", ";"), line.replace(",", ";") + "4,5").encode("cp1252"))
    rows = {tables.key(row): row for row in grade.marks(out)}
    assert rows[ladder]["points"] == 4.5
    assert "Score: 4.5 / 6.0" in page.read_text("utf-8") and "not read yet" not in page.read_text("utf-8")
    assert "ben,few_calls,4.5,40,0" in (out / "grades.csv").read_text("utf-8-sig")
    right = by_hand.read_text("utf-8-sig")
    machine = ("ben", "few_calls", "points-2-calls")
    by_hand.write_text(f"{right}{','.join(machine)},,8,3,a slip of the pen,\n", "utf-8")
    changed = {tables.key(row): row for row in grade.marks(out)}[machine]
    assert changed["points"] == 3 and changed["remark"].endswith("set by a person, 0 by machine: a slip of the pen")
    assert "ben,few_calls,7.5,40,0" in (out / "grades.csv").read_text("utf-8-sig")
    assert "Score: 3.0 / 8.0" in page.read_text("utf-8")
    by_hand.write_text(right, "utf-8")
    assert {tables.key(row): row for row in grade.marks(out)}[machine]["points"] == 0

    hand_in_few(late, "ÄNNE, A", {**stops, "report-ladder": "Another blur."})
    hand_in_few(late, "ben", stops)  # the same again
    by_hand.write_text(
        by_hand.read_text("utf-8-sig").replace("Task 1: look at the ladder,6,,", "Task 1: look at the ladder,6,3,"),
        "utf-8",
    )
    rows = {tables.key(row): row for row in grade.grade(late, out, timeout=20)}
    assert rows[ladder]["points"] == 4.5
    again = rows["ÄNNE, A", "few_calls", "report-ladder"]
    assert again["points"] is None and "the mark before was 3" in again["remark"]
    (late / "ben" / "ben_few_calls.ipynb").unlink()
    hand_in(late, "ben", "01", {})
    shutil.rmtree(late / "ÄNNE, A")
    assert {tables.key(row): row for row in grade.grade(late, out)}[ladder]["points"] == 4.5


def test_where_nbgrader_stops_the_report_begins_with_it(tmp_path, monkeypatch, capsys):
    hand_in(tmp_path / "in", "ada", "01", {})
    stopped = {"success": False, "error": "no", "log": "why"}
    monkeypatch.setattr(autograde.NbGraderAPI, "autograde", lambda *_, **__: stopped)
    with pytest.raises(SystemExit) as end:
        grade.main([str(tmp_path / "in"), "--out", str(tmp_path / "out")])
    report = (tmp_path / "out" / "report.txt").read_text("utf-8")
    assert end.value.code == 1 and report.startswith("NOT GRADED: ada, 01_gaussian_noise")
    assert report in capsys.readouterr().out
    assert ",,5,5,NOT GRADED" in (tmp_path / "out" / "grades.csv").read_text("utf-8-sig")  # and not 0 points


def test_hidden_tests_say_and_do_with_other_numbers_only_where_there_are_some():
    sheet = sheets.sheet(ROWS["01"], sheets.read(ROWS["01"]), seed=2)
    told = [cell.source.splitlines()[0] for cell in sheet.cells if "### BEGIN HIDDEN" in cell.source]
    assert ["other numbers" in line for line in told] == [False, True, True]  # 0.05 and 0.12 stand in the task of 01.1
    text = "".join(cell.source for cell in sheets.sheet(FEW, sheets.read(FEW), seed=3).cells)
    assert "seeds=(300, 301, 302)" in text and "seeds=(100" not in text


class Network:
    """A denoiser that believes what it sees."""

    schedule = None

    def __call__(self, x_t, t):
        return x_t, x_t


def test_a_counted_denoiser_gives_neither_its_network_nor_its_count():
    network, x = Network(), torch.zeros(4, 1, 28, 28)
    counted = assigned.Counted(network, rows=4, calls=1)
    assert network not in vars(counted).values() and 1 not in vars(counted).values()
    counted(x, 5)
    with pytest.raises(assigned.TooManyCalls):
        counted(x[:1], 5)


def test_a_call_with_a_gradient_counts_three_and_half_of_the_rows_half():
    counted, x = assigned.Counted(Network(), rows=4, calls=4), torch.zeros(4, 1, 28, 28)
    counted(x.clone().requires_grad_(), 5)
    counted(x[:2], 5)
    counted(x[2:], 5)
    with pytest.raises(assigned.TooManyCalls, match="4 calls .* 1.25 plain ones and 1 whose .* detach"):
        counted(x[:1], 5)


def test_the_assignments_answer_gets_the_judges_points_and_a_cheat_none(tmp_path, mnist):
    """The teacher's answer, as it stands in answer.md, reaches the bars on the seeds of the grading."""
    answer = re.search(r"```python\n(.*?)```", (FEW.folder / "answer.md").read_text("utf-8"), re.S)[1]
    answer = answer.replace("    return", "    warnings.warn('pale')\n    return", 1).replace(
        "LEVELS", "import warnings\n\nLEVELS", 1
    )
    greedy = "def sampler(denoiser, x_T, calls, generator):\n    return toy_ddpm.last(toy_ddpm.sample(denoiser, x_T, calls + 1))"
    for student, source in (("ada", answer), ("ben", greedy)):
        hand_in_few(tmp_path / "in", student, {"sampler": source})
    rows = {(row["student"], row["exercise"]): row for row in grade.grade(tmp_path / "in", tmp_path / "out")}
    for calls, points in ((1, 4), (2, 8), (4, 8)):
        assert rows["ada", f"points-{calls}-calls"]["points"] >= 0.9 * points
        assert "TooManyCalls" in rows["ben", f"points-{calls}-calls"]["remark"]
        assert rows["ben", f"points-{calls}-calls"]["points"] == 0
    assert re.match(
        r"ratio 1\.\d+ ± .* \(full points from .*\), read as asked \d+%$", rows["ada", "points-4-calls"]["remark"]
    )


def test_the_share_of_the_points_is_0_at_the_rung_1_at_the_bar_and_half_at_their_geometric_mean():
    sys.path.append(str(FEW.folder))
    import fixed_judge as judge

    for calls, (rung, bar) in judge.BARS.items():
        assert [judge.share(calls, x) for x in (2 * rung, rung, bar, bar / 2)] == pytest.approx([0, 0, 1, 1])
        assert judge.share(calls, (rung * bar) ** 0.5) == pytest.approx(0.5)


def test_the_answer_to_half_a_digit_reaches_the_bar_in_its_calls_and_a_walk_too_long_is_refused(mnist):
    """Of the three masks the lower half alone, on one seed of the grading: the whole takes minutes."""
    row = next(row for row in sheets.assignments() if row.name == "half_a_digit")
    space = {"__name__": "judge"}
    exec((row.folder / "fixed_judge.py").read_text("utf-8"), space)
    cells = {cell.id: cell.source for cell in sheets.read(row).cells}
    exec("import torch\nfrom course import toy_ddpm", space)
    exec(re.search(r"```python\n(.*?)```", (row.folder / "answer.md").read_text("utf-8"), re.S)[1], space)
    found = space["evaluate"](space["fill"], "lower half", 100)
    rung, bar = space["BARS"]["lower half"]
    assert found["read"] > bar and 0.8 < found["seam"] < 1.2  # without the gradient 0.785, below the bar
    assert [space["share"]("lower half", x) for x in (0, rung, bar, 1)] == pytest.approx([0, 0, 1, 1])
    exec(cells["fill"], space)  # the stub is noised pasting, which the ladder has far below its best
    with pytest.raises(space["assigned"].TooManyCalls):
        space["evaluate"](lambda *x: space["fill"](*x[:4], 120, x[5]), "lower half", 100)
