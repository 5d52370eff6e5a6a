"""Editing with a diffusion model that was trained for nothing of the kind: image-to-image and inpainting.

Image-to-image is SDEdit (Meng et al. 2021, arXiv 2108.01073): noise the picture to a middle level and walk
back from there. Inpainting is RePaint (Lugmayr et al. 2022, arXiv 2201.09865): walk all the way, but put
the kept part, noised to the level just reached, in place at every step. Both work on points, digits and
latents alike: shapes are `[B, ...]`, t counts from 1.
"""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from course import stable_diffusion, toy_ddpm
from course.stable_diffusion import GUIDANCE_SCALE

PASTES = ("noised", "clean", "end")


def part_of_grid(grid, strength):
    """The levels that image-to-image visits: the last `int(steps * strength)` steps of a falling grid of steps + 1 levels.

    strength 0 leaves the picture alone (only the grid's end remains), 1 walks all of it.
    Raises ValueError outside 0..1.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength}; it is a share between 0 (keep the picture) and 1 (redraw all of it)")
    steps = len(grid) - 1
    return grid[steps - min(int(steps * strength), steps) :]


@torch.no_grad()
def replace(model, x_t, known, mask, schedule, grid, *, paste="noised", noise=None, resample=1, generator=None, **how):
    """Walk down the grid and keep `known` where mask is 0: yields `(t, x_t, x_0_hat)`.

    known: the clean values `[B, ...]`; mask: 1 where the model is to draw, 0 where `known` stays, broadcast to x_t.
    paste: what goes into the kept part at every step. "noised": `known` at the level just reached (RePaint Eq. 8);
    "clean": `known` itself; "end": nothing before the last step. noise: used for every level, as diffusers does;
    None draws fresh noise each time, as RePaint does. resample: how often each step is walked, going one step up
    again in between (RePaint, Sec. 4.2), so that both parts can agree. generator: one, or a list of one a row.
    Raises ValueError on another paste or resample < 1.
    """
    if paste not in PASTES or resample < 1:
        raise ValueError(f"paste is one of {', '.join(PASTES)} and resample at least 1; got {paste!r} and {resample}")

    def kept(t):
        if paste == "clean" or t == grid[-1]:
            return known
        at = torch.full(x_t.shape[:1], t)
        return toy_ddpm.q_sample(known, at, toy_ddpm.noise_like(x_t, generator) if noise is None else noise, schedule)

    for t, t_prev in zip(grid, grid[1:]):
        for again in range(resample):
            if again:  # one step up: DDPM Eq. 2 with the grid's own alpha
                alpha = (schedule.alpha_bar[t] / schedule.alpha_bar[t_prev]).item()
                x_t = alpha**0.5 * x_t + (1 - alpha) ** 0.5 * toy_ddpm.noise_like(x_t, generator)
            part = [t, t_prev] if t_prev else [t]
            _, x_t, x_0_hat = next(toy_ddpm.sample(model, x_t, schedule, part, generator=generator, **how))
            if paste != "end" or t_prev == grid[-1]:
                x_t = mask * x_t + (1 - mask) * kept(t_prev)
            if t_prev == grid[-1]:
                break  # the end is walked to once
        yield t_prev, x_t, x_0_hat


# ---------------------------------------------------------------- pictures


def picture(image):
    """An image as `[1, 3, H, W]` in [-1, 1]: from PIL, or uint8 `[H, W]`, `[H, W, 3]`, `[H, W, 4]`.

    Grey becomes colour, what is transparent lies on white. Raises ValueError on other arrays.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or not (image.ndim == 2 or image.ndim == 3 and image.shape[2] in (3, 4)):
            raise ValueError(f"an array must be uint8 [H, W], [H, W, 3] or [H, W, 4]; got {image.dtype} {image.shape}")
        image = Image.fromarray(image)
    image = _eight_bits(image).convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1


def _eight_bits(image):
    """Pillow cuts 16 bits off at 255 where it converts them; here they are scaled. Raises ValueError on other numbers."""
    if image.mode in ("I", "F"):
        raise ValueError(f"an image of mode {image.mode} has no fixed white; save it with 8 or 16 bits a channel")
    return Image.fromarray((np.array(image) >> 8).astype(np.uint8)) if image.mode.startswith("I;16") else image


def as_mask(image, pictures):
    """A mask `[1, 1, H, W]` of 0 (keep) and 1 (redraw) for pictures `[B, 3, H, W]`; grey counts from one half on.

    image: PIL, uint8 or bool `[H, W]` (white = redraw, as in diffusers), or a tensor with values in 0..1 that ends in H, W.
    Raises ValueError on another size, on values outside, and on a mask in which nothing is to be redrawn.
    """
    if isinstance(image, Image.Image):
        image = np.array(_eight_bits(image).convert("L"))
    if isinstance(image, np.ndarray):
        image = torch.from_numpy(image / (255 if image.dtype == np.uint8 else 1))
    if image.shape[-2:] != pictures.shape[-2:] or image.numel() != image[..., :, :].shape[-1] * image.shape[-2]:
        raise ValueError(
            f"the mask is {' x '.join(map(str, image.shape))}, the picture {' x '.join(map(str, pictures.shape[-2:]))}; "
            "both need the same height and width, and a mask has one channel"
        )
    if image.min() < 0 or image.max() > 1:
        raise ValueError(f"a mask lies between 0 (keep) and 1 (redraw); got {image.min():g}..{image.max():g}")
    mask = (image.float() >= 0.5).float().view(1, 1, *pictures.shape[-2:])
    if not mask.any():
        raise ValueError("the mask is black everywhere: nothing would be redrawn. White is redrawn, black is kept")
    return mask.to(pictures.device)


def shrink_mask(sd, mask, cover=False):
    """The mask of pixels `[1, 1, H, W]` for the latents `[1, 1, h, w]`.

    A cell asks its upper left pixel, as in diffusers; with cover=True it is redrawn if any of its pixels is.
    """
    if cover:
        return F.max_pool2d(mask, sd.factor)
    return F.interpolate(mask, scale_factor=1 / sd.factor)


def walk_from(sd, pictures, prompts, seeds, strength=0.75, steps=25, guidance_scale=GUIDANCE_SCALE, negative=""):
    """Image-to-image: the pictures' latents, noised as far as `strength` says, on their way back: yields `(t, z_t, z_0_hat)`.

    pictures: `[B, 3, H, W]` in [-1, 1]. The first yield is the noised start. Raises ValueError on a strength outside 0..1.
    """
    grid = part_of_grid(stable_diffusion.levels(sd, steps), strength)
    model, c = stable_diffusion.guided_model(sd, prompts, guidance_scale, negative)
    sources = stable_diffusion.generators(seeds)
    z_0 = stable_diffusion.encode(sd, pictures, sources)
    z_t = z_0 if len(grid) == 1 else _noised(sd, z_0, grid[0], stable_diffusion.noise(sd, sources, pictures.shape[2:]))
    yield grid[0], z_t, z_0
    yield from stable_diffusion.descend(model, z_t, sd.schedule, grid, c)


def image_to_image(sd, pictures, prompts, seeds=None, **choices):
    """Pictures `[B, 3, H, W]` in [-1, 1] drawn anew after the prompts. choices: those of `walk_from`."""
    steps = walk_from(sd, pictures, prompts, _paired(pictures, prompts, seeds), **choices)
    return stable_diffusion.censor(sd, stable_diffusion.decode(sd, toy_ddpm.last(steps)))


def walk_inside(sd, pictures, mask, prompts, seeds, strength=1.0, steps=25, guidance_scale=GUIDANCE_SCALE, negative="",
                paste="noised", resample=1, cover=False):  # fmt: skip
    """Inpainting: draws where the mask is 1 and keeps the rest of the latents, yields `(t, z_t, z_0_hat)`.

    pictures: `[B, 3, H, W]`; mask: `[1, 1, H, W]` from `as_mask`; paste, resample: `replace`'s; cover: `shrink_mask`'s.
    The 9-channel inpainting checkpoint gets mask and masked picture as inputs instead, and nothing is pasted.
    Raises ValueError on a strength outside 0..1, or so small that no step is walked.
    """
    pictures, mask = pictures.to(sd.unet.device), mask.to(sd.unet.device)
    grid = part_of_grid(stable_diffusion.levels(sd, steps), strength)
    if len(grid) == 1:
        raise ValueError(f"strength {strength} of {steps} steps is less than one step: nothing would be drawn")
    sources, small = stable_diffusion.generators(seeds), shrink_mask(sd, mask, cover)
    nine = sd.unet.config.in_channels == 9
    z_0 = None if nine and strength == 1 else stable_diffusion.encode(sd, pictures, sources)
    eps, extra = stable_diffusion.noise(sd, sources, pictures.shape[2:]), None
    z_t = eps if strength == 1 else _noised(sd, z_0, grid[0], eps)
    if nine:
        masked = stable_diffusion.encode(sd, pictures * (1 - mask), sources)
        extra = torch.cat([small.expand(len(masked), -1, -1, -1), masked], 1)
    model, c = stable_diffusion.guided_model(sd, prompts, guidance_scale, negative, extra)
    if nine:
        return stable_diffusion.descend(model, z_t, sd.schedule, grid, c)
    how = {"paste": paste, "noise": eps if resample == 1 else None, "resample": resample, "eta": 0.0, "c": c}
    return replace(model, z_t, z_0, small, sd.schedule, grid, generator=sources, **how)


def inpaint(sd, pictures, mask, prompts, seeds=None, keep_pixels=True, **choices):
    """Pictures `[B, 3, H, W]` drawn anew where the mask is 1. choices: those of `walk_inside`.

    keep_pixels puts the original pixels back where the mask is 0; without it they have gone through the autoencoder.
    """
    pictures, mask = pictures.to(sd.unet.device), mask.to(sd.unet.device)
    steps = walk_inside(sd, pictures, mask, prompts, _paired(pictures, prompts, seeds), **choices)
    drawn = stable_diffusion.censor(sd, stable_diffusion.decode(sd, toy_ddpm.last(steps)))
    return mask * drawn + (1 - mask) * pictures if keep_pixels else drawn


def _paired(pictures, prompts, seeds):
    seeds = range(len(prompts)) if seeds is None else seeds
    if not len(pictures) == len(prompts) == len(seeds):
        raise ValueError(
            "each picture needs one prompt and one seed; got "
            f"{len(pictures)} pictures, {len(prompts)} prompts and {len(seeds)} seeds"
        )
    return seeds


def _noised(sd, z_0, t, eps):
    return toy_ddpm.q_sample(z_0, torch.full((len(z_0),), t), eps, sd.schedule)
