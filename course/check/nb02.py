"""Answers and usual mistakes of notebook 02, the forward process."""

import torch

from course.check.engine import FunctionExercise, ValueExercise
from course.toy_ddpm import cosine, linear

ALPHA_BAR = linear(1000).alpha_bar
THREE_STEPS = torch.tensor([1, 0.9, 0.72, 0.504], dtype=torch.float64)  # the table of section 5
_generator = torch.Generator().manual_seed(0)


def _draw():
    return torch.randn(5, generator=_generator, dtype=torch.float64)


share_of_picture = ValueExercise(
    0.36,
    mistakes=[
        (0.01, "you multiplied the betas; what a step keeps is alpha = 1 - beta, so multiply those"),
        (0.2, "you took the sum of the betas from 1; the shares that are kept multiply, they do not subtract"),
        (0.64, "that is the share of the noise; the question asks for the other part"),
        (0.6, "that is the factor on the pixel value itself; a variance goes with the square of the factor"),
        (0.8, "that is what the last step alone keeps; the two steps before it took their part as well"),
        (0.45, "that is what the first two steps keep; there is a third one"),
        (0.4, "that is what the last two steps keep; the first one took its part as well"),
        (0.72, "that is what steps 1 and 3 keep; the middle one took its part as well"),
    ],
    tolerance=1e-3,
)


def _jump(kept, noise_variance=lambda kept, s, t, alpha_bar: 1 - kept):
    """A jump that takes `kept(s, t, alpha_bar)` for the kept share of the variance, and another variance of the noise."""

    def jump(x_s, s, t, eps, alpha_bar):
        share = kept(s, t, alpha_bar)
        return share.sqrt() * x_s + noise_variance(share, s, t, alpha_bar).sqrt() * eps

    return jump


def _right_share(s, t, alpha_bar):
    return alpha_bar[t] / alpha_bar[s]


def _walk_with_one_noise(x_s, s, t, eps, alpha_bar):
    for level in range(s + 1, t + 1):
        alpha = alpha_bar[level] / alpha_bar[level - 1]
        x_s = alpha.sqrt() * x_s + (1 - alpha).sqrt() * eps
    return x_s


jump_between = FunctionExercise(
    _jump(_right_share),
    mistakes=[
        (
            _jump(lambda s, t, alpha_bar: alpha_bar[t]),
            "this is the jump from level 0; x_s already has the first s steps behind it",
        ),
        (
            _jump(_right_share, lambda kept, s, t, alpha_bar: 1 - alpha_bar[t]),
            "the factor of x_s is right; this is all the noise from level 0 on, but x_s already holds a part of it",
        ),
        (
            _jump(_right_share, lambda kept, s, t, alpha_bar: alpha_bar[s] - alpha_bar[t]),
            "the factor of x_s is right; the two squared factors must add up to 1, as in every step of the chain",
        ),
        (
            _jump(lambda s, t, alpha_bar: alpha_bar[t - s]),
            "you count t - s steps from level 0, but the steps after s have other, larger betas than the first ones",
        ),
        (
            _jump(lambda s, t, alpha_bar: alpha_bar[s + 1 : t + 1].prod()),
            "you multiplied alpha_bars; each of them is already a product that begins at step 1",
        ),
        (
            _jump(lambda s, t, alpha_bar: (1 - alpha_bar[s + 1 : t + 1]).prod()),
            "you multiplied 1 - alpha_bar, which are shares of noise, each counted from level 0; what does a step keep?",
        ),
        (
            _jump(lambda s, t, alpha_bar: alpha_bar[s:t].prod()),
            "you multiplied alpha_bars, and from level s on; each of them is already a product that begins at step 1",
        ),
        (
            _jump(lambda s, t, alpha_bar: (alpha_bar[1:] / alpha_bar[:-1])[s + 1 : t + 1].prod()),
            "nearly: your quotients of neighbours begin with alpha_1 at index 0, so your slice is one step late",
        ),
        (
            _walk_with_one_noise,
            "you walked step by step and used eps again in each; independence is gone then, and standard deviations add",
        ),
        (
            _jump(lambda s, t, alpha_bar: alpha_bar[s] / alpha_bar[t]),
            "a root of a negative number came out (NaN): a share that is kept is at most 1, so turn the fraction over",
        ),
        (
            _jump(lambda s, t, alpha_bar: 1 - (alpha_bar[s] - alpha_bar[t])),
            "you took a difference of alpha_bars; shares that are kept multiply, so to take steps away you do not subtract",
        ),
        (
            lambda x_s, s, t, eps, alpha_bar: (
                (alpha_bar[t] / alpha_bar[s]).sqrt() * x_s + (1 - alpha_bar[t] / alpha_bar[s]) * eps
            ),
            "you multiplied eps by a variance; a draw is scaled by a standard deviation",
        ),
        (
            lambda x_s, s, t, eps, alpha_bar: (
                alpha_bar[t] / alpha_bar[s] * x_s + (1 - alpha_bar[t] / alpha_bar[s]).sqrt() * eps
            ),
            "the noise is right; the picture is scaled by a root too, look at the closed form again",
        ),
        (
            lambda x_s, s, t, eps, alpha_bar: (
                alpha_bar[t] / alpha_bar[s] * x_s + (1 - alpha_bar[t] / alpha_bar[s]) * eps
            ),
            "these are shares of variance; ask what multiplies a value when its variance changes by such a factor",
        ),
        (
            _jump(lambda s, t, alpha_bar: 1 - alpha_bar[t] / alpha_bar[s]),
            "the two factors are exchanged: which one belongs to the picture, and which to the noise?",
        ),
    ],
    cases=[
        (_draw(), 1, 3, torch.zeros(5, dtype=torch.float64), THREE_STEPS),
        (torch.zeros(5, dtype=torch.float64), 1, 3, _draw(), THREE_STEPS),
        (_draw(), 100, 250, _draw(), ALPHA_BAR),
        (_draw(), 0, 500, _draw(), cosine(1000).alpha_bar),
    ],
    names=["the factor of x_s", "the factor of eps", "a long jump", "a jump from level 0"],
)

SHORT = linear(300)

short_chain = ValueExercise(
    SHORT.alpha_bar[300].sqrt().item(),
    mistakes=[
        (SHORT.alpha_bar[300].item(), "that is alpha_bar_T, a share of variance; asked is the factor on x_0"),
        ((1 - SHORT.alpha_bar[300]).sqrt().item(), "that is the factor of the noise; asked is the factor on x_0"),
        ((1 - SHORT.alpha_bar[300]).item(), "that is the variance of the noise; asked is the factor on x_0"),
        (
            ALPHA_BAR[300].sqrt().item(),
            "that is level 300 of the 1000-step chain; the short chain reaches beta = 0.02 already at its step 300",
        ),
        (
            ALPHA_BAR[300].item(),
            "that is alpha_bar at level 300 of the 1000-step chain; here all of beta's line is walked in 300 steps, "
            "and the factor on x_0 is wanted",
        ),
        (
            linear(300, 1 / 3000, 1 / 15).alpha_bar[300].sqrt().item(),
            "that is the chain with beta rescaled by 1000 / 300; here somebody forgot to do that",
        ),
        (ALPHA_BAR[1000].sqrt().item(), "that is what the full 1000-step chain leaves; this chain has 300 steps"),
        (
            linear(100).alpha_bar[100].item(),
            "this number belongs to the chain of 100 steps (a share) or to that of 200 (a factor); this one has 300",
        ),
        (
            0.1311,  # 0.1322, or 0.13 as the list has it
            "0.13 is alpha_bar for T = 200; this chain has 300 steps, and a factor is wanted, not a share",
        ),
    ],
    tolerance=1e-2,
)


def _end_variance(removed, added):
    """The variance at the end of a chain from 0 that keeps 1 - removed(beta) of it in each step and adds added(beta)."""
    variance = 0.0
    for beta_t in linear(1000).beta[1:].tolist():
        variance = (1 - removed(beta_t)) * variance + added(beta_t)
    return variance


def _chain(factor, strength):
    """A chain that multiplies x_t by factor(beta) and the noise by strength(beta) in each step."""

    def chain(x_0, beta, generator):
        x_t = x_0
        for beta_t in beta[1:].tolist():
            x_t = factor(beta_t) * x_t + strength(beta_t) * torch.randn(x_0.shape, generator=generator)
        return x_t

    return chain


class ChainExercise(FunctionExercise):
    """Each run gets a new generator of one seed, so a right chain gives the same numbers in each."""

    def run(self, function):
        return [function(x_0.clone(), beta, torch.Generator().manual_seed(0)) for x_0, beta in self.cases]


end_of_chain = ChainExercise(
    _chain(lambda b: (1 - b) ** 0.5, lambda b: b**0.5),
    mistakes=[
        (
            _chain(lambda b: (1 - b) ** 0.5, lambda b: b),
            "this is the spoiled chain of part 2, the noise times beta_t; if you spoiled it on purpose, go on to part 3",
        ),
        (
            _chain(lambda b: 1 - b, lambda b: b**0.5),
            "the noise is right; the factor of x_t is a root too, see the equation of section 3",
        ),
        (_chain(lambda b: 1 - b, lambda b: b), "both factors are variances here; a number is scaled by their roots"),
        (_chain(lambda b: 1.0, lambda b: b**0.5), "the noise is right; but nothing shrinks x_t before the kick"),
        (_chain(lambda b: b**0.5, lambda b: (1 - b) ** 0.5), "the two factors have changed places"),
    ],
    cases=[
        (torch.zeros(200), torch.tensor([0.0, 0.1, 0.2, 0.3])),
        (torch.full((200,), 3.0), torch.tensor([0.0, 0.1, 0.2, 0.3])),
    ],
    names=["the noise (tried with x_0 = 0)", "the factor of x_t (tried with x_0 = 3)"],
)

SPOILED = _end_variance(lambda b: b, lambda b: b * b)

spoiled_std = ValueExercise(
    SPOILED**0.5,
    mistakes=[
        (1.0, "that is the chain made right; now spoil it: the noise times beta_t, without the root"),
        (SPOILED, "that is the variance of the spoiled numbers; asked is their standard deviation"),
        (0.02, "that is the last beta_t, which the *variance* comes near to; run the spoiled chain and take the std"),
        (
            0.02**0.5,
            "a good guess, the root of the last beta_t; the chain comes near to it: run it and give what it says",
        ),
        (
            _end_variance(lambda b: 1 - (1 - b) ** 2, lambda b: b) ** 0.5,
            "here the root of the shrinking is missing, not that of the noise; spoil the other one",
        ),
        (
            _end_variance(lambda b: 1 - (1 - b) ** 2, lambda b: b * b) ** 0.5,
            "here both roots are missing; leave the one of the shrinking as it was",
        ),
        (
            _end_variance(lambda b: 0, lambda b: b * b) ** 0.5,
            "here the numbers are not shrunk at all; keep the factor before x_t as in the right chain",
        ),
    ],
    tolerance=0.02,
)
