"""Stable Diffusion from its parts: text to states, noise to latents, latents to a picture.

Rombach et al. 2021 (arXiv 2112.10752). The loop is `toy_ddpm.sample`, unchanged since the digits; what is new is
that x is a latent z and c the token states of a prompt. The same functions serve the course's own small weights and
the full ones of Stable Diffusion v1: `load` chooses. With a float32 model every function gives what diffusers' own
pipeline gives for the same seed. Letters in the shape comments: B pictures, L tokens, D numbers per token,
H and W pixels, h and w latent cells. Levels t count from 1, so diffusers' timestep 981 is t = 982 here.

Left out: other schedulers than DDIM (notebook 10 swaps them by hand), v-prediction, more than one text encoder.
"""

import copy
import numbers
from functools import partial
from typing import NamedTuple

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils.torch_utils import randn_tensor
from transformers import CLIPTextModel, CLIPTokenizer

from course import mini_clip, pictures, settings, toy_ddpm
from course.stable_diffusion import given
from course.stable_diffusion.load import check_rows, make_scheduler, read  # noqa: F401  handed on
from course.weights import WeightsError

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
    def vae_scale_factor(self):
        """How many pixels a latent cell is wide: 8."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def schedule(self):
        """The noise levels, from the scheduler's own table, in its float32, so that a step rounds as diffusers' does."""
        table = self.scheduler.alphas_cumprod.cpu()  # diffusers' image-to-image pipeline moves it to the GPU
        alpha_bar = torch.cat([torch.ones(1), table])
        return toy_ddpm.Schedule(alpha_bar.sqrt(), (1 - alpha_bar).sqrt())


def load(name=None, device=None, quiet=False, dtype=None):
    """Stable Diffusion v1 from "mini", a folder in diffusers' layout, or a hub id; says in one line what it took and why.

    name: default the environment variable COURSE_SD; without it the full weights if a GPU is here and a whole copy of
    them that fits into it, else "mini". Nothing is downloaded: `make full-weights` does that. device: default the one
    that `device.setup` chooses. dtype: the format of numbers, a torch.dtype or its name, default the environment
    variable COURSE_DTYPE, else float16 for full weights on a GPU and float32 otherwise.
    Raises WeightsError if there is nothing of that name, files are missing or damaged, it is no Stable Diffusion v1,
    the format is another, or the GPU is too small.
    """
    parts, line = read(name, device, dtype)
    if not quiet:
        print(line)
    return StableDiffusion(**parts)


load_mini = partial(load, "mini", "cpu", quiet=True, dtype="float32")


def wished_steps():
    """How many steps per picture: the environment variable COURSE_STEPS. Fewer suit a slow machine."""
    return settings.read("COURSE_STEPS")


def as_pipeline(sd, cls=StableDiffusionPipeline):
    """diffusers' own pipeline of these parts, which works without a bar. cls: which of its pipelines."""
    pipeline = cls(**sd._asdict(), requires_safety_checker=sd.safety_checker is not None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


# ---------------------------------------------------------------- the parts


def encode_prompt(sd, prompts):
    """A list of prompts as token states `[B, L, D]`: one row of numbers for each token. Raises ValueError on other lists."""
    ids = mini_clip.tokens(sd.tokenizer, prompts).to(sd.unet.device)
    return sd.text_encoder(ids).last_hidden_state.float()


def network(sd, extra=None):
    """The U-Net as a network of this course: latents `[B, 4, h, w]`, t in 1..T and token states c to `eps_hat`.

    extra: more channels for every call, `[B, 5, h, w]`, which the inpainting checkpoint wants: mask and masked picture.
    Raises ValueError if that checkpoint gets none; the network raises WeightsError where a GPU has no room for so many rows.
    """
    if extra is None and sd.unet.config.in_channels == 9:
        raise ValueError(
            "this is the inpainting checkpoint, which wants a mask and a picture: use edit.inpaint with it"
        )

    seen = set()  # shapes for which there is room
    dtype = sd.unet.dtype  # asked once: diffusers goes through all parameters for it

    def eps_model(z_t, t, c):
        if not torch.is_grad_enabled() and z_t.shape not in seen:  # a training step asks the device nothing
            check_rows(sd.unet, z_t)
            seen.add(z_t.shape)
        if extra is not None:
            z_t = torch.cat([z_t, extra.repeat(len(z_t) // len(extra), 1, 1, 1)], 1)
        return sd.unet(z_t.to(dtype), t - 1, c.to(dtype)).sample.float()  # diffusers counts the levels from 0

    return eps_model


@torch.no_grad()
def denoiser(sd, prompts, guidance_scale=GUIDANCE_SCALE, negative="", extra=None):
    """The U-Net with its schedule, guided by the prompts, away from the negative ones. extra: `network`'s.

    Raises ValueError where `given.paired` does, or if the scale is not a finite number.
    """
    prompts, _, negative = given.paired(prompts, negative=negative)
    plain = toy_ddpm.Denoiser(network(sd, extra), sd.schedule, "eps", encode_prompt(sd, prompts))
    return toy_ddpm.guide(plain, guidance_scale, encode_prompt(sd, negative))


def generators(seeds):
    """One source of chance per picture, on the CPU, so that a seed means the same on every machine and in every batch."""
    return [torch.Generator().manual_seed(seed) for seed in given.as_seeds(seeds)]


def noise(sd, sources, size=None):
    """Standard normal latents `[B, 4, h, w]`, one from each generator; size: (H, W) in pixels, default the model's own.

    Drawn in the U-Net's number format, as in diffusers: some versions of PyTorch (2.11) give float16 other noise from a seed.
    Raises ValueError where the size is not a multiple of 8, and on other sources.
    """
    given.check_sources(sources)
    shape = len(sources), sd.vae.config.latent_channels, *given.cells(sd, size)
    return randn_tensor(shape, sources, sd.unet.device, sd.unet.dtype).float()


def starting_noise(sd, seeds, size=None):
    """z_T, one latent `[4, h, w]` a seed."""
    return noise(sd, generators(seeds), size)


def encode(sd, x, sources):
    """Pictures x `[B, 3, H, W]` in [-1, 1] as latents `[B, 4, h, w]`: a draw from what the encoder says, times its factor.

    sources: a generator per picture. Raises ValueError on other pictures, or where H or W is not a multiple of 8.
    """
    pictures.check(x)
    return encode_any(sd, x, sources)


@torch.no_grad()
def encode_any(sd, x, sources):
    """`encode` without a look at the values, for what is no picture: noise, or a part of one cut out."""
    given.cells(sd, x.shape[2:])
    given.check_sources(sources)
    if len(x) != len(sources):
        raise ValueError(f"one generator per picture is needed; got {len(sources)} for {len(x)} pictures")
    z = []
    for row, source in zip(x, sources):
        posterior = sd.vae.encode(row[None].contiguous().to(sd.vae.device, sd.vae.dtype)).latent_dist
        z.append(posterior.sample(source).float())
    return sd.vae.config.scaling_factor * torch.cat(z)


@torch.no_grad()
def decode(sd, z):
    """Latents `[B, 4, h, w]` as pictures `[B, 3, H, W]`, clipped to [-1, 1]. Raises ValueError on other shapes."""
    if z.dim() != 4 or z.shape[1] != sd.vae.config.latent_channels or 0 in z.shape:
        raise ValueError(f"latents have the shape [B, {sd.vae.config.latent_channels}, h, w]; got {list(z.shape)}")
    return sd.vae.decode((z / sd.vae.config.scaling_factor).to(sd.vae.dtype)).sample.float().clamp(-1, 1)


@torch.no_grad()
def run_safety_checker(sd, x):
    """Pictures `[B, 3, H, W]`, those black that the full weights' safety checker objects to. Mini weights have none."""
    if sd.safety_checker is None:
        return x
    seen = sd.feature_extractor(pictures.to_images(x), return_tensors="pt").pixel_values
    seen = seen.to(sd.safety_checker.device, sd.safety_checker.dtype)
    _, bad = sd.safety_checker(clip_input=seen, images=list(x.clone()))
    if any(bad):
        print(f"the safety checker has blackened {sum(bad)} of {len(bad)} pictures; another seed or prompt may help")
    return torch.where(torch.tensor(bad, device=x.device).view(-1, 1, 1, 1), -1.0, x)


# ---------------------------------------------------------------- text to image


def timesteps(sd, steps=25):
    """The falling levels of `steps` steps, the last where they end: for 50 steps 982, 962, ..., 22, 2 and then 1.

    The scheduler's own. The end is t = 1, not 0: Stable Diffusion leaves that bit of noise. Raises ValueError on other
    numbers than 1 to T - 1, and where whole levels between them leave out more than a tenth of the noise: 501 steps of
    one level would begin at level 502, with the noise of level 1000.
    """
    T = sd.scheduler.config.num_train_timesteps
    n = int(steps) if isinstance(steps, numbers.Integral) else 0
    if not 1 <= n < T:
        raise ValueError(f"steps is {steps}, but 1 to {T - 1} are possible")
    if T % n > T // 10:
        raise ValueError(f"{n} steps would begin at level {T // n * (n - 1) + 2} of {T}, but with the pure noise of level {T}; "
                         f"take {T // (T // n + 1)} steps")  # fmt: skip
    scheduler = copy.deepcopy(sd.scheduler)
    scheduler.set_timesteps(n)
    return [t + 1 for t in scheduler.timesteps.tolist()] + [1]


def walk(sd, prompts, seeds=None, steps=25, guidance_scale=GUIDANCE_SCALE, negative="", size=None):
    """The way from noise to latents by DDIM, guided by the prompts: yields `(t, z_t, z_0_hat)`.

    negative: one string, or one per picture; size: (H, W) in pixels. Raises ValueError where the functions above do.
    """
    prompts, seeds, negative = given.paired(prompts, seeds, negative)
    grid = timesteps(sd, steps)
    given.warn_of_cost(sd, size, len(prompts) * steps)
    guided, z_T = denoiser(sd, prompts, guidance_scale, negative), starting_noise(sd, seeds, size)
    return given.with_bar(toy_ddpm.sample(guided, z_T, grid, toy_ddpm.ddim), steps)


def finish(sd, steps):
    """The pictures `[B, 3, H, W]` at the end of a walk, in [-1, 1], after the safety checker.

    Raises WeightsError where a network's numbers have left the range of their format.
    """
    x = decode(sd, toy_ddpm.last(steps))
    if not x.is_meta and not x.isfinite().all():  # asked once, at the end, for it makes a GPU wait
        raise WeightsError(f'the numbers left the range of {sd.unet.dtype}: load with dtype="bfloat16" or "float32"')
    return run_safety_checker(sd, x)


def generate(sd, prompts, seeds=None, at_once=None, negative="", **choices):
    """Pictures `[B, 3, H, W]` in [-1, 1], one per prompt, `at_once` together: default 16 of 64 pixels, 2 of 512.

    seeds: a whole number for each picture, default 0, 1, ...; negative, choices: those of `walk`.
    """
    at_once = max(2, 1024 // sd.unet.config.sample_size**2) if at_once is None else at_once
    rows = given.paired(prompts, seeds, negative)

    def draw(prompts, seeds, negative):
        return finish(sd, walk(sd, prompts, seeds, negative=negative, **choices))

    return in_parts(draw, at_once, *rows)


def in_parts(draw, at_once, *rows):
    """`draw(*rows)`, so many rows at once. Raises ValueError unless that is a whole number from 1 on."""
    if not isinstance(at_once, numbers.Integral) or at_once < 1:
        raise ValueError(f"at_once is a whole number of pictures, at least 1; got {at_once!r}")
    parts = [slice(i, i + at_once) for i in range(0, len(rows[0]), at_once)]
    return torch.cat([draw(*(row[part] for row in rows)) for part in parts])
