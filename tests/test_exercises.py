"""Every folded solution passes its check, every untouched stub is "to do", every known mistake gets its own hint."""

import importlib
import json
import pkgutil
import re

import pytest
import torch
from test_notebooks import NOTEBOOKS

import course.check
from course.check.engine import HINT, RIGHT, TO_DO, WRONG, Exercise

EXERCISES = {
    f"{info.name}.{name}": value
    for info in pkgutil.iter_modules(course.check.__path__)
    if info.name != "engine"
    for name, value in vars(importlib.import_module(f"course.check.{info.name}")).items()
    if isinstance(value, Exercise)
}


def exercises_of(path):
    """(set-up code, stub, solution) of each exercise cell of a notebook."""
    cells = json.loads(path.read_bytes())["cells"]
    text = ["".join(c["source"]) for c in cells]
    setup = next(t for c, t in zip(cells, text) if c["id"] == "setup")
    for i, cell in enumerate(cells):
        if "exercise" in cell["metadata"].get("tags", []):
            folded = next((t for t in text[i + 1 : i + 3] if "<summary>" in t), "")
            yield pytest.param(
                setup, text[i], re.findall(r"```python\n(.*?)```", folded, re.S), id=f"{path.stem[:2]}-{cell['id']}"
            )


IN_NOTEBOOKS = [case for path in NOTEBOOKS for case in exercises_of(path)]


@pytest.mark.parametrize("setup, stub, solution", IN_NOTEBOOKS)
def test_solution_passes_and_stub_is_to_do(setup, stub, solution, capsys):
    assert solution, "no folded solution follows the exercise"
    check = [line for line in stub.splitlines() if line.startswith("check.")][-1]
    for code, verdict in ((stub, TO_DO), (solution[0] + "\n" + check, RIGHT)):
        capsys.readouterr()
        exec(setup, space := {})
        capsys.readouterr()
        exec(code, space)
        assert capsys.readouterr().out.startswith(verdict), check


@pytest.mark.parametrize("name", EXERCISES)
def test_known_mistakes_get_their_own_hints(name):
    exercise = EXERCISES[name]
    assert exercise.verdict(exercise.answer)[0] == RIGHT
    assert len(exercise.mistakes) >= 2
    for wrong, hint in exercise.mistakes:
        assert exercise.verdict(wrong) == (HINT, hint)
    hints = [hint for _, hint in exercise.mistakes]
    assert len(set(hints)) == len(hints) and all(len(hint) > 20 for hint in hints)


def test_every_notebook_has_three_to_five_exercises_and_uses_each():
    for path in NOTEBOOKS:
        if path.stem[:2] == "00":
            continue
        stubs = [case.values[1] for case in exercises_of(path)]
        assert 3 <= len(stubs) <= 5, path.stem
        used = {name for stub in stubs for name in re.findall(r"^check\.(\w+)\(", stub, re.M)}
        made = {name.split(".")[1] for name in EXERCISES if name.startswith(f"nb{path.stem[:2]}.")}
        assert used == made, path.stem


@pytest.mark.parametrize("attempt, status, said", [
    (..., TO_DO, "replace"), (None, TO_DO, "replace"), (lambda x: ..., TO_DO, "replace"),
    (lambda x: 2 * x, RIGHT, "exact"), (lambda x: 2 * x + 1e-9, RIGHT, "close"),
    (lambda x: x + x + 1, HINT, "plus one"), (lambda x: 3 * x, WRONG, "largest difference"),
    (lambda x: x / 0, WRONG, "ZeroDivisionError"), (lambda: 3, WRONG, "TypeError"), (7, WRONG, "function itself"),
    (lambda x: float("nan"), WRONG, "not finite"), (lambda x: [1, 2], WRONG, "shape"), (lambda x: "two", WRONG, "expected numbers"),
    (lambda x: None, WRONG, "is there a `return`"), (lambda x: torch.tensor([2 * x]), RIGHT, "exact"), (lambda x: 256**784, WRONG, "300 digits"),
])  # fmt: skip
def test_the_check_itself(attempt, status, said):
    exercise = Exercise(lambda x: 2 * x, [(lambda x: 2 * x + 1, "plus one")], cases=[(1.0,), (2.0,)])
    found, message = exercise.verdict(attempt)
    assert found == status and said in message


def test_values_are_compared_relatively_and_texts_exactly():
    assert Exercise(1000.0, [], tolerance=0.01).verdict(1005)[0] == RIGHT
    assert Exercise(1000.0, [(50.0, "fifty is the mean")], tolerance=0.01).verdict(50) == (HINT, "fifty is the mean")
    assert Exercise("blur", [("noise", "that is the other one")]).verdict(" Blur")[0] == RIGHT
    assert Exercise(True, [(False, "think again")]).verdict(1)[0] == WRONG


@pytest.mark.parametrize("attempt, said", [
    ([951, 1, 41], "2 of 3"), ((7, 1, 7), "1 of 3"), (torch.tensor([0.0, 0, 0]), "0 of 3"), ([951, 1], "expected shape"),
])  # fmt: skip
def test_of_several_numbers_the_right_ones_are_counted(attempt, said):
    status, message = Exercise([951, 1, 40], [], tolerance=1e-4).verdict(attempt)
    assert status == WRONG and said in message
