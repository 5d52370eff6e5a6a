"""Editing with a diffusion model that was trained for nothing of the kind: image-to-image and inpainting.

Image-to-image is SDEdit (Meng et al. 2021, arXiv 2108.01073): noise the picture to a middle level and walk
back from there. Inpainting is RePaint (Lugmayr et al. 2022, arXiv 2201.09865), `toy_ddpm.repaint`: walk all the way,
but put the kept part, noised to the level just reached, in place at every step. Shapes as in `stable_diffusion`.
Pictures and masks are looked at once, as they are given: see `pictures.check` and `pictures.as_mask`.
"""

import numbers
from itertools import chain

import torch
import torch.nn.functional as F

from course import pictures, stable_diffusion, toy_ddpm
from course.stable_diffusion import GUIDANCE_SCALE, given


def partial_timesteps(timesteps, strength):
    """The levels that image-to-image visits: the last `int(steps * strength)` steps of steps + 1 falling levels.

    strength 0 leaves the picture alone (only the last level remains), 1 walks all of them.
    Raises ValueError outside 0..1.
    """
    if not (isinstance(strength, numbers.Real) and 0 <= strength <= 1):
        raise ValueError(f"strength is {strength}; it is a share between 0 (keep the picture) and 1 (redraw all of it)")
    steps = len(timesteps) - 1
    return timesteps[steps - int(steps * strength) :]


def _looked_at(sd, x, prompts, seeds, strength, steps, negative):
    """Prompts, seeds and negatives of one per picture, and the levels to visit, once everything that was given is in order."""
    pictures.check(x)
    lists = given.paired(prompts, seeds, negative, x)
    timesteps = partial_timesteps(stable_diffusion.timesteps(sd, steps), strength)
    given.warn_of_cost(sd, x.shape[2:], len(x) * (len(timesteps) - 1))
    return *lists, timesteps


# ---------------------------------------------------------------- image to image


@torch.no_grad()
def img2img_latents(sd, x, prompts, seeds=None, strength=0.75, steps=25, guidance_scale=GUIDANCE_SCALE, negative=""):
    """The pictures' latents, noised as far as `strength` says, on their way back by DDIM: yields `(t, z_t, z_0_hat)`.

    x: pictures `[B, 3, H, W]` in [-1, 1]; negative: one string, or one per picture. The first yield is the noised start.
    Raises ValueError on other pictures, a strength outside 0..1, and where `given.paired` does.
    """
    prompts, seeds, negative, timesteps = _looked_at(sd, x, prompts, seeds, strength, steps, negative)
    denoiser = stable_diffusion.denoiser(sd, prompts, guidance_scale, negative)
    sources = stable_diffusion.generators(seeds)
    z_0 = z_t = stable_diffusion.encode_any(sd, x, sources)
    if len(timesteps) > 1:
        z_t = toy_ddpm.q_sample(z_0, timesteps[0], stable_diffusion.noise(sd, sources, x.shape[2:]), sd.schedule)
    walk = toy_ddpm.sample(denoiser, z_t, timesteps, toy_ddpm.ddim)
    return chain([(timesteps[0], z_t, z_0)], given.with_bar(walk, len(timesteps) - 1))


def image_to_image(sd, x, prompts, seeds=None, **choices):
    """Pictures `[B, 3, H, W]` in [-1, 1] drawn anew after the prompts. choices: those of `img2img_latents`."""
    return stable_diffusion.finish(sd, img2img_latents(sd, x, prompts, seeds, **choices))


# ---------------------------------------------------------------- inpainting


def shrink_mask(sd, mask, cover=False):
    """The mask of pixels `[1, 1, H, W]` for the latents `[1, 1, h, w]`. Raises ValueError where `pictures.as_mask` does.

    A cell asks its upper left pixel, as in diffusers; with cover=True it is redrawn if any of its pixels is.
    """
    given.cells(sd, mask.shape[-2:])
    mask = pictures.as_mask(mask, mask)
    if cover:
        return F.max_pool2d(mask, sd.vae_scale_factor)
    return F.interpolate(mask, scale_factor=1 / sd.vae_scale_factor)


@torch.no_grad()
def inpaint_latents(sd, x, mask, prompts, seeds=None, strength=1.0, steps=25, guidance_scale=GUIDANCE_SCALE, negative="",
                    paste="noised", resample=1, cover=False):  # fmt: skip
    """Draws where the mask is 1 and keeps the rest of the latents: yields `(t, z_t, z_0_hat)`.

    x: pictures `[B, 3, H, W]` in [-1, 1]; mask: whatever `pictures.as_mask` takes; paste, resample: `toy_ddpm.repaint`'s;
    cover: `shrink_mask`'s. The 9-channel inpainting checkpoint gets mask and masked picture as inputs, and nothing is pasted.
    Raises ValueError where `img2img_latents` does, on other masks, and if the strength is less than one step.
    """
    prompts, seeds, negative, timesteps = _looked_at(sd, x, prompts, seeds, strength, steps, negative)
    if len(timesteps) == 1:
        raise ValueError(f"strength {strength} of {steps} steps is less than one step: nothing would be drawn")
    mask = pictures.as_mask(mask, x)
    small = shrink_mask(sd, mask, cover)

    x, mask, small = (tensor.to(sd.unet.device) for tensor in (x, mask, small))
    sources = stable_diffusion.generators(seeds)
    if sd.unet.config.in_channels == 9:
        z_0, eps, step, extra = _nine_channels(sd, x, mask, small, sources, strength)
    else:
        z_0, eps, step, extra = _four_channels(sd, x, small, sources, paste, resample)
    z_t = eps if strength == 1 else toy_ddpm.q_sample(z_0, timesteps[0], eps, sd.schedule)
    denoiser = stable_diffusion.denoiser(sd, prompts, guidance_scale, negative, extra)
    walk = toy_ddpm.sample(denoiser, z_t, timesteps, step, generator=sources)
    return given.with_bar(walk, len(timesteps) - 1)


def _four_channels(sd, x, small, sources, paste, resample):
    """z_0, eps, a step that pastes the kept latents, and nothing that the network sees besides."""
    z_0, eps = stable_diffusion.encode_any(sd, x, sources), stable_diffusion.noise(sd, sources, x.shape[2:])
    same = eps if resample == 1 else None  # one noise for all levels, as diffusers has it
    return z_0, eps, toy_ddpm.repaint(toy_ddpm.ddim, z_0, small, paste, same, resample, end=1), None


def _nine_channels(sd, x, mask, small, sources, strength):
    """z_0, eps, a plain step, and what the network sees besides, mask and masked picture `[B, 5, h, w]`: drawn in diffusers' order."""
    z_0 = None if strength == 1 else stable_diffusion.encode_any(sd, x, sources)
    eps = stable_diffusion.noise(sd, sources, x.shape[2:])
    masked = stable_diffusion.encode_any(sd, x * (1 - mask), sources)
    return z_0, eps, toy_ddpm.ddim, torch.cat([small.expand(len(masked), -1, -1, -1), masked], 1)


def inpaint(sd, x, mask, prompts, seeds=None, keep_pixels=True, **choices):
    """Pictures `[B, 3, H, W]` drawn anew where the mask is 1. choices: those of `inpaint_latents`.

    keep_pixels puts the original pixels back where the mask is 0; without it they have gone through the autoencoder.
    """
    drawn = stable_diffusion.finish(sd, inpaint_latents(sd, x, mask, prompts, seeds, **choices))
    if not keep_pixels:
        return drawn
    mask = pictures.as_mask(mask, x).to(drawn.device)
    return mask * drawn + (1 - mask) * x.to(drawn.device)
