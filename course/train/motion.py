"""Layers that let the frames of a film look at each other, in Toy Zoo's picture model, which itself stays as it is."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor

from course import judges, metrics, mini_clip, stable_diffusion, toy_ddpm, toy_zoo, weights
from course.mini_motion import FRAMES, MiniMotion, draw_frames, mixed
from course.pictures import from_uint8
from course.toy_zoo import ANIMALS, TRAINING
from course.train.recipe import Recipe
from course.train.trainer import Trainer
from course.train.vae import encode
from course.train.zoo_unet import CAPTIONS, DROP, parts

WALKERS = [scene for scene in TRAINING if scene.subject in ANIMALS]


def walks(n, seed):
    """n walks of training scenes, uint8 `[n, FRAMES, 64, 64, 3]`, and the scenes."""
    rng = np.random.default_rng(seed)
    chosen = [WALKERS[rng.integers(len(WALKERS))] for _ in range(n)]
    return np.stack([toy_zoo.walk(scene, rng, FRAMES) for scene in chosen]), chosen


def film_loss(motion, rows, draw, sd, schedule, empty):
    """DDPM Eq. 14 on the latents of films: one level and one caption for all frames of a film, and noise that they share in part.

    rows: mean and standard deviation of the latents, `[B, F, 4, 8, 8]`, and the captions' tokens `[B, CAPTIONS, L]`.
    """
    mean, std, ids = rows
    which = (draw.levels(ids.shape[1]) - 1).to(ids.device)
    ids = torch.where(draw.uniform(1) < DROP, empty, ids[torch.arange(len(ids), device=ids.device), which])
    with torch.no_grad():
        c = sd.text_encoder(ids).last_hidden_state.float().repeat_interleave(FRAMES, dim=0)  # [B F, L, D]
    x_0 = (mean + std * draw.normal(*mean.shape[1:])).flatten(0, 1)  # [B F, 4, 8, 8]
    t = draw.mixed_levels(schedule.T).repeat_interleave(FRAMES)
    eps = mixed(draw.normal(*mean.shape[1:]), draw.normal(1, *mean.shape[2:]), motion.shared).flatten(0, 1)
    with motion.inside(sd.unet):
        return toy_ddpm.training_loss(stable_diffusion.network(sd), x_0, t, eps, schedule, c=c)


def motion_trainer(unet, vae, text_encoder, tokenizer, seed=0, n=2_000, device="cpu", **changes):
    """A `Trainer` of new layers for this U-Net on n walks of training scenes; changes: keywords of `Trainer`."""
    films, scenes = walks(n, 5000 + seed)
    rng = np.random.default_rng(5000 + seed)
    texts = [toy_zoo.caption(scene, rng) for scene in scenes for _ in range(CAPTIONS)]
    ids = mini_clip.tokens(tokenizer, texts).view(n, CAPTIONS, -1)
    mean, std = (vae.config.scaling_factor * part for part in encode(vae, films.reshape(-1, *films.shape[2:])))
    latents = [part.unflatten(0, (n, FRAMES)) for part in (mean, std)]
    if torch.device(device).type == "cpu":
        unet.set_attn_processor(AttnProcessor())  # quicker than the fused kernel, as in `zoo_unet`
    unet.eval().requires_grad_(False)
    sd = stable_diffusion.StableDiffusion(tokenizer, text_encoder, unet, vae, stable_diffusion.make_scheduler())
    empty, schedule = mini_clip.tokens(tokenizer, [""]).to(device), toy_ddpm.make_schedule("scaled_linear")
    loss = functools.partial(film_loss, sd=sd, schedule=schedule, empty=empty)
    torch.manual_seed(seed)
    recipe = {"batch_size": 4, "lr": 2e-3, "ema_decay": 0.998, "seed": seed, "device": device,
              "source": f"latents of walks of Toy Zoo's animals, training scenes, {FRAMES} frames each"}  # fmt: skip
    return Trainer(MiniMotion(), loss, (*latents, ids), **recipe | changes)


def build(seed, device):
    stored = parts() | {"unet": weights.load_pretrained(f"{weights.MINI}/unet", UNet2DConditionModel)}
    for name in ("unet", "vae", "text_encoder"):
        stored[name].to(device)
    return motion_trainer(**stored, seed=seed, device=device)


# ---------------------------------------------------------------- measure


def measure_films(films, prompts, judge, true):
    """What is to be known of films `[B, F, 3, 64, 64]`, beside true walks of the same shape."""
    frames, whole = metrics.films_as_asked(judge, films, prompts)
    path, ruler = (
        metrics.paths(films),
        metrics.paths(true).mean(0),
    )  # both with mean 0: their cosine is their correlation
    return {
        "frames as asked": frames,
        "films with all frames as asked": whole,
        "flicker": metrics.flicker(films),
        "flicker of true walks": metrics.flicker(true),
        "pixels walked, head first": (path[:, -1] - path[:, 0]).mean().item(),
        "pixels walked in true walks": (ruler[-1] - ruler[0]).item(),
        "correlation with the true path": F.cosine_similarity(path, ruler[None], eps=0.1).mean().item(),
    }


def wishes(n, seed):
    """n true walks in [-1, 1], `[n, F, 3, 64, 64]`, and prompts that name all that is in them."""
    films, chosen = walks(n, 6000 + seed)
    true = from_uint8(films.reshape(-1, *films.shape[2:])).unflatten(0, (n, FRAMES))
    rng = np.random.default_rng(7000 + seed)
    return true, [toy_zoo.caption(scene, rng, everything=True) for scene in chosen]


def measure(seed, n=20):
    true, prompts = wishes(n, seed)
    films = draw_frames(stable_diffusion.load_mini(), weights.load("motion"), prompts, range(seed * n, seed * n + n))
    return measure_films(films, prompts, judges.load_zoo_judge(), true)


RECIPE = Recipe(
    name="motion",
    folder="motion",
    steps=3_400,
    needs=("zoo-unet", "zoo-judge"),
    build=build,
    store=lambda trainer: weights.save("motion", trainer.ema_model),
    measure=measure,
)
