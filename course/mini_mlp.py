"""A small denoiser for rows of numbers, written to be read: points in the plane, or the codes of an autoencoder.

Letters in the shape comments: B rows, D numbers per row.
"""

import torch
from torch import nn

from course.mini_unet import time_embedding


class MiniMLP(nn.Module):
    """Rows `[B, D]` and their levels in, what the network is trained to predict out, `[B, D]`.

    t: `[B]` in 1..T. c: `[B]` class numbers in 0..num_classes - 1, or `c_null` where nothing is said; None means
    `c_null` for all. Residual layers; level and label are added at the entrance.
    """

    def __init__(self, dim, width=256, num_classes=0):
        super().__init__()
        self.config = dict(dim=dim, width=width, num_classes=num_classes)
        self.c_null, self.embed_c = num_classes, nn.Embedding(num_classes + 1, width)
        self.proj_in, self.embed_t, self.proj_out = nn.Linear(dim, width), nn.Linear(64, width), nn.Linear(width, dim)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            for _ in range(3)
        )

    def forward(self, x_t, t, c=None):
        c = torch.full_like(t, self.c_null) if c is None else c
        h = self.proj_in(x_t) + self.embed_t(time_embedding(t, 64)) + self.embed_c(c)  # [B, width]
        for block in self.blocks:
            h = h + block(h)
        return self.proj_out(h)
