"""A training in a folder of its own: it goes on from its checkpoint, writes a log, and lets nobody else in meanwhile."""

import contextlib
import json
import math
import os
import platform
import signal
import time

import filelock
import torch
from tqdm import tqdm

from course import ROOT
from course.train import checkpoint
from course.weights import WeightsError

RUNS = ROOT / "runs"
LOG_EVERY = 100  # steps


def train(trainer, steps, folder, save_every=120.0):
    """Train up to `steps`, going on from `folder/checkpoint.safetensors` if it is there. Returns the list of new losses.

    Ctrl-C lets the step in hand finish, saves, and ends with exit status 130. Where several processes train, the first
    alone writes. save_every: seconds between two checkpoints.
    Raises WeightsError where another training works in the folder, where the checkpoint is damaged or of another recipe,
    and where the training diverges: then the last good checkpoint stays.
    """
    with lock(folder) if trainer.first else contextlib.nullcontext():
        return go_on(trainer, steps, folder, save_every)


def go_on(trainer, steps, folder, save_every=120.0):
    """`train`, for a caller who has the folder's lock."""
    file, recipe = folder / "checkpoint.safetensors", checkpoint.recipe_of(trainer, steps)
    agree(trainer, recipe)
    resume(trainer, recipe, file)
    losses, saved = [], time.monotonic()
    with (
        interruptible() as stop,
        open(folder / "log.jsonl" if trainer.first else os.devnull, "a") as log,
        tqdm(total=steps, initial=trainer.steps_done, mininterval=5, unit="step", disable=not trainer.first) as bar,
    ):
        for loss in trainer.run(steps):
            losses.append(loss)
            bar.update()
            if trainer.steps_done % LOG_EVERY == 0:
                mean = torch.stack(losses[-LOG_EVERY:]).mean().item()  # here a GPU is asked
                if not math.isfinite(mean):
                    raise diverged(trainer, file, f"the loss is {mean}")
                bar.set_postfix(loss=f"{mean:.4f}")
                line = {"step": trainer.steps_done, "loss": mean, "seconds": round(trainer.seconds, 1)}
                print(json.dumps(line), file=log, flush=True)
            if time.monotonic() - saved > save_every:
                save(trainer, recipe, file)
                saved = time.monotonic()
            if trainer.agreed(stop):
                break
    save(trainer, recipe, file)
    trainer.wait()
    if trainer.steps_done < steps:
        print(f"stopped after step {trainer.steps_done}; the same command goes on from here")
        raise SystemExit(130)
    return [loss.item() for loss in losses]


def save(trainer, recipe, file):
    """Write the checkpoint. Raises WeightsError, and leaves the last one, if NaN or infinity is in the training."""
    if trainer.first:
        try:
            checkpoint.write(file, {"recipe": recipe, **trainer.state_dict()})
        except WeightsError as error:
            raise diverged(trainer, file, error) from None


def diverged(trainer, file, why):
    kept = f"the last good one is kept in {file}" if file.exists() else "nothing was saved yet"
    return WeightsError(
        f"the training diverged before step {trainer.steps_done} ({why}); {kept}. Lower the rate, or look at the data."
    )


def resume(trainer, recipe, file):
    """Bring the trainer to where the checkpoint was, if there is one."""
    if not file.exists():
        return
    parts = checkpoint.read(file)
    if other := checkpoint.difference(parts.pop("recipe", None), recipe):
        raise WeightsError(
            f"{file} was begun with another {other}. Train as it was begun, or move it away to start anew."
        )
    try:
        trainer.load_state_dict(parts)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise WeightsError(f"{file} is damaged ({error}). Move it away to start anew.") from None
    if trainer.first:
        print(f"going on from step {trainer.steps_done} of {recipe['steps']}")


def agree(trainer, recipe):
    """Raise a WeightsError where the processes that train together do not see the same data and weights."""
    if trainer.processes:
        from accelerate.utils import gather_object

        for other in gather_object([recipe]):
            if differs := checkpoint.difference(other, recipe):
                raise WeightsError(f"the processes train with another {differs}: they must share one folder")


@contextlib.contextmanager
def interruptible():
    """Gives a list that is filled when Ctrl-C is pressed, which by itself stops nothing then."""
    stop = []
    before = signal.signal(signal.SIGINT, lambda *_: stop.append(True))
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def lock(folder):
    """Keep other trainings out of a folder. The operating system takes the lock back from a process that dies, so none is left.

    Raises WeightsError that says who trains there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held, who = filelock.FileLock(folder / "lock"), folder / "lock.txt"
    try:
        held.acquire(timeout=0)
    except filelock.Timeout:
        says = who.read_text() if who.exists() else "it has just begun"
        raise WeightsError(f"another training works in {folder} ({says}). Wait for its end, or stop it.") from None
    try:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        who.write_text(f"process {os.getpid()} on {platform.node()}, since {now}")
        yield
    finally:
        who.unlink(missing_ok=True)
        held.release()
