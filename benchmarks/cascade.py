"""What noise on the small picture, and what limits of the estimate, do to a cascade; print one JSON line each.

    python benchmarks/cascade.py --pictures 200 --threads 1 > benchmarks/results/cascade.jsonl

First the upscaler, from small pictures that were shrunk from true ones and from those that Mini Imagen's base model draws
for the same prompts, over the level of the noise that is laid on them. Then guidance: the base model and the digits'
network over the scale, with no limit, clipped, and with dynamic thresholding. Accuracy and Fréchet distance are the judges';
pictures of 16 pixels are stretched for theirs, and compared with renderings that were shrunk and stretched alike. "edge" is
the share of numbers within 0.02 of the ends of the range. Digits need MNIST (see course.data).
"""

import argparse

import numpy as np
import torch
import zoo

from course import (
    data,
    device,
    judges,
    metrics,
    mini_imagen,
    mini_upscaler,
    stable_diffusion,
    toy_ddpm,
    toy_zoo,
    weights,
)

LEVELS = [0, 25, 50, 100, 200, 300]
SCALES = [1, 3, 7.5, 15]
LIMITS = {"none": lambda denoiser: denoiser, "clipped": toy_ddpm.clipped, "dynamic": toy_ddpm.thresholded}


def edge(x):
    """The share of numbers at the ends of the range."""
    return zoo.share((x.abs() > 0.98).numpy())


def noise(imagen, judge, scenes, prompts):
    """The upscaler over the level of the noise on its input."""
    small = mini_upscaler.shrink(zoo.renderings(scenes, seed=8))
    drawn = mini_imagen.draw_small(imagen, prompts, stable_diffusion.generators(range(len(prompts))))
    for start, x in {"shrunk": small, "drawn": drawn}.items():
        for level in LEVELS:
            parts = [mini_upscaler.upscale(imagen.upscaler, part, torch.Generator().manual_seed(i), level)
                     for i, part in enumerate(x.split(25))]  # fmt: skip
            large = torch.cat(parts)
            accuracy = metrics.prompt_accuracy(judge, large, prompts)
            distance = metrics.judged_distance(judge, large, zoo.renderings(scenes, seed=9))
            zoo.say(
                what="noise", start=start, level=level, accuracy=round(accuracy, 4), frechet_distance=round(distance, 3)
            )


def limits_on_pictures(imagen, judge, scenes, prompts):
    """The base model over the guidance scale."""

    def seen(small):
        return mini_upscaler.stretch(small).clamp(-1, 1)

    true = seen(mini_upscaler.shrink(zoo.renderings(scenes, seed=9)))
    for scale in SCALES:
        for name, limit in LIMITS.items():
            sources = stable_diffusion.generators(range(len(prompts)))
            x = mini_imagen.draw_small(imagen, prompts, sources, guidance_scale=scale, limit=limit)
            accuracy, distance = (
                metrics.prompt_accuracy(judge, seen(x), prompts),
                metrics.judged_distance(judge, seen(x), true),
            )
            zoo.say(what="limit", world="Toy Zoo", guidance_scale=scale, limit=name, accuracy=round(accuracy, 4),
                    frechet_distance=round(distance, 3), edge=edge(x))  # fmt: skip


def limits_on_digits(n):
    """The digits' network over the guidance scale."""
    denoiser, judge = weights.load("digit-unet"), judges.load_digit_judge()
    test, labels = data.digits(train=False, quiet=True), torch.arange(n) % 10
    x_T = torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for scale in SCALES:
        for name, limit in LIMITS.items():
            guided = limit(toy_ddpm.guide(denoiser.given(labels), scale))
            x = toy_ddpm.last(toy_ddpm.sample(guided, x_T, 16, toy_ddpm.ddim)).clamp(-1, 1)
            accuracy, distance = metrics.accuracy(judge, x, labels), metrics.judged_distance(judge, x, test.images)
            zoo.say(what="limit", world="digits", guidance_scale=scale, limit=name, accuracy=round(accuracy, 4),
                    frechet_distance=round(distance, 3), edge=edge(x))  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    device.setup(args.threads, quiet=True)

    imagen, judge, rng = mini_imagen.load(), judges.load_zoo_judge(), np.random.default_rng(6)
    scenes = [toy_zoo.HELD_OUT[i] for i in rng.integers(len(toy_zoo.HELD_OUT), size=args.pictures)]
    prompts = [toy_zoo.caption(scene, rng, everything=True) for scene in scenes]
    noise(imagen, judge, scenes, prompts)
    limits_on_pictures(imagen, judge, scenes, prompts)
    limits_on_digits(args.pictures)


if __name__ == "__main__":
    main()
