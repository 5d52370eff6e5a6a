"""Toy Zoo's diffusion model: a conditional U-Net on the autoencoder's latents, which reads the text encoder's token states."""

import functools

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPTextModel, CLIPTokenizer

from course import judges, metrics, mini_clip, stable_diffusion, toy_ddpm, toy_zoo, weights
from course.toy_zoo import DOGS_WITH_GLASSES, HELD_OUT, TRAINING
from course.train.recipe import Recipe
from course.train.trainer import Trainer
from course.train.vae import encode

WIDTHS = (96, 160)
CAPTIONS = 4  # of each picture
DROP = 0.1  # the share of captions that become the empty one, for guidance


def make_unet(text_width=128):
    """An untrained `UNet2DConditionModel` for latents 8x8x4, with cross-attention to the text's token states on both levels."""
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=WIDTHS, layers_per_block=1, attention_head_dim=4, norm_num_groups=16,
        down_block_types=("CrossAttnDownBlock2D",) * len(WIDTHS), up_block_types=("CrossAttnUpBlock2D",) * len(WIDTHS),
        cross_attention_dim=text_width,
    )  # fmt: skip


def latent_loss(unet, rows, draw, sd, schedule, empty):
    """DDPM Eq. 14 on latents, given the token states of one of a picture's captions, or of the empty one.

    rows: mean and standard deviation of the latents, `[B, 4, 8, 8]`, and the captions' tokens `[B, CAPTIONS, L]`.
    """
    mean, std, ids = rows
    which = (draw.levels(ids.shape[1]) - 1).to(ids.device, non_blocking=True)
    ids = torch.where(draw.uniform(1) < DROP, empty, ids[torch.arange(len(ids), device=ids.device), which])
    with torch.no_grad():
        c = sd.text_encoder(ids).last_hidden_state.float()  # [B, L, D]
    x_0 = mean + std * draw.normal(*mean.shape[1:])
    t, eps = draw.mixed_levels(schedule.T), draw.normal(*mean.shape[1:])  # with even ones dogs lose their glasses
    network = stable_diffusion.network(sd._replace(unet=unet))
    return toy_ddpm.training_loss(network, x_0, t, eps, schedule, c=c)


def zoo_unet_trainer(vae, text_encoder, tokenizer, seed=0, n=20_000, device="cpu", **changes):
    """A `Trainer` of a new U-Net on the latents of n pictures of training scenes; changes: keywords of `Trainer`."""
    pictures, _, scenes = toy_zoo.examples(n, seed=4000 + seed)
    rng = np.random.default_rng(4000 + seed)
    texts = [toy_zoo.caption(scene, rng) for scene in scenes for _ in range(CAPTIONS)]
    ids = mini_clip.tokens(tokenizer, texts).view(n, CAPTIONS, -1)
    mean, std = (vae.config.scaling_factor * part for part in encode(vae, pictures))
    torch.manual_seed(seed)
    unet = make_unet(text_encoder.config.hidden_size)
    if torch.device(device).type == "cpu":
        unet.set_attn_processor(AttnProcessor())  # with so few tokens a step takes 0.6 of the fused kernel's time
    sd = stable_diffusion.StableDiffusion(tokenizer, text_encoder, None, vae, stable_diffusion.make_scheduler())
    empty, schedule = mini_clip.tokens(tokenizer, [""]).to(device), toy_ddpm.make_schedule("scaled_linear")
    loss = functools.partial(latent_loss, sd=sd, schedule=schedule, empty=empty)
    recipe = {"batch_size": 64, "lr": 1e-3, "ema_decay": 0.9995, "seed": seed, "device": device,
              "source": f"latents of Toy Zoo's training scenes, {CAPTIONS} captions each"}  # fmt: skip
    return Trainer(unet, loss, (mean, std, ids), **recipe | changes)


def measure_prompts(draw, n=500, seed=0):
    """Prompt accuracy of `draw(prompts, seeds)` on n prompts each of held-out scenes, of training scenes, and of dogs with glasses."""
    judge, figures = judges.load_zoo_judge(), {}
    sets = {"held-out scenes": HELD_OUT, "training scenes": TRAINING, "a dog with glasses": DOGS_WITH_GLASSES}
    for name, scenes in sets.items():
        rng = np.random.default_rng(6 + seed)
        prompts = [toy_zoo.caption(scenes[rng.integers(len(scenes))], rng, everything=True) for _ in range(n)]
        x = draw(prompts, range(seed * n, seed * n + n))
        figures[f"prompt accuracy, {name}"] = metrics.prompt_accuracy(judge, x, prompts)
    return figures


PARTS = {"vae": AutoencoderKL, "text_encoder": CLIPTextModel, "tokenizer": CLIPTokenizer}


def parts():
    """What the U-Net stands on, as it is stored."""
    return {name: weights.load_pretrained(f"{weights.MINI}/{name}", cls) for name, cls in PARTS.items()}


def build(seed, device):
    stored = parts()
    stored["vae"].to(device), stored["text_encoder"].to(device)
    return zoo_unet_trainer(**stored, seed=seed, device=device)


def store(trainer):
    scheduler = stable_diffusion.make_scheduler()
    sd = stable_diffusion.StableDiffusion(unet=trainer.ema_model, scheduler=scheduler, **parts())
    weights.save_pretrained(f"{weights.MINI}/unet", sd.unet)
    weights.save_pretrained(f"{weights.MINI}/scheduler", sd.scheduler)
    weights.save_index(weights.MINI, stable_diffusion.as_pipeline(sd))


RECIPE = Recipe(
    name="zoo-unet",
    folder=f"{weights.MINI}/unet",
    steps=3_000,
    needs=("vae", "clip"),
    build=build,
    store=store,
    measure=lambda seed: measure_prompts(
        functools.partial(stable_diffusion.generate, stable_diffusion.load_mini()), seed=seed
    ),
)
