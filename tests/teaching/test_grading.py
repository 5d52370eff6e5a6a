"""Made-up submissions are graded by nbgrader: right, wrong, and broken in the ways that submissions are broken."""

import csv
import json
import re
import sys

import nbformat
import pytest

pytest.importorskip("nbgrader")
from test_exercises import EXERCISES  # noqa: E402

from course import ROOT, index  # noqa: E402
from course.check import grading as marks  # noqa: E402

sys.path.append(str(ROOT / "tools"))
import grade  # noqa: E402
import sheets  # noqa: E402
import submissions  # noqa: E402

ROWS = {row.number: row for row in index.rows()}
HANGS = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)  # no interrupt helps\nwhile True:\n    pass"
HELPER = "def average(noise):\n    return F.avg_pool2d(noise, 2)"


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
    place = next(i for i, cell in enumerate(notebook.cells) if cell.id == "exercise-shrink")
    notebook.cells.insert(place, nbformat.v4.new_code_cell(HELPER))


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
    ("hangs", "01.1", "missing"), ("hangs", "01.2", "kernel was lost"), ("hangs", "01.3", "printed or showed more"),
    ("dies", "01.1", "DeadKernelError"), ("dies", "01.2", "KeyError"), ("dies", "01.3", "right"),
    ("garbage", "01.1", "cannot be read as a notebook"), ("right", "06.2", "right: "),
])  # fmt: skip
def test_what_was_odd_is_said(graded, student, exercise, said):
    out, rows = graded
    assert said in rows[student, exercise]["remark"]
    assert "holiday.ipynb was left out" in (out / "report.txt").read_text("utf-8")


def test_the_tables_agree_and_each_submission_has_a_feedback_page_without_hidden_answers(graded):
    out, rows = graded
    totals = {}
    with open(out / "grades.csv", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            totals[line["student_id"], line["assignment"]] = float(line["score"])
    with open(out / "exercises.csv", encoding="utf-8") as file:
        ours = list(csv.DictReader(file))
    assert len(ours) == len(rows) == 5 * 3 + 4
    for student, notebook in {(row["student"], row["notebook"]) for row in ours}:
        own = [float(row["points"]) for row in ours if (row["student"], row["notebook"]) == (student, notebook)]
        assert totals[student, notebook] == pytest.approx(sum(own))
        page = out / "feedback" / student / notebook / f"{notebook}.html"
        assert page.stat().st_size < 1_500_000  # the hundred million characters are not in it


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


def test_the_assignments_answer_gets_the_judges_points_and_a_cheat_none(tmp_path):
    """The teacher's answer, as it stands in answer.md, reaches the bars on the seeds of the grading."""
    answer = re.search(r"```python\n(.*?)```", (FEW.folder / "answer.md").read_text("utf-8"), re.S)[1]
    greedy = "def sampler(denoiser, x_T, calls, generator):\n    return toy_ddpm.last(toy_ddpm.sample(denoiser, x_T, calls + 1))"
    for student, source in (("ada", answer), ("ben", greedy)):
        notebook = sheets.read(FEW)
        written = {"sampler": source, "report-ladder": f"What {student} saw."}
        for cell in notebook.cells:
            cell.source = written.get(cell.id, cell.source)
        (tmp_path / "in" / student).mkdir(parents=True)
        nbformat.write(notebook, tmp_path / "in" / student / "few_calls.ipynb")
    rows = {(row["student"], row["exercise"]): row for row in grade.grade(tmp_path / "in", tmp_path / "out")}
    for calls, points in ((1, 4), (2, 8), (4, 8)):
        assert rows["ada", f"points-{calls}-calls"]["points"] >= 0.9 * points
        assert "TooManyCalls" in rows["ben", f"points-{calls}-calls"]["remark"]
        assert rows["ben", f"points-{calls}-calls"]["points"] == 0
    assert rows["ada", "report-ladder"]["remark"] == "to be read by a person"
    assert rows["ada", "report-judge"]["remark"] == ""  # nothing was written, so nothing is to be read


def test_the_share_of_the_points_is_0_at_the_rung_1_at_the_bar_and_half_at_their_geometric_mean():
    sys.path.append(str(FEW.folder))
    import fixed_judge as judge

    for calls, (rung, bar) in judge.BARS.items():
        assert [judge.share(calls, x) for x in (2 * rung, rung, bar, bar / 2)] == pytest.approx([0, 0, 1, 1])
        assert judge.share(calls, (rung * bar) ** 0.5) == pytest.approx(0.5)
