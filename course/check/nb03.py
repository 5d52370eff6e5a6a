"""Answers and usual mistakes of notebook 03, the reverse process."""

import torch

from course import toy_ddpm
from course.check.engine import FunctionExercise, ValueExercise

# ---------------------------------------------------------------- 03.1

_random = torch.rand(3, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
_S2, _ALPHA_BAR_PREV, _BETA = 0.1 + 1.5 * _random[0], 0.1 + 0.8 * _random[1], 0.05 + 0.5 * _random[2]


def _prior(s2, alpha_bar_prev):
    return alpha_bar_prev * s2 + 1 - alpha_bar_prev


def _combined(prior, beta):
    """The variance where a prior of this variance meets the likelihood of one step."""
    return 1 / (1 / prior + (1 - beta) / beta)


def _reverse_variance(s2, alpha_bar_prev, beta):
    return _combined(_prior(s2, alpha_bar_prev), beta)


_too_wide = "adding variances makes the result wider; but x_t is evidence, so it must become narrower than either curve"

reverse_variance = FunctionExercise(
    _reverse_variance,
    mistakes=[
        (lambda s2, a, b: b, "this holds for s2 = 1 alone; where does the spread of the data enter?"),
        (
            lambda s2, a, b: _combined(1 - a, b),
            "this is beta_tilde, right when x_0 is known; here x_0 itself has variance s2",
        ),
        (lambda s2, a, b: _prior(s2, a) + b, _too_wide),
        (
            lambda s2, a, b: (1 - b) * _prior(s2, a) + b,
            "this is the variance of x_t itself; what is asked is how uncertain x_{t-1} is once x_t is seen",
        ),
        (
            lambda s2, a, b: _prior(s2, a) + b / (1 - b),
            "these are the two right variances, but they are added; what is it that adds when curves are multiplied?",
        ),
        (
            lambda s2, a, b: 1 / (1 / _prior(s2, a) + 1 / b),
            "nearly: 1 / beta is the precision about sqrt(1 - beta) x_prev; which one is it about x_prev?",
        ),
        (
            lambda s2, a, b: 1 / (1 / _prior(s2, a) + b / (1 - b)),
            "the second precision is upside down: a small beta makes a sharp witness, not a vague one",
        ),
        (
            lambda s2, a, b: 1 / _prior(s2, a) + (1 - b) / b,
            "this is the precision; one more step leads to the variance",
        ),
        (
            lambda s2, a, b: _combined(s2, b),
            "here the prior is the clean data's; which variance have the data after t - 1 steps of noise?",
        ),
        (
            lambda s2, a, b: _combined(a * s2, b),
            "the prior has only the shrunken data in it; which variance has the noise that was added to them?",
        ),
        (
            lambda s2, a, b: b * _prior(s2, a),
            "two variances are multiplied; section 3 multiplied the curves, and then what happened to the precisions?",
        ),
        (
            lambda s2, a, b: 1 / (1 / (1 - a) + 1 / _prior(s2, a)),
            "the wrong witness was replaced: the step to x_t is what it was; it is the prior that changes",
        ),
        (
            lambda s2, a, b: _prior(s2, a),
            "this is the spread of x_{t-1} before x_t is seen, the prior; what does the second witness add?",
        ),
    ],
    cases=[(torch.ones_like(_S2), _ALPHA_BAR_PREV, _BETA), (0 * _S2, _ALPHA_BAR_PREV, _BETA), (_S2, _ALPHA_BAR_PREV, _BETA)],
    names=["data of variance 1", "data that are one point (s2 = 0)", "other variances"],
)  # fmt: skip

# ---------------------------------------------------------------- 03.2


def _network(x_t, t):
    """Stands for a network that returns x_0_hat; its answer depends on x_t and t."""
    return torch.tanh(x_t) + 0.001 * t[:, None].to(x_t.dtype)


def _nothing(x_t, t):
    return torch.zeros_like(x_t)


def _half(x_t, t):
    return 0.5 * x_t


def _jump(x_0, eps, a):
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


def _noise_of(x_t, x_0_hat, a):
    return (x_t - a.sqrt() * x_0_hat) / (1 - a).sqrt()


def _mean_square(x):
    return x.square().mean()


def _picture_loss(network, x_0, t, eps, a):
    x_t = _jump(x_0, eps, a)
    return _mean_square(eps - _noise_of(x_t, network(x_t, t), a))


def _of_the_picture(network, x_0, t, eps, a):
    return _mean_square(x_0 - network(_jump(x_0, eps, a), t))


def _guess_is_noise(network, x_0, t, eps, a):
    return _mean_square(eps - network(_jump(x_0, eps, a), t))


def _asked_about_the_clean_one(network, x_0, t, eps, a):
    x_t = _jump(x_0, eps, a)
    return _mean_square(eps - _noise_of(x_t, network(x_0, t), a))


def _back_from_the_clean_one(network, x_0, t, eps, a):
    return _mean_square(eps - _noise_of(x_0, network(_jump(x_0, eps, a), t), a))


def _jump_without_roots(network, x_0, t, eps, a):
    x_t = a * x_0 + (1 - a) * eps
    return _mean_square(eps - _noise_of(x_t, network(x_t, t), a))


def _no_root_anywhere(network, x_0, t, eps, a):
    x_t = a * x_0 + (1 - a) * eps
    return _mean_square(eps - (x_t - a * network(x_t, t)) / (1 - a))


def _no_jump(network, x_0, t, eps, a):
    return _mean_square(eps - network(x_0, t))


def _signal_forgotten(network, x_0, t, eps, a):
    x_t = _jump(x_0, eps, a)
    return _mean_square(eps - (x_t - network(x_t, t)) / (1 - a).sqrt())


def _divided_by_the_variance(network, x_0, t, eps, a):
    x_t = _jump(x_0, eps, a)
    return _mean_square(eps - (x_t - a.sqrt() * network(x_t, t)) / (1 - a))


def _not_divided(network, x_0, t, eps, a):
    x_t = _jump(x_0, eps, a)
    return _mean_square(eps - (x_t - a.sqrt() * network(x_t, t)))


def _weight_upside_down(network, x_0, t, eps, a):
    x_t = _jump(x_0, eps, a)
    return ((1 - a) / a * (x_0 - network(x_t, t)).square()).mean()


def _weight_with_root(network, x_0, t, eps, a):
    x_t = _jump(x_0, eps, a)
    return ((a / (1 - a)).sqrt() * (x_0 - network(x_t, t)).square()).mean()


def _sum(network, x_0, t, eps, a):
    return _picture_loss(network, x_0, t, eps, a) * x_0.numel()


def _not_squared(network, x_0, t, eps, a):
    x_t = _jump(x_0, eps, a)
    return (eps - _noise_of(x_t, network(x_t, t), a)).abs().mean()


def _not_averaged(network, x_0, t, eps, a):
    x_t = _jump(x_0, eps, a)
    return (eps - _noise_of(x_t, network(x_t, t), a)).square()


_draws = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
_T = torch.tensor([20, 150, 300, 450, 600, 700])
_A = toy_ddpm.linear().alpha_bar[_T][:, None]

picture_loss = FunctionExercise(
    _picture_loss,
    mistakes=[
        (_of_the_picture, "this is the error of the picture, and all levels count alike; which noise does x_0_hat imply?"),
        (_guess_is_noise, "the network's answer is taken for the noise, but it returns the picture; section 5 leads from one to the other"),
        (_asked_about_the_clean_one, "the network may not see the clean x_0, only what the jump makes of it"),
        (_back_from_the_clean_one, "on the way to eps_hat you take x_0, but the noise is what x_t has besides the shrunken picture"),
        (_jump_without_roots, "look at the jump: its factors are roots, of alpha_bar_t and of 1 - alpha_bar_t"),
        (_no_root_anywhere, "the roots are missing, in the jump and on the way back to eps_hat"),
        (_no_jump, "the jump is missing: the network must be shown x_t; and what it returns is the picture, not the noise"),
        (_signal_forgotten, "on the way from x_0_hat to eps_hat a factor is missing: in x_t the picture has been shrunk"),
        (_divided_by_the_variance, "on the way to eps_hat you divide by a variance; by what is the noise multiplied in the jump?"),
        (_not_divided, "x_t minus the shrunken picture is the scaled noise; how do you get eps_hat itself?"),
        (_weight_upside_down, "a weight times the error of the picture is a good idea, but this weight is upside down"),
        (_weight_with_root, "a weight times the error of the picture is a good idea; the errors are squared, so what about the weight?"),
        (_sum, "this is the sum over all numbers; the mean is asked for"),
        (_not_squared, "the errors are not squared; which loss has the mean as its best answer?"),
        (_not_averaged, "one number is asked for: the mean over the whole batch is missing"),
    ],
    cases=[
        (_nothing, _draws[0], _T, _draws[1], _A),
        (_half, _draws[0], _T, 0 * _draws[1], _A),
        (_network, _draws[0], _T, _draws[1], _A),
    ],
    names=["a network that answers 0", "draws without noise", "a network that looks at x_t and t"],
)  # fmt: skip

# ---------------------------------------------------------------- 03.3 and 03.4

one_jump = ValueExercise(
    0.4,
    mistakes=[
        (1.0, "that is the likeliest value, but squared error is not minimised by the likeliest one"),
        (0.0, "that would be so for two equally likely values"),
        (0.7, "that is a probability; which values does it weigh?"),
        (0.3, "that is the probability of the other side; which values do the two probabilities weigh?"),
        (-0.4, "the weight of the two values is swapped"),
    ],
    tolerance=0.05,
)

_schedule = toy_ddpm.linear()
_alpha_bar_T = _schedule.alpha_bar[-1].item()
no_noise = ValueExercise(
    _alpha_bar_T**0.5,
    mistakes=[
        (1.0, "that is the loop as it stands; is the fresh noise gone? What do 1000 factors a little below 1 do?"),
        (_alpha_bar_T, "this is what the variance becomes; the question asks for the standard deviation"),
        (0.0, "small, but a product of a thousand numbers above 0 is not 0; print more digits"),
        (
            _alpha_bar_T**-0.5,
            "this walk grew, as in section 1; here each step multiplies by sqrt(alpha_t), not divides",
        ),
        ((2 / _alpha_bar_T - 1) ** 0.5, "this is the naive undo of section 1; in this exercise the noise is left out"),
        (
            (_schedule.beta[1:] ** 2 * _schedule.alpha_bar[:-1]).sum().item() ** 0.5,
            "this walk still has noise, only too little: beta without its root; leave it out altogether",
        ),
    ],
    tolerance=0.1,
)
