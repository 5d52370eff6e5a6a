"""Train what `assets/weights/` holds: `python -m course.train digit-judge` or `digit-unet`.

The U-Net's run writes a checkpoint every two minutes and when it is interrupted (Ctrl-C); the
same command goes on from there to the same losses. Each run logs to a JSON-lines file in `runs/`.
"""

import argparse
import json
import platform
import signal
import sys
import time

import torch
from tqdm import tqdm

from course import data, device, metrics, toy_ddpm, weights
from course.mini_unet import MiniUNet

RUNS = data.ROOT / "runs"

# One recipe for the shipped checkpoint, the benchmark and the notebooks; notebook 05 says what each choice pays.
DIGITS = {"schedule": "cosine", "predicts": "v"}
UNET = {"channels": (48, 96), "num_classes": 10}
TRAINER = {"batch_size": 128, "lr": 2e-3, "ema_decay": 0.999, "drop_label": 0.1}


def digit_trainer(seed=0, n=None, channels=UNET["channels"], schedule=DIGITS["schedule"], where="cpu", **changes):
    """A `Trainer` for the first n digits (None: all) with the course's recipe. Returns it and the digits.

    channels: widths of the U-Net's levels; where: the device to train on; changes: keywords of `Trainer` that replace the recipe's.
    """
    digits = data.digits(n=n)
    torch.manual_seed(seed)
    model = MiniUNet(**UNET | {"channels": channels}).to(where)
    images, labels = digits.images.to(where), digits.labels.to(where)
    recipe = TRAINER | {"predicts": DIGITS["predicts"], "seed": seed} | changes
    return toy_ddpm.Trainer(model, toy_ddpm.make_schedule(schedule), images, labels, **recipe), digits


def train(trainer, steps, folder, where="cpu", save_every=120.0):
    """Train up to `steps`, resuming from `folder/checkpoint.safetensors` if it is there. Returns the list of new losses.

    Ctrl-C lets the step in hand finish, saves, and ends with exit status 130. Raises WeightsError on a damaged
    checkpoint or one of another network.
    """
    checkpoint, stop = folder / "checkpoint.safetensors", []
    if checkpoint.exists():
        tensors = weights.read_tensors(checkpoint)
        try:
            trainer.load_state_dict(tensors)
        except (KeyError, RuntimeError) as error:
            said = str(error).splitlines()[0]
            raise weights.WeightsError(
                f"{checkpoint} belongs to another network ({said}). Move it away to start anew."
            ) from None
        print(f"going on from step {trainer.steps_done} of {steps}")
    folder.mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGINT, lambda *_: stop.append(True))
    losses, saved, started = [], time.monotonic(), time.monotonic()
    try:
        with (
            open(folder / "log.jsonl", "a") as log,
            device.autocast(where),
            tqdm(total=steps, initial=trainer.steps_done, unit="step", mininterval=5) as bar,
        ):
            while trainer.steps_done < steps and not stop:
                losses.append(trainer.step(trainer.steps_done / steps))
                bar.update()
                if trainer.steps_done % 100 == 0:
                    bar.set_postfix(loss=f"{sum(losses[-100:]) / len(losses[-100:]):.4f}")
                    seconds = round(time.monotonic() - started, 1)
                    log.write(json.dumps({"step": trainer.steps_done, "loss": losses[-1], "seconds": seconds}) + "\n")
                    log.flush()
                if time.monotonic() - saved > save_every:
                    weights.write_tensors(checkpoint, trainer.state_dict())
                    saved = time.monotonic()
    finally:
        signal.signal(signal.SIGINT, before)
    weights.write_tensors(checkpoint, trainer.state_dict())
    if stop:
        print(f"stopped after step {trainer.steps_done}; the same command goes on from here")
        sys.exit(130)
    return losses


def draw_digits(
    model, n, calls=50, guidance_scale=1.5, eta=1.0, seed=0, schedule=DIGITS["schedule"], predicts=DIGITS["predicts"]
):
    """n digits `[n, 1, 28, 28]` in [-1, 1] and the labels asked for: 0, 1, ..., 9, 0, ...

    calls: network calls for a sample; a guided step costs two, an unguided one (guidance_scale = 1) one.
    """
    where = next(model.parameters()).device
    c = torch.arange(n, device=where) % 10
    generator = torch.Generator().manual_seed(seed)
    x_T = torch.randn(n, 1, 28, 28, generator=generator).to(where)
    guided = guidance_scale != 1
    denoiser = toy_ddpm.guide(model, model.c_null, guidance_scale) if guided else model
    choice = {"steps": calls // (1 + guided), "eta": eta, "generator": generator, "c": c, "predicts": predicts}
    with device.autocast(where):
        walk = toy_ddpm.sample(denoiser, x_T, toy_ddpm.make_schedule(schedule), **choice)
        return toy_ddpm.last(walk).float().clamp(-1, 1).cpu(), c.cpu()


def train_judge(args):
    """Train the digit classifier (90 seconds on two cores) and store it with its card."""
    digits, test = data.digits(), data.digits(train=False)
    torch.manual_seed(args.seed)
    judge, started = metrics.DigitClassifier(), time.monotonic()
    for _ in tqdm(metrics.fit_judge(judge, digits.images, digits.labels, seed=args.seed), mininterval=5):
        pass
    weights.save("digit-judge", judge)
    right = metrics.accuracy(metrics.load_judge(), test.images, test.labels)
    card("digit-judge", judge, digits.source, started, {"accuracy on the test digits": round(right, 4)}, args)


def train_unet(args):
    """Train the digit U-Net and store its averaged weights with their card."""
    where, started = device.pick(), time.monotonic()
    trainer, digits = digit_trainer(args.seed, where=where)
    train(trainer, args.steps, RUNS / "digit-unet", where)
    weights.save("digit-unet", trainer.ema_model)
    (RUNS / "digit-unet" / "checkpoint.safetensors").unlink()  # done: the same command trains anew
    judge, test = metrics.load_judge(), data.digits(train=False, quiet=True)
    drawn, asked = draw_digits(weights.load("digit-unet", MiniUNet), 512)
    real = digits.images[torch.randperm(len(digits.images), generator=torch.Generator().manual_seed(0))[:512]]
    figures = {
        "Fréchet distance of 512 samples": round(metrics.digit_distance(judge, drawn, test.images), 3),
        "the same of 512 real training digits": round(metrics.digit_distance(judge, real, test.images), 3),
        "labels read as asked": round(metrics.accuracy(judge, drawn, asked), 4),
        "steps": args.steps,
    }
    card("digit-unet", trainer.model, digits.source, started, figures, args)


def card(name, model, source, started, figures, args):
    """Write the model card `README.md` beside the weights: data, command, minutes of the last run, machine, figures."""
    command = f"python -m course.train {name}" + (f" --steps {args.steps}" if name == "digit-unet" else "")
    rows = {
        "class": f"`course.{type(model).__module__.split('.')[-1]}.{type(model).__name__}`, {weights.parameters(model):,} parameters, stored as float16",
        "data": source,
        "command": f"`{command}`",
        "minutes of the last run": round((time.monotonic() - started) / 60, 1),
        "machine": f"{platform.system()}, {platform.machine()}, {torch.get_num_threads()} threads, PyTorch {torch.__version__.split('+')[0]}",
        **figures,
    }
    text = f"# {name}\n\n| what | value |\n|---|---|\n" + "".join(f"| {k} | {v} |\n" for k, v in rows.items())
    (weights.FOLDER / name / "README.md").write_text(text)
    print(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["digit-judge", "digit-unet"])
    parser.add_argument("--steps", type=int, default=6_000, help="gradient steps of the U-Net")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    {"digit-judge": train_judge, "digit-unet": train_unet}[args.what](args)


if __name__ == "__main__":
    main()
