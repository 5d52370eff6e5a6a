"""Every figure that the course states about Toy Zoo's models, measured anew; print one JSON line each.

    python benchmarks/toy_zoo_quality.py --prompts 500 --guidance-scales 1 2 3 5 7.5 --steps 25 --threads 1

First what the recipes of judge, autoencoder and CLIP measure, as it stands in their cards. Then, for each guidance
scale: prompt accuracy on held-out and on training scenes and on dogs with glasses, the Fréchet distance of as many
pictures to fresh renderings of the same scenes on the judge's features, and the diversity of pictures of one prompt;
beside all three, the same of true renderings. Prompts name everything that a scene has.
"""

import numpy as np
import torch
import zoo

from course import judges, stable_diffusion, toy_zoo
from course.train.recipe import JUDGINGS, find_recipes, judged

SETS = {"held-out": toy_zoo.HELD_OUT, "training": toy_zoo.TRAINING, "dog with glasses": toy_zoo.DOGS_WITH_GLASSES}


def main():
    parser = zoo.parser(__doc__)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--guidance-scales", type=float, nargs="+", default=[1, 2, 3, 5, 7.5])
    args = zoo.parse(parser)
    judge, sd = judges.load_zoo_judge(), stable_diffusion.load_mini()

    recipes = find_recipes()
    for name in ("zoo-judge", "vae", "clip"):
        zoo.say(what=name, **judged(recipes[name], JUDGINGS))

    groups = torch.arange(args.prompts) // 4  # four pictures of each prompt
    for name, world in SETS.items():
        rng = np.random.default_rng(6)
        distinct = [world[i] for i in rng.integers(len(world), size=-(-args.prompts // 4))]
        texts = [toy_zoo.caption(scene, rng, everything=True) for scene in distinct]
        scenes, prompts = [distinct[i] for i in groups], [texts[i] for i in groups]
        asked = {"scenes": name, "prompts": args.prompts}
        true = zoo.renderings(scenes, seed=8)
        zoo.say(**asked, what="true renderings", **zoo.quality(judge, true, prompts, scenes, groups))
        for scale in args.guidance_scales:
            x = stable_diffusion.generate(sd, prompts, steps=args.steps, guidance_scale=scale)
            zoo.say(**asked, guidance_scale=scale, **zoo.quality(judge, x, prompts, scenes, groups))


if __name__ == "__main__":
    main()
