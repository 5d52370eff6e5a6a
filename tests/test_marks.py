"""A score is the share that the check calls right, on other numbers too; a copied answer to the shown numbers fails there."""

import re

import pytest
import torch
from test_exercises import EXERCISES

from course.check import grading
from course.check.engine import RIGHT, WRONG, FunctionExercise, ValueExercise

SLOW = {"nb10.text_to_image"}  # draws for a minute; tests/teaching/ asks it


@pytest.mark.parametrize("name", sorted(EXERCISES.keys() - SLOW))
def test_marks_of_right_and_of_known_wrong_answers(name):
    exercise = EXERCISES[name]
    assert grading.score(exercise, exercise.answer) == 1
    assert grading.score(exercise, ...) == 0
    for wrong, _ in exercise.mistakes:
        assert 0 <= grading.score(exercise, wrong) < 1


@pytest.mark.parametrize("name", sorted(EXERCISES.keys() - SLOW))
def test_other_seeds_ask_the_same(name):
    """The right answer stays right on other numbers, every known mistake stays a mistake, and the numbers are others."""
    module, name = name.split(".")
    fresh, shown = getattr(grading.with_seed(module, 1000), name), EXERCISES[f"{module}.{name}"]
    assert fresh.verdict(shown.answer)[0] == RIGHT
    for wrong, _ in shown.mistakes:
        assert fresh.verdict(wrong)[0] != RIGHT


def test_an_answer_learned_by_heart_fails_on_other_numbers():
    exercise = EXERCISES["nb06.upstream"]
    shown = iter(2 * exercise.known[0])
    by_heart = grading.with_seed("nb06", 5).upstream
    assert exercise.verdict(lambda *_: next(shown))[0] == RIGHT
    shown = iter(4 * exercise.known[0])
    assert grading.score(by_heart, lambda *_: next(shown)) == 0


def test_the_score_counts_what_the_check_says_is_right():
    """The sentence for the reader and the mark are made by different code; they must agree."""
    counted = 0
    for name in sorted(EXERCISES.keys() - SLOW):
        shown = EXERCISES[name]
        for wrong, _ in shown.mistakes:
            plain = _without_mistakes(shown)
            status, said = plain.verdict(wrong)
            if status != WRONG:
                continue
            if found := re.match(r"(\d+) of (\d+) numbers are right", said):
                share = int(found[1]) / int(found[2])
            elif getattr(shown, "names", ()) and "look again at" in said:
                again = f", {said.split('look again at ')[-1]}, "
                parts = [part for part in shown.names if f", {part}, " in again]
                share = 1 - len(parts) / len(shown.names)
            else:
                continue
            assert grading.score(shown, wrong) == pytest.approx(share), (name, said)
            counted += 1
    assert counted > 100


def _without_mistakes(exercise):
    if isinstance(exercise, ValueExercise):
        return ValueExercise(exercise.answer, [], exercise.tolerance)
    return FunctionExercise(exercise.answer, [], exercise.cases, exercise.tolerance, exercise.names)


def test_marks_by_hand():
    three = ValueExercise([951, 1, 40], [], tolerance=1e-4)
    assert grading.score(three, [951, 0, 40]) == pytest.approx(2 / 3)
    assert grading.score(three, [951, 40]) == grading.score(three, "951") == 0
    x, eps = torch.arange(1.0, 5), torch.tensor([0.3, -1.0, 2.0, 0.5])
    cases = [(x, 0 * eps), (0 * x, eps), (x, eps)]
    jump = FunctionExercise(lambda a, b: 0.8 * a + 0.6 * b, [], cases, names=["picture", "noise", "both"])
    assert grading.score(jump, lambda a, b: 0.8 * a + 0.36 * b) == pytest.approx(1 / 3)
    assert grading.score(jump, lambda a, b: 1 / 0) == grading.score(jump, torch.rand_like) == 0
    jump.names = ()
    assert grading.score(jump, lambda a, b: 0.8 * a + 0.36 * b) == 0


def test_points_say_what_counted_alone_are_rounded_and_leave_chance_alone(capsys):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()

    def loud(noise):
        print("words")
        torch.rand(1)
        return 2 * torch.nn.functional.avg_pool2d(noise, 2)

    assert grading.points("nb01.half_size", loud, 2, seed=7) == 2
    assert grading.points("nb06.two_tangents", [1.0, 7.0], 1, seed=7) == 0.5
    assert capsys.readouterr() == ("counted as right: 50% of the numbers\n", "") and torch.equal(
        before, torch.random.get_rng_state()
    )


def test_an_exercise_does_not_show_its_answer():
    assert "0.13" not in repr(EXERCISES["nb01.std_of_sum"])
