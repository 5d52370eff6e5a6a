"""Judge the shipped digit network by sampler and number of network calls; print one JSON line for each pair.

    python benchmarks/sampling.py --samples 256 --calls 1 2 5 10 20 50 --threads 1 --seed 0

Every sampler starts from the same noises and labels, without guidance. The ratio divides the Fréchet distance by
that of as many real training digits (a mean of ten draws). Seconds are processor time. Needs MNIST (see course.data).
"""

import argparse
import json
import time

import torch
from diffusers import DPMSolverMultistepScheduler

from course import data, device, metrics, toy_ddpm, train, weights
from course.mini_unet import MiniUNet


def dpm_solver(model, x_T, c, calls):
    """diffusers' DPM-Solver++ of second order with our network; its index i is our t - 1."""
    scheduler = DPMSolverMultistepScheduler(
        beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction", timestep_spacing="trailing"
    )
    scheduler.set_timesteps(calls)
    x_t = x_T
    for i in scheduler.timesteps.tolist():
        with torch.no_grad():
            v_hat = model(x_t, torch.full(c.shape, i + 1), c).float()
        x_t = scheduler.step(v_hat, i, x_t).prev_sample
    return x_t


def family(seed, **choice):
    """The course's sampler, DDPM and DDIM, with so many calls: a function of model, x_T, c and calls."""

    def walk(model, x_T, c, calls):
        schedule, generator = toy_ddpm.make_schedule(train.DIGITS["schedule"]), torch.Generator().manual_seed(seed)
        choices = dict(choice, c=c, predicts=train.DIGITS["predicts"], generator=generator)
        return toy_ddpm.last(toy_ddpm.sample(model, x_T, schedule, calls, **choices)).float()

    return walk


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument(
        "--calls", type=int, nargs="+", default=[1, 2, 5, 10, 20, 50], help="network calls for a sample"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    device.pick(args.threads, quiet=True)

    model, judge = weights.load("digit-unet", MiniUNet), metrics.load_judge()
    test, real = data.digits(train=False, quiet=True), data.digits(quiet=True)
    generator = torch.Generator().manual_seed(args.seed)
    x_T, c = torch.randn(args.samples, 1, 28, 28, generator=generator), torch.arange(args.samples) % 10
    floors = [  # the floor itself scatters from draw to draw, so it is a mean
        metrics.judged_distance(judge, real.images[rows], test.images)
        for rows in (torch.randperm(len(real.images), generator=generator)[: args.samples] for _ in range(10))
    ]
    floor = sum(floors) / len(floors)
    samplers = {
        "DDPM, small variance": family(args.seed + 1, eta=1.0),
        "DDPM, large variance": family(args.seed + 1, variance="large"),
        "DDIM": family(args.seed + 1, eta=0.0),
        "DPM-Solver++": dpm_solver,
    }
    for name, sampler in samplers.items():
        for calls in args.calls:
            started = time.process_time()
            with device.autocast():
                drawn = sampler(model, x_T, c, calls).clamp(-1, 1)
            seconds = time.process_time() - started
            distance = metrics.judged_distance(judge, drawn, test.images)
            line = {
                "sampler": name,
                "network_calls": calls,
                "samples": args.samples,
                "frechet_distance": round(distance, 3),
                "frechet_distance_real": round(floor, 3),
                "ratio": round(distance / floor, 2),
                "label_accuracy": round(metrics.accuracy(judge, drawn, c), 4),
                "seconds_per_image": round(seconds / args.samples, 5),
                "data": test.source,
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
