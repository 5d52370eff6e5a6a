"""A recipe is all that is to be known of one shipped model: `RECIPE` in a file of this folder, or several in `RECIPES`.

Here they are found and followed.
"""

import contextlib
import datetime
import graphlib
import importlib
import json
import math
import pkgutil
import platform
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from course import ROOT, data, weights
from course.train import checkpoint, run, staging
from course.train.trainer import place
from course.weights import WeightsError

LIBRARIES = ("torch", "diffusers", "transformers")
JUDGINGS = 3  # with different seeds: a figure of the card is their mean, with its spread


@dataclass(frozen=True)
class Recipe:
    """How one shipped model is made.

    name: its command; folder: where it lies in assets/weights/, card.json with it; steps: of the full training; needs: the
    recipes whose weights it takes; build(seed, device) -> Trainer; store(trainer): writes its weights, and whatever else
    comes of them, by `weights.save` or `weights.save_pretrained`; measure(seed) -> dict of numbers, of what lies stored.
    """

    name: str
    folder: str
    steps: int
    build: Callable
    store: Callable
    measure: Callable
    needs: tuple = ()

    def command(self, steps=None, seed=0):
        """The command that makes it."""
        other = "" if steps in (None, self.steps) else f" --steps {steps}"
        return f"python -m course.train {self.name}{other}{f' --seed {seed}' if seed else ''}"


def find_recipes():
    """The recipes in this folder by name, each behind those that it needs: `RECIPE` of a file, or `RECIPES`, where it holds several.

    Raises ValueError if one needs what is not there, or if two have one name.
    """
    names = [info.name for info in pkgutil.iter_modules([str(Path(__file__).parent)]) if info.name != "__main__"]
    found = by_name([importlib.import_module(f"course.train.{name}") for name in names])
    for recipe in found.values():
        if not set(recipe.needs) <= set(found):
            raise ValueError(f"{recipe.name} needs {', '.join(recipe.needs)}; the recipes here: {', '.join(found)}")
    order = graphlib.TopologicalSorter({name: recipe.needs for name, recipe in found.items()}).static_order()
    return {name: found[name] for name in order}


def by_name(modules):
    """The recipes that these modules hold, by name. Raises ValueError if two have one name."""
    held = []
    for module in modules:
        held += getattr(module, "RECIPES", [])
        held += [module.RECIPE] if hasattr(module, "RECIPE") else []
    found = {recipe.name: recipe for recipe in held}
    if len(found) < len(held):
        raise ValueError(f"two recipes have one name: {', '.join(sorted(recipe.name for recipe in held))}")
    return found


def follow(recipe, steps=None, seed=0, store=False, device="cpu"):
    """Train by a recipe, measure what came out, and put it into assets/weights/ with its card.

    Only the recipe's own full run may do the last, or one with store=True: what another stores stays in `runs/NAME/weights`.
    The old weights are there until the new ones are whole and measured.
    """
    steps = recipe.steps if steps is None else steps
    ships = store or (steps, seed) == (recipe.steps, 0)
    folder = run_folder(recipe, steps, seed)
    with run.lock(folder) if place(device)[0] == 0 else contextlib.nullcontext():
        trainer = recipe.build(seed, device)
        run.go_on(trainer, steps, folder)
        if trainer.first:
            trainer.ema_model.cpu()
            with staging.staged(folder / "weights") as publish:
                recipe.store(trainer)
                write_card(recipe, trainer, judged(recipe, JUDGINGS if ships else 1), steps, seed)
                if ships:
                    publish()
            (folder / "checkpoint.safetensors").unlink()  # done: the same command trains anew
            kept = "" if ships else f", assets/weights/ is as it was; a trial's lie in {folder / 'weights'}"
            print(f"{recipe.name}: done{kept}")
        trainer.wait()


def run_folder(recipe, steps, seed):
    """Where a run keeps its checkpoint: a folder for each seed and number of steps, so that none goes on from another's."""
    return run.RUNS / (
        recipe.name + ("" if steps == recipe.steps else f"-steps-{steps}") + (f"-seed-{seed}" if seed else "")
    )


def judged(recipe, times):
    """The recipe's figures as {name: {"mean", "spread"}} over so many seeds of the judging; the spread is max - min."""
    rounds = [recipe.measure(seed) for seed in range(times)]
    for name, value in ((name, value) for figures in rounds for name, value in figures.items()):
        if not math.isfinite(value):
            raise WeightsError(f"{recipe.name} trained to nothing: its {name} is {value}")
    return {
        name: {"mean": round(statistics.fmean(values), 4), "spread": round(max(values) - min(values), 4)}
        for name, values in ((name, [figures[name] for figures in rounds]) for name in rounds[0])
    }


def write_card(recipe, trainer, figures, steps, seed):
    """Write `card.json` beside the weights, where README.md may tell more: how they were made, and what they can do."""
    folder = weights.FOLDER / recipe.folder
    _, world = place(trainer.device)
    gpu = [torch.cuda.get_device_name()] if trainer.device.type == "cuda" else []
    machine = [platform.system(), platform.machine(), *gpu, f"{world} x {torch.get_num_threads()} threads"]
    card = {
        "name": recipe.name,
        "class": f"{type(trainer.model).__module__}.{type(trainer.model).__qualname__}",
        "parameters": sum(p.numel() for p in trainer.trained.values()),
        "data": trainer.source,
        "command": recipe.command(steps, seed),
        "steps": steps,
        "seed": seed,
        "recipe": rates(trainer, steps),
        "minutes": round(trainer.seconds / 60, 1),
        "date": datetime.date.today().isoformat(),
        "machine": ", ".join(machine),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "commit": commit(),
        "figures": figures,
        **described(folder),
    }
    text = json.dumps(card, indent=2, ensure_ascii=False)
    (folder / "card.json").write_text(text + "\n", "utf-8")
    print(text)


def rates(trainer, steps):
    """The part of a run's recipe that says how fast it learns: batch, optimizer, rates and average."""
    whole = checkpoint.recipe_of(trainer, steps)
    return {name: whole[name] for name in ("batch size", "optimizer", "rate", "average")}


def described(folder):
    """What a card says of the files in its folder: the checksum of the weights, and the configuration."""
    (file,) = folder.glob("*.safetensors")
    return {"sha256": weights.sha256(file), "config": json.loads((folder / "config.json").read_text())}


def commit():
    """The commit of the code that runs, with a + if it was changed since; None outside of a repository."""
    git = ["git", "-C", str(ROOT)]
    try:
        name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
        changed = subprocess.run([*git, "status", "--porcelain", "course"], capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return name.strip() + "+" * bool(changed)


def need_mnist():
    """Raise a WeightsError where only the small set of digits is to be had: no weights that are shipped come of it."""
    if not data.digits(n=1, quiet=True).is_mnist:
        raise WeightsError("the shipped weights are made from MNIST, which is not here: name its folder in COURSE_DATA")
