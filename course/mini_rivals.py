"""Three networks that notebook 04 sets beside the U-Net, written to be read: an autoencoder, an MLP, a transformer.

All take noisy digits x_t `[B, 1, 28, 28]` and levels t `[B]` and answer in x_t's shape. Letters in the shape
comments: B pictures, D numbers of a patch.
"""

import torch
import torch.nn.functional as F
from torch import nn

from course.mini_unet import time_embedding


class Bottleneck(nn.Module):
    """A picture becomes `code` numbers, the level is added, and the code becomes a picture again."""

    def __init__(self, code=64):
        super().__init__()
        self.down1 = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.down2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.to_code = nn.Linear(32 * 7 * 7, code)
        self.from_t = nn.Linear(64, code)
        self.from_code = nn.Linear(code, 32 * 7 * 7)
        self.up1 = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.up2 = nn.ConvTranspose2d(16, 16, 2, stride=2)
        self.leave = nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, x_t, t):
        h = F.silu(self.down1(x_t))  # [B, 16, 14, 14]
        h = F.silu(self.down2(h))  # [B, 32, 7, 7]
        code = self.to_code(h.flatten(1)) + self.from_t(time_embedding(t, 64))  # [B, 64]
        h = F.silu(self.from_code(F.silu(code))).view(-1, 32, 7, 7)
        h = F.silu(self.up1(h))  # [B, 16, 14, 14]
        h = F.silu(self.up2(h))  # [B, 16, 28, 28]
        return self.leave(h)  # [B, 1, 28, 28]


class MLP(nn.Module):
    """Every pixel is joined with each of `width` hidden numbers, and each of these with every pixel."""

    def __init__(self, width=256):
        super().__init__()
        self.enter = nn.Linear(784, width)
        self.from_t = nn.Linear(64, width)
        self.middle = nn.Linear(width, width)
        self.leave = nn.Linear(width, 784)

    def forward(self, x_t, t):
        h = self.enter(x_t.flatten(1)) + self.from_t(time_embedding(t, 64))  # [B, width]
        h = F.silu(self.middle(F.silu(h)))
        return self.leave(h).view_as(x_t)


class Transformer(nn.Module):
    """The picture is cut into patches of 4 x 4 pixels, and the patches attend to each other.

    A small relative of DiT (Peebles & Xie 2022, arXiv 2212.09748), with the level added at the entrance.
    side: of the pictures, in pixels, divisible by 4; pictures of another size have no `place`.
    """

    def __init__(self, width=64, side=28):
        super().__init__()
        self.enter = nn.Conv2d(1, width, 4, stride=4)
        self.place = nn.Parameter(0.02 * torch.randn((side // 4) ** 2, width))  # where a patch lies, learned
        self.from_t = nn.Linear(64, width)
        self.layer = nn.TransformerEncoderLayer(
            width, nhead=4, dim_feedforward=4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.leave = nn.Linear(width, 16)

    def forward(self, x_t, t):
        h = self.enter(x_t)  # [B, D, 7, 7] for digits
        rows_columns = h.shape[2:]
        h = h.flatten(2).transpose(1, 2)  # [B, 49, D]: one row for each patch
        h = self.layer(h + self.place + self.from_t(time_embedding(t, 64))[:, None])
        patches = self.leave(h).transpose(1, 2).unflatten(2, rows_columns)  # [B, 16, 7, 7]: the pixels of each patch
        return F.pixel_shuffle(patches, 4)
