"""The hand-written autoencoder: KL against torch, gradients through a draw, and what the KL weight does."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.testing import assert_close

from course import mini_vae


@pytest.mark.parametrize("mean, std, nats", [(1.0, 1.0, 0.5), (0.0, 0.5, 0.318147), (2.0, 0.1, 3.80759)])
def test_kl_of_published_values(mean, std, nats):
    value = mini_vae.kl(torch.tensor([[mean]]), 2 * torch.tensor([[std]]).log())
    assert_close(value, torch.tensor([nats]), rtol=1e-5, atol=1e-6)


def test_kl_is_that_of_torch(generator):
    mean, log_var = torch.randn(50, 7, generator=generator), torch.randn(50, 7, generator=generator)
    theirs = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert_close(mini_vae.kl(mean, log_var), theirs)


def test_draws_have_the_moments_and_gradients_pass(generator):
    mean, log_var = torch.tensor([[1.5]], requires_grad=True), torch.tensor([[-1.0]], requires_grad=True)
    z = mini_vae.reparameterise(mean, log_var, torch.randn(200_000, 1, generator=generator))
    assert_close(z.mean().item(), 1.5, atol=0.01, rtol=0)
    assert_close(z.var().item(), torch.tensor(-1.0).exp().item(), atol=0.01, rtol=0)
    z.square().mean().backward()  # E[z^2] = mean^2 + exp(log_var)
    assert_close(mean.grad.item(), 3.0, atol=0.02, rtol=0)
    assert_close(log_var.grad.item(), torch.tensor(-1.0).exp().item(), atol=0.02, rtol=0)


def test_loss_is_the_negative_bound_of_torch_distributions(generator):
    torch.manual_seed(0)
    vae, x = mini_vae.MiniVAE(), torch.rand(8, 1, 28, 28, generator=generator) * 2 - 1
    eps = torch.randn(8, 2, generator=generator)
    mean, log_var = vae.encode(x)
    std = (log_var / 2).exp()
    x_hat = vae.decode(mean + std * eps)
    log_p = Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(1) + 392 * torch.log(torch.tensor(2 * torch.pi))
    bound = (log_p - kl_divergence(Normal(mean, std), Normal(0.0, 1.0)).sum(1)).mean()
    assert_close(mini_vae.vae_loss(vae, x, eps), -bound)


def trained(vae, images, kl_weight, steps=300):
    """Losses of that many steps of Adam on batches of 64."""
    generator, losses = torch.Generator().manual_seed(0), []
    optimizer = torch.optim.Adam(vae.parameters(), lr=2e-3)
    for _ in range(steps):
        x = images[torch.randint(len(images), (64,), generator=generator)]
        loss = mini_vae.vae_loss(vae, x, torch.randn(64, 2, generator=generator), kl_weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_training_uses_the_latent_and_the_kl_weight_pulls_it_to_the_prior():
    bars = (
        torch.where(torch.arange(28) < torch.arange(28).view(-1, 1), 1.0, -1.0)
        .view(28, 1, 28, 1)
        .expand(-1, -1, -1, 28)
    )
    spread = {}
    for kl_weight in (0.0, 1.0, 1000.0):
        torch.manual_seed(0)
        vae = mini_vae.MiniVAE(width=64)
        losses = trained(vae, bars, kl_weight)
        assert losses[-1] < losses[0]
        spread[kl_weight] = vae.encode(bars)[0].std(0).max().item()
    assert spread[0.0] > spread[1.0] > 0.5 and spread[1000.0] < 0.05
