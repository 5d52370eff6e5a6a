"""Answers and usual mistakes of notebook 09, classifier-free guidance."""

import math

import torch

from course.check.engine import FunctionExercise, ValueExercise

_generator = torch.Generator().manual_seed(9)
_both = torch.randn(4, 2, 3, generator=_generator, dtype=torch.float64)
_loud, _quiet = torch.randn(2, 1, 3, 6, 6, generator=_generator, dtype=torch.float64).clamp(-3, 3)
_guesses = torch.cat([2 * _loud, 0.2 * _quiet, 1.2 * _quiet.flip(3)])


def _combine(eps_u, eps_c, w):
    return eps_u + w * (eps_c - eps_u)


def _push(x_t, signal_t, std_t, m, s, variance=None, slope=2, sure=False, noise=True, odds=2, m_slope=1, m_odds=1):
    """eps_c - eps_u for the classes N(+-m, s^2), told the one at +m; the keywords spoil it."""
    variance = signal_t**2 * s**2 + std_t**2 if variance is None else variance(signal_t, std_t, s)
    p = 1 / (1 + math.exp(-odds * signal_t * m**m_odds * x_t / variance))
    gradient = slope * signal_t * m**m_slope / variance * (p if sure else 1 - p)
    return -std_t * gradient if noise else gradient


def _spoiled(**how):
    return lambda x_t, signal_t, std_t, m, s: _push(x_t, signal_t, std_t, m, s, **how)


def _limit(x_0_hat, share):
    return torch.quantile(x_0_hat.abs().flatten(1), share, dim=1).view(-1, 1, 1, 1)


def _pressed(x_0_hat, s):
    s = s.clamp(min=1)
    return x_0_hat.clamp(-s, s) / s


def _each_place(x_0_hat, share):
    return _pressed(x_0_hat, torch.quantile(x_0_hat.abs(), share, dim=1, keepdim=True))


def _each_channel(x_0_hat, share):
    return _pressed(x_0_hat, torch.quantile(x_0_hat.abs().flatten(2), share, dim=2)[..., None, None])


two_conventions = ValueExercise(
    [8, 2.9],
    mistakes=[
        ([10, 2.9], "the weight: which of the two conventions counts the plain condition as 0?"),
        ([9, 2.9], "the weight: in the paper the plain condition has another weight than here"),
        ([8, 3.2], "the prediction: from which answer is 9 counted, here and in the library?"),
        ([8, 2.6], "the prediction: this puts the paper's weight into the library's formula"),
        ([8, 4.5], "the prediction: this is 9 times one answer; where is the other one?"),
        ([8, 2.7], "the prediction: this is the long arrow alone; what is it added to?"),
        ([8, -2.2], "the prediction: this walks away from the prompt; from which answer to which does the arrow lead?"),
        ([8, -2.5], "the prediction: it starts at the right answer and walks away from the other; turn the difference round"),
    ],
    tolerance=1e-3,
)  # fmt: skip

conditional_first = FunctionExercise(
    lambda both, w: _combine(both[2:], both[:2], w),
    mistakes=[
        (lambda both, w: _combine(both[:2], both[2:], w), "this pushes away from the prompt: which half is which?"),
        (
            lambda both, w: _combine(both[2:], both[:2], w + 1),
            "this is the weight of the paper, whose plain condition is 0",
        ),
        (
            lambda both, w: _combine(both[1::2], both[::2], w),
            "the halves are stacked one after the other, not in turns",
        ),
        (lambda both, w: w * (both[:2] - both[2:]), "this is the longer arrow alone; what is it added to?"),
        (
            lambda both, w: _combine(both[1], both[0], w),
            "this takes the first two rows; each half holds B of them: what does `chunk` do?",
        ),
    ],
    cases=[(_both, 7.5), (_both, 0.0), (_both, 2.0)],
    names=["w = 7.5", "w = 0", "w = 2"],
)

the_push = FunctionExercise(
    _push,
    mistakes=[
        (_spoiled(sure=True), "this push is strongest where the class is certain; should it not be the other way round?"),
        (_spoiled(noise=False), "this is the slope of the logarithm; what turns a slope (a score) into noise?"),
        (lambda x, a, s_t, m, s: -_push(x, a, s_t, m, s), "right but for the sign: a score is minus the noise"),
        (
            _spoiled(variance=lambda a, s_t, s: s_t**2),
            "the variance V: the class has a width of its own, and the level shrinks it",
        ),
        (
            _spoiled(variance=lambda a, s_t, s: s**2 + s_t**2),
            "the variance V: what does the forward jump do to the class's own spread?",
        ),
        (
            _spoiled(variance=lambda a, s_t, s: a**2 * s + s_t**2),
            "the variance V: s is a standard deviation; what adds up?",
        ),
        (
            _spoiled(variance=lambda a, s_t, s: a * s**2 + s_t**2),
            "the variance V: a factor before a random number changes its variance by what?",
        ),
        (
            _spoiled(variance=lambda a, s_t, s: a**2 * 0.25 + s_t**2),
            "the variance V: 0.25 was the square of section 4's standard deviation; here it is s",
        ),
        (_spoiled(m_slope=0), "right for m = 1; the slope of the log odds holds m too"),
        (_spoiled(m_odds=0), "right for m = 1; the log odds hold m too, so the doubt depends on it"),
        (_spoiled(m_slope=0, m_odds=0), "right for m = 1; where do the log odds hold m?"),
        (_spoiled(m_odds=2), "right for m = 1; in the difference of the two squares m comes once, not squared"),
        (_spoiled(m_slope=2, m_odds=2), "right for m = 1; m comes once in the log odds and once in their slope, not squared"),
        (_spoiled(slope=1), "half of it; look at the slope of the log odds once more"),
        (_spoiled(odds=1), "how fast do the log odds grow with x? The doubt is computed from another slope"),
        (_spoiled(slope=0.5, odds=0.5), "the log odds are four times too small: is it the *difference* of two squares?"),
        (
            lambda x, a, s_t, m, s: -s_t * 2 * a * m / (a**2 * s**2 + s_t**2),
            "this is the push of one who is certain of nothing at all; where is the doubt?",
        ),
        (
            lambda x, a, s_t, m, s: 1 / (1 + math.exp(2 * a * m * x / (a**2 * s**2 + s_t**2))),
            "this is the doubt itself; the push is the doubt times a slope",
        ),
    ],
    cases=[(0.0, 0.6, 0.8, 1.0, 0.5), (1.5, 0.6, 0.8, 1.0, 0.5), (-2.0, 0.6, 0.8, 1.0, 0.5), (0.7, 0.8, 0.6, 2.0, 1.2)],
    names=["half-way between the classes", "on the right side", "on the wrong side", "other classes, m = 2 and s = 1.2"],
)  # fmt: skip

dynamic_threshold = FunctionExercise(
    lambda x_0_hat, share: _pressed(x_0_hat, _limit(x_0_hat, share)),
    mistakes=[
        (_each_channel, "each colour got a limit of its own, which shifts the hues: one s for the whole picture"),
        (
            lambda x, share: x.clamp(-_limit(x, share), _limit(x, share)) / _limit(x, share),
            "a quiet picture was made louder: what should happen where s is below 1?",
        ),
        (
            lambda x, share: _pressed(x, torch.quantile(x.abs().flatten(), share)),
            "one loud picture made the others fainter: each has its own s",
        ),
        (
            lambda x, share: _pressed(x, torch.quantile(x.flatten(1), share, dim=1).view(-1, 1, 1, 1)),
            "the quantile of the values themselves does not see the dark ones: of which sizes should it be?",
        ),
        (
            lambda x, share: _pressed(x, x.abs().flatten(1).amax(1).view(-1, 1, 1, 1)),
            "this takes the largest value, so a single pixel decides; where does `share` come in?",
        ),
        (
            _each_place,
            "each place got a limit of its own, over its colours; put all numbers of a picture into one row first",
        ),
        (
            lambda x, share: (
                x.clamp(-_limit(x, share).clamp(max=1), _limit(x, share).clamp(max=1)) / _limit(x, share).clamp(max=1)
            ),
            "`clamp(max=1)` lets s be 1 at most; asked is that it be 1 at least",
        ),
        (lambda x, share: x.clamp(-1, 1), "this is plain clipping; where does s come in?"),
        (
            lambda x, share: x.clamp(-1, 1) / _limit(x, share).clamp(min=1),
            "this clips to [-1, 1] and then divides: is the picture not fainter than it should be?",
        ),
        (
            lambda x, share: x.clamp(-_limit(x, share).clamp(min=1), _limit(x, share).clamp(min=1)),
            "after clipping to [-s, s] the picture still has to be brought back into [-1, 1]",
        ),
        (lambda x, share: x / _limit(x, share).clamp(min=1), "the few values beyond s are still outside [-1, 1]"),
    ],
    cases=[(_guesses[:1], 0.9), (_guesses[1:2], 0.9), (_guesses, 0.9), (_guesses, 0.995)],
    names=["a loud picture", "a quiet picture", "three together", "another share"],
)
