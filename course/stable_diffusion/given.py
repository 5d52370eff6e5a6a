"""What the caller gives, looked at before anything is drawn: lists of one per picture, sizes, and what they will cost."""

import operator
import time
import warnings
from collections.abc import Mapping, Set

import torch
from tqdm import tqdm

from course import mini_clip

PATIENCE = 20  # seconds of drawing without a word


def paired(prompts, seeds=None, negative="", x=None):
    """Prompts, seeds and negative prompts as three lists of one per picture; x: the pictures, where some are given.

    seeds: whole numbers in a list, range, array or tensor, default 0, 1, ...; negative: one string for all, or a list.
    Raises ValueError on everything else, and where the numbers of them differ.
    """
    prompts = mini_clip.as_texts(prompts, "prompts")
    seeds = as_seeds(range(len(prompts)) if seeds is None else seeds)
    negative = [negative] * len(prompts) if isinstance(negative, str) else mini_clip.as_texts(negative, "negative")
    counts = {} if x is None else {"pictures": len(x)}
    counts |= {"prompts": len(prompts), "seeds": len(seeds), "negative prompts": len(negative)}
    if len(set(counts.values())) > 1:
        got = ", ".join(f"{n} {what}" for what, n in counts.items())
        raise ValueError(f"a picture needs one prompt, one seed and one negative prompt (or one for all); got {got}")
    return prompts, seeds, negative


def as_seeds(seeds):
    """Whole numbers from a list, range, array or tensor, as a list. Raises ValueError on others and beyond 64 bits."""
    try:
        if isinstance(seeds, str | bytes | Set | Mapping):
            raise TypeError
        seeds = [operator.index(seed) for seed in seeds]
    except TypeError:
        raise ValueError(f"seeds is a list of whole numbers, one per picture, such as [0, 1]; got {seeds!r}") from None
    if not all(-(2**63) <= seed < 2**64 for seed in seeds):
        raise ValueError(f"a seed is a whole number of 64 bits; got {max(seeds, key=abs)}")
    return seeds


def check_sources(sources):
    """Raise ValueError unless sources is a list of generators."""
    if not isinstance(sources, list | tuple) or not sources or not all(isinstance(s, torch.Generator) for s in sources):
        raise ValueError(
            f"sources are generators, one per picture: stable_diffusion.generators([0, 1]); got {sources!r}"
        )


def cells(sd, size=None):
    """(h, w) of a picture of (H, W) pixels, default the model's own. Raises ValueError unless both are multiples of 8."""
    if size is None:
        return (sd.unet.config.sample_size,) * 2
    f = sd.vae_scale_factor
    try:
        H, W = map(operator.index, size)
    except (TypeError, ValueError):
        raise ValueError(f"size is (H, W) in pixels, two whole numbers such as (64, 96); got {size!r}") from None
    if H % f or W % f or min(H, W) < 1:
        near = [max(1, round(side / f)) * f for side in (H, W)]
        raise ValueError(
            f"a picture of {H} x {W} is no multiple of {f}; try {near[0]} x {near[1]}, "
            f"from a photo by pictures.from_image(photo, size=({near[0]}, {near[1]}))"
        )
    return H // f, W // f


@torch.no_grad()
def warn_of_cost(sd, size, steps):
    """Warn of the minutes that so many steps take, before a picture of more than four times the model's own area is drawn.

    n cells take a n + b n^2 seconds, convolutions and attention: a step on 1/16 of them and one on 1/4 tell a and b.
    """
    (h, w), own, took = cells(sd, size), sd.unet.config.sample_size, []
    if h * w <= 4 * own**2:
        return
    for part in (4, 4, 2):  # the first call of all takes longer
        z = torch.zeros(2, sd.unet.config.in_channels, -(-h // part), -(-w // part)).to(sd.unet.device, sd.unet.dtype)
        began = time.perf_counter()
        sd.unet(z, 500, z.new_zeros(2, 77, sd.unet.config.cross_attention_dim)).sample.cpu()
        took.append(time.perf_counter() - began)
    square = max(0, took[2] - 4 * took[1]) / 12
    minutes = steps * (16 * (took[1] - square) + 16**2 * square) / 60
    if minutes * 60 > PATIENCE:
        f = sd.vae_scale_factor
        warnings.warn(
            f"{h * f} x {w * f} pixels are {h * w // own**2} times the {own * f} x {own * f} of this model, and {steps} steps "
            f"take about {minutes:.1f} minutes. `pictures.from_image(image, size={own * f})` makes a picture that size.",
            stacklevel=3,
        )


def with_bar(steps, n):
    """A walk of n steps as it is, with a bar of its progress where it takes long."""
    return iter(tqdm(steps, total=n, delay=PATIENCE, leave=False))
