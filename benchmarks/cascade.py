"""What noise on the small picture, and what limits of the estimate, do to a cascade; print one JSON line each.

    python benchmarks/cascade.py --pictures 100 --threads 1 > benchmarks/results/cascade.jsonl

First the upscaler, over the level of the noise that is laid on its small pictures: on those that were shrunk from true ones,
and on those that Mini Imagen's base model draws for the same prompts at three guidance scales. Then guidance: the base model and the digits'
network over the scale, with no limit, clipped, and with dynamic thresholding. Accuracy and Fréchet distance are the judges';
pictures of 16 pixels are stretched for theirs, and compared with renderings that were shrunk and stretched alike. "edge" is
the share of numbers within 0.02 of the ends of the range. Digits need MNIST (see course.data).
"""

import argparse
import functools

import numpy as np
import torch
import zoo

from course import (
    data,
    judges,
    metrics,
    mini_imagen,
    mini_upscaler,
    stable_diffusion,
    toy_ddpm,
    toy_zoo,
    weights,
)

LEVELS = [0, 50, 100, 200]
DRAWN_AT = [1.5, 3, 7.5]
SCALES = [1, 1.5, 3, 7.5, 15]
LIMITS = {"none": lambda denoiser: denoiser, "clipped": toy_ddpm.clipped, "dynamic": toy_ddpm.thresholded}


def edge(x):
    """The share of numbers at the ends of the range."""
    return zoo.share((x.abs() > 0.98).numpy())


def small_pictures(imagen, prompts, **choices):
    """What the base model draws, from the same noise whatever is chosen."""
    return mini_imagen.draw_small(imagen, prompts, stable_diffusion.generators(range(len(prompts))), **choices)


def quality(judge, x, prompts, true):
    """Accuracy and Fréchet distance, as they are printed."""
    right, distance = metrics.prompt_accuracy(judge, x, prompts), metrics.judged_distance(judge, x, true)
    return {"accuracy": round(right, 4), "frechet_distance": round(distance, 3)}


def noise(imagen, judge, scenes, prompts):
    """The upscaler over the level of the noise on its input."""
    true = zoo.renderings(scenes, seed=9)
    starts = {"shrunk": mini_upscaler.shrink(zoo.renderings(scenes, seed=8))}
    for scale in DRAWN_AT:
        starts[f"drawn, scale {scale}"] = small_pictures(imagen, prompts, guidance_scale=scale)
    for start, x in starts.items():
        for level in LEVELS:
            draw = functools.partial(mini_upscaler.upscale, imagen.upscaler, level=level)
            large = stable_diffusion.in_parts(draw, 25, x, stable_diffusion.generators(range(len(x))))
            zoo.say(what="noise", start=start, level=level, **quality(judge, large, prompts, true))


def limits_on_pictures(imagen, judge, scenes, prompts):
    """The base model over the guidance scale."""

    def seen(small):
        return mini_upscaler.stretch(small).clamp(-1, 1)

    true = seen(mini_upscaler.shrink(zoo.renderings(scenes, seed=9)))
    for scale in SCALES:
        for name, limit in LIMITS.items():
            x = small_pictures(imagen, prompts, guidance_scale=scale, limit=limit)
            figures = quality(judge, seen(x), prompts, true)
            zoo.say(what="limit", world="Toy Zoo", guidance_scale=scale, limit=name, **figures, edge=edge(x))


def limits_on_digits(n):
    """The digits' network over the guidance scale."""
    denoiser, judge = weights.load("digit-unet"), judges.load_digit_judge()
    test, labels = data.digits(train=False, quiet=True), torch.arange(n) % 10
    x_T = torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for scale in SCALES:
        for name, limit in LIMITS.items():
            guided = limit(toy_ddpm.guide(denoiser.given(labels), scale))
            x = toy_ddpm.last(toy_ddpm.sample(guided, x_T, 16, toy_ddpm.ddim)).clamp(-1, 1)
            right, distance = metrics.accuracy(judge, x, labels), metrics.judged_distance(judge, x, test.images)
            figures = {"accuracy": round(right, 4), "frechet_distance": round(distance, 3)}
            zoo.say(what="limit", world="digits", guidance_scale=scale, limit=name, **figures, edge=edge(x))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    args = zoo.parse(parser)

    imagen, judge, rng = mini_imagen.load(), judges.load_zoo_judge(), np.random.default_rng(6)
    scenes = [toy_zoo.HELD_OUT[i] for i in rng.integers(len(toy_zoo.HELD_OUT), size=args.pictures)]
    prompts = [toy_zoo.caption(scene, rng, everything=True) for scene in scenes]
    noise(imagen, judge, scenes, prompts)
    limits_on_pictures(imagen, judge, scenes, prompts)
    limits_on_digits(args.pictures)


if __name__ == "__main__":
    main()
