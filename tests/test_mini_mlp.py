"""The network for points and codes: what it must tell apart, and that it learns a denoiser whose answer is known."""

import pytest
import torch
from torch.testing import assert_close

from course import toy_ddpm
from course.mini_mlp import MiniMLP


def test_no_label_is_the_null_label_and_every_input_counts():
    net, x_t = MiniMLP(4, width=32, num_classes=10), torch.randn(3, 4)
    t = torch.tensor([1, 500, 1000])
    assert_close(net(x_t, t), net(x_t, t, torch.full((3,), net.c_null)))
    assert net(x_t, t).shape == x_t.shape and not torch.equal(net(x_t, t), net(x_t, t + 1 - 2 * (t > 1).long()))
    for other in (net(x_t, t, torch.zeros(3).long()), net(x_t + 1, t)):
        assert (net(x_t, t) - other).abs().amin() > 1e-6


@pytest.mark.parametrize("num_classes", [0, 2])
def test_rows_do_not_mix(num_classes, generator):
    net, x_t = MiniMLP(2, width=32, num_classes=num_classes), torch.randn(5, 2, generator=generator)
    t = torch.tensor([1, 10, 100, 500, 1000])
    alone = torch.cat([net(x_t[i : i + 1], t[i : i + 1]) for i in range(5)])
    assert_close(net(x_t, t), alone)


def test_it_learns_the_exact_denoiser_of_two_points():
    """Labels tell which point; without one the answer is Bayes' mixture of both."""
    torch.manual_seed(0)
    points, schedule = torch.tensor([[-1.0, 0.5], [1.0, 0.0]]), toy_ddpm.linear()
    net, generator = MiniMLP(2, width=64, num_classes=2), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / 600)
        c = torch.randint(2, (256,), generator=generator)
        t = 1 + torch.randint(1000, (256,), generator=generator)
        eps = torch.randn(256, 2, generator=generator)
        told = torch.where(torch.rand(256, generator=generator) < 0.5, net.c_null, c)
        loss = toy_ddpm.training_loss(net, points[c], t, eps, schedule, "x_0", told)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    c, t = torch.randint(2, (500,), generator=generator), torch.full((500,), 400)
    x_t = toy_ddpm.q_sample(points[c], t, torch.randn(500, 2, generator=generator), schedule)
    with torch.no_grad():
        denoiser = toy_ddpm.Denoiser(net, schedule, "x_0")
        exact = toy_ddpm.exact_denoiser(points, schedule)(x_t, t)[0]
        assert (denoiser(x_t, t)[0] - exact).square().mean() < 0.02 * exact.var()
        assert (denoiser.given(c)(x_t, t)[0] - points[c]).square().mean() < 0.02 * exact.var()
