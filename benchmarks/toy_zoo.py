"""Draw Toy Zoo pictures with the shipped models from a file of prompts, one a line; print one JSON line.

    python benchmarks/toy_zoo.py --prompts FILE --guidance-scale 3 --steps 25 --seed 0 --out images.npy

Writes (N, 64, 64, 3), uint8. An empty line is the empty prompt. Seconds are processor time of drawing and
decoding; loading comes on top. Linux only (memory is read from the system). Picture i is drawn from seed + i.
"""

import resource
import sys
import time
from pathlib import Path

import numpy as np
import zoo

from course import pictures, stable_diffusion


def main():
    parser = zoo.parser(__doc__)
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--guidance-scale", type=float, default=stable_diffusion.GUIDANCE_SCALE)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("images.npy"))
    args = zoo.parse(parser)
    if not args.prompts.is_file():
        sys.exit(f"there is no file {args.prompts}; --prompts takes a text file with one prompt a line")
    prompts = args.prompts.read_text("utf-8").splitlines()
    if not prompts:
        sys.exit(f"{args.prompts} is empty; write one prompt a line")

    sd = stable_diffusion.load_mini()
    choices = {"steps": args.steps, "guidance_scale": args.guidance_scale}
    started = time.process_time()
    x = stable_diffusion.generate(sd, prompts, range(args.seed, args.seed + len(prompts)), **choices)
    seconds = time.process_time() - started

    np.save(args.out, np.stack([np.asarray(image) for image in pictures.to_images(x)]))
    zoo.say(
        prompts=len(prompts),
        **choices,
        seconds_per_image=round(seconds / len(prompts), 3),
        threads=args.threads,
        peak_memory_gb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),  # kilobytes on Linux
    )


if __name__ == "__main__":
    main()
