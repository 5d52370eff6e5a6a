"""What the judges of `teaching/assignments/` share: a denoiser that counts its calls, means over seeds, a quiet run."""

import contextlib
import io
import statistics
import warnings


class TooManyCalls(RuntimeError):
    """More calls of the network than were allowed."""


class Counted:
    """A denoiser that counts: a call for all rows is one call, and half of the rows is half a call.

    A call whose input has requires_grad is three, since the way back through the network costs twice the way there.
    """

    def __init__(self, denoiser, rows, calls):
        self.schedule = denoiser.schedule
        plain = sloped = 0.0  # names of this function, like `denoiser`: none is an attribute that could be read or set

        def ask(x_t, t):
            nonlocal plain, sloped
            if x_t.requires_grad:
                sloped += len(x_t) / rows
            else:
                plain += len(x_t) / rows
            if plain + 3 * sloped > calls + 1e-9:
                raise TooManyCalls(
                    f"{calls} calls are allowed; with this one there were {plain:g} plain ones and {sloped:g} whose input "
                    "has requires_grad, which count three each (what comes from such a call has it too: detach it)"
                )
            return denoiser(x_t, t)

        self._ask = ask

    def __call__(self, x_t, t):
        """x_t `[B, 1, 28, 28]` at level t to (x_0_hat, eps_hat). Raises TooManyCalls."""
        return self._ask(x_t, t)


def pictures_or_error(x_0, like):
    """What a student's function returned, clipped to [-1, 1]. Raises ValueError unless it is finite and shaped as `like`."""
    if not hasattr(x_0, "isfinite") or x_0.shape != like.shape or not x_0.isfinite().all():
        raise ValueError(
            f"finite pictures {list(like.shape)} are needed; got {list(getattr(x_0, 'shape', [])) or type(x_0)}"
        )
    return x_0.detach().float().clamp(-1, 1)


def several(evaluate, seeds):
    """Means over seeds of the dicts that `evaluate(seed)` returns, and for each entry its standard deviation, "spread of ..."."""
    found = [evaluate(seed) for seed in seeds]
    columns = {name: [one[name] for one in found] for name in found[0]}
    means = {name: statistics.fmean(values) for name, values in columns.items()}
    return means | {
        f"spread of {name}": statistics.stdev(values) if len(values) > 1 else 0.0 for name, values in columns.items()
    }


@contextlib.contextmanager
def quietly():
    """Nothing that a student's function prints or warns of is shown: nbgrader takes each warning for a failed test."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
