"""The environment variables: defaults, what is allowed, and what a relative path means."""

import re
import subprocess
import sys

import pytest

from course import ROOT, settings

VALUES = {
    "COURSE_DEVICE": ("CUDA", "cuda"),
    "COURSE_THREADS": (" 4 ", 4),
    "COURSE_SD": ("someone/a-model", "someone/a-model"),
    "COURSE_DTYPE": ("bfloat16", "bfloat16"),
    "COURSE_STEPS": ("50", 50),
}


@pytest.mark.parametrize("name, text, value", [(name, *pair) for name, pair in VALUES.items()])
def test_values_and_defaults(monkeypatch, name, text, value):
    monkeypatch.setenv(name, text)
    assert settings.read(name) == value
    for nothing in ("", "  "):
        monkeypatch.setenv(name, nothing)
        assert settings.read(name) == settings.SETTINGS[name].default
    monkeypatch.delenv(name)
    assert settings.read(name) == (25 if name == "COURSE_STEPS" else None)


@pytest.mark.parametrize("name, text, allowed", [
    ("COURSE_THREADS", "0", "a whole number from 1 on"), ("COURSE_THREADS", "two", "a whole number from 1 on"),
    ("COURSE_STEPS", "1", "a whole number from 2 to 999"), ("COURSE_STEPS", "1000", "2 to 999"), ("COURSE_STEPS", "2.5", "2 to 999"),
    ("COURSE_STEPS", "-3", "2 to 999"), ("COURSE_STEPS", "²", "2 to 999"), ("COURSE_DTYPE", "float12", "float16, bfloat16 or float32"),
])  # fmt: skip
def test_what_is_not_allowed_is_named(monkeypatch, name, text, allowed):
    monkeypatch.setenv(name, text)
    with pytest.raises(
        ValueError, match=f"^{name} is {re.escape(repr(text))}, but .*{allowed} is needed; unset it for "
    ):
        settings.read(name)


@pytest.fixture
def three_places(monkeypatch, tmp_path):
    """Where the command was given, where Python runs (a notebook's folder), and the repository."""
    places = [tmp_path / name for name in ("shell", "notebooks", "repository")]
    for place in places:
        place.mkdir()
    monkeypatch.setenv("PWD", str(places[0]))
    monkeypatch.chdir(places[1])
    monkeypatch.setenv("PWD", str(places[0]))
    monkeypatch.setattr(settings, "ROOT", places[2])
    return places


def test_a_relative_path_counts_from_where_the_command_was_given(three_places, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", "my digits")
    assert settings.read("COURSE_DATA") == three_places[0] / "my digits"  # nowhere: named as it was meant
    for place in reversed(three_places):
        (place / "my digits").mkdir()
        assert settings.read("COURSE_DATA") == place / "my digits"
    monkeypatch.setenv("COURSE_DATA", "../notebooks/my digits")
    assert settings.read("COURSE_DATA") == three_places[1] / "my digits"
    monkeypatch.delenv("PWD")
    monkeypatch.setenv("COURSE_DATA", "my digits")
    assert settings.read("COURSE_DATA") == three_places[1] / "my digits"


def test_absolute_paths_and_the_home_folder(three_places, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for text in (str(tmp_path / "shell"), "~/shell"):
        monkeypatch.setenv("COURSE_DATA", text)
        assert settings.read("COURSE_DATA") == tmp_path / "shell"


def test_a_folder_of_weights_is_found_likewise_and_a_name_stays_a_name(three_places, monkeypatch):
    (three_places[2] / "weights" / "v1").mkdir(parents=True)
    (three_places[0] / "mini").mkdir()
    for text, meant in (("weights/v1", str(three_places[2] / "weights" / "v1")), ("mini", "mini"), ("a/b", "a/b")):
        monkeypatch.setenv("COURSE_SD", text)
        assert settings.read("COURSE_SD") == meant


def test_the_table_names_every_variable_that_is_read():
    """Every COURSE_ name in the code stands in the table, and the other way round."""
    files = [
        *ROOT.glob("course/**/*.py"),
        *ROOT.glob("tests/*.py"),
        *ROOT.glob("benchmarks/*.py"),
        *ROOT.glob("tools/*.py"),
    ]
    named = {name for file in files for name in re.findall(r"COURSE_[A-Z]+", file.read_text())}
    assert named == set(settings.SETTINGS)
    printed = subprocess.run(
        [sys.executable, "-m", "course.settings"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    assert printed.strip() == settings.table() and all(f"| `{name}` |" in printed for name in settings.SETTINGS)
    assert {line.count("|") for line in printed.strip().splitlines()} == {5}


def test_nothing_else_reads_them():
    for file in ROOT.glob("course/**/*.py"):
        assert not re.search(r"os\.(environ|getenv)[^\n]*COURSE_", file.read_text()), file.name


@pytest.mark.parametrize("text", ["x" * 5000, "a/" * 3000])
def test_a_text_too_long_for_a_path_is_a_name(text):
    assert settings.place_or_name(text) == text
