"""The demo: a picture and its film strip, files with telling names, nothing drawn or saved that cannot be right."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from course import demo, pictures, stable_diffusion


def test_picture_and_film_strip(tmp_path):
    sd = stable_diffusion.load_mini()
    picture, guesses = demo.draw(sd, "a dog", seed=5, steps=3)
    assert torch.equal(picture, stable_diffusion.generate(sd, ["a dog"], [5], steps=3)) and len(guesses) == demo.FRAMES
    paths = demo.save(demo.writable(tmp_path / "new"), "A dog, with 2 Glasses!", picture, guesses)
    assert [path.name for path in paths] == ["a-dog-with-2-glasses.png", "a-dog-with-2-glasses-steps.png"]
    large, strip = map(Image.open, paths)
    assert large.size == (512, 512) and strip.size == (8 * 128, 128)
    small = np.asarray(large.resize((64, 64), Image.Resampling.BOX), float)
    drawn = np.asarray(pictures.to_images(picture)[0], float)
    assert np.abs(small - drawn).mean() < 8  # out of 255


def test_an_empty_prompt_has_a_file_name_too(tmp_path):
    x = torch.zeros(1, 3, 64, 64)
    assert demo.save(tmp_path, "🍕", x, [x] * demo.FRAMES)[0].name == "nothing.png"


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("place", ["picture", "film strip"])
def test_no_number_that_is_none_is_saved(tmp_path, bad, place):
    x = torch.zeros(1, 3, 64, 64)
    wrong = x.clone()
    wrong[0, 0, 0, 0] = bad
    with pytest.raises(ValueError, match="NaN"):
        demo.save(tmp_path, "a dog", *((wrong, [x] * 8) if place == "picture" else (x, [x] * 7 + [wrong])))
    assert not list(tmp_path.iterdir())


def run(monkeypatch, *words):
    """The command line in this process; what it drew as (prompt, seed, steps, scale)."""
    asked = []

    def draw(sd, *what):
        asked.append(what)
        return torch.zeros(1, 3, 64, 64), [torch.zeros(1, 3, 64, 64)] * demo.FRAMES

    monkeypatch.setattr(demo, "draw", draw)
    monkeypatch.setattr(sys, "argv", ["demo", "--name", "mini", *map(str, words)])
    demo.main()
    return asked[0]


@pytest.mark.parametrize(
    "prompt", ['a "red" dog', "a cat's hat", "a $HOME dog", "a\\dog", "", "  ", "日本", "100 % dog"]
)
def test_the_prompt_is_drawn_as_it_is_given(monkeypatch, tmp_path, prompt, capsys):
    assert run(monkeypatch, "--out", tmp_path, "--steps", 3, "--seed", 7, prompt) == (prompt, 7, 3, 7.5)
    assert len(list(tmp_path.glob("*.png"))) == 2 and capsys.readouterr().out.count(str(tmp_path)) == 2


def test_a_prompt_that_looks_like_an_option(monkeypatch, tmp_path):
    assert run(monkeypatch, "--out", tmp_path, "--", "--a dog")[0] == "--a dog"


@pytest.mark.parametrize("kind", ["a file", "below a file", "no rights"])
def test_where_nothing_can_be_written_is_said_before_drawing(monkeypatch, tmp_path, kind):
    out = tmp_path / "out"
    if kind == "no rights":
        monkeypatch.setattr(
            demo.tempfile, "TemporaryFile", refuse
        )  # root may write anywhere, so the folder's mode says nothing
    else:
        out.write_text("a file")
    with pytest.raises(SystemExit, match=f"error: {out}.* is no folder to write pictures into .*--out names one"):
        run(monkeypatch, "--out", out / "x" if kind == "below a file" else out, "a dog")


def refuse(dir):
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize(
    "options, words",
    [
        (("--guidance-scale", "nan"), "guidance_scale is nan"),
        (("--guidance-scale", "inf"), "guidance_scale is inf"),
        (("--guidance-scale", "1e38"), "NaN or infinity"),
        (("--steps", "501"), "take 500 steps"),
        (("--steps", "0"), "steps is 0, but 1 to 999"),
        (("--seed", "99999999999999999999"), "64 bits"),
    ],
)
def test_numbers_that_draw_nothing_are_refused(monkeypatch, tmp_path, options, words):
    monkeypatch.setattr(
        sys, "argv", ["demo", "--name", "mini", "--out", str(tmp_path), "--steps", "2", "a dog", *options]
    )
    with pytest.raises(SystemExit, match=f"error: .*{words}"):
        demo.main()
    assert not list(tmp_path.iterdir())


def test_wrong_steps_in_the_environment_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_STEPS", "many")
    with pytest.raises(SystemExit, match="error: COURSE_STEPS is 'many'"):
        run(monkeypatch, "--out", tmp_path, "a dog")


def test_from_the_shell(tmp_path):
    """As a reader calls it, once."""
    command = [
        sys.executable,
        "-m",
        "course.demo",
        "--name",
        "mini",
        "--steps",
        "2",
        "--out",
        str(tmp_path),
        'a "red" dog',
    ]
    assert "a-red-dog.png" in subprocess.run(command, capture_output=True, check=True, text=True).stdout
