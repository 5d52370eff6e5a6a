"""How calm, how lively and how faithful the course's films are; print one JSON line each.

    python benchmarks/motion.py --threads 1 > benchmarks/results/motion.jsonl
    python benchmarks/motion.py --how "trained layers" --pictures 20 --threads 1

Films of eight frames of animals in training scenes, each with a prompt that names all there is: true walks, what the
autoencoder makes of them, frames with a noise of their own, with one noise, with noise that is mostly shared, and the
trained layers. Then the layers where each frame has its own noise, on scenes that are held out of training,
with prompts that name the animal alone, and on boys and pizzas, which they have not met.
--pictures: so many films each.
"""

import torch
import zoo

from course import judges, stable_diffusion, weights
from course.mini_motion import draw_frames
from course.toy_zoo import ANIMALS, HELD_OUT, TRAINING
from course.train import motion

HELD_OUT_ANIMALS = [scene for scene in HELD_OUT if scene.subject in ANIMALS]
OTHERS = [scene for scene in TRAINING if scene.subject not in ANIMALS]
DRAWN = {  # the scenes, whether with the layers, and what the frames' noises share
    "own noise": (motion.WALKERS, False, 0), "one noise": (motion.WALKERS, False, 1),
    "mostly one noise": (motion.WALKERS, False, 0.8), "trained layers": (motion.WALKERS, True, 0.8),
    "trained layers, own noise": (motion.WALKERS, True, 0),
    "trained layers, held-out scenes": (HELD_OUT_ANIMALS, True, 0.8),
    "trained layers, subject alone": (motion.WALKERS, True, 0.8),
    "trained layers, boys and pizzas": (OTHERS, True, 0.8),
}  # fmt: skip


def again(sd, films):
    """The films through the autoencoder and back."""
    with torch.no_grad():
        z = sd.vae.encode(films.flatten(0, 1)).latent_dist.mean
        return sd.vae.decode(z).sample.clamp(-1, 1).view_as(films)


def asked_for(how, scenes, n):
    """Prompts of n scenes of this list; boys and pizzas have no walk."""
    if how == "trained layers, subject alone":
        return [f"a {ANIMALS[i % len(ANIMALS)]}" for i in range(n)]
    if scenes is not OTHERS:
        return motion.wishes(n, 0, scenes)[1]
    return motion.prompts_of([scenes[7 * i % len(scenes)] for i in range(n)], 0)


def measure(how, films, prompts, judge, true):
    rounded = {name: round(value, 4) for name, value in motion.measure_films(films, prompts, judge, true).items()}
    zoo.say(what="films", how=how, films=len(films), **rounded)


def main():
    parser = zoo.parser(__doc__)
    parser.add_argument("--how", nargs="+", default=["true walks", "true walks, autoencoder", *DRAWN])
    parser.add_argument("--pictures", type=int, default=100)
    args = zoo.parse(parser)
    sd, judge, layers = stable_diffusion.load_mini(), judges.load_zoo_judge(), weights.load("motion")
    true, prompts = motion.wishes(args.pictures, 0)
    for how in args.how:
        if how == "true walks":
            measure(how, true, prompts, judge, true)
        elif how == "true walks, autoencoder":
            measure(how, torch.cat([again(sd, film[None]) for film in true]), prompts, judge, true)
        else:
            scenes, with_layers, shared = DRAWN[how]
            wished = asked_for(how, scenes, args.pictures)
            films = draw_frames(sd, layers if with_layers else None, wished, steps=args.steps, shared=shared)
            measure(how, films, wished, judge, true)


if __name__ == "__main__":
    main()
