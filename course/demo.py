"""Draw one picture from a prompt, with the film strip of its denoising: python -m course.demo "a dog with glasses"

Uses the course's own mini Stable Diffusion; COURSE_SD or --name chooses other weights (see `stable_diffusion.load`).
Writes <prompt>.png and <prompt>-steps.png into the folder demo/.
"""

import argparse
import re
import tempfile
from pathlib import Path

from PIL import Image

from course import pictures, stable_diffusion
from course.weights import WeightsError

FRAMES = 8  # pictures in the film strip
HEIGHT = 512  # pixels to which small pictures are enlarged


def draw(sd, prompt, seed=0, steps=25, guidance_scale=stable_diffusion.GUIDANCE_SCALE):
    """The finished picture `[1, 3, H, W]` and what the U-Net took for the picture on the way, a list of FRAMES of them."""
    walked = list(stable_diffusion.walk(sd, [prompt], [seed], steps, guidance_scale))
    shown = [walked[round(i * (len(walked) - 1) / (FRAMES - 1))][2] for i in range(FRAMES)]
    picture, *guesses = (
        stable_diffusion.run_safety_checker(sd, stable_diffusion.decode(sd, z)) for z in (walked[-1][1], *shown)
    )
    return picture, guesses


def writable(folder):
    """The folder, made if it is not there. Raises ValueError if it cannot be, or nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ValueError(f"{folder} is no folder to write pictures into ({error.strerror}); --out names one") from None


def save(folder, prompt, picture, guesses):
    """Write both pictures, enlarged to at least HEIGHT pixels. Returns their paths. Raises ValueError if they hold NaN."""
    name = re.sub(r"\W+", "-", prompt.lower()).strip("-")[:60] or "nothing"
    picture, *guesses = (image for x in (picture, *guesses) for image in pictures.to_images(x))
    larger = max(1, HEIGHT // picture.height)
    strip = Image.new("RGB", (sum(image.width for image in guesses), picture.height))
    for i, image in enumerate(guesses):
        strip.paste(image, (i * image.width, 0))
    paths = folder / f"{name}.png", folder / f"{name}-steps.png"
    for path, image, times in zip(paths, (picture, strip), (larger, max(1, larger // 3))):
        image.resize((image.width * times, image.height * times), Image.Resampling.BICUBIC).save(path)
    return paths


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompt")
    parser.add_argument("--name", help='"mini", a folder, or a hub id')
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="default the environment variable COURSE_STEPS, else 25")
    parser.add_argument("--guidance-scale", type=float, default=stable_diffusion.GUIDANCE_SCALE)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="a folder")
    args = parser.parse_args()
    try:
        folder = writable(args.out)
        steps = stable_diffusion.wished_steps() if args.steps is None else args.steps
        drawn = draw(stable_diffusion.load(args.name), args.prompt, args.seed, steps, args.guidance_scale)
        paths = save(folder, args.prompt, *drawn)
    except (WeightsError, ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    print(*paths, sep="\n")


if __name__ == "__main__":
    main()
