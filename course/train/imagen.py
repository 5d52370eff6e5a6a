"""Mini Imagen's base model: a conditional U-Net on pictures of 16 pixels, which reads the language model's token states."""

import functools

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from transformers import T5EncoderModel

from course import mini_clip, mini_imagen, mini_language, mini_upscaler, toy_ddpm, toy_zoo, weights
from course.pictures import from_uint8
from course.train.language import load_tokenizer
from course.train.recipe import Recipe
from course.train.trainer import Trainer
from course.train.zoo_unet import CAPTIONS, DROP, measure_prompts


def imagen_loss(unet, rows, draw, language, schedule, empty):
    """DDPM Eq. 14 on small pictures, given the token states of one of their captions, or of the empty one.

    rows: pictures `[B, 3, 16, 16]`, and their captions' tokens `[B, CAPTIONS, L]`.
    """
    x_0, ids = rows
    which = (draw.levels(ids.shape[1]) - 1).to(ids.device, non_blocking=True)
    ids = torch.where(draw.uniform(1) < DROP, empty, ids[torch.arange(len(ids), device=ids.device), which])
    with torch.no_grad():
        c = mini_language.states(language, ids)
    t, eps = draw.mixed_levels(schedule.T), draw.normal(*x_0.shape[1:])
    return toy_ddpm.training_loss(mini_imagen.network(unet), x_0, t, eps, schedule, mini_imagen.PREDICTION, c)


def small_pictures(pictures):
    """Pictures uint8 `[N, 64, 64, 3]` at a quarter of the size, `[N, 3, 16, 16]` in [-1, 1]."""
    return torch.cat([mini_upscaler.shrink(from_uint8(part)) for part in torch.from_numpy(pictures).split(1000)])


def imagen_trainer(tokenizer, language, seed=0, n=20_000, **changes):
    """A `Trainer` of a new base model on n pictures of training scenes; changes: keywords of `Trainer`.

    language: the text encoder, frozen; CLIP's `CLIPTextModel` can take its place.
    """
    pictures, _, scenes = toy_zoo.examples(n, seed=4000 + seed)
    rng = np.random.default_rng(4000 + seed)
    texts = [toy_zoo.caption(scene, rng) for scene in scenes for _ in range(CAPTIONS)]
    ids = mini_clip.tokens(tokenizer, texts).view(n, CAPTIONS, -1)
    torch.manual_seed(seed)
    unet = mini_imagen.make_unet(mini_language.states(language, ids[:1, 0]).shape[-1])
    unet.set_attn_processor(AttnProcessor())  # with so few tokens the fused kernel is slower on a CPU
    empty, schedule = mini_clip.tokens(tokenizer, [""]), toy_ddpm.make_schedule(mini_imagen.SCHEDULE)
    loss = functools.partial(imagen_loss, language=language, schedule=schedule, empty=empty)
    recipe = {"batch_size": 64, "lr": 1e-3, "ema_decay": 0.999, "seed": seed,
              "source": f"Toy Zoo's training scenes at 16 pixels, {CAPTIONS} captions each"}  # fmt: skip
    return Trainer(unet, loss, (small_pictures(pictures), ids), **recipe | changes)


def build(seed, device):
    language = weights.load_pretrained(f"{mini_imagen.FOLDER}/text_encoder", T5EncoderModel)
    return imagen_trainer(load_tokenizer(), language, seed, device=device)


def measure(seed, n=200):
    return measure_prompts(functools.partial(mini_imagen.generate, mini_imagen.load()), n, seed)


RECIPE = Recipe(
    name="imagen",
    folder=f"{mini_imagen.FOLDER}/unet",
    steps=3_000,
    needs=("language", "upscaler", "zoo-judge"),
    build=build,
    store=lambda trainer: weights.save_pretrained(f"{mini_imagen.FOLDER}/unet", trainer.ema_model),
    measure=measure,
)
