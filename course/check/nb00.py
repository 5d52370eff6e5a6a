"""Answers and usual mistakes of notebook 00, sizes and ranges of pictures; the card of votes, and what a computer can do."""

import time

import psutil
import torch

from course import index
from course.check.engine import FunctionExercise, ValueExercise

SETTLED_IN = {1: "03", 2: "03", 3: "05", 4: "06", 5: "09", 6: "10"}  # statement -> the notebook that tests it
VOTES = {"true": "true", "yes": "true", "false": "false", "no": "false", "?": "undecided", "undecided": "undecided"}


def vote(votes):
    """Print a card of the reader's votes, and where each statement is settled; what is right it does not say.

    votes: statement -> True, False or "?". It never raises.
    """
    titles = {row.number: row.title for row in index.rows()}
    votes = votes if isinstance(votes, dict) else {}
    said = {number: _said(votes.get(number)) for number in SETTLED_IN}
    for number, home in SETTLED_IN.items():
        print(f"statement {number}: {said[number]:10} settled in notebook {home}, {titles[home]}")
    missing = [str(number) for number, word in said.items() if word == "open"]
    if missing:
        print(f'to do: write True, False or "?" at {", ".join(missing)}, and run the cell again')
    else:
        print("kept: save the notebook, and your votes stay in the cell above. No vote is wrong today")


def computer(trainer, free=None):
    """Time three steps of a trainer of notebook 05, and say in words what this computer can do.

    free: the memory that is free, in bytes; default what psutil finds.
    """
    trainer.step(0.5)  # the first is slower
    started = time.perf_counter()
    for _ in range(3):
        trainer.step(0.5)
    seconds = (time.perf_counter() - started) / 3
    free = (psutil.virtual_memory().available if free is None else free) / 1e9
    need = max(row["peak_MB"] for row in index.measured().values()) / 1000
    threads = torch.get_num_threads()
    told = f"{threads} CPU thread{'s' * (threads > 1)}, {seconds:.2f} seconds per training step, {free:.1f} GB free"
    print("\n".join([told, f"speed: {_speed(700 * seconds / 60)}", f"memory: {_memory(need, free)}"]))


def _speed(minutes):
    """Advice to a computer that trains the 700 steps of notebook 05 in so many minutes."""
    if minutes < 3:
        return (
            f"good. The training in notebook 05 will take {max(minutes, 0.1):.1f} minutes; run every cell as it stands"
        )
    if minutes < 15:
        return f"it will do. The training in notebook 05 will take {minutes:.0f} minutes; read ahead meanwhile"
    return "too slow for the training in notebook 05. Read with the stored pictures, and run single cells"


def _memory(need, free):
    if free < need + 0.5:
        return f"close other programs first, since a notebook needs up to {need:.1f} GB"
    return f"enough, since a notebook needs at most {need:.1f} GB"


def _said(one):
    """A vote in one word, "open" for what is none."""
    if isinstance(one, bool):
        return str(one).lower()
    return VOTES.get(one.strip().lower(), "open") if isinstance(one, str) else "open"


size_of_a_point = ValueExercise(
    784,
    mistakes=[
        (28, "that is one row of pixels; how many rows are there?"),
        (56, "height and width were added; how many pixels does one row hold, and how many rows are there?"),
        (2, "the picture has two sides, but each of its pixels is a coordinate of its own; how many pixels are there?"),
        (1, "for the whole picture it is one point; how many numbers does it take to say where that point is?"),
        (256, "that is how many shades a pixel of a file can have; the question is how many pixels there are"),
        (255, "that is the brightest shade in a file; the question is how many pixels there are"),
        (2352, "three numbers per pixel are for colour; how many does a grey pixel need?"),
    ],
    tolerance=0,
)

_inside = torch.tensor([-1.0, 1.0], dtype=torch.float64)
_between = torch.tensor([-0.7, -0.1, 0.3, 0.5], dtype=torch.float64)
_outside = torch.tensor([-1.2, 1.02], dtype=torch.float64)
to_pixels = FunctionExercise(
    lambda x: ((x.clamp(-1, 1) + 1) * 127.5).round(),
    mistakes=[
        (lambda x: ((x + 1) * 127.5).round(), "nearly: what does your function make of 1.02, and where should it end?"),
        (lambda x: (x.clamp(-1, 1) + 1) * 127.5, "the range is right, but these are not whole numbers yet"),
        (lambda x: (x + 1) * 127.5, "the line is right; two things are missing, whole numbers and limits"),
        (
            lambda x: ((x.clamp(-1, 1) + 1) * 127.5).floor(),
            "cutting off the decimals always rounds down; which whole number is nearest?",
        ),
        (lambda x: (x.clamp(0, 1) * 255).round(), "everything below middle grey became black; where does -1 belong?"),
        (lambda x: (x * 255).round(), "-1 becomes -255 here; where should it land?"),
        (lambda x: x * 255, "-1 becomes -255; which number must be added before you multiply, and by what then?"),
        (lambda x: x * 127.5, "the length is right, 255 from end to end; but at which number does your black lie?"),
        (lambda x: (x.clamp(-1, 1) * 127.5).round(), "limits and rounding are right; at which number does black lie?"),
        (lambda x: (x + 1) / 2, "that ends at 1, a share of white; which number is white in a file?"),
        (lambda x: (x.clamp(-1, 1) + 1) / 2, "well kept inside, but 0..1; how far does a file count?"),
        (lambda x: ((x.clamp(-1, 1) + 1) * 128).round(), "white becomes 256; what is half of 255?"),
        (lambda x: ((x + 1) * 128).round().clamp(0, 255), "grey is a little too bright; what is half of 255?"),
        (lambda x: (x + 1) * 128, "close to the line, but white becomes 256; and there is more to do"),
        (lambda x: ((x + 1) * 128).round(), "whole numbers, but white becomes 256, and nothing is kept inside"),
        (lambda x: ((x.clamp(-1, 1) + 1) * 255).round(), "white becomes 510; how long is the range -1..1?"),
        (lambda x: ((x.clamp(-1, 1) - 1) * 127.5).round(), "all are black or below; is 1 to be added or taken away?"),
        (
            lambda x: ((x + 1) * 127.5).floor(),
            "what does it make of 1.02? And to which whole number is 165.75 nearest?",
        ),
        (lambda x: ((x.clamp(0, 1) + 1) * 127.5).round(), "everything dark became grey; where do the values of x end?"),
        (lambda x: (x * 127.5).round().clamp(0, 255), "the dark half has become black; at which number should -1 lie?"),
        (lambda x: (x * 127.5 + 1).round().clamp(0, 255), "1 is added too late: to x, or to x * 127.5?"),
        (lambda x: x * 127.5 + 1, "is 1 added to x, or to x * 127.5? And there is more to do"),
        (
            lambda x: ((x + 1) * 127.5).round() % 256,
            "a byte begins again at 0 after 255: keep the numbers inside before they become bytes",
        ),
        (lambda x: x / 127.5 - 1, "that is the way from the file to the model; solve it for p"),
        (lambda x: ((x + 1) * 127.5).round().clamp(-1, 1), "clamp(-1, 1) fits x; which limits have the pixels?"),
        (lambda x: (x.clamp(-1, 1).round() + 1) * 127.5, "rounded too early: only black, grey and white are left"),
    ],
    cases=[(_inside,), (_between,), (_outside,)],
    names=["black and white", "the greys between", "what lies outside -1..1"],
    tolerance=1e-6,
)
