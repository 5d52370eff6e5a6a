"""A small U-Net for sounds: that of `mini_unet.py` with one axis of time in place of height and width.

Letters in the shape comments: B sounds in a batch, C channels, L samples, N = L / fold places of a feature map, D width of
the embedding vector, A attributes that a caption can name.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from course import toy_sounds
from course.mini_unet import SelfAttention, time_embedding, zero

UNSAID = [
    len(values) for values in toy_sounds.ATTRIBUTES.values()
]  # the number that stands for no word, one an attribute


def as_numbers(*texts):
    """Captions as numbers of words, long `[B, A]`; what a caption leaves unsaid gets the number behind the last word.

    Raises ValueError where `toy_sounds.parse` does.
    """
    rows = []
    for named in map(toy_sounds.parse, texts):
        words = toy_sounds.ATTRIBUTES.items()
        rows.append([values.index(named[name]) if name in named else len(values) for name, values in words])
    return torch.tensor(rows)


class ResBlock(nn.Module):
    """Two convolutions beside a shortcut; the embedding scales and shifts what lies between.

    x: `[B, C_in, N]`, emb: `[B, D]`. Returns `[B, C_out, N]`. A new block passes its input on unchanged.
    """

    def __init__(self, c_in, c_out, dim):
        super().__init__()
        self.norm1 = nn.GroupNorm(8, c_in)
        self.conv1 = nn.Conv1d(c_in, c_out, 3, padding=1)
        self.from_emb = nn.Linear(dim, 2 * c_out)
        self.norm2 = nn.GroupNorm(8, c_out)
        self.conv2 = zero(nn.Conv1d(c_out, c_out, 3, padding=1))
        self.shortcut = nn.Identity() if c_in == c_out else nn.Conv1d(c_in, c_out, 1)

    def forward(self, x, emb):
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.from_emb(F.silu(emb))[:, :, None].chunk(2, dim=1)  # twice [B, C_out, 1]
        h = self.norm2(h) * (1 + scale) + shift
        return self.shortcut(x) + self.conv2(F.silu(h))


class SoundUNet(nn.Module):
    """Wave and level in, tensor of the wave's shape out: the network of the course's denoisers, for sounds.

    x_t: `[B, 1, samples]`. t: `[B]` in 1..T. c: `[B, A]` numbers of words, see `as_numbers`, or `c_null` (nothing is
    said) `[A]`; None means `c_null` for all. samples: a multiple of fold * 2 ** (len(channels) - 1).
    Raises ValueError on others.
    """

    def __init__(self, samples=toy_sounds.SAMPLES, channels=(64, 96), fold=16, dim=128):
        super().__init__()
        multiple = fold * 2 ** (len(channels) - 1)
        if samples % multiple or fold % 2:
            raise ValueError(f"fold is even and samples a multiple of {multiple}; got {fold} and {samples}")
        self.config = dict(samples=samples, channels=tuple(channels), fold=fold, dim=dim)
        first, deep = channels[0], channels[-1]
        self.embed_t = nn.Sequential(nn.Linear(first, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.embed_c = nn.ModuleList(nn.Embedding(unsaid + 1, dim) for unsaid in UNSAID)
        self.register_buffer("c_null", torch.tensor(UNSAID), persistent=False)

        self.conv_in = nn.Conv1d(1, first, 2 * fold, stride=fold, padding=fold // 2)
        self.place = nn.Parameter(0.1 * torch.randn(first, samples // fold))  # so that each place knows when it is
        self.down_blocks = nn.ModuleList(ResBlock(c, c, dim) for c in channels)
        self.downsample = nn.ModuleList(nn.Conv1d(a, b, 4, stride=2, padding=1) for a, b in pairwise(channels))
        self.mid = nn.ModuleList([ResBlock(deep, deep, dim), SelfAttention(deep), ResBlock(deep, deep, dim)])
        up = [ResBlock(2 * c, c, dim) for c in channels]
        longer = [nn.ConvTranspose1d(b, a, 4, stride=2, padding=1) for a, b in pairwise(channels)]
        self.up_blocks = nn.ModuleList(up[::-1])  # the deepest first, as the decoder walks
        self.upsample = nn.ModuleList(longer[::-1])
        self.norm_out = nn.GroupNorm(8, first)
        self.conv_out = zero(nn.ConvTranspose1d(first, 1, 2 * fold, stride=fold, padding=fold // 2))

    def forward(self, x_t, t, c=None):
        self.check(x_t, t, c)
        emb = self.embed_t(time_embedding(t, self.config["channels"][0]))  # [B, D]
        c = self.c_null.expand(len(x_t), -1) if c is None else c
        for numbers, words in zip(c.T, self.embed_c):  # attribute by attribute
            emb = emb + words(numbers)

        h = self.conv_in(x_t) + self.place  # [B, C, N]
        bridges = []
        for shorter, block in zip([nn.Identity(), *self.downsample], self.down_blocks):  # halve N, widen C
            h = block(shorter(h), emb)
            bridges.append(h)

        before, attention, after = self.mid
        h = attention(before(h, emb)[..., None])[..., 0]  # a picture one pixel wide
        h = after(h, emb)

        for block, longer in zip(self.up_blocks, [*self.upsample, nn.Identity()]):  # the way back
            h = longer(block(torch.cat([h, bridges.pop()], dim=1), emb))
        return self.conv_out(F.silu(self.norm_out(h)))  # [B, 1, L]

    def check(self, x_t, t, c):
        """Raise a ValueError that says what is wrong with shapes, or numbers of words on the CPU: a GPU is asked nothing."""
        samples, rows = self.config["samples"], len(x_t)
        if x_t.shape[1:] != (1, samples):
            raise ValueError(f"x_t needs shape [B, 1, {samples}]; got {list(x_t.shape)}. Cut the waves, or add zeros.")
        for name, one, shape in [("t", t, (rows,)), ("c", c, (rows, len(UNSAID)))][: 1 if c is None else 2]:
            if not isinstance(one, torch.Tensor) or one.shape != shape:
                got = list(one.shape) if isinstance(one, torch.Tensor) else repr(one)
                raise ValueError(f"{name} must be a tensor of shape {list(shape)}, one row a sound; got {got}")
        if c is not None and c.device.type == "cpu" and not ((c >= 0) & (c <= self.c_null)).all():
            raise ValueError(
                f"numbers of words lie in 0..{UNSAID}, the last of which say nothing; use as_numbers(text)"
            )
