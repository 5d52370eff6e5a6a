"""How an exercise is checked: against the right answer, then against the usual mistakes.

A check prints and never raises, whatever it is given, so a notebook with untouched or wrong exercises runs to its end.
An answer is a number, a list or tensor of numbers, a bool or a text. Numbers may come from Python, NumPy or torch, of
any type and on any device; capital letters and spaces around a text do not matter.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

from course.check.stops import in_words

TO_DO, RIGHT, HINT, WRONG = "to do", "right", "hint", "not yet"
SLIPS = [  # what becomes of right numbers by a slip of the pen, and the hint for it
    (lambda x: -x, "right but for the sign"),
    (lambda x: x.square(), "this is the square of what is asked for; is a root missing?"),
    (lambda x: x.abs().sqrt(), "this is the root of what is asked for; is one root too many?"),
    (lambda x: 1 / x, "the quotient is upside down: this is 1 / the right answer"),
    (lambda x: 100 * x, "a hundred times too large: a share, not per cent"),
    (lambda x: 2 * x, "twice too large"),
    (lambda x: x / 2, "half of what is asked for"),
]


class Exercise:
    """What both kinds share. A kind has `answer`, `mistakes`, `tolerance`, and tells how far off a value may be."""

    def __call__(self, attempt):
        """Print what is thought of the reader's answer. Nothing is returned, for a notebook would show it below that."""
        print(": ".join(self.verdict(attempt)))

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
        if problem := next((d for d in differences if isinstance(d, str)), None):
            return WRONG, problem
        if slip := self.slip(got, want, mistakes):
            return HINT, slip
        return WRONG, self.what_is_wrong(got, want, differences)

    def slip(self, got, want, mistakes):
        """The hint for a slip that every exercise knows, or None."""
        if any(isinstance(w, str | bool) for w in want):
            return None
        got, numbers = [_numbers(g) for g in got], [_numbers(w) for w in want]
        for change, hint in SLIPS:
            wrong = [change(w) for w in numbers]
            if all(w.isfinite().all() for w in wrong) and self.agree(
                [_difference(g, w) for g, w in zip(got, wrong)], wrong
            ):
                return hint
        return self.own_slip(got, numbers, mistakes)

    def own_slip(self, got, want, mistakes):
        """The same for slips that only one kind of exercise can have."""

    def agree(self, differences, want):
        """Whether all differences are numbers within their room."""
        return all(not isinstance(d, str) and d <= self.room(w) < math.inf for d, w in zip(differences, want))


@dataclass
class ValueExercise(Exercise):
    """An exercise whose answer is a value. mistakes: list of (wrong value, hint made for it).

    tolerance: the largest difference that passes, as a share of the right number, or of the largest of several.
    """

    answer: Any = field(repr=False)  # a notebook that shows an exercise shows no answer
    mistakes: list = field(repr=False)
    tolerance: float = 1e-5

    def judge(self, attempt):
        if _is_untouched(attempt):
            return TO_DO, "replace the ... with your answer and run the cell again"
        if callable(attempt):
            return WRONG, f"give the value, not a {type(attempt).__name__}"
        return self.compare([attempt], [self.answer], [([wrong], hint) for wrong, hint in self.mistakes])

    def room(self, want):
        return 0.0 if isinstance(want, str | bool) else self.tolerance * max(_numbers(want).abs().max().item(), 1e-12)

    def own_slip(self, got, want, mistakes):
        """Right numbers in the wrong order; and in a list, the hints of the numbers that are wrong, if each has one."""
        got, want = got[0].flatten(), want[0].flatten()
        if len(want) > 1 and self.same(got.sort().values, want.sort().values).all():
            return "the right numbers, in the wrong order"
        hints = {}
        for i in (~self.same(got, want)).nonzero().flatten().tolist() if len(want) > 1 else ():
            known = [hint for [wrong], hint in mistakes if self.same(got, _flat(wrong, got))[i]]
            hints.setdefault(known[0] if known else None, []).append(str(i + 1))
        if hints and None not in hints:
            return "; ".join(f"number {' and '.join(places)}: {hint}" for hint, places in hints.items())

    def same(self, got, want):
        """Which numbers of two flat lists agree."""
        return (got - want).abs() <= self.room(want)

    def what_is_wrong(self, got, want, differences):
        got, want = _numbers(got[0]).flatten(), _numbers(want[0]).flatten()
        if len(want) == 1:
            return "too large" if got.item() > want.item() else "too small"
        right = self.same(got, want)
        places = ", ".join(str(i + 1) for i in (~right).nonzero().flatten().tolist())
        return f"{int(right.sum())} of {len(want)} numbers are right; look again at number {places}"


@dataclass
class FunctionExercise(Exercise):
    """An exercise whose answer is a function. mistakes: list of (wrong function, hint made for it).

    cases: list of argument tuples to try. tolerance: the largest difference that passes in any of them, absolute.
    names: what each case looks at, such as "the factor of x_s" where the noise is 0: a wrong answer hears which are right.
    """

    answer: Any = field(repr=False)
    mistakes: list = field(repr=False)
    cases: list
    tolerance: float = 1e-5
    names: list = ()

    def judge(self, attempt):
        if _is_untouched(attempt):
            return TO_DO, "replace the ... with your answer and run the cell again"
        if not callable(attempt):
            return WRONG, f"give the function itself, not {type(attempt).__name__}"
        try:
            got, again = self.run(attempt), self.run(attempt)
        except (Exception, SystemExit) as error:
            return WRONG, f"your function stopped{in_words(error)}"
        if any(value is None for value in got):
            return WRONG, "your function returns nothing; is there a `return`?"
        if any(_is_untouched(value) for value in got):
            return TO_DO, "replace the ... in the function with your answer and run the cell again"
        if any(map(_changes, got, again)):
            return HINT, "your answer changes from call to call; use only what the function is given"
        return self.compare(got, *self.known)

    @cached_property
    def known(self):
        """What the right answer gives, and each mistake with its hint: computed at the first attempt, and kept."""
        return self.run(self.answer), [(self.run(wrong), hint) for wrong, hint in self.mistakes]

    def run(self, function):
        return [function(*_copy(case)) for case in self.cases]

    def room(self, want):
        return self.tolerance

    def own_slip(self, got, want, mistakes):
        """The right numbers times one factor, in all cases the same."""
        got, want = (torch.cat([one.flatten() for one in ones]) for ones in (got, want))
        factor = ((got * want).sum() / want.square().sum().clamp(min=1e-30)).item()
        if (
            len(want) > 2
            and want.std() > 0
            and abs(factor) > 1e-3
            and (got - factor * want).abs().max() <= self.tolerance
        ):
            return f"right but for a factor: every number is {factor:.4g} times what it should be"

    def what_is_wrong(self, got, want, differences):
        wrong = [i for i, d in enumerate(differences) if d > self.tolerance]
        if self.names:
            right = [name for i, name in enumerate(self.names) if i not in wrong]
            said = f"right: {', '.join(right)}; " if right else ""
            return f"{said}look again at {', '.join(self.names[i] for i in wrong)}"
        right = f"right in {len(got) - len(wrong)} of {len(got)} cases; " if len(wrong) < len(got) else ""
        mine, theirs = _numbers(got[wrong[0]]).flatten(), _numbers(want[wrong[0]]).flatten()
        at = (mine - theirs).abs().argmax()
        place = f"case {wrong[0] + 1}" + (f", number {at + 1}" if len(mine) > 1 else "")
        return f"{right}in {place} your function gives {mine[at]:.4g}, right is {theirs[at]:.4g}"


def _is_untouched(attempt):
    inside = attempt if isinstance(attempt, list | tuple) else [attempt]
    return attempt is None or any(value is ... for value in inside)


def _changes(got, again):
    """Whether two answers to the same arguments are different numbers."""
    try:
        got, again = _numbers(got), _numbers(again)
        return got.shape == again.shape and bool((got != again).any() and got.isfinite().all())
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return False


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
            if isinstance(got, dict) and got:  # what diffusers and transformers return
                return f"this {type(got).__name__} holds its tensors by name: {', '.join(got)}; give one of them"
            more = f" of {got.dtype} on {got.device}" if isinstance(got, torch.Tensor) else ""
            return f"expected numbers, got {type(got).__name__}{more}"
        if got.numel() == 1 and want.dim() == 0:
            got = got.reshape(())  # a tensor of one number will do where one number is asked for
        shape = tuple(got.shape)
    if shape != tuple(want.shape):
        if shape == tuple(want.shape)[::-1]:
            return f"rows and columns are exchanged: the shape should be {list(want.shape)}"
        return (
            f"{_called(tuple(want.shape))} asked for; this is {_called(shape).removesuffix(' is').removesuffix(' are')}"
        )
    finite = got.isfinite()
    if (finite != want.isfinite()).any():  # a usual mistake may end in NaN, and then agrees with it in the same places
        return "the answer holds values that are not finite (NaN or infinity)"
    return (got - want)[finite].abs().max().item() if finite.any() else 0.0


def _called(shape):
    """A shape in words."""
    if not shape:
        return "one number is"
    return f"a list of {shape[0]} numbers is" if len(shape) == 1 else f"a tensor of shape {list(shape)} is"


def _flat(x, like):
    """The numbers of x in a row, or NaN in each place of `like` where they are none, or not as many."""
    try:
        numbers = _numbers(x).flatten()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        numbers = like[:0]
    return numbers if len(numbers) == len(like) else like * torch.nan


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
