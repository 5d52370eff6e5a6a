"""Answers and usual mistakes of notebook 05, a toy DDPM."""

import torch

from course.check.engine import FunctionExercise, ValueExercise
from course.toy_ddpm import linear, posterior, split

_generator = torch.Generator().manual_seed(0)
_u = torch.cat([torch.tensor([0.0, 0.4999, 0.9999]), torch.rand(40, generator=_generator)]).double()
_x_t, _eps_hat, _noise = torch.randn(3, 2, 5, generator=_generator, dtype=torch.float64)
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
    ],
    cases=[(_u, 4), (_u, 1000)],
    tolerance=0,
)


def _line_4(x_t, t, eps_hat, noise, beta, alpha_bar):
    mean = (x_t - beta[t] / (1 - alpha_bar[t]) ** 0.5 * eps_hat) / (1 - beta[t]) ** 0.5
    return mean + beta[t] ** 0.5 * noise if t > 1 else mean


def _always_noise(x_t, t, eps_hat, noise, beta, alpha_bar):
    return _line_4(x_t, t, eps_hat, 0 * noise, beta, alpha_bar) + beta[t] ** 0.5 * noise


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


def _not_rescaled(x_t, t, eps_hat, noise, beta, alpha_bar):
    mean = x_t - beta[t] / (1 - alpha_bar[t]) ** 0.5 * eps_hat
    return mean + beta[t] ** 0.5 * noise if t > 1 else mean


def _silent(x_t, t, eps_hat, noise, beta, alpha_bar):
    return _line_4(x_t, t, eps_hat, 0 * noise, beta, alpha_bar)


def _root_missing(x_t, t, eps_hat, noise, beta, alpha_bar):
    mean = (x_t - beta[t] / (1 - alpha_bar[t]) * eps_hat) / (1 - beta[t]) ** 0.5
    return mean + beta[t] ** 0.5 * noise if t > 1 else mean


def _small_variance(x_t, t, eps_hat, noise, beta, alpha_bar):
    x_0_hat = _estimate_of_x_0(x_t, t, eps_hat, noise, beta, alpha_bar)
    mean, variance = posterior(x_0_hat, x_t, t, _schedule)
    return mean + variance**0.5 * noise


line_4 = FunctionExercise(
    _line_4,
    mistakes=[
        (_always_noise, "right for t > 1; what does line 3 say about the last step?"),
        (_variance_as_factor, "you scale the fresh noise by a variance; a draw is scaled by its root"),
        (_all_at_once, "you remove all the noise and get the estimate of x_0; line 4 removes only a share"),
        (_estimate_of_x_0, "this is the estimate of x_0; line 4 removes only a share and adds fresh noise"),
        (_noise_inside, "the fresh noise stands outside the bracket: add it after the division"),
        (_not_rescaled, "the forward step shrank the picture a little; your step back does not undo this"),
        (_silent, "the mean is right; something random is missing"),
        (_small_variance, "this is the smaller variance, beta_tilde; here sigma_t^2 is beta_t itself"),
        (_root_missing, "look at the share again: is it divided by a variance or by a standard deviation?"),
    ],
    cases=[(_x_t, t, _eps_hat, _noise, _schedule.beta, _schedule.alpha_bar) for t in (1, 2, 7)],
)

share_untrained = ValueExercise(
    0.999**700,
    mistakes=[
        (1 - 0.999**700, "that is the share which was trained at some time; the question asks for the other part"),
        (0.3, "0.001 is taken of what is left, not of the whole: the shares multiply, they do not subtract"),
        (0.7, "700 times 0.001 would be so if nothing were ever replaced twice; and which part is asked for?"),
        (0.0, "nothing is ever forgotten at once; which factor does one step leave of the start, and 700 steps?"),
        (0.999, "that is what one step leaves; 700 steps follow each other"),
        (0.99**700, "that would be 99 % old at each step; here it is 99.9 %"),
    ],
    tolerance=0.01,
)
