"""Answers and usual mistakes of notebook 05, a toy DDPM."""

import torch

from course.check.engine import FunctionExercise, ValueExercise
from course.toy_ddpm import linear, posterior, split

_generator = torch.Generator().manual_seed(0)
_u = torch.cat([torch.tensor([0.0, 0.4999, 0.9999]), torch.rand(40, generator=_generator)]).double()
_x_t, _v_hat, _noise = torch.randn(3, 2, 5, generator=_generator, dtype=torch.float64)
_schedule = linear(10, 0.05, 0.4)


level_from_uniform = FunctionExercise(
    lambda u, T: (u * T).floor() + 1,
    mistakes=[
        (lambda u, T: (u * T).floor(), "your levels run from 0 to T - 1; what does level 0 mean in this course?"),
        (
            lambda u, T: (u * T).round(),
            "rounding gives T + 1 levels, and the two ends are half as likely as the others",
        ),
        (lambda u, T: (u * (T - 1)).floor() + 1, "your largest level is T - 1; where does every sample start?"),
        (lambda u, T: (u * T).ceil(), "nearly: which level do you return for u = 0, which can occur?"),
        (
            lambda u, T: (u * (T - 1)).round() + 1,
            "both ends occur, but how wide is the piece of [0, 1) that leads to t = 1?",
        ),
        (lambda u, T: u * T + 1, "a level is a whole number"),
        (
            lambda u, T: (u * (T + 1)).floor(),
            "T + 1 different levels come out, the lowest is 0; how many should there be?",
        ),
        (lambda u, T: (u * T).floor().clamp(min=1), "level 1 now gets two shares, and what is the largest level?"),
        (lambda u, T: T - (u * T).floor(), "as a draw this is fair; but no larger level for a smaller u was asked for"),
    ],
    cases=[(_u, 4), (_u, 1000)],
    tolerance=0,
    names=["T = 4", "T = 1000"],
)


def _removed(share, divisor):
    """Line 4 with this share of eps_hat and this division: both are given beta_t and alpha_bar_t."""

    def line(x_t, t, eps_hat, noise, beta, alpha_bar):
        mean = (x_t - share(beta[t], alpha_bar[t]) * eps_hat) / divisor(beta[t], alpha_bar[t])
        return mean + beta[t] ** 0.5 * noise if t > 1 else mean

    return line


def _right_share(beta_t, alpha_bar_t):
    return beta_t / (1 - alpha_bar_t) ** 0.5


def _right_divisor(beta_t, alpha_bar_t):
    return (1 - beta_t) ** 0.5


_line_4 = _removed(_right_share, _right_divisor)


def _step(x_t, t, v_hat, noise, beta, alpha_bar):
    eps_hat = (1 - alpha_bar[t]) ** 0.5 * x_t + alpha_bar[t] ** 0.5 * v_hat
    return _line_4(x_t, t, eps_hat, noise, beta, alpha_bar)


def _with_eps(line):
    """The step whose last line is wrong in this way: what it is given is eps_hat, rightly found."""

    def step(x_t, t, v_hat, noise, beta, alpha_bar):
        return line(x_t, t, split(v_hat, x_t, t, _schedule, "v")[1], noise, beta, alpha_bar)

    return step


def _with_line_4(eps_of):
    """The step in which eps_hat was found in a wrong way: eps_of(x_t, v_hat, signal, std)."""

    def step(x_t, t, v_hat, noise, beta, alpha_bar):
        eps_hat = eps_of(x_t, v_hat, alpha_bar[t] ** 0.5, (1 - alpha_bar[t]) ** 0.5)
        return _line_4(x_t, t, eps_hat, noise, beta, alpha_bar)

    return step


def _always_noise(x_t, t, eps_hat, noise, beta, alpha_bar):
    return _line_4(x_t, t, eps_hat, 0 * noise, beta, alpha_bar) + beta[t] ** 0.5 * noise


def _one_too_early(x_t, t, v_hat, noise, beta, alpha_bar):
    """Every array read at t - 1, as in programs that count the levels from 0."""
    return _step(x_t, t, v_hat, noise, beta.roll(1), alpha_bar.roll(1))


def _variance_as_factor(x_t, t, eps_hat, noise, beta, alpha_bar):
    return _line_4(x_t, t, eps_hat, beta[t] ** 0.5 * noise, beta, alpha_bar)


def _estimate_of_x_0(x_t, t, eps_hat, noise, beta, alpha_bar):
    return split(eps_hat, x_t, t, _schedule, "eps")[0]


def _all_at_once(x_t, t, eps_hat, noise, beta, alpha_bar):
    x_0_hat = _estimate_of_x_0(x_t, t, eps_hat, noise, beta, alpha_bar)
    return x_0_hat + beta[t] ** 0.5 * noise if t > 1 else x_0_hat


def _noise_inside(x_t, t, eps_hat, noise, beta, alpha_bar):
    share = beta[t] / (1 - alpha_bar[t]) ** 0.5
    return (x_t - share * eps_hat + (beta[t] ** 0.5 * noise if t > 1 else 0)) / (1 - beta[t]) ** 0.5


def _silent(x_t, t, eps_hat, noise, beta, alpha_bar):
    return _line_4(x_t, t, eps_hat, 0 * noise, beta, alpha_bar)


def _small_variance(x_t, t, eps_hat, noise, beta, alpha_bar):
    x_0_hat = _estimate_of_x_0(x_t, t, eps_hat, noise, beta, alpha_bar)
    mean, variance = posterior(x_0_hat, x_t, t, _schedule)
    return mean + variance**0.5 * noise


def _case(t, *kept):
    """Arguments in which only what is named is not zero, so that a case looks at one part of the answer."""
    parts = {"x_t": _x_t, "v_hat": _v_hat, "noise": _noise}
    x_t, v_hat, noise = (part if name in kept else 0 * part for name, part in parts.items())
    return x_t, t, v_hat, noise, _schedule.beta, _schedule.alpha_bar


step_from_v = FunctionExercise(
    _step,
    mistakes=[
        (_one_too_early, "your arrays are read at t - 1; here entry t belongs to level t"),
        (_with_eps(_always_noise), "right for t > 1; what does Algorithm 2 say about the last step?"),
        (_with_eps(_variance_as_factor), "you scale the fresh noise by a variance; a draw is scaled by its root"),
        (
            _with_eps(_all_at_once),
            "you remove all the noise and get the estimate of x_0; the step removes only a share",
        ),
        (
            _with_eps(_estimate_of_x_0),
            "this is the estimate of x_0; the step removes only a share and adds fresh noise",
        ),
        (_with_eps(_noise_inside), "the fresh noise stands outside the bracket: add it after the division"),
        (_with_eps(_silent), "the mean is right; something random is missing"),
        (_with_eps(_small_variance), "this is the smaller variance, beta_tilde; here sigma_t^2 is beta_t itself"),
        (
            _with_eps(_removed(_right_share, lambda b, a: 1.0)),
            "the forward step shrank the picture a little; your step back does not undo this",
        ),
        (
            _with_eps(_removed(_right_share, lambda b, a: a**0.5)),
            "you undo the shrinking of all steps since x_0 at once; how much did this one step shrink?",
        ),
        (
            _with_eps(_removed(_right_share, lambda b, a: 1 - b)),
            "look at the division: is it by alpha_t or by its root?",
        ),
        (
            _with_eps(_removed(lambda b, a: b**0.5, _right_divisor)),
            "sqrt(beta_t) is the noise that this step put in; eps_hat is the total noise, of which one step is a share",
        ),
        (
            _with_eps(_removed(lambda b, a: (1 - a) ** 0.5, _right_divisor)),
            "you take off all the noise of x_t and then undo one step only; which share of it is due to this step?",
        ),
        (
            _with_eps(_removed(lambda b, a: b / (1 - a), _right_divisor)),
            "look at the share again: is beta_t divided by a variance or by a standard deviation?",
        ),
        (
            _with_eps(_removed(lambda b, a: b, _right_divisor)),
            "beta_t alone is not the share: what is it divided by in the formula?",
        ),
        (
            _with_line_4(lambda x, v, signal, std: v),
            "v_hat is not eps_hat; section 3 has the way from one to the other",
        ),
        (
            _with_line_4(lambda x, v, signal, std: signal * x + std * v),
            "in your eps_hat the two factors have changed places: which of them is large when x_t is nearly all noise?",
        ),
        (
            _with_line_4(lambda x, v, signal, std: signal * x - std * v),
            "this is the formula for the estimate of x_0; which one gives the noise?",
        ),
        (
            _with_line_4(lambda x, v, signal, std: std * x - signal * v),
            "a sign in eps_hat: put v = signal * eps - std * x_0 into your formula and see whether x_0 drops out",
        ),
        (
            _with_line_4(lambda x, v, signal, std: std**2 * x + signal**2 * v),
            "your eps_hat has variances for factors: are two roots missing?",
        ),
    ],
    cases=[
        _case(7, "x_t"),
        _case(7, "v_hat"),
        _case(7, "noise"),
        _case(1, "x_t", "v_hat", "noise"),
        _case(2, "x_t", "v_hat", "noise"),
    ],
    names=[
        "the factor of x_t",
        "the factor of v_hat",
        "the fresh noise",
        "the last step (t = 1)",
        "all together at t = 2",
    ],
)

two_losses = ValueExercise(
    [0.12, 0.09],
    mistakes=[
        ([0.03, 0.09], "the v loss is the noise loss only where no noise is; section 3 has the factor between them"),
        ([0.0075, 0.09], "the v loss is larger than the noise loss: multiply or divide by alpha_bar_t?"),
        ([0.06, 0.09], "errors have the factor 1 / sqrt(alpha_bar_t), but what about their squares?"),
        ([0.04, 0.09], "that divides by 1 - alpha_bar_t, the share of the noise"),
        ([0.12, 0.01], "the estimate is worse off than the noise here; is the quotient upside down?"),
        ([0.12, 0.03 * 3**0.5], "0.03 is a mean of squares, so the factor of an error must be squared too"),
        ([0.12, 0.03], "the errors of x_0_hat and eps_hat differ by a factor, by which section 3 drew its figure"),
        (
            [0.12, 0.12],
            "eps_hat is multiplied by something before it is subtracted from x_t; what does that do to its error?",
        ),
        (
            [0.12, 0.0225],
            "x_t holds a shrunken picture; what undoes the shrinking, and what does that do to the error?",
        ),
        ([0.12, 0.04], "that divides by 1 - alpha_bar_t alone; which factor had an error of eps_hat in x_0_hat?"),
    ],
    tolerance=0.005,
)

share_untrained = ValueExercise(
    0.999**700,
    mistakes=[
        (1 - 0.999**700, "that is the share which was trained at some time; the question asks for the other part"),
        (0.3, "0.001 is taken of what is left, not of the whole: the shares multiply, they do not subtract"),
        (0.7, "700 times 0.001 would be so if nothing were ever replaced twice; and which part is asked for?"),
        (0.0, "nothing is ever forgotten at once; which factor does one step leave of the start, and 700 steps?"),
        (1.0, "every step replaces a little of the start; it is small, but there are 700 of them"),
        (0.999, "that is what one step leaves; 700 steps follow each other"),
        (0.99**700, "that would be 99 % old at each step; here it is 99.9 %"),
        (0.5, "nearly; give three digits, so that the rule can be seen"),
        (0.497, "nearly; the fourth digit is small, so the third is not rounded up"),
    ],
    tolerance=9e-4,
)
