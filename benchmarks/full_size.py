"""Stable Diffusion v1.5 in its true size with random weights: counts, equality with the stock pipeline, and on a GPU speed.

    python benchmarks/full_size.py [--folder FOLDER] [--steps N]

Nothing is downloaded. The folder (2.1 GB) is written and read by the course's real loading code, in half precision on a
GPU. Prints JSON lines: parameters; the largest difference between our loop and diffusers' pipeline; on a GPU also steps
a second at 512 x 512 for both in turn, plain and with channels_last and a compiled U-Net, and the peak of its memory.
Without a GPU it draws small pictures in a few steps and says that speed was not measured.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from transformers import CLIPTokenizer

from course import stable_diffusion, weights
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


def theirs(pipeline, prompts, steps, size):
    sources = stable_diffusion.generators(range(len(prompts)))
    more = {"num_inference_steps": steps, "height": size[0], "width": size[1], "output_type": "pt"}
    return pipeline(prompts, generator=sources, **more).images * 2 - 1


def speed(draw, *args, steps, rounds=3):
    """Steps a second, decoding included, the best of some rounds after one that warms up, and the peak of memory in GB."""
    torch.cuda.reset_peak_memory_stats()
    draw(*args)
    seconds = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        began = time.perf_counter()
        draw(*args)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return {
        "steps_a_second": round(steps / min(seconds), 2),
        "peak_GB": round(torch.cuda.max_memory_allocated() / 1e9, 2),
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
        pipeline = stable_diffusion.as_pipeline(sd)
        a, b = ours(sd, ["a dog"], steps, size), theirs(pipeline, ["a dog"], steps, size)
        say(what="largest difference of pixels in [-1, 1]", steps=steps, size=size, value=(a - b).abs().max().item())
        if not on_gpu:
            return say(what="speed", measured=False, why=f"no CUDA device; this ran on {device.type}")

        for batch in (1, 4):
            prompts = ["a dog"] * batch
            line = {"stock": speed(theirs, pipeline, prompts, steps, size, steps=steps)}
            line["ours"] = speed(ours, sd, prompts, steps, size, steps=steps)
            say(what="speed", batch=batch, **line)
        fast = sd._replace(unet=torch.compile(sd.unet.to(memory_format=torch.channels_last)))
        for batch in (1, 4):
            prompts = ["a dog"] * batch
            line = {"ours, channels_last and compiled": speed(ours, fast, prompts, steps, size, steps=steps)}
            say(what="speed", batch=batch, **line)


if __name__ == "__main__":
    main()
