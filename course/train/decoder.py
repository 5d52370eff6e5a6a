"""Mini DALL-E 2's decoder: the mini Stable Diffusion's U-Net learns to read CLIP's embedding of a picture in place of words."""

import functools

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPModel

from course import mini_unclip, toy_ddpm, toy_zoo, weights
from course.train.prior import embeddings
from course.train.recipe import Recipe
from course.train.trainer import Trainer
from course.train.vae import encode
from course.train.zoo_unet import DROP, measure_prompts


def decoder_loss(decoder, rows, draw, schedule):
    """DDPM Eq. 14 on latents, given the embedding of the picture, or zeros. rows: mean and std of the latents, embeddings `[B, D]`."""
    mean, std, embeddings = rows
    c = torch.where(draw.uniform(1) < DROP, 0.0, embeddings)
    x_0 = mean + std * draw.normal(*mean.shape[1:])
    t, eps = draw.mixed_levels(schedule.T), draw.normal(*mean.shape[1:])
    return toy_ddpm.training_loss(mini_unclip.network(decoder), x_0, t, eps, schedule, c=c)


def decoder_trainer(vae, clip, unet, seed=0, n=20_000, **changes):
    """A `Trainer` of the decoder's own part on n pictures of training scenes; changes: keywords of `Trainer`."""
    pictures, _, _ = toy_zoo.examples(n, seed=4000 + seed)
    mean, std = (vae.config.scaling_factor * part for part in encode(vae, pictures))
    torch.manual_seed(seed)
    decoder = mini_unclip.make_decoder(unet)
    decoder.set_attn_processor(AttnProcessor())  # with so few tokens the fused kernel is slower on a CPU
    loss = functools.partial(decoder_loss, schedule=toy_ddpm.make_schedule("scaled_linear"))
    recipe = {"batch_size": 64, "lr": 1e-3, "ema_decay": 0.999, "seed": seed,
              "parameters": mini_unclip.learned(decoder).values(),
              "source": "latents and CLIP's embeddings of Toy Zoo's training scenes"}  # fmt: skip
    return Trainer(decoder, loss, (mean, std, embeddings(clip, pictures)), **recipe | changes)


def build(seed, device):
    stored = {"vae": AutoencoderKL, "unet": UNet2DConditionModel}
    parts = {name: weights.load_pretrained(f"{weights.MINI}/{name}", cls) for name, cls in stored.items()}
    clip = weights.load_pretrained("mini-clip", CLIPModel)
    return decoder_trainer(**parts, clip=clip, seed=seed, device=device)


RECIPE = Recipe(
    name="decoder",
    folder=f"{mini_unclip.FOLDER}/decoder",
    steps=3_000,
    needs=("prior", "zoo-unet", "zoo-judge"),
    build=build,
    store=lambda trainer: weights.save_changes(
        f"{mini_unclip.FOLDER}/decoder", mini_unclip.learned(trainer.ema_model), of=f"{weights.MINI}/unet"
    ),
    measure=lambda seed: measure_prompts(functools.partial(mini_unclip.generate, mini_unclip.load()), 200, seed),
)
