"""Second stage of Toy Zoo's autoencoder: its decoder trains on, its latents stay what they are, as with `sd-vae-ft-mse` of 2022."""

import functools

import numpy as np
import torch
from diffusers import AutoencoderKL

from course import toy_zoo, weights
from course.train import vae as first_stage
from course.train.recipe import Recipe
from course.train.trainer import Trainer


def patchwork(rng):
    """An animal that does not exist, uint8 [64, 64, 3]: tail, ears and face of two or three kinds, so no scene of Toy Zoo."""
    animals = toy_zoo.SUBJECTS[:4]
    ears, face = rng.choice(animals, 2, replace=False)
    coat, background, worn = (rng.choice(values) for values in (toy_zoo.COATS, toy_zoo.BACKGROUNDS, toy_zoo.WORN))
    worn = "glasses" if rng.random() < 0.5 else worn
    kinds = rng.choice(animals), ears, face
    return toy_zoo.render(toy_zoo.Scene("cat", coat, background, worn), rng, kinds=kinds)


def decoder_trainer(vae, perceptual, seed=0, n=15_000, **changes):
    """A `Trainer` of the decoder alone; changes: keywords of `Trainer`.

    A third are training scenes, a third collages, a third patchwork animals: a decoder that is to paint what the U-Net
    combines must have met more combinations than the U-Net has. What is held out is not among them.
    """
    pictures, _, scenes = toy_zoo.examples(n, seed=7000 + seed)
    rng, third = np.random.default_rng(7000 + seed), n // 3
    pictures[:third] = first_stage.collages(pictures[:third], scenes[:third], rng)
    pictures[-third:] = [patchwork(rng) for _ in range(third)]
    torch.manual_seed(seed)
    loss = functools.partial(first_stage.reconstruction_loss, perceptual=perceptual.eval().requires_grad_(False))
    recipe = {"batch_size": 16, "lr": 6e-4, "ema_decay": 0.998, "seed": seed,
              "parameters": [*vae.decoder.train().parameters(), *vae.post_quant_conv.parameters()],
              "source": "Toy Zoo: training scenes, collages of them, and animals put together of several kinds"}  # fmt: skip
    return Trainer(vae, loss, (torch.from_numpy(pictures),), **recipe | changes)


def build(seed, device):
    vae = weights.load_pretrained(first_stage.FOLDER, AutoencoderKL)
    return decoder_trainer(vae, first_stage.perceptual_network(device), seed, device=device)


RECIPE = Recipe(
    name="decoder",
    folder=first_stage.FOLDER,
    steps=1_800,
    needs=("vae",),
    build=build,
    store=lambda trainer: weights.save_pretrained(first_stage.FOLDER, trainer.ema_model),
    measure=first_stage.measure,
)
