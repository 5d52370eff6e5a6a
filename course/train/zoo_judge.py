"""Toy Zoo's judge: it reads subject, coat, background and what is worn off a picture."""

import torch
import torch.nn.functional as F

from course import judges, toy_zoo, weights
from course.pictures import from_uint8
from course.toy_zoo import ATTRIBUTES
from course.train.recipe import Recipe
from course.train.trainer import Trainer

NONE = -100  # the label of what a scene does not have, which `cross_entropy` passes over


def labels(scenes):
    """The scenes' attributes as numbers, long `[N, 4]`."""
    rows = [[values.index(v) if v else NONE for v, values in zip(scene, ATTRIBUTES.values())] for scene in scenes]
    return torch.tensor(rows)


def judge_loss(judge, rows, draw):
    """Cross-entropy of every attribute, on pictures with a little noise so that the judge does not hang on single pixels."""
    pictures, wanted = rows
    logits = judge(from_uint8(pictures) + 0.1 * draw.normal(3, 64, 64) * draw.uniform(1, 1, 1))
    return sum(
        # the mean over all rows: one over those that have a coat would weigh differently in each process
        F.cross_entropy(row.float(), wanted[:, i], label_smoothing=0.03, reduction="none").mean()
        for i, row in enumerate(logits.values())
    )


def zoo_judge_trainer(seed=0, n=24_000, scenes=None, **changes):
    """A `Trainer` of a new judge on n pictures; changes: keywords of `Trainer` that replace the recipe's.

    scenes: what the pictures show, default all there are, also those held out of the models that it judges.
    """
    pictures, _, shown = toy_zoo.examples(n, seed=1000 + seed, scenes=scenes or toy_zoo.all_scenes())
    torch.manual_seed(seed)
    recipe = {"batch_size": 128, "lr": 2e-3, "ema_decay": 0.99, "seed": seed, "source": "Toy Zoo, all scenes"}
    return Trainer(judges.ZooJudge(), judge_loss, (torch.from_numpy(pictures), labels(shown)), **recipe | changes)


def store(trainer):
    weights.save("zoo-judge", trainer.ema_model)


def measure(seed, n=3000):
    pictures, _, scenes = toy_zoo.examples(n, seed=1 + seed, scenes=toy_zoo.all_scenes())
    seen = judges.load_zoo_judge().read(from_uint8(pictures))
    right = sum(a == b for a, b in zip(seen, scenes)) / n
    return {"fresh renderings read right in every attribute": right}


RECIPE = Recipe(
    name="zoo-judge",
    folder="zoo-judge",
    steps=600,
    build=lambda seed, device: zoo_judge_trainer(seed, device=device),
    store=store,
    measure=measure,
)
