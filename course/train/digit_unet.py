"""The digits' diffusion model: MiniUNet on MNIST, with labels. Notebook 05 says what each choice pays."""

import torch

from course import data, judges, metrics, toy_ddpm, weights
from course.device import autocast
from course.mini_unet import MiniUNet
from course.train.muon import Muon
from course.train.recipe import Recipe, need_mnist
from course.train.trainer import DenoisingLoss, Draw, Trainer

# One recipe for the shipped checkpoint, the benchmark and the notebooks.
SCHEDULE, PREDICTION = "cosine", "v"
CHANNELS = (48, 96)
TRAINER = {"batch_size": 64, "lr": 2e-3, "ema_decay": 1.0, "optimizer": Muon}  # averages over about the last tenth


def digit_trainer(
    seed=0, n=None, model=None, channels=CHANNELS, schedule=SCHEDULE, prediction=PREDICTION, drop_label=0.1, **changes
):
    """A `Trainer` for the first n digits (None: all) with the course's recipe.

    model: default a new MiniUNet with these widths of its levels; changes: keywords of `Trainer` that replace the recipe's.
    """
    digits = data.digits(n=n)
    torch.manual_seed(seed)
    model = model or MiniUNet(channels=channels, num_classes=10)
    loss = DenoisingLoss(toy_ddpm.make_schedule(schedule), prediction, drop_label, Draw.mixed_levels)
    recipe = TRAINER | {"seed": seed, "source": digits.source} | changes
    return Trainer(model, loss, (digits.images, digits.labels), **recipe)


def draw_digits(denoiser, labels, calls=50, guidance_scale=1.5, eta=1.0, seed=0):
    """Digits `[n, 1, 28, 28]` in [-1, 1] of these labels `[n]`, on the CPU.

    calls: network calls for a sample; a guided step costs two, an unguided one (guidance_scale = 1) one.
    """
    device = next(denoiser.network.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    x_T = torch.randn(len(labels), 1, 28, 28, generator=generator).to(device)
    denoiser, guided = denoiser.given(labels.to(device)), guidance_scale != 1
    if guided:
        denoiser = toy_ddpm.guide(denoiser, guidance_scale)
    timesteps = calls // (1 + guided)
    with autocast(device):
        walk = toy_ddpm.sample(denoiser, x_T, timesteps, toy_ddpm.ddim, eta=eta, generator=generator)
        return toy_ddpm.last(walk).clamp(-1, 1).cpu()


def build(seed, device):
    need_mnist()
    return digit_trainer(seed, device=device)


def store(trainer):
    weights.save("digit-unet", trainer.ema_model, schedule=SCHEDULE, prediction=PREDICTION)


def measure(seed, n=512):
    """Draw n digits, the labels in equal parts, and compare them with as many real ones of the same labels."""
    judge, test, real = judges.load_digit_judge(), data.digits(train=False, quiet=True), data.digits(quiet=True)
    labels = torch.arange(n) % 10
    drawn = draw_digits(weights.load("digit-unet"), labels, seed=seed)
    distance = metrics.judged_distance(judge, drawn, test.images)
    floor, _ = metrics.real_distance(judge, real, labels, test.images, seed=seed)
    return {
        f"Fréchet distance of {n} samples": distance,
        f"the same of {n} real digits of the same labels": floor,
        "ratio of the two": distance / floor,
        "labels read as asked": metrics.accuracy(judge, drawn, labels),
    }


RECIPE = Recipe(
    name="digit-unet",
    folder="digit-unet",
    steps=6_000,
    needs=("digit-judge",),
    build=build,
    store=store,
    measure=measure,
)
