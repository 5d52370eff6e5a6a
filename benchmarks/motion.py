"""How calm, how lively and how faithful the course's films are; print one JSON line each.

    python benchmarks/motion.py --threads 1 > benchmarks/results/motion.jsonl
    python benchmarks/motion.py --how "trained layers" --films 100 --threads 1

Films of eight frames of animals in training scenes, each with a prompt that names all there is: true walks, frames with
a noise of their own, with noise that is mostly shared, and the trained layers.
"""

import zoo

from course import judges, stable_diffusion, weights
from course.mini_motion import MiniMotion, draw_frames
from course.train.motion import measure_films, wishes

NONE, TRAINED = MiniMotion(), weights.load("motion")  # untrained layers add nothing
DRAWN = {  # the layers, and what the frames' noises share
    "own noise": (NONE, 0),
    "mostly one noise": (NONE, 0.8),
    "trained layers": (TRAINED, 0.8),
}


def main():
    parser = zoo.parser(__doc__)
    parser.add_argument("--how", nargs="+", default=["true walks", *DRAWN])
    parser.add_argument("--films", type=int, default=20)
    args = zoo.parse(parser)
    sd, judge = stable_diffusion.load_mini(), judges.load_zoo_judge()
    true, prompts = wishes(args.films, 0)
    for how in args.how:
        films = true
        if how in DRAWN:
            layers, shared = DRAWN[how]
            films = draw_frames(sd, layers, prompts, steps=args.steps, shared=shared)
        figures = measure_films(films, prompts, judge, true)
        zoo.say(how=how, films=len(films), **{name: round(value, 4) for name, value in figures.items()})


if __name__ == "__main__":
    main()
