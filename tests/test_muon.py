"""Muon against the SVD and PyTorch's own optimizers."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from course.train.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(16, 48), (48, 16), (8, 8), (4, 200)])
def test_all_directions_become_alike(shape, generator):
    """The singular vectors stay, by the SVD of an outside library; the singular values come to about 1."""
    matrix = torch.randn(shape, generator=generator, dtype=torch.float64)
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    values = u.T @ orthogonal(matrix) @ vt.T
    assert_close(values - torch.diag(values.diagonal()), torch.zeros_like(values), atol=1e-8, rtol=0)
    assert values.diagonal().min() > 0.6 and values.diagonal().max() < 1.25


def one_more_step(model, optimizer, x):
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()


def test_other_weights_go_as_adamw_says(generator):
    """Linear layers and biases, ten steps, beside torch.optim.AdamW."""
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(5, 8), nn.SiLU(), nn.Linear(8, 3))
    theirs, x = copy.deepcopy(ours), torch.randn(16, 5, generator=generator)
    mine, adamw = Muon(ours.named_parameters(), lr=3e-3), torch.optim.AdamW(theirs.parameters(), lr=3e-3)
    for _ in range(10):
        one_more_step(ours, mine, x)
        one_more_step(theirs, adamw, x)
    assert_close(list(ours.parameters()), list(theirs.parameters()), atol=1e-6, rtol=1e-5)


def test_kernels_go_as_pytorchs_muon_says(generator):
    """torch.optim.Muon takes matrices alone and computes in bfloat16, so the same kernels agree to two digits of a step."""
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.randn(6, 4, 3, 3, generator=generator))
    matrix = nn.Parameter(kernel.detach().flatten(1).clone())
    ours, theirs = Muon([("kernel", kernel)]), torch.optim.Muon([matrix], lr=0.02, weight_decay=0.0, momentum=0.95)
    for _ in range(5):
        grad = torch.randn(6, 36, generator=generator)
        kernel.grad, matrix.grad = grad.view_as(kernel).clone(), grad.clone()
        ours.step(), theirs.step()
    moved = (kernel.detach().flatten(1) - matrix.detach()).norm() / (0.02 * 5 * 6**0.5)
    assert moved < 0.02


def test_it_goes_on_from_its_state(generator):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.SiLU(), nn.Flatten(), nn.Linear(4 * 9, 2))
    x, optimizer = torch.randn(8, 1, 5, 5, generator=generator), Muon(model.named_parameters())
    for _ in range(3):
        one_more_step(model, optimizer, x)
    other = copy.deepcopy(model)
    resumed = Muon(other.named_parameters())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    one_more_step(model, optimizer, x)
    one_more_step(other, resumed, x)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("rates", [{"lr": -1.0}, {"lr": float("nan")}, {"kernel_lr": float("inf")}])
def test_rates_that_cannot_be_are_refused(rates):
    with pytest.raises(ValueError, match="rates"):
        Muon(nn.Linear(2, 2).named_parameters(), **rates)
