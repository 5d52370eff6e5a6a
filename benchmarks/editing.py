"""How well the course's networks edit pictures, read by its judges; print one JSON line each.

    python benchmarks/editing.py --threads 1 > benchmarks/results/editing.jsonl
    python benchmarks/editing.py --parts digits --seeds 0 --threads 1

animals: image-to-image of figures that wear nothing, and the prompt "a cat with glasses" (or dog, ...), which names
neither coat nor background. A success is a picture in which the judge reads glasses and the same subject; it is kept if
coat and background are still what they were. Dogs with glasses, which no training picture shows, are also counted apart.
dogs: dogs of every coat and background, so many pictures at each strength, with the plain prompt "a dog with glasses".
legs: the legs are cut out of animals that wear nothing and drawn anew in red or yellow boots, the kept part pasted in
several ways. Beside them stands what the judge reads of true renderings of the scenes that were asked for.
digits: the upper halves of test digits, the lower ones drawn by the network of notebook 05, which is not told the label.
The seam is the mean difference of neighbouring pixels across the edge; beside it real digits, and real halves that were
exchanged. Needs MNIST (see course.data).
"""

import torch
import zoo

from course import data, judges, metrics, pictures, stable_diffusion, toy_ddpm, toy_zoo, weights
from course.stable_diffusion import edit

ANIMALS = ("dog", "cat", "mouse", "rabbit")
LEGS = {
    "end": {"paste": "end"}, "clean": {"paste": "clean"}, "noised": {}, "noised, r = 4": {"resample": 4},
}  # fmt: skip
DIGITS = {  # how the kept half is pasted, and in how many steps
    "end": (25, {"paste": "end"}), "clean": (25, {"paste": "clean"}), "noised": (25, {}),
    "clean, r = 8": (25, {"paste": "clean", "resample": 8}), "noised, r = 8": (25, {"resample": 8}),
    "clean, 200 steps": (200, {"paste": "clean"}), "noised, 200 steps": (200, {}),
}  # fmt: skip


def bare(n, seed):
    """n pictures `[n, 3, 64, 64]` of animals that wear nothing, and their scenes."""
    scenes = [scene for scene in toy_zoo.all_scenes() if scene.subject in ANIMALS and scene.worn == "nothing"]
    x, _, shown = toy_zoo.examples(n, seed=seed, scenes=scenes)
    return pictures.from_uint8(x).contiguous(), shown


def judged(seen, shown, worn):
    """Shares of the scenes seen in which the right thing is worn, and all else is as it was shown."""
    right = [a.worn == wanted and a.subject == b.subject for a, b, wanted in zip(seen, shown, worn)]
    coat = [a.coat == b.coat for a, b in zip(seen, shown)]
    background = [a.background == b.background for a, b in zip(seen, shown)]
    kept = [a and b for a, b in zip(coat, background)]
    return {
        "pictures": len(shown),
        "success": zoo.share(right),
        "coat_kept": zoo.share(coat),
        "background_kept": zoo.share(background),
        "coat_and_background_kept": zoo.share(kept),
        "both": zoo.share([a and b for a, b in zip(right, kept)]),
        "success_dogs": zoo.share([a for a, scene in zip(right, shown) if scene.subject == "dog"]),
    }


def measure(what, function, x, shown, worn, prompts=None):
    """Draw with `function`, twenty at once, say what the judge sees, and return the pictures."""
    prompts = prompts or [f"a {scene.subject} with {thing}" for scene, thing in zip(shown, worn)]
    out = stable_diffusion.in_parts(function, 20, x, prompts, range(len(x)))
    zoo.say(**what, **judged(judges.load_zoo_judge().read(out), shown, worn))
    return out


def measure_true(what, shown, worn):
    asked = [scene._replace(worn=thing) for scene, thing in zip(shown, worn)]
    seen = judges.load_zoo_judge().read(zoo.renderings(asked, seed=9))
    zoo.say(what=what, how="true renderings", **judged(seen, shown, worn))


def strengths(sd, what, x, shown, chosen, choices):
    """Image-to-image at each strength, all asked for glasses by a prompt that names the subject alone."""
    glasses = ["glasses"] * len(x)
    measure_true(what, shown, glasses)
    for strength in chosen:

        def draw(*rows, strength=strength):
            return edit.image_to_image(sd, *rows, strength=strength, **choices)

        measure({"what": what, "strength": strength}, draw, x, shown, glasses)


def animals(sd, args, choices):
    strengths(sd, "image to image", *bare(args.pictures, seed=21), [0.1, 0.2, 0.3], choices)


def dogs(sd, args, choices):
    scenes = [scene for scene in toy_zoo.all_scenes() if scene.subject == "dog" and scene.worn == "nothing"]
    shown = [scenes[i % len(scenes)] for i in range(args.pictures)]
    strengths(sd, "dogs", zoo.renderings(shown, seed=23), shown, args.strengths, choices)


def legs(sd, args, choices):
    x, shown = bare(args.pictures, seed=22)
    boots = [("red boots", "yellow boots")[i % 2] for i in range(len(x))]
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 40:, :] = 1  # the belly ends, the legs begin
    measure_true("inpainted legs", shown, boots)
    for name, more in LEGS.items():

        def fill(x, *rows, more=more):
            return edit.inpaint(sd, x, mask, *rows, **choices, **more)

        out = measure({"what": "inpainted legs", "how": name}, fill, x, shown, boots)
        zoo.say(what="inpainted legs", how=name, kept_pixels_identical=torch.equal(out * (1 - mask), x * (1 - mask)))


def digits(args):
    network, judge = weights.load("digit-unet"), judges.load_digit_judge()
    test = data.digits(train=False, quiet=True)
    per_label = args.digits // 10
    rows = torch.cat([(test.labels == label).nonzero()[:per_label, 0] for label in range(10)])
    x, labels = test.images[rows], test.labels[rows]
    mask = torch.ones(1, 1, 28, 28)
    mask[..., :14, :] = 0

    def say(how, calls, drawn, **more):
        seam = (drawn[..., 14, :] - drawn[..., 13, :]).abs().mean().item()
        read = metrics.accuracy(judge, drawn, labels)
        zoo.say(
            what="half a digit", how=how, digits=len(x), calls=calls, seam=round(seam, 4), read=round(read, 4), **more
        )

    other = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]
    say("real digits", 0, x)
    say("halves exchanged", 0, x * (1 - mask) + other * mask)
    for seed in args.seeds:
        for how, (steps, choices) in DIGITS.items():
            generator = torch.Generator().manual_seed(seed)
            x_T = torch.randn(x.shape, generator=generator)
            step = toy_ddpm.repaint(toy_ddpm.ddpm, x, mask, **choices)
            drawn = toy_ddpm.last(toy_ddpm.sample(network, x_T, steps, step, generator=generator)).clamp(-1, 1)
            say(how, steps * choices.get("resample", 1), drawn, seed=seed)


def main():
    parser = zoo.parser(__doc__)
    parser.add_argument("--parts", nargs="+", default=["animals", "dogs", "legs", "digits"])
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--strengths", type=float, nargs="+", default=[i / 10 for i in range(11)], help="of the dogs")
    parser.add_argument("--guidance-scale", type=float, default=stable_diffusion.GUIDANCE_SCALE)
    parser.add_argument("--digits", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the digits")
    args = zoo.parse(parser)
    choices = {"steps": args.steps, "guidance_scale": args.guidance_scale}
    sd = stable_diffusion.load_mini()
    for name, part in {"animals": animals, "dogs": dogs, "legs": legs}.items():
        if name in args.parts:
            part(sd, args, choices)
    if "digits" in args.parts:
        digits(args)


if __name__ == "__main__":
    main()
