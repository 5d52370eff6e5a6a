"""How well mini Stable Diffusion edits pictures of Toy Zoo, read by the judge; print one JSON line each.

    python benchmarks/editing.py --pictures 100 --strengths 0.2 0.3 0.4 0.5 0.6 0.8 --threads 1

Image-to-image: figures that wear nothing, and the prompt "a cat with glasses" (or dog, ...), which names neither coat nor
background. A picture counts as a success if the judge reads glasses and the same subject, and as kept if coat and
background are still what they were. Dogs with glasses, which no training picture shows, are also counted apart.
Inpainting: the legs are cut out of dogs and other animals that wear nothing and drawn anew in red or yellow boots.
"""

import argparse
import json

import numpy as np
import torch

from course import device, editing, metrics, stable_diffusion, toy_zoo, train_zoo

ANIMALS = ("dog", "cat", "mouse", "rabbit")


def bare(n, seed):
    """n pictures `[n, 3, 64, 64]` of animals that wear nothing, and their scenes."""
    scenes = [scene for scene in toy_zoo.all_scenes() if scene.subject in ANIMALS and scene.worn == "nothing"]
    pictures, _, shown = toy_zoo.examples(n, seed=seed, scenes=scenes)
    return train_zoo.pixels(pictures).contiguous(), shown


def share(flags):
    return round(float(np.mean(flags)), 4)


def in_parts(draw, x, prompts, size=20):
    """draw(pictures, prompts, seeds) on a few pictures at once."""
    rows = [slice(i, i + size) for i in range(0, len(x), size)]
    return torch.cat([draw(x[part], prompts[part], range(len(x))[part]) for part in rows])


def judged(seen, shown, worn):
    dog = [scene.subject == "dog" for scene in shown]
    right = [a.worn == wanted and a.subject == b.subject for a, b, wanted in zip(seen, shown, worn)]
    kept = [(a.coat, a.background) == (b.coat, b.background) for a, b in zip(seen, shown)]
    both = [a and b for a, b in zip(right, kept)]
    dogs = share([a for a, is_dog in zip(right, dog) if is_dog])
    return {"success": share(right), "coat_and_background_kept": share(kept), "both": share(both), "success_dogs": dogs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.2, 0.3, 0.4, 0.5, 0.6, 0.8])
    parser.add_argument("--guidance-scale", type=float, default=stable_diffusion.GUIDANCE_SCALE)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    device.pick(args.threads, quiet=True)
    sd, judge = stable_diffusion.load_mini(), metrics.load_zoo_judge()
    choices = {"steps": args.steps, "guidance_scale": args.guidance_scale}

    x, shown = bare(args.pictures, seed=21)
    prompts = [f"a {scene.subject} with glasses" for scene in shown]
    for strength in args.strengths:

        def draw(*batch, strength=strength):
            return editing.image_to_image(sd, *batch, strength=strength, **choices)

        seen = judge.read(in_parts(draw, x, prompts))
        figures = judged(seen, shown, ["glasses"] * len(shown))
        print(json.dumps({"what": "image to image", "strength": strength} | figures), flush=True)

    x, shown = bare(args.pictures, seed=22)
    boots = [("red boots", "yellow boots")[i % 2] for i in range(len(shown))]
    prompts = [f"a {scene.subject} with {worn}" for scene, worn in zip(shown, boots)]
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 40:, :] = 1  # the belly ends, the legs begin
    for name, more in (("plain", {}), ("resampled 4 times", {"resample": 4})):

        def fill(*batch, more=more):
            pictures, *rest = batch
            return editing.inpaint(sd, pictures, mask, *rest, **choices, **more)

        out = in_parts(fill, x, prompts)
        figures = judged(judge.read(out), shown, boots)
        kept = torch.equal(out * (1 - mask), x * (1 - mask))
        print(json.dumps({"what": "inpainted legs", "how": name, "kept_pixels_identical": kept} | figures), flush=True)


if __name__ == "__main__":
    main()
