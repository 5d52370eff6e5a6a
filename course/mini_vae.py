"""A variational autoencoder written by hand: Kingma & Welling 2014 (arXiv 1312.6114).

Its latent is so small that one can walk through all of it. Stable Diffusion's autoencoder shares the two
formulas below (a drawn latent, a KL term), but hardly uses the second; notebook 07 tells the difference.
Letters in the shape comments: B images, D numbers of the latent.
"""

from torch import nn


class MiniVAE(nn.Module):
    """Images `[B, 1, 28, 28]` in [-1, 1] to mean and log-variance of a latent `[B, D]`, and a latent back."""

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
    """A draw z of N(mean, exp(log_var)) that gradients pass through: Sec. 2.4. Shapes `[B, D]`, eps standard normal."""
    return mean + (0.5 * log_var).exp() * eps


def kl(mean, log_var):
    """KL(N(mean, exp(log_var)) || N(0, I)) of each row, in nats: App. B. `[B, D]` to `[B]`."""
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(dim=1)


def vae_loss(vae, x, eps, kl_weight=1.0):
    """Half the squared error of the image plus the KL, mean over the batch: the negative bound, Eq. 10.

    The pixels' variance is 1. x: `[B, 1, 28, 28]` in [-1, 1]; eps: `[B, D]`. kl_weight = 0 leaves a plain autoencoder
    with noise that it may switch off. Returns a scalar.
    """
    mean, log_var = vae.encode(x)
    x_hat = vae.decode(reparameterise(mean, log_var, eps))
    error = 0.5 * (x_hat - x).square().flatten(1).sum(dim=1)
    return (error + kl_weight * kl(mean, log_var)).mean()
