"""The environment variables of the course: one table, read in one place. `python -m course.settings` prints it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from course import ROOT


class Setting(NamedTuple):
    """default: what holds without the variable; allowed: in words; parse: from text to value, ValueError on others."""

    meaning: str
    default: Any
    allowed: str
    parse: Callable = str
    unset: str = ""  # the default in words, where the value alone does not say it


def whole_number(low, high=None):
    """A parser of whole numbers from low to high."""

    def parse(text):
        if not text.isdecimal() or not low <= int(text) <= (high or int(text)):
            raise ValueError
        return int(text)

    return parse


def one_of(*names):
    """A parser of these names."""

    def parse(text):
        if text not in names:
            raise ValueError
        return text

    return parse


def place(text):
    """The path that was meant: seen from where the command was given, from where Python runs, or from the repository.

    A notebook runs in its own folder, so a relative path is looked for in each of the three, in this order.
    """
    path = Path(text).expanduser()
    starts = [os.environ.get("PWD"), os.getcwd(), ROOT]
    paths = [Path(start, path).resolve() for start in starts if start]
    return next((path for path in paths if os.path.exists(path)), paths[0])  # False, too, for what can be no path


def place_or_name(text):
    """The folder of that path if there is one, as text, else the text itself: a name of the Hugging Face hub."""
    folder = place(text)
    return str(folder) if text != "mini" and os.path.isdir(folder) else text


SETTINGS = {
    "COURSE_DATA": Setting(
        "where MNIST lies; a relative path counts from where the command was given", None,
        "a folder with MNIST's four files, packed or not, or with MNIST/raw/ in it", place, "data/, or a download into it",
    ),
    "COURSE_DEVICE": Setting(
        "the device to compute on", None, "cpu, cuda or mps", str.lower, "the best one that is here"
    ),
    "COURSE_THREADS": Setting(
        "CPU threads", None, "a whole number from 1 on", whole_number(1), "PyTorch's own choice"
    ),
    "COURSE_SD": Setting(
        "the Stable Diffusion to load", None, "mini, a folder, or a name of the Hugging Face hub", place_or_name,
        "the full weights where they are and a GPU is, else mini",
    ),
    "COURSE_DTYPE": Setting(
        "Stable Diffusion's format of numbers", None, "float16, bfloat16 or float32",
        one_of("float16", "bfloat16", "float32"), "float16 for the full weights on a GPU, else float32",
    ),
    "COURSE_STEPS": Setting(
        "steps per picture in notebooks 10 and 11 and in the demo", 25, "a whole number from 2 to 999", whole_number(2, 999)
    ),
    "COURSE_SCREENSHOTS": Setting(
        "where the browser tests put what they saw", None, "a folder", place, "nowhere"
    ),
}  # fmt: skip


def read(name):
    """The value of that variable now, or its default. Raises ValueError that says what is allowed and how to mend it."""
    setting, text = SETTINGS[name], os.environ.get(name, "")
    if not text.strip():
        return setting.default
    try:
        return setting.parse(text.strip())
    except ValueError:
        raise ValueError(
            f"{name} is {text!r}, but {setting.allowed} is needed; unset it for {setting.unset or setting.default}"
        ) from None


def table():
    """The table of README.md, in Markdown."""
    rows = [(f"`{name}`", s.meaning, s.allowed, str(s.unset or s.default)) for name, s in SETTINGS.items()]
    head = [("variable", "what it sets", "allowed", "without it"), ("---",) * 4]
    return "\n".join(f"| {' | '.join(row)} |" for row in head + rows)


if __name__ == "__main__":
    print(table())
