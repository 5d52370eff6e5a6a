"""A 4x upscaler by diffusion: noise becomes the detail that a small picture lacks, given it and how much noise lies on it.

The small picture stands beside the noisy detail on the channel axis (SR3, Saharia et al. 2021, arXiv 2104.07636, Sec. 2), as
in diffusers' `StableDiffusionUpscalePipeline`. It is noised itself, and the network is told how much: noise conditioning
augmentation (Ho et al. 2021, arXiv 2106.15282, Sec. 3; Imagen, arXiv 2205.11487, Sec. 2.4). What is diffused is not the
large picture but what interpolation misses of it (Li et al. 2021, arXiv 2104.14951), scaled to a spread of about 1.
Letters in the shape comments: B pictures, h and w pixels of the small one, H = 4 h and W = 4 w.
"""

import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from torch import nn

from course import pictures, toy_ddpm

FACTOR = 4
FOLD = 2
DETAIL = 0.2  # the standard deviation of what interpolation misses
LEVELS = 300  # the small picture is noised up to this level of 1000


class Upscaler(nn.Module):
    """The network: x_t `[B, 3, H, W]`, t `[B]` and c = (small `[B, 3, h, w]`, its level `[B]`, 0 for clean) to the detail.

    Each square of 2 x 2 pixels is folded into 12 channels, and the small picture stretched to as many places: a quarter of
    the work. There is no attention, so it takes pictures of every size.
    """

    def __init__(self, channels=(48, 96, 128)):
        super().__init__()
        self.config = {"channels": tuple(channels)}
        folded = 3 * FOLD**2
        self.unet = UNet2DModel(
            in_channels=folded + 3, out_channels=folded, block_out_channels=channels, layers_per_block=1,
            down_block_types=("DownBlock2D",) * len(channels), up_block_types=("UpBlock2D",) * len(channels),
            add_attention=False, norm_num_groups=8, class_embed_type="timestep",
        )  # fmt: skip

    def forward(self, x_t, t, c):
        small, level = c
        stretched = F.interpolate(small, scale_factor=FACTOR // FOLD)  # [B, 3, H / 2, W / 2]
        x = torch.cat([F.pixel_unshuffle(x_t, FOLD), stretched], dim=1)  # [B, 12 + 3, H / 2, W / 2]
        return F.pixel_shuffle(self.unet(x, t, class_labels=level).sample, FOLD)


def shrink(x):
    """Pictures `[B, 3, H, W]` at a quarter of the size: the mean of each square of 4 x 4 pixels."""
    return F.avg_pool2d(x, FACTOR)


def stretch(small):
    """Small pictures `[B, 3, h, w]` at four times the size, by interpolation."""
    return F.interpolate(small, scale_factor=FACTOR, mode="bicubic")


def begin(denoiser, small, generator, level):
    """The denoiser told of small pictures with noise of that level, these stretched, and the noise where a walk begins.

    Raises ValueError on other pictures or levels.
    """
    pictures.check(small, "small pictures", limit=10)
    if level not in range(LEVELS + 1):
        raise ValueError(f"level is a whole number in 0..{LEVELS}; got {level!r}")
    levels = torch.full((len(small),), level)
    noisy = toy_ddpm.q_sample(small, levels, toy_ddpm.noise_like(small, generator), denoiser.schedule)
    stretched = stretch(noisy)
    return denoiser.given((noisy, levels.to(small.device))), stretched, toy_ddpm.noise_like(stretched, generator)


def upscale(denoiser, small, generator, level=50, timesteps=20, step=toy_ddpm.ddim):
    """Pictures `[B, 3, H, W]` in [-1, 1] from small ones `[B, 3, h, w]` in [-1, 1].

    generator: of all chance, or a list of one per picture; level: how much noise is laid on the small pictures, in
    0..`LEVELS`: the more, the more is invented. Raises ValueError where `begin` does.
    """
    told, stretched, x_T = begin(denoiser, small, generator, level)
    return (stretched + DETAIL * toy_ddpm.last(toy_ddpm.sample(told, x_T, timesteps, step))).clamp(-1, 1)


@torch.no_grad()
def expected(denoiser, small, generator, level=50):
    """The mean of all pictures `[B, 3, H, W]` that fit the small ones: one call at the last level, where x_t tells nothing.

    It is what a network trained by squared error alone would say. Raises ValueError where `begin` does.
    """
    told, stretched, x_T = begin(denoiser, small, generator, level)
    return (stretched + DETAIL * told(x_T, denoiser.schedule.T)[0]).clamp(-1, 1)
