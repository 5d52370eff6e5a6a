"""Mini Imagen: words to a picture of 16 pixels, and that to one of 64, all in pixels, without CLIP and without latents.

Saharia et al. 2022 (Imagen, arXiv 2205.11487): a text encoder that has read much and seen nothing, a small diffusion model in
pixels, an upscaler by diffusion, and dynamic thresholding for strong guidance. Letters in the shape comments: B pictures,
L tokens, D numbers per token.
"""

from typing import NamedTuple

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTokenizer, T5EncoderModel

from course import mini_clip, mini_language, mini_upscaler, stable_diffusion, toy_ddpm, weights
from course.stable_diffusion import given

FOLDER = "mini-imagen"
SIDE = 16  # pixels of the small picture
GUIDANCE_SCALE = 1.5  # stronger guidance reads no better here, and looks less like Toy Zoo (benchmarks/cascade.py)
LEVEL = 0  # of the noise on the small picture when the upscaler gets it: at this scale none is needed
SCHEDULE, PREDICTION = "linear", "v"  # linear: large plain areas outlast much noise, so that much is needed


class MiniImagen(NamedTuple):
    """The trained parts: the tokenizer is the mini Stable Diffusion's, the upscaler a `toy_ddpm.Denoiser`."""

    tokenizer: CLIPTokenizer
    text_encoder: T5EncoderModel
    unet: UNet2DConditionModel
    upscaler: toy_ddpm.Denoiser


def make_unet(text_width=128, widths=(48, 80, 112)):
    """An untrained `UNet2DConditionModel` for 16x16 pixels: a summary of the text is added to the level, and two levels attend to it."""
    n = len(widths) - 1
    return UNet2DConditionModel(
        sample_size=SIDE, in_channels=3, out_channels=3, block_out_channels=widths, layers_per_block=1,
        down_block_types=("DownBlock2D", *["CrossAttnDownBlock2D"] * n), up_block_types=(*["CrossAttnUpBlock2D"] * n, "UpBlock2D"),
        attention_head_dim=4, norm_num_groups=16, cross_attention_dim=text_width,
        encoder_hid_dim=text_width, addition_embed_type="text", addition_embed_type_num_heads=4,
    )  # fmt: skip


def load():
    """The shipped parts. Raises WeightsError if a file is missing or damaged."""
    return MiniImagen(
        weights.load_pretrained(f"{weights.MINI}/tokenizer", CLIPTokenizer),
        weights.load_pretrained(f"{FOLDER}/text_encoder", T5EncoderModel),
        weights.load_pretrained(f"{FOLDER}/unet", UNet2DConditionModel),
        weights.load("upscaler"),
    )


def network(unet):
    """The U-Net as `network(x_t, t, c)`; diffusers counts the levels from 0."""
    return lambda x_t, t, c: unet(x_t, t - 1, c).sample


@torch.no_grad()
def encode_prompt(imagen, prompts):
    """Prompts as token states `[B, L, D]`."""
    return mini_language.states(imagen.text_encoder, mini_clip.tokens(imagen.tokenizer, prompts))


def denoiser(imagen, prompts, guidance_scale=GUIDANCE_SCALE):
    """The base U-Net with its schedule, guided by the prompts; not yet clipped or thresholded."""
    schedule, c = toy_ddpm.make_schedule(SCHEDULE), encode_prompt(imagen, prompts)
    plain = toy_ddpm.Denoiser(network(imagen.unet), schedule, PREDICTION, c)
    return toy_ddpm.guide(plain, guidance_scale, encode_prompt(imagen, [""]))


def draw_small(imagen, prompts, sources, timesteps=25, guidance_scale=GUIDANCE_SCALE, limit=toy_ddpm.thresholded):
    """Pictures `[B, 3, 16, 16]` in [-1, 1]. sources: a generator each; limit: what keeps x_0_hat in range, a denoiser's wrapper."""
    x_T = toy_ddpm.noise_like(torch.zeros(len(prompts), 3, SIDE, SIDE), sources)
    held = limit(denoiser(imagen, prompts, guidance_scale))
    return toy_ddpm.last(toy_ddpm.sample(held, x_T, timesteps, toy_ddpm.ddim)).clamp(-1, 1)


def generate(imagen, prompts, seeds=None, level=LEVEL, **choices):
    """Pictures `[B, 3, 64, 64]` in [-1, 1], one per prompt. seeds: a whole number each, default 0, 1, ...; choices: `draw_small`'s.

    Raises ValueError on other prompts or seeds.
    """
    prompts, seeds, _ = given.paired(prompts, seeds)

    def draw(prompts, seeds):
        sources = stable_diffusion.generators(seeds)
        small = draw_small(imagen, prompts, sources, **choices)
        return mini_upscaler.upscale(imagen.upscaler, small, sources, level)

    return stable_diffusion.in_parts(draw, 16, prompts, seeds)
