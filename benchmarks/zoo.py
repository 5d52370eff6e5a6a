"""What the benchmarks of Toy Zoo share: true renderings, the ground on which drawn ones are judged, and lines of JSON."""

import argparse
import json

import numpy as np

from course import device, metrics, pictures, toy_zoo


def renderings(scenes, seed):
    """The scenes as Toy Zoo itself draws them, `[N, 3, 64, 64]` in [-1, 1]: what the judge says of these is as good as it gets."""
    rng = np.random.default_rng(seed)
    return pictures.from_uint8(np.stack([toy_zoo.render(scene, rng) for scene in scenes])).contiguous()


def quality(judge, x, prompts, scenes, groups):
    """Prompt accuracy, Fréchet distance to fresh renderings of the scenes, and diversity of pictures `[N, 3, 64, 64]`."""
    return {
        "prompt_accuracy": round(metrics.prompt_accuracy(judge, x, prompts), 4),
        "frechet_distance": round(metrics.judged_distance(judge, x, renderings(scenes, seed=9)), 3),
        "diversity": round(metrics.diversity(judge, x, groups), 3),
    }


def share(flags):
    """The share of them that is true, in 0..1."""
    return round(float(np.mean(flags)), 4)


def say(**line):
    print(json.dumps(line), flush=True)


def parser(doc):
    """A command line with what all of them ask for."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=25, help="guided steps, two network calls each")
    parser.add_argument("--threads", type=int, default=1)
    return parser


def parse(parser):
    """What was asked, the device set up for it."""
    args = parser.parse_args()
    device.setup(args.threads, quiet=True)
    return args
