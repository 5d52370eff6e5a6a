"""Answers and usual mistakes of notebook 09, classifier-free guidance."""

import torch

from course.check.engine import FunctionExercise, ValueExercise

_generator = torch.Generator().manual_seed(9)
_both = torch.randn(4, 2, 3, generator=_generator, dtype=torch.float64)
_loud, _quiet = torch.randn(2, 1, 3, 6, 6, generator=_generator, dtype=torch.float64).clamp(-3, 3)
_guesses = torch.cat([2 * _loud, 0.2 * _quiet, 1.2 * _quiet.flip(3)])


def _combine(eps_u, eps_c, w):
    return eps_u + w * (eps_c - eps_u)


def _limit(x_0_hat, share):
    return torch.quantile(x_0_hat.abs().flatten(1), share, dim=1).view(-1, 1, 1, 1)


def _threshold(x_0_hat, share):
    s = _limit(x_0_hat, share).clamp(min=1)
    return x_0_hat.clamp(-s, s) / s


def _one_limit(x_0_hat, share):
    s = torch.quantile(x_0_hat.abs().flatten(), share).clamp(min=1)
    return x_0_hat.clamp(-s, s) / s


def _each_channel(x_0_hat, share):
    s = torch.quantile(x_0_hat.abs().flatten(2), share, dim=2).clamp(min=1)[..., None, None]
    return x_0_hat.clamp(-s, s) / s


two_conventions = ValueExercise(
    [6.5, 2.45],
    mistakes=[
        ([8.5, 2.45], "the prediction is right; which of the two weights counts the plain condition as 0?"),
        ([7.5, 2.45], "the prediction is right; but in the paper the plain condition has another weight than here"),
        ([6.5, 2.75], "the weight is right; the prediction took the library's 7.5 for the paper's weight"),
        ([6.5, 2.15], "the weight is right; the prediction put the paper's weight into the library's formula"),
        ([6.5, 3.75], "the weight is right; what does the prediction start from before the difference is added?"),
    ],
    tolerance=1e-3,
)

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
        (lambda both, w: w * (both[:2] - both[2:]), "this is the amplified difference alone; what is it added to?"),
    ],
    cases=[(_both, 7.5), (_both, 0.0), (_both, 2.0)],
)

below_one = ValueExercise(
    [0.775, 0.978],
    mistakes=[
        ([0.978, 0.775], "these are the two values; which of the two programs skips guidance?"),
        ([0.775, 0.775], "one of the two does something else at every scale up to 1"),
        ([0.978, 0.978], "one of the two does take half of the condition"),
        ([0.775, 0.5], "which half runs alone when guidance is skipped: the empty prompt, or the other one?"),
        ([0.5, 0.978], "this is the course's value for a scale of 0"),
    ],
    tolerance=0.012,
)

dynamic_threshold = FunctionExercise(
    _threshold,
    mistakes=[
        (_each_channel, "each colour got a limit of its own, which shifts the hues: one s for the whole picture"),
        (
            lambda x, share: x.clamp(-_limit(x, share), _limit(x, share)) / _limit(x, share),
            "a quiet picture was made louder: what should happen where s is below 1?",
        ),
        (_one_limit, "one loud picture made the others fainter: each has its own s"),
        (lambda x, share: x.clamp(-1, 1), "this is plain clipping; where does s come in?"),
        (
            lambda x, share: x.clamp(-_limit(x, share).clamp(min=1), _limit(x, share).clamp(min=1)),
            "after clipping to [-s, s] the picture still has to be brought back into [-1, 1]",
        ),
        (lambda x, share: x / _limit(x, share).clamp(min=1), "the few values beyond s are still outside [-1, 1]"),
    ],
    cases=[(_guesses, 0.9), (_guesses, 0.995)],
)
