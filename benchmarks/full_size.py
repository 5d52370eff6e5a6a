"""Stable Diffusion v1.5 in its true size with random weights: counts, equality with the stock pipeline, and on a GPU speed.

    python benchmarks/full_size.py [--folder FOLDER] [--steps N]

Nothing is downloaded. The folder (2.1 GB) is written and read by the course's real loading code. Prints JSON lines:
parameters; how far our loop and diffusers' pipeline end from each other, in float32 and in a GPU's half precision; on a
GPU also steps a second at 512 x 512 for both in turn, plain and with channels_last and a compiled U-Net, and the peak of
its memory. Without a GPU it draws small pictures in a few steps and says that speed was not measured.
"""

import argparse
import functools
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from transformers import CLIPTokenizer

from course import stable_diffusion, toy_ddpm, weights
from course.device import setup
from course.stable_diffusion import v15
from course.stable_diffusion.check import MINI

COUNTS = {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480}  # the published weights


def build(folder):
    """Write a pipeline folder with v1.5's configuration, random float16 weights, and the course's tokenizer for 77 tokens."""
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(weights.FOLDER / MINI / "tokenizer")
    tokenizer.model_max_length = 77
    parts = {name: network.half() for name, network in v15.skeleton(device="cpu").items()}
    sd = stable_diffusion.StableDiffusion(tokenizer, **parts, scheduler=stable_diffusion.make_scheduler())
    stable_diffusion.as_pipeline(sd).save_pretrained(folder)


def ours(sd, prompts, steps, size):
    return stable_diffusion.generate(sd, prompts, steps=steps, size=size, at_once=len(prompts))


def theirs(sd, prompts, steps, size, output="pt"):
    pipeline, sources = stable_diffusion.as_pipeline(sd), stable_diffusion.generators(range(len(prompts)))
    more = {"num_inference_steps": steps, "height": size[0], "width": size[1], "output_type": output}
    return pipeline(prompts, generator=sources, **more).images


def difference(sd, steps, size):
    """How far the two loops end from each other: latents, as a share of their length, and the largest of a pixel in [-1, 1]."""
    z = toy_ddpm.last(stable_diffusion.walk(sd, ["a dog"], steps=steps, size=size))
    other = theirs(sd, ["a dog"], steps, size, "latent").float()
    pixels = stable_diffusion.decode(sd, z) - stable_diffusion.decode(sd, other)
    return {"latents": ((z - other).norm() / other.norm()).item(), "largest_of_a_pixel": pixels.abs().max().item()}


def speed(ways, *args, steps, rounds=5):
    """Of each way in turn: steps a second, decoding included, median after a round that warms up, and the peak of memory in GB."""
    seconds, peaks = {name: [] for name in ways}, {}
    for _ in range(1 + rounds):
        for name, draw in ways.items():
            torch.cuda.reset_peak_memory_stats()
            torch.cuda.synchronize()
            began = time.perf_counter()
            draw(*args)
            torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - began)
            peaks[name] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return {
        name: {"steps_a_second": round(steps / statistics.median(seconds[name][1:]), 2), "peak_GB": peaks[name]}
        for name in ways
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to keep the random weights; default: nowhere")
    parser.add_argument("--steps", type=int, help="default 25 on a GPU, 2 without")
    args = parser.parse_args()
    device = setup()

    def say(**line):
        print(json.dumps(line), flush=True)

    with tempfile.TemporaryDirectory() as fallback:
        folder = args.folder or Path(fallback) / "v1.5-random"
        if not (folder / "model_index.json").exists():
            build(folder)
        sd = stable_diffusion.load(folder)
        counts = {part: weights.parameters(getattr(sd, part)) for part in COUNTS}
        say(what="parameters", **counts, as_published=counts == COUNTS)

        on_gpu = device.type == "cuda"
        steps, size = args.steps or (25 if on_gpu else 2), (512, 512) if on_gpu else (64, 64)
        exact = sd if sd.unet.dtype == torch.float32 else stable_diffusion.load(folder, dtype="float32", quiet=True)
        for model in [exact] if exact is sd else [exact, sd]:
            for n in sorted({1, steps}):
                line = difference(model, n, size)
                say(what="difference from stock", numbers=str(model.unet.dtype), steps=n, size=size, **line)
        del exact, model
        if not on_gpu:
            return say(what="speed", measured=False, why=f"no CUDA device; this ran on {device.type}")

        args = steps, size
        for batch in (1, 4):
            ways = {"stock": functools.partial(theirs, sd), "ours": functools.partial(ours, sd)}
            say(what="speed", batch=batch, **speed(ways, ["a dog"] * batch, *args, steps=steps))
        sd = sd._replace(unet=torch.compile(sd.unet.to(memory_format=torch.channels_last)))
        for batch in (1, 4):
            ways = {"channels_last and compiled": functools.partial(ours, sd)}
            say(what="speed", batch=batch, **speed(ways, ["a dog"] * batch, *args, steps=steps))


if __name__ == "__main__":
    main()
