"""Does an upscaler need noise on its small pictures in training? Print one JSON line for each training and kind of picture.

    python benchmarks/augmentation.py --steps 1000 --pictures 100 --threads 1 > benchmarks/results/augmentation.jsonl

The upscaler is trained twice from the same start, with the same pictures, noises and steps: once as its recipe says, with
noise of a random level on four of five small pictures, and once with clean ones alone. Both then upscale shrunk pictures and
those that Mini Imagen's base model draws, clean. The shipped upscaler had four times as many steps.
"""

import argparse
import functools

import numpy as np
import zoo
from cascade import quality, small_pictures

from course import judges, mini_imagen, mini_upscaler, stable_diffusion, toy_ddpm, toy_zoo
from course.train import upscaler

TRAININGS = {"with noise": upscaler.CLEAN, "clean alone": 1}  # one in so many small pictures is clean
DRAWN_AT = [1.5, 3]  # guidance scales of the base model


def trained(clean, steps, seed):
    """An upscaler as a denoiser, trained with one in `clean` small pictures without noise."""
    upscaler.CLEAN = clean
    trainer = upscaler.upscaler_trainer(seed)
    for _ in trainer.run(steps):
        pass
    return toy_ddpm.Denoiser(trainer.ema_model, toy_ddpm.make_schedule(upscaler.SCHEDULE), upscaler.PREDICTION)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = zoo.parse(parser)
    imagen, judge, rng = mini_imagen.load(), judges.load_zoo_judge(), np.random.default_rng(6)
    scenes = [toy_zoo.HELD_OUT[i] for i in rng.integers(len(toy_zoo.HELD_OUT), size=args.pictures)]
    prompts = [toy_zoo.caption(scene, rng, everything=True) for scene in scenes]
    true = zoo.renderings(scenes, seed=9)
    starts = {"shrunk": mini_upscaler.shrink(zoo.renderings(scenes, seed=8))}
    for scale in DRAWN_AT:
        starts[f"drawn, scale {scale}"] = small_pictures(imagen, prompts, guidance_scale=scale)
    for training, clean in TRAININGS.items():
        draw = functools.partial(mini_upscaler.upscale, trained(clean, args.steps, args.seed), level=0)
        for start, x in starts.items():
            large = stable_diffusion.in_parts(draw, 25, x, stable_diffusion.generators(range(len(x))))
            asked = {"steps": args.steps, "pictures": args.pictures, "seed": args.seed}
            zoo.say(training=training, start=start, **asked, **quality(judge, large, prompts, true))


if __name__ == "__main__":
    main()
