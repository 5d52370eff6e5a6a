"""How an exercise is checked: against the right answer, then against the usual mistakes.

A check prints and never raises, whatever it is given, so a notebook with untouched or wrong exercises runs to its end.
An answer is a number, a list or tensor of numbers, a bool or a text. Numbers may come from Python, NumPy or torch, of
any type and on any device; capital letters and spaces around a text do not matter.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

TO_DO, RIGHT, HINT, WRONG = "to do", "right", "hint", "not yet"


class Exercise:
    """What both kinds share. A kind has `answer`, `mistakes`, `tolerance`, and tells how far off a value may be."""

    def __call__(self, attempt):
        """Print what is thought of the reader's answer."""
        status, message = self.verdict(attempt)
        print(f"{status}: {message}")

    def verdict(self, attempt):
        """The status ("to do", "right", "hint" or "not yet") and one sentence for the reader."""
        try:
            return self.judge(attempt)
        except Exception as error:  # whatever a strange object does when it is looked at
            return WRONG, f"this {type(attempt).__name__} cannot be compared: {type(error).__name__}"

    def compare(self, got, want, mistakes):
        """The verdict on values `got`, lists of one for each case like `want` and the first part of each mistake."""
        differences = [_difference(g, w) for g, w in zip(got, want)]
        if self.agree(differences, want):
            worst = max(differences)
            return RIGHT, "exact" if worst == 0 else f"close, largest difference {worst:.1e}"
        for wrong, hint in mistakes:
            if self.agree([_difference(g, w) for g, w in zip(got, wrong)], wrong):
                return HINT, hint
        problem = next((d for d in differences if isinstance(d, str)), None)
        return WRONG, problem or self.what_is_wrong(got, want, differences)

    def agree(self, differences, want):
        return not any(isinstance(d, str) or d > self.room(w) for d, w in zip(differences, want))


@dataclass
class ValueExercise(Exercise):
    """An exercise whose answer is a value. mistakes: list of (wrong value, hint made for it).

    tolerance: the largest difference that passes, as a share of the right number, or of the largest of several.
    """

    answer: Any
    mistakes: list
    tolerance: float = 1e-5

    def judge(self, attempt):
        if _is_untouched(attempt):
            return TO_DO, "replace the ... with your answer and run the cell again"
        if callable(attempt):
            return WRONG, f"give the value, not a {type(attempt).__name__}"
        return self.compare([attempt], [self.answer], [([wrong], hint) for wrong, hint in self.mistakes])

    def room(self, want):
        return 0.0 if isinstance(want, str | bool) else self.tolerance * max(_numbers(want).abs().max().item(), 1e-12)

    def what_is_wrong(self, got, want, differences):
        got, want = _numbers(got[0]), _numbers(want[0])
        if want.dim() == 0:
            share = 100 * differences[0] / max(want.abs().item(), 1e-12)
            return f"too {'large' if got.item() > want.item() else 'small'}, off by {share:.3g} % of the right answer"
        wrong = ((got - want).abs() > self.room(want)).flatten().nonzero().flatten().tolist()
        places = ", ".join(str(i + 1) for i in wrong)
        return f"{want.numel() - len(wrong)} of {want.numel()} numbers are right; look again at number {places}"


@dataclass
class FunctionExercise(Exercise):
    """An exercise whose answer is a function. mistakes: list of (wrong function, hint made for it).

    cases: list of argument tuples to try. tolerance: the largest difference that passes in any of them, absolute.
    """

    answer: Any
    mistakes: list
    cases: list
    tolerance: float = 1e-5

    def judge(self, attempt):
        if _is_untouched(attempt):
            return TO_DO, "replace the ... with your answer and run the cell again"
        if not callable(attempt):
            return WRONG, f"give the function itself, not {type(attempt).__name__}"
        try:
            got = self.run(attempt)
        except (Exception, SystemExit) as error:
            return WRONG, f"your function stopped with {type(error).__name__}: {error}"
        if any(value is None for value in got):
            return WRONG, "your function returns nothing; is there a `return`?"
        if any(_is_untouched(value) for value in got):
            return TO_DO, "replace the ... in the function with your answer and run the cell again"
        return self.compare(got, self.run(self.answer), [(self.run(wrong), hint) for wrong, hint in self.mistakes])

    def run(self, function):
        return [function(*_copy(case)) for case in self.cases]

    def room(self, want):
        return self.tolerance

    def what_is_wrong(self, got, want, differences):
        wrong = [i for i, d in enumerate(differences) if d > self.tolerance]
        said = f"the largest difference is {max(differences):.3g}, allowed is {self.tolerance:.0e}"
        right = f"right in {len(got) - len(wrong)} of {len(got)} cases, wrong in case {wrong[0] + 1}; "
        return (right if len(wrong) < len(got) else "") + said


def _is_untouched(attempt):
    inside = attempt if isinstance(attempt, list | tuple) else [attempt]
    return attempt is None or any(value is ... for value in inside)


def _copy(case):
    """The arguments, those copied that a reader's function might change."""
    kinds = (torch.Tensor, torch.clone), (list, list)
    return tuple(next((copy(x) for kind, copy in kinds if isinstance(x, kind)), x) for x in case)


def _difference(got, want):
    """Largest difference of two answers, or a text that says why they cannot be compared."""
    if isinstance(want, str):
        if not isinstance(got, str):
            return f"expected a text, got {type(got).__name__}"
        return 0.0 if got.strip().lower() == want.lower() else f"{got[:80]!r} is not it"
    if isinstance(want, bool):
        if hasattr(got, "item") and math.prod(got.shape) == 1:
            got = got.item()  # a bool of torch or NumPy
        if not isinstance(got, bool):
            return f"expected True or False, got {type(got).__name__}"
        return 0.0 if got == want else f"{got} is not it"
    return _largest_difference(got, _numbers(want))


def _largest_difference(got, want):
    shape = _shape(got)
    if math.prod(shape) <= max(want.numel(), 1):  # else too much, perhaps far too much to be copied
        try:
            got = _numbers(got)
        except OverflowError:
            return "this number has more than 300 digits; the right one is far smaller"
        except (TypeError, ValueError, RuntimeError):
            more = f" of {got.dtype} on {got.device}" if isinstance(got, torch.Tensor) else ""
            return f"expected numbers, got {type(got).__name__}{more}"
        if got.numel() == 1 and want.dim() == 0:
            got = got.reshape(())  # a tensor of one number will do where one number is asked for
        shape = tuple(got.shape)
    if shape != tuple(want.shape):
        return f"expected shape {tuple(want.shape)}, got {shape}"
    if not got.isfinite().all():
        return "the answer holds values that are not finite (NaN or infinity)"
    return (got - want).abs().max().item() if got.numel() else 0.0


def _shape(x):
    """The shape of a tensor, an array or nested lists; () of anything else."""
    if isinstance(x, list | tuple | range):
        return (len(x), *_shape(x[0])) if x else (0,)
    return tuple(getattr(x, "shape", ()))


def _numbers(x):
    """x as a float64 tensor on the CPU. Raises TypeError, ValueError, RuntimeError, OverflowError where it is none."""
    if isinstance(x, list | tuple | range):
        return torch.stack([_numbers(one) for one in x]) if x else torch.zeros(0, dtype=torch.float64)
    if isinstance(x, torch.Tensor) and not x.is_complex():
        return x.detach().to_dense().cpu().double()
    if isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "biuf":
        return torch.from_numpy(np.array(x, dtype=np.float64))
    if isinstance(x, str | torch.Tensor | np.ndarray | np.generic):  # some of these float() would take
        raise TypeError("text, complex numbers or objects")
    return torch.tensor(float(x), dtype=torch.float64)
