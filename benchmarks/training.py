"""How fast Toy Zoo's U-Net trains: images a second, in float32 and in bfloat16, as shipped and in a wider one.

    python benchmarks/training.py [--steps N] [--threads N]

Takes the recipe's own trainer (`course.train.zoo_unet`) and the stored autoencoder and text encoder. On a CPU only the
recipe's batch and width are timed. Prints a JSON line each: the median second of a step, and the peak of a GPU's memory.
"""

import argparse
import contextlib
import json
import statistics
import time
from unittest import mock

import torch

from course import weights
from course.device import autocast, setup
from course.train import trainer, zoo_unet


def measure(sd, device, steps, width, batch, half):
    """One line of figures: `steps` timed steps after ten that warm up."""
    context = autocast if half else lambda _: contextlib.nullcontext()
    with mock.patch.object(zoo_unet, "WIDTHS", width), mock.patch.object(trainer, "autocast", context):
        training = zoo_unet.zoo_unet_trainer(**sd, n=2_000, device=device, batch_size=batch)
        wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
        seconds = []
        for step in range(10 + steps):
            began = time.perf_counter()
            loss = training.step(step / (10 + steps))
            wait()
            seconds.append(time.perf_counter() - began)
    second = statistics.median(seconds[10:])
    memory = round(torch.cuda.max_memory_allocated() / 1e9, 2) if device.type == "cuda" else None
    return {"millions": round(weights.parameters(training.model) / 1e6, 1), "batch": batch,
            "numbers": "bfloat16" if half else "float32", "ms_a_step": round(1000 * second, 1),
            "images_a_second": round(batch / second), "peak_GB": memory, "loss": round(loss.item(), 3)}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    device = setup(args.threads)
    sd = zoo_unet.parts()
    sd["vae"].to(device), sd["text_encoder"].to(device)
    wider = tuple(3 * width for width in zoo_unet.WIDTHS)
    sizes = [(zoo_unet.WIDTHS, 64), (zoo_unet.WIDTHS, 1024), (wider, 64), (wider, 1024)]
    for width, batch in sizes if device.type == "cuda" else sizes[:1]:
        for half in (False, True):
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            print(json.dumps(measure(sd, device, args.steps, width, batch, half)), flush=True)


if __name__ == "__main__":
    main()
