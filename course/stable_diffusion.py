"""Stable Diffusion from its parts: text to states, noise to latents, latents to a picture.

Rombach et al. 2021 (arXiv 2112.10752). The loop is `toy_ddpm.sample`, unchanged since the digits; what is new is
that x is a latent z and c the token states of a prompt. The same functions serve the course's own small weights and
the full ones of Stable Diffusion v1: `load` chooses. With a float32 model every function gives what diffusers' own
pipeline gives for the same seed. Letters in the shape comments: B pictures, L tokens, D numbers a token,
H and W pixels, h and w latent cells. Levels t count from 1, so diffusers' timestep 981 is t = 982 here.

Left out: other schedulers than DDIM (notebook 10 swaps them by hand), v-prediction, more than one text encoder.
"""

import os
from functools import partial
from itertools import islice
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer

from course import mini_clip, sd_weights, toy_ddpm

GUIDANCE_SCALE = 7.5  # the best of the sweep that notebook 09 shows, and usual for the full weights too


class StableDiffusion(NamedTuple):
    """The trained parts, the scheduler's settings, and for full weights the safety checker with its image processor."""

    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    scheduler: DDIMScheduler
    feature_extractor: object = None
    safety_checker: object = None

    @property
    def factor(self):
        """How many pixels a latent cell is wide: 8."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def schedule(self):
        """The noise levels, from the scheduler's own betas: scaled_linear, which `load` has made sure of."""
        betas = self.scheduler.betas
        return toy_ddpm.Schedule(torch.cat([betas.new_zeros(1), betas]))


def load(name=None, where=None, quiet=False, dtype=None):
    """Stable Diffusion v1 from "mini", a folder in diffusers' layout, or a hub id; says in one line what it took and why.

    name: default the environment variable COURSE_SD; without it the full weights if a GPU is here and a whole copy of
    them that fits into it, else "mini". Nothing is downloaded: `make full-weights` does that. where: a device, default `device.pick`'s.
    dtype: the format of numbers, a torch.dtype or its name, default the environment variable COURSE_DTYPE, else float16
    for full weights on a GPU and float32 otherwise.
    Raises WeightsError if there is nothing of that name, files are missing or damaged, it is no Stable Diffusion v1,
    the format is another, or the GPU is too small.
    """
    parts, line = sd_weights.read(name, where, dtype)
    if not quiet:
        print(line)
    return StableDiffusion(**parts)


load_mini = partial(load, "mini", "cpu", quiet=True, dtype="float32")


def wished_steps():
    """How many steps a picture shall take: the environment variable COURSE_STEPS, default 25. Fewer suit a slow machine.

    Raises ValueError unless it is a whole number from 2 (so that image-to-image can walk a part of them) to 999.
    """
    wished = os.environ.get("COURSE_STEPS") or "25"
    if not wished.isdecimal() or not 2 <= int(wished) <= 999:
        raise ValueError(f"COURSE_STEPS is {wished!r}, but a whole number from 2 to 999 is needed; unset it for 25")
    return int(wished)


# ---------------------------------------------------------------- the parts


def encode_prompt(sd, prompts):
    """A list of prompts as token states `[B, L, D]`: one row of numbers for each token. Raises ValueError on a single string."""
    ids = mini_clip.tokens(sd.tokenizer, prompts).to(sd.unet.device)
    return sd.text_encoder(ids).last_hidden_state.float()


def eps_model(sd, extra=None):
    """The U-Net as the course's `eps_model`: latents `[B, 4, h, w]`, t in 1..T and token states c to `eps_hat`.

    extra: more channels for every call, `[B, 5, h, w]`, which the inpainting checkpoint wants: mask and masked picture.
    Raises ValueError if that checkpoint gets none.
    """
    if extra is None and sd.unet.config.in_channels == 9:
        raise ValueError(
            "this is the inpainting checkpoint, which wants a mask and a picture: use editing.inpaint with it"
        )

    def model(z_t, t, c):
        if extra is not None:
            z_t = torch.cat([z_t, extra.repeat(len(z_t) // len(extra), 1, 1, 1)], 1)
        dtype = sd.unet.dtype
        return sd.unet(z_t.to(dtype), t - 1, c.to(dtype)).sample.float()  # diffusers counts the levels from 0

    return model


def generators(seeds):
    """One source of chance a picture, on the CPU, so that a seed means the same on every machine and in every batch."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def noise(sd, sources, size=None):
    """Standard normal latents `[B, 4, h, w]`, one from each generator; size: (H, W) in pixels, default the model's own.

    Raises ValueError where the size is not a multiple of 8.
    """
    own = sd.unet.config.sample_size * sd.factor
    shape = sd.vae.config.latent_channels, *_cells(sd, size or (own, own))
    return torch.stack([torch.randn(shape, generator=source) for source in sources]).to(sd.unet.device)


def _cells(sd, size):
    """(h, w) of a picture of (H, W) pixels."""
    if any(side % sd.factor or side < 1 for side in size):
        near = [max(1, round(side / sd.factor)) * sd.factor for side in size]
        raise ValueError(f"a picture of {size[0]} x {size[1]} is no multiple of {sd.factor}; try {near[0]} x {near[1]}")
    return [side // sd.factor for side in size]


def starting_noise(sd, seeds, size=None):
    """z_T, one latent `[4, h, w]` a seed."""
    return noise(sd, generators(seeds), size)


@torch.no_grad()
def encode(sd, pictures, sources):
    """Pictures `[B, 3, H, W]` in [-1, 1] as latents `[B, 4, h, w]`: a draw from what the encoder says, times its factor.

    Raises ValueError where H or W is not a multiple of 8.
    """
    _cells(sd, pictures.shape[2:])
    z = []
    for picture, source in zip(pictures, sources):
        posterior = sd.vae.encode(picture[None].contiguous().to(sd.vae.device, sd.vae.dtype)).latent_dist
        z.append(posterior.sample(source).float())
    return sd.vae.config.scaling_factor * torch.cat(z)


@torch.no_grad()
def decode(sd, z):
    """Latents `[B, 4, h, w]` as pictures `[B, 3, H, W]`, clipped to [-1, 1]."""
    return sd.vae.decode((z / sd.vae.config.scaling_factor).to(sd.vae.dtype)).sample.float().clamp(-1, 1)


def to_images(pictures):
    """Pictures `[B, 3, H, W]` in [-1, 1] as a list of PIL images."""
    return [Image.fromarray(x) for x in ((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()]


@torch.no_grad()
def censor(sd, pictures):
    """Pictures `[B, 3, H, W]`, those black that the full weights' safety checker objects to. Mini weights have none."""
    if sd.safety_checker is None:
        return pictures
    seen = sd.feature_extractor(to_images(pictures), return_tensors="pt").pixel_values
    seen = seen.to(sd.safety_checker.device, sd.safety_checker.dtype)
    _, bad = sd.safety_checker(clip_input=seen, images=list(pictures.clone()))
    if any(bad):
        print(f"the safety checker has blackened {sum(bad)} of {len(bad)} pictures; another seed or prompt may help")
    return torch.where(torch.tensor(bad, device=pictures.device).view(-1, 1, 1, 1), -1.0, pictures)


# ---------------------------------------------------------------- text to image


def levels(sd, steps=25):
    """The falling levels of `steps` steps and the level at which they end: for 50 steps 982, 962, ..., 22, 2 and then 1.

    diffusers' "leading" spacing with an offset of 1. The end is t = 1, not 0: Stable Diffusion leaves that bit of noise.
    """
    T = sd.scheduler.config.num_train_timesteps
    if not 1 <= steps < T:
        raise ValueError(f"steps is {steps}, but 1 to {T - 1} are possible")
    return [T // steps * k + 2 for k in reversed(range(steps))] + [1]


def descend(model, z_t, schedule, grid, c):
    """DDIM from level grid[0] to grid[-1], which lies above 0, given c: yields `(t, z_t, z_0_hat)`."""
    return islice(toy_ddpm.sample(model, z_t, schedule, grid, eta=0.0, c=c), len(grid) - 1)


def guided_model(sd, prompts, guidance_scale=GUIDANCE_SCALE, negative="", extra=None):
    """The U-Net with classifier-free guidance, and the token states `[B, L, D]` that it wants as c."""
    with torch.no_grad():
        c, c_null = encode_prompt(sd, prompts), encode_prompt(sd, [negative])
    return toy_ddpm.guide(eps_model(sd, extra), c_null, guidance_scale), c


def walk(sd, prompts, seeds, steps=25, guidance_scale=GUIDANCE_SCALE, negative="", size=None):
    """The way from noise to latents by DDIM, guided by the prompts: yields `(t, z_t, z_0_hat)`."""
    model, c = guided_model(sd, prompts, guidance_scale, negative)
    return descend(model, starting_noise(sd, seeds, size), sd.schedule, levels(sd, steps), c)


def generate(sd, prompts, seeds=None, at_once=None, **choices):
    """Pictures `[B, 3, H, W]` in [-1, 1], one a prompt, `at_once` together: default 16 of 64 pixels, 2 of 512.

    seeds: a whole number for each picture, default 0, 1, ...; choices: steps, guidance_scale, negative, size of `walk`.
    """
    seeds = list(range(len(prompts)) if seeds is None else seeds)
    if len(seeds) != len(prompts):
        raise ValueError(f"one seed a prompt is needed; got {len(seeds)} seeds for {len(prompts)} prompts")
    at_once = at_once or max(2, 1024 // sd.unet.config.sample_size**2)
    parts = [slice(i, i + at_once) for i in range(0, len(prompts), at_once)]
    drawn = (decode(sd, toy_ddpm.last(walk(sd, prompts[part], seeds[part], **choices))) for part in parts)
    return torch.cat([censor(sd, pictures) for pictures in drawn])


# ---------------------------------------------------------------- attention


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
