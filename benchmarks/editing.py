"""How well mini Stable Diffusion edits pictures of Toy Zoo, read by the judge; print one JSON line each.

    python benchmarks/editing.py --pictures 100 --strengths 0.2 0.3 0.4 0.5 0.6 0.8 --threads 1

Image-to-image: figures that wear nothing, and the prompt "a cat with glasses" (or dog, ...), which names neither coat nor
background. A picture counts as a success if the judge reads glasses and the same subject, and as kept if coat and
background are still what they were. Dogs with glasses, which no training picture shows, are also counted apart.
Inpainting: the legs are cut out of dogs and other animals that wear nothing and drawn anew in red or yellow boots.
Beside each stands what the judge reads of true renderings of the scenes that were asked for.
"""

import torch
import zoo

from course import judges, pictures, stable_diffusion, toy_zoo
from course.stable_diffusion import edit

ANIMALS = ("dog", "cat", "mouse", "rabbit")


def bare(n, seed):
    """n pictures `[n, 3, 64, 64]` of animals that wear nothing, and their scenes."""
    scenes = [scene for scene in toy_zoo.all_scenes() if scene.subject in ANIMALS and scene.worn == "nothing"]
    x, _, shown = toy_zoo.examples(n, seed=seed, scenes=scenes)
    return pictures.from_uint8(x).contiguous(), shown


def judged(seen, shown, worn):
    """Shares of the scenes seen in which the right thing is worn, and all else is as it was shown."""
    right = [a.worn == wanted and a.subject == b.subject for a, b, wanted in zip(seen, shown, worn)]
    kept = [(a.coat, a.background) == (b.coat, b.background) for a, b in zip(seen, shown)]
    return {
        "success": zoo.share(right),
        "coat_and_background_kept": zoo.share(kept),
        "both": zoo.share([a and b for a, b in zip(right, kept)]),
        "success_dogs": zoo.share([a for a, scene in zip(right, shown) if scene.subject == "dog"]),
    }


def main():
    parser = zoo.parser(__doc__)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.2, 0.3, 0.4, 0.5, 0.6, 0.8])
    parser.add_argument("--guidance-scale", type=float, default=stable_diffusion.GUIDANCE_SCALE)
    args = zoo.parse(parser)
    sd, judge = stable_diffusion.load_mini(), judges.load_zoo_judge()
    choices = {"steps": args.steps, "guidance_scale": args.guidance_scale}

    def measure(what, function, x, shown, worn):
        prompts = [f"a {scene.subject} with {thing}" for scene, thing in zip(shown, worn)]
        out = stable_diffusion.in_parts(function, 20, x, prompts, range(len(x)))
        zoo.say(**what, **judged(judge.read(out), shown, worn))
        return out

    def measure_true(what, shown, worn):
        asked = [scene._replace(worn=thing) for scene, thing in zip(shown, worn)]
        zoo.say(what=what, how="true renderings", **judged(judge.read(zoo.renderings(asked, seed=9)), shown, worn))

    x, shown = bare(args.pictures, seed=21)
    glasses = ["glasses"] * len(x)
    measure_true("image to image", shown, glasses)
    for strength in args.strengths:

        def draw(*rows, strength=strength):
            return edit.image_to_image(sd, *rows, strength=strength, **choices)

        measure({"what": "image to image", "strength": strength}, draw, x, shown, glasses)

    x, shown = bare(args.pictures, seed=22)
    boots = [("red boots", "yellow boots")[i % 2] for i in range(len(x))]
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 40:, :] = 1  # the belly ends, the legs begin
    measure_true("inpainted legs", shown, boots)
    for name, more in (("plain", {}), ("resampled 4 times", {"resample": 4})):

        def fill(x, *rows, more=more):
            return edit.inpaint(sd, x, mask, *rows, **choices, **more)

        out = measure({"what": "inpainted legs", "how": name}, fill, x, shown, boots)
        zoo.say(what="inpainted legs", how=name, kept_pixels_identical=torch.equal(out * (1 - mask), x * (1 - mask)))


if __name__ == "__main__":
    main()
