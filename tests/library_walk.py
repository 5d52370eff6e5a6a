"""The loop as diffusers' pipelines write it, which the tests of whole systems compare with."""

import torch

COSINE = {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing", "clip_sample": False}


@torch.no_grad()
def walked(scheduler, x, steps, model):
    """The loop as diffusers' pipelines write it; model: of x and the library's timestep."""
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        x = scheduler.step(model(x, t), t, x, use_clipped_model_output=True).prev_sample
    return x


def both(x_t, t):
    """Two rows of each picture, and the level of each, as a guided call takes them."""
    return torch.cat([x_t, x_t]), t.expand(2 * len(x_t))


def guided(halves, scale):
    without, with_c = halves.chunk(2)
    return without + scale * (with_c - without)
