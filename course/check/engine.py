"""How an exercise is checked: against the right answer, then against the usual mistakes.

A check prints and never raises, so a notebook with untouched exercises runs to its end.
"""

import torch

TO_DO, RIGHT, HINT, WRONG = "to do", "right", "hint", "not yet"


class Exercise:
    """One exercise. Call it with the reader's answer, a function or a value, and it prints what it thinks.

    answer: the right value, or a function. mistakes: list of (wrong answer, hint made for it), of the same kind.
    cases: for functions, a list of argument tuples to try. tolerance: largest difference that passes, absolute
    for functions; for values relative to the right one. A value may be a number, a tensor, a list, a bool or a text.
    """

    def __init__(self, answer, mistakes, cases=None, tolerance=1e-5):
        self.answer, self.mistakes, self.cases, self.tolerance = answer, mistakes, cases, tolerance

    def __call__(self, attempt):
        status, message = self.verdict(attempt)
        print(f"{status}: {message}")

    def verdict(self, attempt):
        """The status ("to do", "right", "hint" or "not yet") and one sentence for the reader."""
        if attempt is None or attempt is ...:
            return TO_DO, "replace the ... with your answer and run the cell again"
        if callable(self.answer):
            if not callable(attempt):
                return WRONG, f"give the function itself, not {type(attempt).__name__}"
            try:
                got = [attempt(*_copy(case)) for case in self.cases]
            except Exception as error:
                return WRONG, f"your function stopped with {type(error).__name__}: {error}"
            if any(value is None for value in got):
                return WRONG, "your function returns nothing; is there a `return`?"
            if any(value is ... for value in got):
                return TO_DO, "replace the ... in the function with your answer and run the cell again"
            answers = [(self._run(wrong), hint) for wrong, hint in self.mistakes]
            return self._compare(got, self._run(self.answer), answers, absolute=True)
        return self._compare(
            [attempt], [self.answer], [([wrong], hint) for wrong, hint in self.mistakes], absolute=False
        )

    def _run(self, function):
        return [function(*_copy(case)) for case in self.cases]

    def _compare(self, got, want, mistakes, absolute):
        distances = [_distance(g, w, absolute) for g, w in zip(got, want)]
        problem = next((d for d in distances if isinstance(d, str)), None)
        if problem is None and max(distances) <= self.tolerance:
            worst = max(distances)
            return RIGHT, "exact" if worst == 0 else f"close, largest difference {worst:.1e}"
        for wrong, hint in mistakes:
            differences = [_distance(g, w, absolute) for g, w in zip(got, wrong)]
            if not any(isinstance(d, str) or d > self.tolerance for d in differences):
                return HINT, hint
        if problem:
            return WRONG, problem
        if absolute:
            return WRONG, f"the largest difference is {max(distances):.3g}, allowed is {self.tolerance:.0e}"
        if isinstance(want[0], list):
            room = self.tolerance * max(abs(number) for number in want[0])
            right = sum(abs(g - w) <= room for g, w in zip(got[0], want[0]))
            return WRONG, f"{int(right)} of {len(want[0])} numbers are right"
        return WRONG, f"off by {100 * max(distances):.3g} % of the right answer"


def _copy(case):
    kinds = (torch.Tensor, torch.clone), (list, list)  # what a reader's function might change
    return tuple(next((copy(x) for kind, copy in kinds if isinstance(x, kind)), x) for x in case)


def _distance(got, want, absolute):
    """Largest difference of two values, or a text saying why they cannot be compared."""
    if isinstance(want, bool) and getattr(got, "ndim", None) == 0:
        got = got.item()  # a bool of torch or numpy
    if isinstance(want, str | bool):
        same = type(got) is type(want) and (
            got.strip().lower() == want.lower() if isinstance(want, str) else got == want
        )
        return 0.0 if same else f"{got!r} is not it"
    try:
        a, b = (torch.as_tensor(x, dtype=torch.float64) for x in (got, want))
    except OverflowError:
        return "this number has more than 300 digits; the right one is far smaller"
    except (TypeError, ValueError, RuntimeError):
        return f"expected numbers, got {type(got).__name__}"
    if a.numel() == 1 and b.dim() == 0:
        a = a.reshape(())  # a tensor of one number will do where one number is asked for
    if a.shape != b.shape:
        return f"expected shape {tuple(b.shape)}, got {tuple(a.shape)}"
    if not a.isfinite().all() and b.isfinite().all():
        return "the answer holds values that are not finite (NaN or infinity)"
    difference = (a - b).abs().max().item() if a.numel() else 0.0
    return difference if absolute else difference / max(b.abs().max().item(), 1e-12)
