"""Answers and usual mistakes of notebook 13, the wider family."""

import torch

from course.check.engine import FunctionExercise, ValueExercise


def _alike(hertz, overtone=0.0):
    """The likeness of 512 samples of a tone with itself shifted by 0, 1, ..., 60 samples, `[61]`."""
    time = torch.arange(512, dtype=torch.float64) / 8000
    wave = torch.sin(2 * torch.pi * hertz * time) + overtone * torch.sin(4 * torch.pi * hertz * time + 1)
    return torch.stack([(wave[: 512 - k] * wave[k:]).sum() for k in range(61)])


def _pitch(alike):
    return 8000 / (4 + alike[4:41].argmax().item())


pitch_from_lags = FunctionExercise(
    _pitch,
    mistakes=[
        (
            lambda alike: 8000 / max(alike[4:41].argmax().item(), 1e-9),
            "argmax counts from the first number that it is given, and you gave it those from shift 4 on",
        ),
        (
            lambda alike: torch.inf,
            "every wave is most like itself when it is not shifted at all: begin with shift 4",
        ),
        (
            lambda alike: 8000 / (3 + alike[4:41].argmax().item()),
            "one shift too short: the first number of alike[4:41] belongs to shift 4",
        ),
        (
            lambda alike: 8000 / (5 + alike[4:41].argmax().item()),
            "one shift too long: the first number of alike[4:41] belongs to shift 4",
        ),
        (
            lambda alike: 8000 / (4 + alike[4:40].argmax().item()),
            "a slice leaves out its end: with alike[4:40] shift 40 is not looked at",
        ),
        (
            lambda alike: 8000 / (4 + alike[4:].argmax().item()),
            "shifts beyond 40 are tones below 200 Hz, which do not count: end the slice",
        ),
        (
            lambda alike: 4 + alike[4:41].argmax().item(),
            "this is the period in samples; how many such periods fit into a second of 8,000 samples?",
        ),
        (
            lambda alike: (4 + alike[4:41].argmax().item()) / 8000,
            "this is the period in seconds; hertz are periods a second",
        ),
        (
            lambda alike: 8000 * (4 + alike[4:41].argmax().item()),
            "a longer period is a lower tone: the shift divides",
        ),
        (
            lambda alike: 8000 / (4 + alike[4:41].argmin().item()),
            "this is the shift at which the wave is least like itself, about half a period",
        ),
        (
            lambda alike: 2048 / (4 + alike[4:41].argmax().item()),
            "this is how many periods fit into 2,048 samples; a second has 8,000",
        ),
    ],
    cases=[
        (_alike(400),),
        (_alike(1000),),
        (_alike(8000 / 18, 0.6),),
        (_alike(320),),
        (_alike(200),),
        (_alike(160, 0.9),),
    ],
    names=[
        "400 Hz",
        "1,000 Hz",
        "a tone with an overtone, period 18",
        "320 Hz",
        "200 Hz",
        "a likeness beyond shift 40",
    ],
    tolerance=1e-3,
)

_generator = torch.Generator().manual_seed(13)
_two_films = torch.randn(24, 8, 5, generator=_generator, dtype=torch.float64)  # [B h w, F, C], h = 3, w = 4
_one_film = torch.randn(6, 4, 2, generator=_generator, dtype=torch.float64)
_flat = torch.randn(3, 8, 2, generator=_generator, dtype=torch.float64)


def _back(rows, height, width):
    films = rows.unflatten(0, (-1, height, width))  # [B, h, w, F, C]
    return films.permute(0, 3, 4, 1, 2).flatten(0, 1)


def _with(order, first="bhw", merge=True):
    """The way back with the axes in another order, or split up in another way."""

    def wrong(rows, height, width):
        shapes = {"bhw": (-1, height, width), "bwh": (-1, width, height)}
        if first == "hwb":
            films = rows.unflatten(0, (height, width, -1)).permute(2, 0, 1, 3, 4)
        else:
            films = rows.unflatten(0, shapes[first])
        films = films.permute(*order)
        return films.flatten(0, 1) if merge else films

    return wrong


frames_again = FunctionExercise(
    _back,
    mistakes=[
        (
            lambda rows, h, w: rows.reshape(-1, rows.shape[2], h, w),
            "reshape only cuts the same row of numbers elsewhere; axes that change places need permute",
        ),
        (
            lambda rows, h, w: rows.transpose(1, 2).reshape(-1, rows.shape[2], h, w),
            "frames and channels have changed places, but the places still come before the frames: reshape cannot mend it",
        ),
        (
            lambda rows, h, w: rows.transpose(0, 1).reshape(-1, rows.shape[2], h, w),
            "now the frames come first, but reshape then takes places for channels; which axis must come last?",
        ),
        (
            lambda rows, h, w: rows.unflatten(0, (-1, h, w)).permute(3, 0, 4, 1, 2).flatten(0, 1),
            "the frames are right, but not their order: first all frames of film 0, then all of film 1",
        ),
        (_with((0, 3, 4, 2, 1)), "rows and columns are exchanged: h comes before w"),
        (_with((0, 3, 4, 1, 2), "bwh"), "the places were numbered row by row, so the first axis splits into B, h, w"),
        (_with((0, 3, 4, 2, 1), "bwh"), "the places were numbered line by line: the first axis splits into B, h, w"),
        (_with((0, 3, 4, 1, 2), "hwb"), "the first axis holds film after film: it splits into B, h, w in this order"),
        (_with((0, 4, 3, 1, 2)), "channels and frames are exchanged: [B F, C, h, w] is asked for"),
        (_with((0, 3, 1, 2, 4)), "the channels stand last; torch wants them before h and w"),
        (_with((0, 3, 4, 1, 2), merge=False), "all axes are in their order; film and frame still have to become one"),
    ],
    cases=[(_two_films, 3, 4), (_one_film, 2, 3), (_flat, 1, 1)],
    names=["two films of 3 x 4 places", "one film of 2 x 3 places", "three films of a single place"],
)


def _masked_loss(p, hidden, share):
    return -p[hidden].log().sum() / share


_p = torch.tensor([0.5, 0.9, 0.5, 0.2, 0.7], dtype=torch.float64)
_some, _all = torch.tensor([True, False, True, False, False]), torch.ones(5, dtype=torch.bool)

masked_loss = FunctionExercise(
    _masked_loss,
    mistakes=[
        (
            lambda p, hidden, share: -p[hidden].log().sum(),
            "the division by the share is missing: it gives levels with few masks their weight",
        ),
        (
            lambda p, hidden, share: p[hidden].log().sum() / share,
            "the sign: a probability below 1 has a negative logarithm, and a loss is positive",
        ),
        (
            lambda p, hidden, share: -p[hidden].log().mean() / share,
            "this is the mean over the masks; the formula has their sum",
        ),
        (lambda p, hidden, share: -p.log().sum() / share, "only masked places count: p[hidden]"),
        (lambda p, hidden, share: -p[~hidden].log().sum() / share, "these are the places without a mask"),
        (
            lambda p, hidden, share: -p[hidden].sum().log() / share,
            "first the logarithm of each probability, then the sum",
        ),
        (lambda p, hidden, share: -p[hidden].log().sum() * share, "divide by the share, do not multiply"),
        (lambda p, hidden, share: p[hidden].sum() / share, "the logarithm is missing"),
    ],
    cases=[(_p, _some, 0.4), (_p, _all, 1.0), (_p, ~_some, 0.6)],
    names=["two of five words masked", "all words masked", "three of five words masked"],
)

doctor_share = ValueExercise(
    10 / 77.5,
    mistakes=[
        (0.25, "so it is in all pictures; but which of them have the caption that says only 'a doctor'?"),
        (0.1, "so many pictures of all show a woman and say only 'a doctor'; the share is of those that say it"),
        (10 / 67.5, "this compares women with men; a share is of both together"),
        (0.4, "for so many women the caption is silent; how many pictures is that, and how many of men?"),
        (0.13, "right to two digits; three are asked"),
        (0.4 / 1.3, "this counts women and men as equally many; a quarter are women"),
        (15 / 22.5, "these are the captions that do mention it; 'a doctor' stands where they do not"),
        (0.15, "these are the women who are mentioned, of all pictures; 'a doctor' stands where they are not"),
        (67.5 / 77.5, "this is the share of men; the question asks for women"),
    ],
    tolerance=2e-3,
)
