"""Train the course's network from scratch for so much CPU time, draw digits, judge them, print one JSON line.

    python benchmarks/ddpm.py --cpu-seconds 300 --threads 1 --samples 512 --steps 50 --seed 0 --out samples.npy

Writes the digits (N, 1, 28, 28), float32 in [0, 1], and beside them NAME_labels.npy, the labels asked for. The ratio
divides their Fréchet distance by that of as many real digits of the same labels (a mean of ten draws).
The budget is the processor time of the training; drawing and judging come on top. `--checkpoint` judges the
shipped weights instead. Needs MNIST (see course.data); other digits give figures that compare with nothing.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from course import data, device, judges, metrics, weights
from course.train import digit_unet


def train_for(cpu_seconds, **recipe):
    """A denoiser trained for so much processor time, and the images seen each second of it."""
    trainer = digit_unet.digit_trainer(**recipe)
    started = time.process_time()
    while (used := time.process_time() - started) < cpu_seconds:
        trainer.step(used / cpu_seconds)
    return trainer.denoiser, trainer.steps_done * trainer.batch_size / used


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu-seconds", type=float, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--steps", type=int, default=50, help="network calls for a sample; a guided step takes two")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--channels", type=int, nargs="+", default=[32, 64], help="widths of the U-Net's levels")
    parser.add_argument("--schedule", default=digit_unet.SCHEDULE)
    parser.add_argument("--prediction", default=digit_unet.PREDICTION)
    parser.add_argument("--guidance-scale", type=float, default=1.5, help="1 is plain conditional, one call a step")
    parser.add_argument("--eta", type=float, default=1.0, help="0 is DDIM, 1 is DDPM")
    parser.add_argument("--out", type=Path, default=Path("samples.npy"))
    parser.add_argument("--checkpoint", action="store_true", help="judge the shipped weights, train nothing")
    args = parser.parse_args()
    chosen = device.setup(args.threads, quiet=True)

    if args.checkpoint:
        denoiser, speed = weights.load("digit-unet"), None
    else:
        denoiser, speed = train_for(
            args.cpu_seconds, seed=args.seed, channels=tuple(args.channels), schedule=args.schedule,
            prediction=args.prediction, device=chosen,
        )  # fmt: skip
    calls, labels = [], torch.arange(args.samples) % 10
    # images, so guidance counts twice
    denoiser.network.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
    started = time.process_time()
    drawn = digit_unet.draw_digits(denoiser, labels, args.steps, args.guidance_scale, args.eta, args.seed)
    seconds = time.process_time() - started

    np.save(args.out, (drawn / 2 + 0.5).numpy().astype(np.float32))
    np.save(args.out.with_name(args.out.stem + "_labels.npy"), labels.numpy())
    judge, test, real = judges.load_digit_judge(), data.digits(train=False, quiet=True), data.digits(quiet=True)
    distance = metrics.judged_distance(judge, drawn, test.images)
    floor, spread = metrics.real_distance(judge, real, labels, test.images, seed=args.seed)
    print(
        json.dumps(
            {
                "parameters": weights.parameters(denoiser.network),
                "train_images_per_second": speed and round(speed, 1),
                "seconds_per_image": round(seconds / args.samples, 4),
                "network_calls": sum(calls) / args.samples,
                "frechet_distance": round(distance, 3),
                "frechet_distance_real": round(floor, 3),
                "frechet_distance_real_spread": round(spread, 3),
                "ratio": round(distance / floor, 2),
                "label_accuracy": round(metrics.accuracy(judge, drawn, labels), 4),
                "data": test.source,
            }
        )
    )


if __name__ == "__main__":
    main()
