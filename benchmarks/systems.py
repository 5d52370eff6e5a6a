"""Three systems side by side on the same prompts, with the same judge; print one JSON line each.

    python benchmarks/systems.py --prompts 200 --dogs 100 --threads 1

Latent diffusion is the mini Stable Diffusion, the cascade Mini Imagen, prior and decoder Mini DALL-E 2; each draws as it
does by default. Beside them true renderings. Four pictures of each prompt, which names everything; Fréchet distance and
diversity on the judge's features, of the held-out scenes. Parameters are those of all its parts; minutes those of training all
parts on one thread, from their cards; seconds are processor time a picture.
"""

import argparse
import json
import time

import numpy as np
import torch
import zoo

from course import judges, metrics, mini_imagen, mini_unclip, stable_diffusion, toy_zoo, weights
from course.train.recipe import find_recipes

SYSTEMS = {  # what draws it, what loads it, and the recipes of its parts
    "latent diffusion": (stable_diffusion, stable_diffusion.load_mini, ("vae", "clip", "zoo-unet")),
    "cascade": (mini_imagen, mini_imagen.load, ("language", "imagen", "upscaler")),
    "prior and decoder": (mini_unclip, mini_unclip.load, ("vae", "clip", "zoo-unet", "prior", "decoder")),
}


def minutes(names):
    """What the cards of these recipes say of their training."""
    recipes = find_recipes()
    cards = [json.loads((weights.FOLDER / recipes[name].folder / "card.json").read_text("utf-8")) for name in names]
    return round(sum(card["minutes"] for card in cards))


def parameters(system):
    """How many numbers the networks of a system have together."""
    parts = [getattr(part, "network", part) for part in system]
    return sum(weights.parameters(part) for part in parts if isinstance(part, torch.nn.Module))


def prompts_of(world, n):
    """n scenes in fours, their prompts, and which belong together."""
    rng, groups = np.random.default_rng(6), torch.arange(n) // 4
    distinct = [world[i] for i in rng.integers(len(world), size=-(-n // 4))]
    texts = [toy_zoo.caption(scene, rng, everything=True) for scene in distinct]
    return [distinct[i] for i in groups], [texts[i] for i in groups], groups


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--dogs", type=int, default=100)
    args = zoo.parse(parser)
    judge = judges.load_zoo_judge()
    scenes, prompts, groups = prompts_of(toy_zoo.HELD_OUT, args.prompts)
    dog_scenes, dog_prompts, _ = prompts_of(toy_zoo.DOGS_WITH_GLASSES, args.dogs)

    def figures(x, dogs):
        right = metrics.prompt_accuracy(judge, dogs, dog_prompts)
        return {**zoo.quality(judge, x, prompts, scenes, groups), "dogs_with_glasses": right}

    asked = {"prompts": args.prompts, "dogs": args.dogs}
    true = zoo.renderings(scenes, seed=8), zoo.renderings(dog_scenes, seed=8)
    zoo.say(system="true renderings", **asked, **figures(*true))
    for name, (module, load, recipes) in SYSTEMS.items():
        system = load()
        started = time.process_time()
        drawn = module.generate(system, prompts), module.generate(system, dog_prompts)
        seconds = (time.process_time() - started) / (args.prompts + args.dogs)
        size = {"parameters": parameters(system), "training_minutes": minutes(recipes)}
        zoo.say(system=name, **asked, **figures(*drawn), **size, seconds_per_picture=round(seconds, 2))


if __name__ == "__main__":
    main()
