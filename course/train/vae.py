"""Toy Zoo's autoencoder: 64 x 64 x 3 to 8 x 8 x 4 and back, the 48-fold compression of Stable Diffusion."""

import functools
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from course import judges, metrics, toy_zoo, weights
from course.pictures import from_uint8
from course.toy_zoo import ATTRIBUTES, HELD_OUT, TRAINING
from course.train import run
from course.train.muon import Muon
from course.train.recipe import Recipe
from course.train.trainer import Trainer
from course.train.zoo_judge import zoo_judge_trainer

FOLDER = f"{weights.MINI}/vae"
KL_WEIGHT = 1e-6
PERCEPTUAL_STEPS = 600


def make_vae(widths=(16, 32, 64, 128)):
    """An untrained `AutoencoderKL`."""
    down, up = ("DownEncoderBlock2D",) * len(widths), ("UpDecoderBlock2D",) * len(widths)
    return AutoencoderKL(
        block_out_channels=widths, down_block_types=down, up_block_types=up, norm_num_groups=8, sample_size=64
    )


# ---------------------------------------------------------------- loss


def perceptual_network(device="cpu"):
    """Another judge, through whose layers the loss looks, so that the first stays a stranger to the autoencoder."""
    trainer = zoo_judge_trainer(seed=1, scenes=TRAINING, device=device)
    run.train(trainer, PERCEPTUAL_STEPS, run.RUNS / "perceptual")  # its checkpoint stays, for the next training
    return trainer.ema_model


def levels(network, x):
    """What a judge's layers make of pictures at the end of each level, before the next stride: 32, 16, 8 and 4 cells wide."""
    for layer, following in pairwise([*network.body, None]):
        x = layer(x)
        if following is None or getattr(following, "stride", None) == (2, 2):
            yield x.float()


def reconstruction_loss(vae, rows, draw, perceptual):
    """L1, squared error, edges, distance on the layers of another network, and a touch of KL: Rombach et al. 2021, App. G.

    rows: uint8 pictures `[B, 64, 64, 3]`. Returns a scalar.
    """
    x = from_uint8(rows[0])
    posterior = vae.encode(x).latent_dist
    z = posterior.mean + posterior.std * draw.normal(*posterior.mean.shape[1:])
    x_hat = vae.decode(z).sample.float()
    loss = F.l1_loss(x_hat, x) + F.mse_loss(x_hat, x) + KL_WEIGHT * posterior.kl().mean()
    for axis in (2, 3):
        loss = loss + F.l1_loss(x_hat.diff(dim=axis), x.diff(dim=axis))
    for seen, wanted in zip(levels(perceptual, x_hat), levels(perceptual, x)):
        distance = F.l1_loss(F.normalize(seen, dim=1), F.normalize(wanted, dim=1))
        loss = loss + 0.1 * distance * seen.shape[1] ** 0.5
    return loss


def collages(pictures, scenes, rng):
    """The pictures, each with a rectangle of another one pasted somewhere, and a quarter of them in exchanged colours.

    pictures: uint8 `[N, 64, 64, 3]`, the result too; scenes: what they show. An autoencoder that sees nothing else than
    whole figures learns what is usual: without collages ours rubbed the glasses off every fifth dog, having met no dog
    with glasses. Glasses and dogs are kept apart here too.
    """
    pasted, glasses = pictures.copy(), np.array([scene.worn == "glasses" for scene in scenes])
    dog = np.array([scene.subject == "dog" for scene in scenes])
    for i, j in enumerate(rng.permutation(len(pictures))):
        high, wide = rng.integers(12, 44, 2)
        (to_y, from_y), (to_x, from_x) = rng.integers(0, 64 - high, 2), rng.integers(0, 64 - wide, 2)
        if not (dog[i] and glasses[j] or dog[j] and glasses[i]):
            patch = pictures[j, from_y : from_y + high, from_x : from_x + wide]
            pasted[i, to_y : to_y + high, to_x : to_x + wide] = patch
        if rng.random() < 0.25:
            pasted[i] = pasted[i][..., rng.permutation(3)]
    return pasted


def patchwork(rng):
    """An animal that does not exist, uint8 `[64, 64, 3]`: tail, ears and face of two or three kinds, so no scene of Toy Zoo."""
    animals = toy_zoo.SUBJECTS[:4]
    ears, face = rng.choice(animals, 2, replace=False)
    coat, background, worn = (rng.choice(values) for values in (toy_zoo.COATS, toy_zoo.BACKGROUNDS, toy_zoo.WORN))
    worn = "glasses" if rng.random() < 0.5 else worn
    kinds = rng.choice(animals), ears, face
    return toy_zoo.render(toy_zoo.Scene("cat", coat, background, worn), rng, kinds=kinds)


def pictures_of_more(n, seed):
    """uint8 `[n, 64, 64, 3]`: a third collages, a third training scenes, a third patchwork animals.

    An autoencoder that is to paint what the U-Net combines must have met more combinations than the U-Net has. What is
    held out is not among them.
    """
    pictures, _, scenes = toy_zoo.examples(n, seed=seed)
    rng, third = np.random.default_rng(seed), n // 3
    pictures[:third] = collages(pictures[:third], scenes[:third], rng)
    pictures[n - third :] = [patchwork(rng) for _ in range(third)]
    return pictures


def vae_trainer(perceptual, seed=0, n=21_000, vae=None, **changes):
    """A `Trainer` on n pictures; changes: keywords of `Trainer`."""
    data = (torch.from_numpy(pictures_of_more(n, 2000 + seed)),)
    torch.manual_seed(seed)
    loss = functools.partial(reconstruction_loss, perceptual=perceptual.eval().requires_grad_(False))
    recipe = {"batch_size": 8, "lr": 1e-3, "ema_decay": 0.998, "seed": seed, "optimizer": Muon,
              "source": "Toy Zoo: training scenes, collages of them, and animals put together of several kinds"}  # fmt: skip
    return Trainer(vae or make_vae(), loss, data, **recipe | changes)


# ---------------------------------------------------------------- use


@torch.no_grad()
def encode(vae, pictures, size=250):
    """Mean and standard deviation of the latents of uint8 pictures `[N, 64, 64, 3]`, each `[N, 4, 8, 8]`, unscaled."""
    parts = [vae.encode(from_uint8(part).to(vae.device)).latent_dist for part in torch.as_tensor(pictures).split(size)]
    return torch.cat([p.mean.float().cpu() for p in parts]), torch.cat([p.std.float().cpu() for p in parts])


def scaling_factor(vae, pictures):
    """1 / standard deviation of the latents of these pictures, so that they come out with variance 1: Rombach et al. 2021, App. G."""
    return 1 / encode(vae, pictures)[0].std().item()


def measure_vae(vae, judge, seed=0, n=1000):
    """What the autoencoder keeps of n pictures of held-out and of training scenes: PSNR, and what the judge still reads right."""
    figures = {"scaling factor": vae.config.scaling_factor}
    for name, scenes, first in (("held-out", HELD_OUT, 3), ("training", TRAINING, 4)):
        pictures, _, shown = toy_zoo.examples(n, seed=first + 10 * seed, scenes=scenes)
        x, (z, _) = from_uint8(pictures), encode(vae, pictures)
        x_hat = metrics.in_batches(lambda part: vae.decode(part).sample.clamp(-1, 1), z, 100)
        pairs = list(zip(judge.read(x_hat), shown))
        figures[f"PSNR in dB, {name} scenes"] = metrics.psnr(x, x_hat)
        for i, attribute in enumerate(ATTRIBUTES):
            figures[f"{attribute} read right, {name} scenes"] = sum(a[i] == b[i] for a, b in pairs) / n
        figures[f"every attribute read right, {name} scenes"] = sum(a == b for a, b in pairs) / n
    return figures


# ---------------------------------------------------------------- recipe


def store(trainer):
    vae = trainer.ema_model
    vae.register_to_config(scaling_factor=scaling_factor(vae, toy_zoo.examples(1000, seed=2)[0]))
    weights.save_pretrained(FOLDER, vae)


def measure(seed):
    return measure_vae(weights.load_pretrained(FOLDER, AutoencoderKL), judges.load_zoo_judge(), seed)


RECIPE = Recipe(
    name="vae",
    folder=FOLDER,
    steps=7_200,
    needs=("zoo-judge",),
    build=lambda seed, device: vae_trainer(perceptual_network(device), seed, device=device),
    store=store,
    measure=measure,
)
