"""A variational autoencoder written by hand: Kingma & Welling 2014 (arXiv 1312.6114).

Its latent is so small that one can walk through all of it. Stable Diffusion's autoencoder shares the two
formulas below (a drawn latent, a KL term), but hardly uses the second; notebook 07 tells the difference.
Letters in the shape comments: B images, D numbers of the latent.
"""

import torch
from torch import nn

from course.mini_unet import time_embedding


class MiniVAE(nn.Module):
    """Images `[B, 1, 28, 28]` in [-1, 1] to the mean and log-variance of a latent `[B, D]`, and a latent back to an image."""

    def __init__(self, latent=2, width=256):
        super().__init__()
        self.config = dict(latent=latent, width=width)
        self.encoder = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 2 * latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 784), nn.Tanh()
        )

    def encode(self, x):
        mean, log_var = self.encoder(x).chunk(2, dim=1)  # each [B, D]
        return mean, log_var.clamp(-30, 20)

    def decode(self, z):
        return self.decoder(z).view(-1, 1, 28, 28)


def reparameterise(mean, log_var, eps):
    """A draw z from N(mean, exp(log_var)) that gradients pass through: Sec. 2.4. Shapes `[B, D]`, eps standard normal."""
    return mean + (0.5 * log_var).exp() * eps


def kl(mean, log_var):
    """KL(N(mean, exp(log_var)) || N(0, I)) of each row, in nats: App. B. `[B, D]` to `[B]`."""
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(dim=1)


def vae_loss(vae, x, eps, kl_weight=1.0):
    """Half the squared error of the image plus the KL, mean over the batch: the negative bound, Eq. 10, for unit pixel variance.

    x: `[B, 1, 28, 28]` in [-1, 1]; eps: `[B, D]`. kl_weight = 0 leaves a plain autoencoder with noise that it may
    switch off. Returns a scalar.
    """
    mean, log_var = vae.encode(x)
    x_hat = vae.decode(reparameterise(mean, log_var, eps))
    error = 0.5 * (x_hat - x).square().flatten(1).sum(dim=1)
    return (error + kl_weight * kl(mean, log_var)).mean()


def fit(vae, images, steps, kl_weight=1.0, batch_size=256, lr=2e-3, seed=0):
    """Train the autoencoder by Adam; a generator of the loss after each step."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(vae.parameters(), lr=lr)
    for _ in range(steps):
        x = images[torch.randint(len(images), (batch_size,), generator=generator)]
        eps = torch.randn(batch_size, vae.config["latent"], generator=generator)
        loss = vae_loss(vae, x, eps, kl_weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


class CodeNet(nn.Module):
    """A diffusion model for codes `[B, D]`, t `[B]` in 1..T and labels c `[B]` in 0..9 or `c_null`, which says nothing.

    Returns what it is trained to predict, `[B, D]`. Residual layers; level and label are added at the entrance.
    """

    def __init__(self, latent, width=256, num_classes=10):
        super().__init__()
        self.c_null, self.label = num_classes, nn.Embedding(num_classes + 1, width)
        self.first, self.level, self.last = nn.Linear(latent, width), nn.Linear(64, width), nn.Linear(width, latent)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            for _ in range(3)
        )

    def forward(self, x_t, t, c=None):
        c = torch.full_like(t, self.c_null) if c is None else c
        h = self.first(x_t) + self.level(time_embedding(t, 64)) + self.label(c)  # [B, width]
        for block in self.blocks:
            h = h + block(h)
        return self.last(h)
