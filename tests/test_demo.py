"""The demo: a picture and its film strip, files with telling names."""

import numpy as np
import torch
from PIL import Image

from course import demo, stable_diffusion


def test_picture_and_film_strip(tmp_path):
    sd = stable_diffusion.load_mini()
    picture, guesses = demo.draw(sd, "a dog", seed=5, steps=3)
    assert torch.equal(picture, stable_diffusion.generate(sd, ["a dog"], [5], steps=3)) and len(guesses) == demo.FRAMES
    paths = demo.save(tmp_path / "new", "A dog, with 2 Glasses!", picture, guesses)
    assert [path.name for path in paths] == ["a-dog-with-2-glasses.png", "a-dog-with-2-glasses-steps.png"]
    large, strip = map(Image.open, paths)
    assert large.size == (512, 512) and strip.size == (8 * 128, 128)
    small = np.asarray(large.resize((64, 64), Image.Resampling.BOX), float)
    drawn = np.asarray(stable_diffusion.to_images(picture)[0], float)
    assert np.abs(small - drawn).mean() < 8  # out of 255


def test_an_empty_prompt_has_a_file_name_too(tmp_path):
    x = torch.zeros(1, 3, 64, 64)
    assert demo.save(tmp_path, "🍕", x, [x] * demo.FRAMES)[0].name == "nothing.png"
