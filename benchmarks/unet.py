"""How far the U-Net and its rivals of notebook 04 get when they are trained longer; print one JSON line a run.

    python benchmarks/unet.py --networks bottleneck U-Net --steps 80 300 1000 2000 --seeds 0 --threads 1

Every length is a run of its own, as in the notebook (Algorithm 1 of DDPM, the linear schedule, batches of 64 of the first
6,000 digits, AdamW), but with a rate that falls in a straight line to 0. Prints the loss on 256 test digits, over all
levels and at t = 1000, where the answer only has to be copied. With --draw also the Fréchet distance of 500 digits drawn
in 50 steps of DDIM to the test digits, on the features of the digit judge, beside that of 500 real ones.
"""

import argparse
import json
import time

import torch

from course import data, device, judges, metrics, toy_ddpm
from course.mini_rivals import MLP, Bottleneck, Transformer
from course.mini_unet import MiniUNet

NETWORKS = {
    "bottleneck": Bottleneck,
    "no bridges": lambda: MiniUNet(channels=(16, 32), skips=False),
    "U-Net": lambda: MiniUNet(channels=(16, 32)),
    "MLP": MLP,
    "transformer": Transformer,
    "wide transformer": lambda: Transformer(width=100),  # about as many numbers as the U-Net
}


def train(network, images, schedule, steps, seed, batch=64, rate=3e-3):
    """The notebook's loop, with a rate that falls to 0."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        x_0 = images[torch.randint(len(images), (batch,), generator=generator)]
        t = torch.randint(1, schedule.T + 1, (batch,), generator=generator)
        eps = torch.randn(x_0.shape, generator=generator)
        optimizer.zero_grad()
        toy_ddpm.training_loss(network, x_0, t, eps, schedule).backward()
        optimizer.step()


@torch.no_grad()
def held_out(network, images, t, schedule):
    """The loss on fixed digits with fixed noise."""
    eps = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    return toy_ddpm.training_loss(network, images, t, eps, schedule).item()


def drawn_distance(network, schedule, judge, test, n=500):
    """Fréchet distance of n drawn digits to the test digits."""
    x_T = torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    walk = toy_ddpm.sample(toy_ddpm.clipped(toy_ddpm.Denoiser(network, schedule)), x_T, 50, toy_ddpm.ddim)
    return metrics.judged_distance(judge, toy_ddpm.last(walk).clamp(-1, 1), test)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--steps", nargs="+", type=int, default=[80, 300, 1000, 2000])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--draw", action="store_true")
    args = parser.parse_args()
    device.setup(args.threads, quiet=True)
    digits, test = data.digits(n=6000, quiet=True), data.digits(train=False, quiet=True)
    schedule, held_back = toy_ddpm.linear(), test.images[:256]
    levels = {"all levels": torch.linspace(1, 1000, 256).round().long(), "t = 1000": torch.full((256,), 1000)}
    judge = judges.load_digit_judge() if args.draw else None
    for seed in args.seeds:
        for name in args.networks:
            for steps in args.steps:
                torch.manual_seed(seed)
                network, started = NETWORKS[name](), time.process_time()
                train(network, digits.images, schedule, steps, seed)
                line = {"network": name, "steps": steps, "seed": seed, "cpu_seconds": time.process_time() - started}
                for where, t in levels.items():
                    line[where] = held_out(network, held_back, t, schedule)
                if judge:
                    line["distance"] = drawn_distance(network, schedule, judge, test.images)
                    line["distance of real digits"] = metrics.judged_distance(judge, digits.images[:500], test.images)
                rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in line.items()}
                print(json.dumps(rounded), flush=True)


if __name__ == "__main__":
    main()
