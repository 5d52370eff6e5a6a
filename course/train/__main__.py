"""Train what assets/weights/ holds: `python -m course.train NAME`, or `--all` of it, in the order in which it is needed.

A run saves every two minutes and when it is interrupted (Ctrl-C); the same command goes on from there to the same losses.
It keeps checkpoint and log in runs/NAME/. Only a full run replaces weights; one of other steps or seed leaves its own in
runs/, unless --store is given. Several processes, on one machine or on more that share this folder, train the same:
`torchrun --nproc-per-node 2 -m course.train NAME --processes 2`.
"""

import argparse
import json

from course import device
from course.train import recipe, run, trainer
from course.weights import WeightsError


def main():
    recipes = recipe.find_recipes()
    parser = argparse.ArgumentParser(
        "python -m course.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", choices=recipes)
    parser.add_argument("--all", action="store_true", help="train every model that is shipped")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument("--steps", type=int, help="gradient steps; each recipe has its own number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--store", action="store_true", help="let a run of other steps or seed replace the shipped weights"
    )
    parser.add_argument("--processes", type=int, help="how many must train together, so that too few are noticed")
    args = parser.parse_args()
    if args.list:
        for each in recipes.values():
            needs = f", after {', '.join(each.needs)}" if each.needs else ""
            print(f"{each.name:12} {each.steps:6,} steps, assets/weights/{each.folder}{needs}")
        return
    if bool(args.name) == args.all:
        parser.error(f"name one of {', '.join(recipes)}, or --all")
    if args.steps is not None and args.steps < 1:
        parser.error(f"--steps is {args.steps}, but at least 1 is needed")
    if args.all and (args.steps or args.seed or args.store):
        parser.error("--all follows every recipe as it is: without --steps, --seed and --store")

    here = device.setup()
    trainer.meet(args.processes, here)
    try:
        if args.name:
            recipe.follow(recipes[args.name], args.steps, args.seed, args.store, here)
        else:
            follow_all(recipes, here)
    except WeightsError as error:
        raise SystemExit(f"{error}") from None
    trainer.part(here)


def follow_all(recipes, here):
    """Every recipe once; what an interrupted call has finished is not trained again by the next."""
    file = run.RUNS / "all.json"
    done = json.loads(file.read_text()) if file.exists() else []
    for name in recipes:
        if name not in done:
            recipe.follow(recipes[name], device=here)
            done.append(name)
            if trainer.place(here)[0] == 0:
                file.write_text(json.dumps(done))
    if trainer.place(here)[0] == 0:
        file.unlink()


if __name__ == "__main__":
    main()
