"""Stable Diffusion from its parts: text to states, noise to latents, latents to a picture.

Rombach et al. 2021 (arXiv 2112.10752). The loop is `toy_ddpm.sample`, unchanged since the digits;
what is new is that x is a latent and c the token states of a prompt. Letters in the shape comments:
B pictures, L tokens, D numbers a token.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from course import mini_clip, toy_ddpm, weights

MINI = "mini-stable-diffusion"
GUIDANCE_SCALE = 7.5  # the best of the sweep that notebook 09 shows, and usual for the full weights too


class StableDiffusion(NamedTuple):
    """The four trained parts."""

    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderKL


def load_mini():
    """The course's own Stable Diffusion for Toy Zoo, from `assets/weights/`. Raises WeightsError if a file is damaged."""
    classes = StableDiffusion.__annotations__
    return StableDiffusion(*(weights.load_pretrained(f"{MINI}/{part}", cls) for part, cls in classes.items()))


def encode_prompt(sd, prompts):
    """Prompts as token states `[B, L, D]`: one row of numbers for each token."""
    return sd.text_encoder(mini_clip.tokens(sd.tokenizer, prompts).to(sd.unet.device)).last_hidden_state


def eps_model(sd):
    """The U-Net as the course's `eps_model`: latents `[B, 4, h, w]`, t in 1..T and token states c to `eps_hat`."""
    return lambda x_t, t, c: sd.unet(x_t, t - 1, c).sample  # diffusers counts the levels from 0


def starting_noise(sd, seeds):
    """x_T, one latent `[4, h, w]` a seed, drawn on the CPU so that a seed means the same on every machine."""
    shape = sd.unet.config.in_channels, sd.unet.config.sample_size, sd.unet.config.sample_size
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


@torch.no_grad()
def decode(sd, z):
    """Latents `[B, 4, h, w]` as pictures `[B, 3, 8h, 8w]`, clipped to [-1, 1]."""
    return sd.vae.decode(z / sd.vae.config.scaling_factor).sample.clamp(-1, 1)


def walk(sd, prompts, seeds, steps=25, guidance_scale=GUIDANCE_SCALE, negative=""):
    """The way from noise to latents: what `toy_ddpm.sample` yields, `(t, x_t, x_0_hat)`, by DDIM, guided by the prompts."""
    with torch.no_grad():
        c, c_null = encode_prompt(sd, prompts), encode_prompt(sd, [negative])
    model = toy_ddpm.guide(eps_model(sd), c_null, guidance_scale)
    x_T = starting_noise(sd, seeds).to(sd.unet.device)
    return toy_ddpm.sample(model, x_T, toy_ddpm.make_schedule("scaled_linear"), steps, eta=0.0, c=c)


def generate(sd, prompts, seeds=None, at_once=16, **choices):
    """Pictures `[B, 3, H, W]` in [-1, 1], one a prompt, a few at once.

    seeds: a whole number for each picture, default 0, 1, ...; choices: steps, guidance_scale and negative of `walk`.
    """
    seeds = list(range(len(prompts)) if seeds is None else seeds)
    if len(seeds) != len(prompts):
        raise ValueError(f"one seed a prompt is needed; got {len(seeds)} seeds for {len(prompts)} prompts")
    parts = [slice(i, i + at_once) for i in range(0, len(prompts), at_once)]
    return torch.cat([decode(sd, toy_ddpm.last(walk(sd, prompts[part], seeds[part], **choices))) for part in parts])


class Watch:
    """diffusers' attention, Rombach et al. 2021, Sec. 3.3, that keeps its weights `[B, cells, L]`, mean of the heads, in `seen`."""

    def __init__(self):
        self.seen = []

    def __call__(self, attn, hidden_states, encoder_hidden_states, attention_mask=None, temb=None):
        parts = attn.to_q(hidden_states), attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states)
        q, k, v = map(attn.head_to_batch_dim, parts)  # [B * heads, cells or L, d]
        weights = attn.get_attention_scores(q, k, attention_mask)  # rows sum to 1
        self.seen.append(weights.unflatten(0, (-1, attn.heads)).mean(1))
        return attn.to_out[1](attn.to_out[0](attn.batch_to_head_dim(weights @ v)))


def attention_maps(sd, prompts, seeds, **choices):
    """Latents as `walk` draws them, and how much each place looked at each token: `[steps, B, L, h, w]`, sums over L are 1.

    The mean of all cross-attention layers, each stretched to the latents' size (Tang et al. 2022, arXiv 2210.04885).
    """
    own, watch, maps = sd.unet.attn_processors, Watch(), []
    sd.unet.set_attn_processor({name: watch if ".attn2." in name else kept for name, kept in own.items()})
    try:
        for _, z, _ in walk(sd, prompts, seeds, **choices):
            # of the two halves of a guided batch the second saw the prompt; pictures are square
            grids = [w[-len(z) :].mT.unflatten(2, (round(w.shape[1] ** 0.5), -1)) for w in watch.seen]
            maps.append(torch.stack([F.interpolate(grid, z.shape[2:], mode="bilinear") for grid in grids]).mean(0))
            watch.seen.clear()
    finally:
        sd.unet.set_attn_processor(own)
    return z, torch.stack(maps)
