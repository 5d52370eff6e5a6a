"""What the warm-up's figures show is what torch computes."""

import torch

from course import viz
from course.figures import tensors


def test_stretched_writes_the_sum_and_greys_the_copies():
    column, row = torch.tensor([[10.0], [20.0]]), torch.tensor([1.0, 2.0, 3.0])
    *parts, total = tensors.stretched(column, row)
    assert [float(text.get_text()) for text in total.texts] == (column + row).flatten().tolist()
    own = [[text.get_text() for text in ax.texts if text.get_color() == viz.TRUTH] for ax in parts]
    assert own == [["10", "20"], ["1", "2", "3"]]
    viz.plt.close("all")


def test_the_tangent_has_the_gradient_that_autograd_finds(generator):
    x = torch.randn(20, 1, generator=generator)
    y = 2 * x + torch.randn(20, 1, generator=generator)
    w = torch.tensor(0.5, requires_grad=True)
    torch.nn.functional.mse_loss(w * x, y).backward()
    _, loss = tensors.slope(x, y, 0.5)
    (left, right), (low, high) = loss.lines[1].get_data()
    torch.testing.assert_close(torch.tensor((high - low) / (right - left)), w.grad)
    viz.plt.close("all")


def test_fits_draws_each_curve_over_the_same_points():
    x = torch.arange(3.0)[:, None]
    axes = tensors.fits(x, 2 * x, {"step 0": 0 * x, "step 9": 2 * x})
    assert [ax.get_title() for ax in axes] == ["step 0", "step 9"]
    assert [ax.lines[0].get_ydata().ravel().tolist() for ax in axes] == [[0, 0, 0], [0, 2, 4]]
    viz.plt.close("all")
