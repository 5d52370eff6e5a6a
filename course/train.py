"""Train what `assets/weights/` holds: `python -m course.train digit-judge`, `digit-unet`, `zoo-judge`, `vae`,
`decoder`, `clip` or `unet`.

A run writes a checkpoint every two minutes and when it is interrupted (Ctrl-C); the same command goes
on from there to the same losses. Each run logs to a JSON-lines file in `runs/`. Toy Zoo's models train
likewise in several processes: `torchrun --nproc-per-node 2 -m course.train unet --processes 2`.
"""

import argparse
import functools
import json
import os
import platform
import signal
import sys
import time

import torch
from diffusers import AutoencoderKL
from tqdm import tqdm
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

from course import data, device, metrics, mini_clip, stable_diffusion, toy_ddpm, toy_zoo, train_zoo, weights
from course.mini_unet import MiniUNet
from course.sd_weights import MINI

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


def run_folder(name, seed):
    """Where a run keeps its checkpoint: one folder a seed, so that no seed goes on from another's state."""
    return RUNS / (f"{name}-seed-{seed}" if seed else name)


def train(trainer, steps, folder, where="cpu", save_every=120.0):
    """Train up to `steps`, resuming from `folder/checkpoint.safetensors` if it is there. Returns the list of new losses.

    Ctrl-C lets the step in hand finish, saves, and ends with exit status 130. Where several processes train,
    the first one alone writes. Raises WeightsError on a damaged checkpoint or one of another network.
    """
    checkpoint, stop, first, spent = folder / "checkpoint.safetensors", [], device.processes()[0] == 0, 0.0
    if checkpoint.exists():
        tensors = weights.read_tensors(checkpoint)
        spent = tensors.pop("seconds", torch.zeros(1)).item()
        try:
            trainer.load_state_dict(tensors)
        except (KeyError, RuntimeError) as error:
            said = str(error).splitlines()[0]
            raise weights.WeightsError(
                f"{checkpoint} belongs to another network ({said}). Move it away to start anew."
            ) from None
        if trainer.steps_done > steps:
            raise weights.WeightsError(
                f"{checkpoint} has had {trainer.steps_done} steps, {steps} are asked for. Ask for more, or move it away."
            )
        if first:
            print(f"going on from step {trainer.steps_done} of {steps}")

    def save():
        if first:
            weights.write_tensors(checkpoint, trainer.state_dict() | {"seconds": torch.tensor([trainer.seconds])})

    folder.mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGINT, lambda *_: stop.append(True))
    losses, saved, started = [], time.monotonic(), time.monotonic()
    trainer.seconds = spent
    try:
        with (
            open(folder / "log.jsonl" if first else os.devnull, "a") as log,
            device.autocast(where),
            tqdm(total=steps, initial=trainer.steps_done, unit="step", mininterval=5, disable=not first) as bar,
        ):
            while trainer.steps_done < steps and not device.any_process(stop):
                losses.append(trainer.step(trainer.steps_done / steps))
                trainer.seconds = spent + time.monotonic() - started  # of all runs together
                bar.update()
                if trainer.steps_done % 100 == 0:
                    bar.set_postfix(loss=f"{sum(losses[-100:]) / len(losses[-100:]):.4f}")
                    line = {"step": trainer.steps_done, "loss": losses[-1], "seconds": round(trainer.seconds, 1)}
                    log.write(json.dumps(line) + "\n")
                    log.flush()
                if time.monotonic() - saved > save_every:
                    save()
                    saved = time.monotonic()
    finally:
        signal.signal(signal.SIGINT, before)
    save()
    if trainer.steps_done < steps:
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
    card(
        "digit-judge",
        judge,
        digits.source,
        time.monotonic() - started,
        {"accuracy on the test digits": round(right, 4)},
        args,
    )


def train_unet(args):
    """Train the digit U-Net and store its averaged weights with their card."""
    where = device.pick()
    trainer, digits = digit_trainer(args.seed, where=where)
    folder = run_folder("digit-unet", args.seed)
    train(trainer, args.steps, folder, where)
    weights.save("digit-unet", trainer.ema_model)
    (folder / "checkpoint.safetensors").unlink()  # done: the same command trains anew
    judge, test = metrics.load_judge(), data.digits(train=False, quiet=True)
    drawn, asked = draw_digits(weights.load("digit-unet", MiniUNet), 512)
    real = digits.images[torch.randperm(len(digits.images), generator=torch.Generator().manual_seed(0))[:512]]
    figures = {
        "Fréchet distance of 512 samples": round(metrics.judged_distance(judge, drawn, test.images), 3),
        "the same of 512 real training digits": round(metrics.judged_distance(judge, real, test.images), 3),
        "labels read as asked": round(metrics.accuracy(judge, drawn, asked), 4),
        "steps": args.steps,
    }
    card("digit-unet", trainer.model, digits.source, trainer.seconds, figures, args)


def train_zoo_judge(args):
    """Train the reader of Toy Zoo pictures; it sees all scenes."""

    def figures(judge, _):
        weights.save("zoo-judge", judge)
        pictures, _, scenes = toy_zoo.examples(3000, seed=1, scenes=toy_zoo.all_scenes())
        seen = metrics.load_zoo_judge().read(train_zoo.pixels(pictures))
        right = sum(a == b for a, b in zip(seen, scenes)) / len(seen)
        return {"3,000 fresh renderings read right in every attribute": right}

    run_zoo("zoo-judge", train_zoo.judge_trainer, figures, args)


def train_vae(args):
    """Train the autoencoder."""

    def figures(vae, _):
        vae.register_to_config(scaling_factor=train_zoo.scaling_factor(vae, toy_zoo.examples(1000, seed=2)[0]))
        return store_vae(vae)

    run_zoo("vae", functools.partial(train_zoo.vae_trainer, second_judge(args)), figures, args)


def train_decoder(args):
    """Train the stored autoencoder's decoder on; its latents stay what they are."""
    vae = weights.load_pretrained(f"{MINI}/vae", AutoencoderKL)
    recipe = functools.partial(train_zoo.decoder_trainer, vae, second_judge(args))
    run_zoo("decoder", recipe, lambda vae, _: store_vae(vae), args)


def second_judge(args):
    """Another judge, through whose layers the autoencoder's loss looks, so that the first stays a stranger to it."""
    where = device.pick(quiet=True)
    trainer = train_zoo.judge_trainer(seed=1, scenes=toy_zoo.TRAINING, where=where)
    train(trainer, 600, RUNS / "eye", where)  # its checkpoint stays, for the decoder's training
    return trainer.ema_model


def store_vae(vae):
    weights.save_pretrained(f"{MINI}/vae", vae)
    return train_zoo.vae_figures(weights.load_pretrained(f"{MINI}/vae", AutoencoderKL), metrics.load_zoo_judge())


def train_clip(args):
    """Train CLIP with its tokenizer; the text encoder is stored again for the U-Net."""

    def figures(clip, tokenizer):
        weights.save_pretrained("mini-clip", clip, tokenizer)
        weights.save_pretrained(f"{MINI}/tokenizer", tokenizer)
        weights.save_pretrained(f"{MINI}/text_encoder", mini_clip.text_encoder(clip))
        top = train_zoo.zero_shot(weights.load_pretrained("mini-clip", CLIPModel), tokenizer)
        return {"zero-shot top-1 among 64 held-out captions": round(top, 4)}

    run_zoo("clip", train_zoo.clip_trainer, figures, args)


def train_zoo_unet(args):
    """Train the conditional U-Net on the latents of the stored autoencoder and the states of the stored text encoder."""
    vae, text_encoder = (
        weights.load_pretrained(f"{MINI}/{part}", cls).to(device.pick(quiet=True))
        for part, cls in (("vae", AutoencoderKL), ("text_encoder", CLIPTextModel))
    )
    tokenizer = weights.load_pretrained(f"{MINI}/tokenizer", CLIPTokenizer)

    def figures(unet, _):
        weights.save_pretrained(f"{MINI}/unet", unet)
        weights.save_pretrained(f"{MINI}/scheduler", train_zoo.scheduler())
        weights.save_index(MINI, train_zoo.pipeline(tokenizer, text_encoder, unet, vae))
        return train_zoo.unet_figures(stable_diffusion.load_mini(), metrics.load_zoo_judge())

    run_zoo("unet", functools.partial(train_zoo.unet_trainer, vae, text_encoder, tokenizer), figures, args)


def run_zoo(name, recipe, figures, args):
    """Train by a recipe of `train_zoo`, in as many processes as were started; the first stores what came out, with its card."""
    where = device.pick()
    rank, _ = device.processes()
    trainer = recipe(seed=args.seed, where=where)
    folder = run_folder(name, args.seed)
    train(trainer, args.steps, folder, where)
    if rank == 0:
        measured = figures(trainer.ema_model.cpu(), trainer.tokenizer) | {"steps": args.steps}
        (folder / "checkpoint.safetensors").unlink()  # done: the same command trains anew
        card(name, trainer.model, "Toy Zoo, drawn by course/toy_zoo.py", trainer.seconds, measured, args)


def card(name, model, source, seconds, figures, args):
    """Write the model card `README.md` beside the weights: data, command, minutes, machine, figures."""
    folder = weights.FOLDER / {
        "vae": f"{MINI}/vae",
        "decoder": f"{MINI}/vae",
        "unet": f"{MINI}/unet",
        "clip": "mini-clip",
    }.get(name, name)
    command = f"python -m course.train {name}" + (f" --steps {args.steps}" if COMMANDS[name][1] else "")
    command += f" --seed {args.seed}" if args.seed else ""
    rows = {
        "class": f"`{type(model).__module__}.{type(model).__name__}`, {weights.parameters(model):,} parameters, stored as float16",
        "data": source,
        "command": f"`{command}`",
        "minutes": round(seconds / 60, 1),
        "machine": f"{platform.system()}, {platform.machine()}, {device.processes()[1]} x {torch.get_num_threads()} threads, PyTorch {torch.__version__.split('+')[0]}",
        **figures,
    }
    text = f"# {name}\n\n| what | value |\n|---|---|\n" + "".join(f"| {k} | {v} |\n" for k, v in rows.items())
    (folder / ("decoder.md" if name == "decoder" else "README.md")).write_text(text, "utf-8")
    print(text)


COMMANDS = {  # what is trained, by which function, in how many gradient steps
    "digit-judge": (train_judge, None),
    "digit-unet": (train_unet, 6_000),
    "zoo-judge": (train_zoo_judge, 600),
    "vae": (train_vae, 9_600),
    "decoder": (train_decoder, 1_800),
    "clip": (train_clip, 800),
    "unet": (train_zoo_unet, 5_000),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--steps", type=int, help="gradient steps; each model has its own default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, help="how many processes train together; checked, started by torchrun")
    args = parser.parse_args()
    function, steps = COMMANDS[args.what]
    args.steps = steps if args.steps is None else args.steps
    if args.steps is not None and args.steps < 1:
        parser.error(f"--steps is {args.steps}, but at least 1 is needed")
    device.join(args.processes)
    function(args)
    device.leave()


if __name__ == "__main__":
    main()
