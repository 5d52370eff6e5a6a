"""What a check's opinion is worth in marks: a score from 0 to 1, also on other numbers than the reader saw.

A reader never meets this module: `tools/grade.py` asks it in the cells that students do not get.
"""

import ast
import contextlib
import importlib.util
import io
import types
import warnings

import torch

from course.check.engine import RIGHT, TO_DO, Exercise, FunctionExercise, ValueExercise, _difference, _flat, _numbers


def score(exercise, attempt):
    """The share of an answer that is right, a float from 0 to 1.

    Of a list of numbers each number counts the same, and of a function whose cases have names each named part. Any
    other answer is right (1) or not (0): a mistake that the check knows has a hint, but no marks of its own.
    """
    status, _ = exercise.verdict(attempt)
    if status in (RIGHT, TO_DO):
        return float(status == RIGHT)
    try:
        if isinstance(exercise, ValueExercise):
            return _of_numbers(exercise, attempt)
        return _of_parts(exercise, attempt) if exercise.names else 0.0
    except Exception:  # what stopped the check already, or a value that cannot be compared
        return 0.0


def _of_numbers(exercise, attempt):
    if isinstance(exercise.answer, str | bool):
        return 0.0
    want = _numbers(exercise.answer).flatten()
    return exercise.same(_flat(attempt, want), want).double().mean().item() if len(want) > 1 else 0.0


def _of_parts(exercise, attempt):
    right = right_parts(exercise, attempt)
    return sum(right) / len(right)


def right_parts(exercise, attempt):
    """Which parts count, a list of bools: those that come out the same twice, for what is drawn by chance is worth nothing."""
    want, first, second = exercise.known[0], exercise.run(attempt), exercise.run(attempt)
    return [all(exercise.agree([_difference(g, w)], [w]) for g in (a, b)) for a, b, w in zip(first, second, want)]


def with_seed(module, seed):
    """The checks of a module of `course/check/`, such as "nb01", on numbers drawn from other seeds: a namespace.

    Every `torch.Generator().manual_seed(3)` in its source becomes `manual_seed(3 + seed)`; seed 0 gives what readers see.
    Numbers that stand in the task itself stay, and so do seeds that are an argument or make a network. Raises ValueError where the source cannot be read, as in the students' edition.
    """
    spec = importlib.util.find_spec(f"course.check.{module}")
    source = spec.loader.get_source(spec.name)
    if "manual_seed" not in source and "b85decode" in source:
        raise ValueError(f"course/check/{module}.py is packed: grade with the instructor's edition, not the students'")
    tree = ast.parse(source)
    for node in ast.walk(tree):
        drawn = isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.Generator().manual_seed"
        if drawn and isinstance(node.args[0], ast.Constant):
            node.args = [ast.Constant(node.args[0].value + seed)]
    fresh = types.ModuleType(spec.name)
    exec(compile(ast.fix_missing_locations(tree), spec.origin, "exec"), vars(fresh))
    return fresh


def asks_other_numbers(name):
    """Whether another seed gives the exercise `name`, such as "nb01.half_size", other numbers; a fixed value has none."""
    module, name = name.split(".")
    one, other = (getattr(with_seed(module, seed), name) for seed in (0, 1))
    return kind(one) == "function" and not _alike(one.cases, other.cases)


def _alike(one, other):
    """Whether two lists of cases hold the same numbers; functions and networks among them are not looked at."""
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else callable(one) or one == other


def points(name, attempt, most, seed):
    """The points out of `most` for an answer to the exercise `name`, such as "nb01.half_size": a float, two decimals.

    The answer has to satisfy the check that the student saw as well as the one with other numbers; the smaller score
    counts. Where that is not the whole, one line is printed that says what counted; what the answer prints is not shown.
    PyTorch's own chance is put back where it was.
    """
    module, name = name.split(".")
    with contextlib.redirect_stdout(_Nowhere()), contextlib.redirect_stderr(_Nowhere()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.random.fork_rng(devices=[]):
            own, other = (getattr(with_seed(module, one), name) for one in (0, seed))
            scores = score(own, attempt), score(other, attempt)
            said = _what_counted(scores, own, attempt)
    if said:
        print(said)
    return round(most * min(scores), 2)


def _what_counted(scores, own, attempt):
    """Why an answer has a part of its points, a sentence; empty where it has all or none by the check that the student saw."""
    if scores[1] < scores[0]:
        return "right with the numbers of the notebook, but not with others" if scores[0] == 1 else ""
    if 0 < scores[0] < 1 and isinstance(own, FunctionExercise):
        right = right_parts(own, attempt)
        return f"counted as right: {', '.join(name for name, good in zip(own.names, right) if good)}"
    return f"counted as right: {scores[0]:.0%} of the numbers" if 0 < scores[0] < 1 else ""


class _Nowhere(io.TextIOBase):
    """A stream that forgets what is written to it."""

    def write(self, text):
        return len(text)


def exercises(module):
    """The exercises of a module of `course/check/` by name: {name: Exercise}."""
    return {name: value for name, value in vars(module).items() if isinstance(value, Exercise)}


def kind(exercise):
    """ "function" or "value"."""
    return "function" if isinstance(exercise, FunctionExercise) else "value"
