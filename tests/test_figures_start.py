"""Notebook 00: its film and its map, the card of votes, and a glossary that names the right notebooks."""

import json
import re

import torch
from notebook_files import NOTEBOOKS, source
from torch.testing import assert_close

from course import index, viz
from course.check import nb00
from course.figures import start


def test_the_exposure_shows_all_of_the_noise_and_all_of_the_digit():
    film = torch.ones(26, 2, 1, 4, 4) * torch.linspace(2.5, 1, 26).view(-1, 1, 1, 1, 1)
    assert_close(start.exposed(film), torch.ones_like(film))
    assert start.moment((7, film[7])).get_title() == "step 7"


def test_the_map_has_a_station_for_every_notebook_and_an_arrow_between_neighbours():
    rows = index.rows()[1:]
    ax = start.draw_map(rows, index.extras(), torch.zeros(1, 28, 28))
    names = " ".join(" ".join(text.get_text().split()) for text in ax.texts if text.get_text())
    assert [row.title in names for row in rows + index.extras()] == [True] * (len(rows) + len(index.extras()))
    assert len(ax.child_axes) == len(rows + index.extras())
    assert sum(not text.get_text() for text in ax.texts) == len(rows) - 1  # arrows
    assert all(f"{row.number} {row.title}" in start.in_words(rows) for row in rows)
    viz.png(ax.figure)


def test_a_byte_begins_again():
    x = torch.tensor([[258.0, -3, 0, 255]]) / 127.5 - 1
    clamped, wrapped = ((start.as_bytes(x) + 1) * 127.5).round().int().tolist()
    assert clamped == [255, 0, 0, 255] and wrapped == [2, 253, 0, 255]


def card(votes, capsys):
    """What is printed, and whether it says that the votes are kept."""
    nb00.vote(votes)
    said = capsys.readouterr().out
    return "kept: " in said and "to do: " not in said, said


def test_the_card_of_votes_says_where_and_not_how(capsys):
    everywhere = dict.fromkeys(range(1, 7), True)
    kept, yes = card(everywhere, capsys)
    _, no = card(dict.fromkeys(range(1, 7), False), capsys)
    assert kept and yes.replace("true ", "false") == no  # whatever is voted, the rest is the same
    assert all(f"notebook {home}" in yes for home in ("03", "05", "06", "09", "10"))
    assert not card(everywhere | {3: ...}, capsys)[0]
    for strange in (None, ..., 7, "yes", [True] * 6, {1: object()}, {1: torch.zeros(2)}, {"1": True}):
        assert not card(strange, capsys)[0]
    said = card({1: "TRUE", 2: " no", 3: "?", 4: True, 5: "yes", 6: False}, capsys)
    assert said[0] and [line.split()[2] for line in said[1].splitlines()[:6]] == [
        "true", "false", "undecided", "true", "true", "false",
    ]  # fmt: skip


class Stopwatch:
    """A trainer that is in no hurry."""

    def step(self, _):
        self.steps = getattr(self, "steps", 0) + 1


def test_the_advice_fits_the_computer(capsys):
    trainer = Stopwatch()
    nb00.computer(trainer, free=8e9)
    out = capsys.readouterr().out
    assert trainer.steps == 4 and "speed: good" in out and "memory: enough" in out
    nb00.computer(trainer, free=1e9)
    assert "memory: close" in capsys.readouterr().out
    assert "too slow" in nb00._speed(20) and "read ahead" in nb00._speed(5) and "0.1 minutes" in nb00._speed(0.001)


def test_each_word_of_the_glossary_stands_in_the_notebook_named():
    cells = {c["id"]: source(c) for c in json.loads(NOTEBOOKS[0].read_bytes())["cells"]}
    prose = {
        path.stem[:2]: "\n".join(
            source(c) for c in json.loads(path.read_bytes())["cells"] if c["cell_type"] == "markdown"
        )
        for path in NOTEBOOKS
    }
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| (\d\d) \|$", cells["glossary-words"], re.M)
    assert len(rows) >= 35 and rows == sorted(rows, key=lambda row: row[0].lower())
    for words, number in rows:
        for word in words.split(", "):
            assert word.lower() in prose[number].lower(), (word, number)
