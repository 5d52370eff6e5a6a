"""Pictures that know of each other: attention along the frames of a film, put into a picture model that stays as it is.

Blattmann et al. 2023 (arXiv 2304.08818) and Guo et al. 2023 (AnimateDiff, arXiv 2307.04725): the layers of the picture
model take the frames for rows of a batch, the new ones take places for rows. Their output begins at zero, so before the
training the pictures are the picture model's own, bit for bit. Letters in the shape comments: B films, F frames,
C channels, h and w latent cells, R = B h w rows, D numbers of a head.

Left out: attention over place and time together, films longer than those of the training, a word for the motion.
"""

import contextlib

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import nn

from course import stable_diffusion, toy_ddpm
from course.stable_diffusion import given

FRAMES = 8
WIDTHS = (96, 160, 160, 160, 160, 96, 96)  # channels behind the attention layers of Toy Zoo's U-Net, in their order
SHARED = 0.8  # of the starting noises: with less, the frames of some films do not agree where the head is
GUIDANCE_SCALE = 3.0  # more pulls the animals to the middle, where most single pictures have them


def by_place(h, frames):
    """Frames as rows, `[B F, C, h, w]`, to places as rows, `[B h w, F, C]`: each row is one place of one film, in time.

    Raises ValueError unless these are whole films.
    """
    if len(h) % frames:
        raise ValueError(f"films of {frames} frames come in whole; got {len(h)} rows")
    films = h.unflatten(0, (-1, frames))  # [B, F, C, h, w]
    return films.permute(0, 3, 4, 1, 2).flatten(0, 2)


def by_frame(rows, height, width):
    """The way back, from `[B h w, F, C]` to `[B F, C, h, w]`."""
    films = rows.unflatten(0, (-1, height, width))  # [B, h, w, F, C]
    return films.permute(0, 3, 4, 1, 2).flatten(0, 1)


def zeros(linear):
    """The layer with zeros for weights."""
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    return linear


class FrameAttention(nn.Module):
    """Each frame looks at all frames of its row: rows `[R, F, C]` in, rows out, at first zeros."""

    def __init__(self, channels, inner, heads):
        super().__init__()
        self.heads = heads
        self.to_qkv, self.to_out = nn.Linear(channels, 3 * inner, bias=False), zeros(nn.Linear(inner, channels))

    def forward(self, rows):
        q, k, v = self.to_qkv(rows).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # [R, heads, F, D] each
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class FrameLayer(nn.Module):
    """What a place learns from itself in the other frames: `[B F, C, h, w]` in, what is to be added to it out, at first zeros.

    A learned row tells each frame its number; attention looks, two linear layers make something of it.
    """

    def __init__(self, channels, inner, heads, frames):
        super().__init__()
        self.frames, self.number = frames, nn.Parameter(0.02 * torch.randn(frames, channels))
        self.norm_1, self.attention = nn.LayerNorm(channels), FrameAttention(channels, inner, heads)
        self.norm_2, last = nn.LayerNorm(channels), zeros(nn.Linear(2 * inner, channels))
        self.think = nn.Sequential(nn.Linear(channels, 2 * inner), nn.GELU(), last)

    def forward(self, h):
        rows = by_place(h, self.frames)  # [B h w, F, C]
        seen = self.attention(self.norm_1(rows) + self.number)
        thought = self.think(self.norm_2(rows + seen) + self.number)
        return by_frame(seen + thought, *h.shape[2:])


class MiniMotion(nn.Module):
    """The new layers alone, one behind each attention layer of a U-Net, whose channels are `widths`.

    frames: of every film; shared: what the frames' noises had in common in the training, see `mixed`.
    """

    def __init__(self, widths=WIDTHS, inner=48, heads=3, frames=FRAMES, shared=0.5):
        super().__init__()
        self.config = dict(widths=list(widths), inner=inner, heads=heads, frames=frames, shared=shared)
        self.frames, self.shared = frames, shared
        self.layers = nn.ModuleList(FrameLayer(channels, inner, heads, frames) for channels in widths)

    @contextlib.contextmanager
    def inside(self, unet):
        """Inside, the U-Net has these layers, and its rows `[B F, ...]` are films, frame after frame; afterwards it is as before.

        Raises ValueError if it has other attention layers than these were made for.
        """
        places = [module for module in in_order(unet) if isinstance(module, Transformer2DModel)]
        widths = [place.config.in_channels for place in places]
        if widths != self.config["widths"]:
            raise ValueError(f"these layers are for the widths {self.config['widths']}; this U-Net has {widths}")
        with contextlib.ExitStack() as until_the_end:
            for place, layer in zip(places, self.layers):
                hook = place.register_forward_hook(lambda _, __, said, layer=layer: (said[0] + layer(said[0]),))
                until_the_end.callback(hook.remove)
            yield unet


def in_order(unet):
    """What may be an attention layer, in the order in which a picture goes through the U-Net."""
    return [module for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks) for module in block.attentions]


# ---------------------------------------------------------------- drawing


def mixed(own, common, shared):
    """Noise of which the frames share a part, standard normal as `own` and `common` are: Ge et al. 2023 (arXiv 2305.10474).

    shared: the share of the variance that is common, else ValueError if it is not in 0..1.
    """
    if not 0 <= shared <= 1:
        raise ValueError(f"shared is {shared!r}, but a share of the noise lies in 0..1")
    return (1 - shared) ** 0.5 * own + shared**0.5 * common


@torch.no_grad()
def draw_frames(sd, motion, prompts, seeds=None, steps=25, guidance_scale=GUIDANCE_SCALE, shared=SHARED):
    """Films `[B, F, 3, H, W]` in [-1, 1], one for each prompt, by DDIM; all frames of a film have the same prompt.

    motion: a `MiniMotion`. seeds: a whole number for each film, default 0, 1, ...; shared: of the starting noises, see
    `mixed`.
    Raises ValueError on other prompts, seeds, steps, scales or shares, and where the U-Net is not the one of the layers.
    """
    prompts, seeds, _ = given.paired(prompts, seeds)
    films, timesteps = [], stable_diffusion.timesteps(sd, steps)
    with motion.inside(sd.unet):
        for prompt, source in zip(prompts, stable_diffusion.generators(seeds)):  # a film is the same in every list
            denoiser = stable_diffusion.denoiser(sd, [prompt] * motion.frames, guidance_scale)
            own = stable_diffusion.noise(sd, [source] * motion.frames)
            z_T = mixed(own, stable_diffusion.noise(sd, [source]), shared)
            films.append(stable_diffusion.finish(sd, toy_ddpm.sample(denoiser, z_T, timesteps, toy_ddpm.ddim)))
    return torch.stack(films)
