"""Judge the shipped digit network by sampler and number of network calls; print one JSON line for each pair.

    python benchmarks/sampling.py --samples 256 --calls 1 2 5 10 20 50 --threads 1 --seed 0

Every sampler starts from the same noises and labels, without guidance. The ratio divides the Fréchet distance by
that of as many real training digits of the same labels (a mean of ten draws). Seconds are processor time. Needs MNIST (see course.data).
"""

import argparse
import json
import time

import torch

from course import data, device, judges, metrics, toy_ddpm, weights

SAMPLERS = {  # what makes a step, for DPM-Solver++'s remembers, and its choices
    "DDPM, small variance": (lambda: toy_ddpm.ddpm, {"variance": "small"}),
    "DDPM, large variance": (lambda: toy_ddpm.ddpm, {"variance": "large"}),
    "DDIM": (lambda: toy_ddpm.ddim, {}),
    "DPM-Solver++": (toy_ddpm.dpmpp_2m, {}),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument(
        "--calls", type=int, nargs="+", default=[1, 2, 5, 10, 20, 50], help="network calls for a sample"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    device.setup(args.threads, quiet=True)

    denoiser, judge = weights.load("digit-unet"), judges.load_digit_judge()
    test, real = data.digits(train=False, quiet=True), data.digits(quiet=True)
    generator = torch.Generator().manual_seed(args.seed)
    x_T, labels = torch.randn(args.samples, 1, 28, 28, generator=generator), torch.arange(args.samples) % 10
    denoiser = denoiser.given(labels)
    floor, spread = metrics.real_distance(judge, real, labels, test.images, seed=args.seed)
    for name, (make_step, choices) in SAMPLERS.items():
        for calls in args.calls:
            if choices:
                choices = choices | {"generator": torch.Generator().manual_seed(args.seed + 1)}
            started = time.process_time()
            with device.autocast():
                walk = toy_ddpm.sample(denoiser, x_T, calls, make_step(), **choices)
                drawn = toy_ddpm.last(walk).float().clamp(-1, 1)
            seconds = time.process_time() - started
            distance = metrics.judged_distance(judge, drawn, test.images)
            line = {
                "sampler": name,
                "network_calls": calls,
                "samples": args.samples,
                "frechet_distance": round(distance, 3),
                "frechet_distance_real": round(floor, 3),
                "frechet_distance_real_spread": round(spread, 3),
                "ratio": round(distance / floor, 2),
                "label_accuracy": round(metrics.accuracy(judge, drawn, labels), 4),
                "seconds_per_image": round(seconds / args.samples, 5),
                "data": test.source,
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
