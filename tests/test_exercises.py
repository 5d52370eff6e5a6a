"""Every folded solution passes its check, every untouched stub is "to do", every known mistake gets its own hint."""

import fractions
import importlib
import json
import pkgutil
import re
import sys
import warnings

import numpy as np
import pytest
import torch
from notebook_files import ALL, checks_of, source

import course.check
from course.check.engine import HINT, RIGHT, TO_DO, WRONG, Exercise, FunctionExercise, ValueExercise

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
    text = [source(cell) for cell in cells]
    setup = next(t for c, t in zip(cells, text) if c["id"] == "setup")
    for i, cell in enumerate(cells):
        if "exercise" in cell["metadata"].get("tags", []):
            folded = next((t for t in text[i + 1 : i + 3] if "<summary>" in t), "")
            name = f"{checks_of(path).removeprefix('nb')}-{cell['id']}"
            yield pytest.param(setup, text[i], re.findall(r"```python\n(.*?)```", folded, re.S), id=name)


IN_NOTEBOOKS = [case for path in ALL for case in exercises_of(path)]


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
    for path in ALL:
        if path.stem[:2] == "00":
            continue
        stubs = [case.values[1] for case in exercises_of(path)]
        assert 3 <= len(stubs) <= 5, path.stem
        used = {name for stub in stubs for name in re.findall(r"^check\.(\w+)\(", stub, re.M)}
        made = {name.split(".")[1] for name in EXERCISES if name.startswith(f"{checks_of(path)}.")}
        assert used == made, path.stem


@pytest.mark.parametrize("attempt, status, said", [
    (..., TO_DO, "replace"), (None, TO_DO, "replace"), (lambda x: ..., TO_DO, "replace"), (lambda x: [..., 1], TO_DO, "replace"),
    (lambda x: 2 * x, RIGHT, "exact"), (lambda x: 2 * x + 1e-9, RIGHT, "close"),
    (lambda x: x + x + 1, HINT, "plus one"), (lambda x: x + 3, WRONG, "in case 1 your function gives 4, right is 2"),
    (lambda x: 2.0, WRONG, "right in 1 of 2 cases; in case 2 your function gives 2, right is 4"), (lambda x: -2 * x, HINT, "sign"),
    (lambda x: 4 * x**2, HINT, "is a root missing"), (lambda x: 1 / (2 * x), HINT, "upside down"), (lambda x: 4 * x, HINT, "twice"),
    (lambda x: torch.rand(()), HINT, "changes from call to call"),
    (lambda x: x / 0, WRONG, "ZeroDivisionError"), (lambda: 3, WRONG, "TypeError"), (7, WRONG, "function itself"),
    (lambda x: float("nan"), WRONG, "not finite"), (lambda x: [1, 2], WRONG, "one number is asked for; this is a list of 2 numbers"), (lambda x: "two", WRONG, "expected numbers"),
    (lambda x: None, WRONG, "is there a `return`"), (lambda x: torch.tensor([2 * x]), RIGHT, "exact"), (lambda x: 256**784, WRONG, "300 digits"),
    (lambda x: sys.exit(), WRONG, "SystemExit"), (lambda x: (y for y in [2 * x]), WRONG, "got generator"),
])  # fmt: skip
def test_the_check_itself(attempt, status, said):
    exercise = FunctionExercise(lambda x: 2 * x, [(lambda x: 2 * x + 1, "plus one")], cases=[(1.0,), (2.0,)])
    found, message = exercise.verdict(attempt)
    assert found == status and said in message


def test_values_are_compared_relatively_and_functions_absolutely():
    value = ValueExercise(1000.0, [(50.0, "fifty is the mean")], tolerance=0.01)
    assert value.verdict(1009)[0] == RIGHT and value.verdict(1011) == (WRONG, "too large")
    assert value.verdict(50) == (HINT, "fifty is the mean") and "too small" in value.verdict(51)[1]
    function = FunctionExercise(lambda: 1000.0, [(lambda: 50.0, "fifty is the mean")], cases=[()], tolerance=0.01)
    assert function.verdict(lambda: 1000.009)[0] == RIGHT and function.verdict(lambda: 1000.011)[0] == WRONG
    assert function.verdict(lambda: 50.009) == (HINT, "fifty is the mean")


def test_texts_and_bools_are_compared_exactly():
    blur = ValueExercise("blur", [("noise", "that is the other one")])
    assert blur.verdict(" Blur")[0] == RIGHT and blur.verdict("NOISE")[0] == HINT
    assert blur.verdict("fog") == (WRONG, "'fog' is not it") and blur.verdict(3) == (WRONG, "expected a text, got int")
    true = ValueExercise(True, [(False, "think again")])
    for right in (True, np.bool_(True), torch.tensor(True), torch.tensor([True])):
        assert true.verdict(right)[0] == RIGHT
    assert (
        true.verdict(1) == (WRONG, "expected True or False, got int") and true.verdict(torch.tensor(False))[0] == HINT
    )


@pytest.mark.parametrize("attempt, said", [
    ([951, 1, 41], "2 of 3 numbers are right; look again at number 3"), ((7, 1, 7), "1 of 3"), (torch.tensor([0.0, 0, 0]), "0 of 3"),
    ([951, 1], "a list of 3 numbers is asked for; this is a list of 2 numbers"), ([[951, 1, 40]], "this is a tensor of shape [1, 3]"),
])  # fmt: skip
def test_of_several_numbers_the_right_ones_are_counted(attempt, said):
    status, message = ValueExercise([951, 1, 40], [], tolerance=1e-4).verdict(attempt)
    assert status == WRONG and said in message


def test_two_slips_at_once_get_both_hints_and_the_wrong_order_its_own():
    exercise = ValueExercise([49152, 24576], [([18432, 24576], "count the pixels"), ([49152, 7], "count the codes")])
    assert exercise.verdict([18432, 7]) == (HINT, "number 1: count the pixels; number 2: count the codes")
    assert exercise.verdict([24576, 49152]) == (HINT, "the right numbers, in the wrong order")
    assert exercise.verdict([24576, 9])[0] == WRONG
    table = FunctionExercise(lambda x: x, [], cases=[(torch.arange(6.0).view(2, 3),)])
    assert table.verdict(lambda x: x.T)[1] == "rows and columns are exchanged: the shape should be [2, 3]"
    assert table.verdict(lambda x: 3 * x) == (HINT, "right but for a factor: every number is 3 times what it should be")


def test_a_wrong_function_hears_which_part_is_right():
    x, eps = torch.arange(1.0, 5), torch.tensor([0.3, -1.0, 2.0, 0.5])
    cases, names = [(x, 0 * eps), (0 * x, eps)], ["the factor of x_0", "the factor of the noise"]
    jump = FunctionExercise(lambda x_0, eps: 0.8 * x_0 + 0.6 * eps, [], cases, names=names)
    said = "right: the factor of x_0; look again at the factor of the noise"
    assert jump.verdict(lambda x_0, eps: 0.8 * x_0 + 0.36 * eps) == (WRONG, said)


def test_a_check_says_one_line_and_leaves_nothing_for_the_notebook_to_show(capsys):
    exercise = ValueExercise(4.0, [])
    assert [exercise(4), exercise(3), exercise(...), exercise(-4)] == [None] * 4
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [RIGHT, WRONG, TO_DO, HINT]


def test_a_mistake_that_is_nan_agrees_with_nothing():
    root = FunctionExercise(
        torch.sqrt, [(lambda x: (-x).sqrt(), "of a negative number")], cases=[(torch.tensor([4.0, 9.0]),)]
    )
    assert root.verdict(lambda x: x + 7)[0] == WRONG
    assert ValueExercise(2.0, [(float("inf"), "beyond all bounds")]).verdict(7)[0] == WRONG


def test_where_a_function_stopped_is_said():
    say = FunctionExercise(lambda x: x, [], cases=[(1.0,)]).verdict
    space = {}
    exec(compile("def f(x):\n    y = x\n    return y / 0\n", "<ipython-input-3>", "exec"), space)
    assert say(space["f"]) == (
        WRONG,
        "your function stopped, in line 3 of its cell, with ZeroDivisionError: float division by zero",
    )


@pytest.mark.parametrize("stops, said", [
    (lambda x: x if x > 0 else 0, "torch.where"), (lambda x: x + x[:2], "Print their shapes"),
    (lambda x: int(x), "one number is needed"), (lambda x: torch.sqrt(2.0), "a plain number stands"),
    (lambda x: x.squared(), "what it does not have"), (lambda x: y, "a name that it does not know"),  # noqa: F821
])  # fmt: skip
def test_a_usual_error_is_said_in_words(stops, said):
    verdict, text = FunctionExercise(lambda x: x, [], cases=[(torch.arange(3.0),)]).verdict(stops)
    assert verdict == WRONG and said in text and "Python says" in text


class Hostile:
    """Whatever is asked of it, it raises."""

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __bool__ = __len__ = __float__ = __iter__ = __repr__ = __str__ = __eq__
    shape = dtype = device = property(__eq__)


class Unspeakable(Exception):
    """An error that cannot even be printed."""

    def __str__(self):
        raise RuntimeError("no text")


def fails_silently(*_):
    raise Unspeakable


itself = []
itself.append(itself)
RIGHT_ONES = [  # 0.5 and 0.25 in many dresses
    [0.5, 0.25], (0.5, 0.25), np.array([0.5, 0.25], np.float16), torch.tensor([0.5, 0.25]).bfloat16(),
    torch.tensor([0.5, 0.25], requires_grad=True), torch.nn.Parameter(torch.tensor([0.5, 0.25])), [torch.tensor(0.5), np.float32(0.25)],
    [fractions.Fraction(1, 2), fractions.Fraction(1, 4)], torch.tensor([0.5, 0.25]).to_sparse(), np.array([0.5, 0.25])[::1],
]  # fmt: skip
if torch.cuda.is_available():
    RIGHT_ONES.append(torch.tensor([0.5, 0.25], device="cuda", requires_grad=True))
STRANGE = [
    Hostile(), Hostile, [Hostile(), Hostile()], itself, object(), {1, 2}, {"a": 1}, b"ab", "two", "0.5", ["0.5", "0.25"], float("nan"),
    [float("inf"), 0.25], 1j, [0.5 + 0j, 0.25], torch.tensor([0.5 + 0j, 0.25]), np.array([0.5 + 0j, 0.25]), np.complex64(1), (x for x in (1, 2)),
    torch.zeros(2, device="meta"), torch.zeros((), dtype=torch.bool, device="meta"), torch.zeros(1).expand(10**12), range(10**12), torch.zeros(0),
    [], [[]], [[0.5], [0.25, 1]], [None, None], np.array([object(), 1]), np.array(["0.5", "0.25"]), np.datetime64("2026-01-01"), 10**400,
    [10**400, 0.25], fails_silently, sys.exit, lambda *_: Hostile(), lambda *_: itself, lambda *_: torch.zeros(3, device="meta"),
    lambda *_: torch.zeros(1).expand(10**12), lambda *_: (yield), torch.nn.Linear(2, 2), torch, type,
]  # fmt: skip


@pytest.mark.parametrize("attempt", RIGHT_ONES, ids=range(len(RIGHT_ONES)))
def test_numbers_of_every_kind_and_place_count(attempt):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ValueExercise([0.5, 0.25], []).verdict(attempt)[0] == RIGHT
        assert FunctionExercise(lambda: [0.5, 0.25], [], cases=[()]).verdict(lambda: attempt)[0] == RIGHT


@pytest.mark.parametrize("attempt", STRANGE, ids=range(len(STRANGE)))
def test_a_check_never_raises(attempt, capsys):
    """Nor does it take for 0.5, or for 0.5 and 0.25, what is a text or complex."""
    number, numbers = (lambda x: 2 * x), (lambda x: [x, x])
    for exercise in [
        *(ValueExercise(answer, [(1, "not one"), ("a", "not a")]) for answer in (0.5, [0.5, 0.25], "blur", True)),
        *(FunctionExercise(f, [(lambda x: 7, "seven")], cases=[(1.0,), (torch.ones(2),)]) for f in (number, numbers)),
    ]:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            exercise(attempt)
        assert capsys.readouterr().out.startswith(WRONG) and not warned
