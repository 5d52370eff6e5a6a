"""Every figure that the course states about Toy Zoo's models, measured anew; print one JSON line each.

    python benchmarks/toy_zoo_quality.py --prompts 500 --guidance-scales 1 2 3 5 7.5 --steps 25 --threads 1

Models: what the judge reads of fresh renderings, what the autoencoder keeps, what CLIP finds. Then, for each
guidance scale: prompt accuracy on held-out and on training scenes and on dogs with glasses, the Fréchet distance of
as many pictures to fresh renderings of the same scenes on the judge's features, and the diversity of pictures of
one prompt; beside both, the same of true renderings. Prompts name everything that a scene has.
"""

import argparse
import json

import numpy as np
import torch
from transformers import CLIPModel, CLIPTokenizer

from course import device, metrics, stable_diffusion, toy_zoo, train_zoo, weights


def quality(draw, judge, prompts, scenes, groups):
    """Prompt accuracy, Fréchet distance and diversity of what `draw(prompts)` gives, beside fresh renderings of the scenes."""
    x = draw(prompts)
    rng = np.random.default_rng(9)
    real = train_zoo.pixels(np.stack([toy_zoo.render(scene, rng) for scene in scenes]))
    return {
        "prompt_accuracy": round(metrics.prompt_accuracy(judge, x, prompts), 4),
        "frechet_distance": round(metrics.judged_distance(judge, x, real), 3),
        "diversity": round(metrics.diversity(judge, x, groups), 3),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--guidance-scales", type=float, nargs="+", default=[1, 2, 3, 5, 7.5])
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    device.pick(args.threads, quiet=True)
    judge, sd = metrics.load_zoo_judge(), stable_diffusion.load_mini()

    def say(**line):
        print(json.dumps(line), flush=True)

    pictures, _, scenes = toy_zoo.examples(3000, seed=1, scenes=toy_zoo.all_scenes())
    right = sum(a == b for a, b in zip(judge.read(train_zoo.pixels(pictures)), scenes)) / len(scenes)
    say(what="judge", renderings_read_right=right)
    say(what="vae", **train_zoo.vae_figures(sd.vae, judge))
    clip = weights.load_pretrained("mini-clip", CLIPModel)
    tokenizer = weights.load_pretrained("mini-clip", CLIPTokenizer)
    say(what="clip", zero_shot_top_1_of_64=round(train_zoo.zero_shot(clip, tokenizer), 4))

    dogs = [scene for scene in toy_zoo.HELD_OUT if (scene.subject, scene.worn) == ("dog", "glasses")]
    groups = torch.arange(args.prompts) // 4  # four pictures of each prompt
    for name, world in (("held-out", toy_zoo.HELD_OUT), ("training", toy_zoo.TRAINING), ("dog with glasses", dogs)):
        rng = np.random.default_rng(6)
        distinct = [world[i] for i in rng.integers(len(world), size=-(-args.prompts // 4))]
        texts = [toy_zoo.caption(scene, rng, everything=True) for scene in distinct]
        scenes, prompts = [distinct[i] for i in groups], [texts[i] for i in groups]
        rng = np.random.default_rng(8)
        renderings = train_zoo.pixels(np.stack([toy_zoo.render(scene, rng) for scene in scenes]))
        say(
            scenes=name,
            prompts=args.prompts,
            what="true renderings",
            **quality(lambda _, x=renderings: x, judge, prompts, scenes, groups),
        )
        for scale in args.guidance_scales:
            choices = {"steps": args.steps, "guidance_scale": scale}
            draw = lambda prompts, choices=choices: stable_diffusion.generate(sd, prompts, **choices)  # noqa: E731
            say(
                scenes=name, prompts=args.prompts, guidance_scale=scale, **quality(draw, judge, prompts, scenes, groups)
            )


if __name__ == "__main__":
    main()
