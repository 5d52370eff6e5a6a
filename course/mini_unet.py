"""A small U-Net for diffusion, written to be read: notebook 04 prints it part by part.

Letters in the shape comments: B images in a batch, C channels, H and W height and width,
N = H * W places of a feature map, D width of the embedding vector.

Left out, to stay short: dropout, several attention heads, more than one block a level.
The parts are those of the U-Net of Ho et al. 2020 (DDPM, arXiv 2006.11239, Appendix B).
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


def time_embedding(t, dim):
    """Sines and cosines of t at dim/2 frequencies from 1 down to nearly 1/10000.

    t: `[B]`, any number type. dim: even. Returns float32 `[B, dim]` in [-1, 1], sines first.
    Source: Vaswani et al. 2017 (arXiv 1706.03762), Sec. 3.5. Raises ValueError if dim is odd.
    """
    if dim % 2:
        raise ValueError(f"dim is {dim}, but needs to be even: one half sines, one half cosines")
    half = torch.arange(dim // 2, device=t.device, dtype=torch.float32)
    frequency = torch.exp(-math.log(10_000) * half / (dim // 2))  # [dim/2]
    angle = t.float()[:, None] * frequency[None, :]  # [B, dim/2]: every t with every frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def zero(layer):
    """The same layer with weight and bias set to zero: a new branch starts by changing nothing."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def upsample(c_in, c_out):
    """Every place repeated to two by two, then a convolution: `[B, c_in, H, W]` to `[B, c_out, 2H, 2W]`."""
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(c_in, c_out, 3, padding=1))


class ResBlock(nn.Module):
    """Two convolutions beside a shortcut; the embedding scales and shifts what lies between.

    x: `[B, C_in, H, W]`, emb: `[B, D]`. Returns `[B, C_out, H, W]`. The last convolution
    starts at zero, so a new block passes its input on unchanged.
    """

    def __init__(self, c_in, c_out, dim):
        super().__init__()
        self.norm1 = nn.GroupNorm(8, c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.from_emb = nn.Linear(dim, 2 * c_out)
        self.norm2 = nn.GroupNorm(8, c_out)
        self.conv2 = zero(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.shortcut = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, x, emb):
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.from_emb(F.silu(emb))[:, :, None, None].chunk(2, dim=1)  # [B, C_out, 1, 1]
        h = self.norm2(h) * (1 + scale) + shift
        return self.shortcut(x) + self.conv2(F.silu(h))


class SelfAttention(nn.Module):
    """Every place of the feature map looks at every other: softmax(Q K^T / sqrt(C)) V.

    x: `[B, C, H, W]`. Returns the same shape. Starts as the identity.
    Source: Vaswani et al. 2017, Eq. 1, one head.
    """

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x):
        q, k, v = self.to_qkv(self.norm(x)).flatten(2).chunk(3, dim=1)  # three times [B, C, N]
        weight = (q.transpose(1, 2) @ k / math.sqrt(q.shape[1])).softmax(dim=-1)  # [B, N, N], rows sum to 1
        mixed = (v @ weight.transpose(1, 2)).view_as(x)  # [B, C, H, W]
        return x + self.out(mixed)


class MiniUNet(nn.Module):
    """Image and level in, tensor of the image's shape out: the network of the course's denoisers.

    x_t: `[B, in_channels, H, W]`, H and W divisible by patch * 2 ** (len(channels) - 1).
    t: `[B]` in 1..T. c: `[B]` class numbers in 0..num_classes - 1, or `c_null` (the learned
    null label) where nothing is said; None means `c_null` for all. Raises ValueError on others.

    `patch` folds each patch x patch square of pixels into channels before the first
    convolution, which loses nothing and makes every layer patch^2 times cheaper.
    `skips=False` cuts the bridges between encoder and decoder, for notebook 04.
    """

    def __init__(self, in_channels=1, channels=(48, 96), patch=2, num_classes=None, skips=True):
        super().__init__()
        self.config = dict(in_channels=in_channels, channels=tuple(channels), patch=patch,
                           num_classes=num_classes, skips=skips)  # fmt: skip
        self.patch, self.skips, self.c_null = patch, skips, num_classes
        self.width, deep, dim = channels[0], channels[-1], 4 * channels[0]
        self.embed_t = nn.Sequential(nn.Linear(self.width, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.embed_c = nn.Embedding(num_classes + 1, dim) if num_classes else None

        self.conv_in = nn.Conv2d(in_channels * patch**2, channels[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(ResBlock(c, c, dim) for c in channels)
        self.downsample = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(channels))
        self.mid = nn.ModuleList([ResBlock(deep, deep, dim), SelfAttention(deep), ResBlock(deep, deep, dim)])
        up = [ResBlock(2 * c if skips else c, c, dim) for c in channels]
        larger = [upsample(b, a) for a, b in pairwise(channels)]
        self.up_blocks = nn.ModuleList(up[::-1])  # the deepest first, as the decoder walks
        self.upsample = nn.ModuleList(larger[::-1])
        self.conv_out = nn.Sequential(
            nn.GroupNorm(8, channels[0]), nn.SiLU(), zero(nn.Conv2d(channels[0], in_channels * patch**2, 3, padding=1))
        )

    def forward(self, x_t, t, c=None):
        self.check(x_t, t, c)
        emb = self.embed_t(time_embedding(t, self.width))  # [B, D]
        if self.embed_c is not None:
            emb = emb + self.embed_c(torch.full_like(t, self.c_null) if c is None else c)

        h = self.conv_in(F.pixel_unshuffle(x_t, self.patch))  # [B, C, H/patch, W/patch]
        bridges = []
        for smaller, block in zip([nn.Identity(), *self.downsample], self.down_blocks):  # halve H and W, widen C
            h = block(smaller(h), emb)
            bridges.append(h)

        before, attention, after = self.mid
        h = after(attention(before(h, emb)), emb)

        for block, larger in zip(self.up_blocks, [*self.upsample, nn.Identity()]):  # the way back
            if self.skips:
                h = torch.cat([h, bridges.pop()], dim=1)  # [B, 2C, ...]: with the encoder's details
            h = larger(block(h, emb))
        return F.pixel_shuffle(self.conv_out(h), self.patch)  # [B, in_channels, H, W]

    def check(self, x_t, t, c):
        """Raise a ValueError that says what is wrong with shapes, or labels on the CPU: a GPU is asked nothing."""
        channels, multiple, rows = self.config["in_channels"], self.patch * 2 ** len(self.downsample), x_t.shape[:1]
        if x_t.dim() != 4 or x_t.shape[1] != channels or any(side % multiple for side in x_t.shape[2:]):
            allowed = f"[B, {channels}, H, W], {channels} channels, H and W divisible by {multiple}"
            raise ValueError(f"x_t needs shape {allowed}; got {tuple(x_t.shape)}. Pad or crop the images.")
        for name, one in [("t", t)] if c is None else [("t", t), ("c", c)]:
            if not isinstance(one, torch.Tensor) or one.shape != rows:
                got = tuple(one.shape) if isinstance(one, torch.Tensor) else repr(one)
                raise ValueError(f"{name} must be a tensor of shape {tuple(rows)}, one per image; got {got}")
        if c is not None and self.embed_c is None:
            raise ValueError("this network was built without num_classes and takes no labels c")
        if c is not None and c.device.type == "cpu" and len(c) and not 0 <= c.min() <= c.max() <= self.c_null:
            raise ValueError(f"labels c lie in 0..{self.c_null} ({self.c_null} says nothing); got {c}")
