"""Figures of notebook 04 draw what they say, and its measuring tools find what was put there; the rivals are networks."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from course import toy_ddpm, viz
from course.figures import convolution, scenes, stages, unet
from course.mini_rivals import MLP, Bottleneck, Transformer
from course.mini_unet import MiniUNet


@pytest.fixture(autouse=True)
def close():
    yield
    viz.plt.close("all")


@pytest.mark.parametrize("padding", [0, 1])
def test_a_kernel_has_answered_up_to_where_it_stands(padding, generator):
    x = torch.randint(0, 3, (5, 5), generator=generator)
    kernel = torch.randint(-2, 3, (3, 3), generator=generator)
    answer = F.conv2d(x[None, None].float(), kernel[None, None].float(), padding=padding)[0, 0].long()
    ax = convolution.at_place(x, kernel, (1, 2), padding)[2]
    written = [int(text.get_text()) for text in ax.texts]
    assert written == answer.flatten()[: len(answer) + 3].tolist()
    last = convolution.sliding(x, kernel, padding)(answer.numel() - 1)[2]
    assert [int(text.get_text()) for text in last.texts] == answer.flatten().tolist()


@pytest.mark.parametrize("padding, stride", [(0, 1), (1, 1), (1, 2)])
def test_a_kernel_stops_as_often_as_torchs(padding, stride):
    (ax,) = convolution.stops(6, 3, [(padding, stride)], axes=[viz.panels()])
    side = nn.Conv2d(1, 1, 3, stride, padding)(torch.zeros(1, 1, 6, 6)).shape[-1]
    assert len(ax.collections[0].get_offsets()) == side**2 and f"to {side} x {side}" in ax.get_title()


def test_the_u_names_every_stage_and_colours_those_that_are_lit():
    model = MiniUNet(channels=(16, 32))
    for name in unet.STAGES:
        model.get_submodule(name)
    ax = unet.the_u(lit=["mid.1"])
    assert set(unet.STAGES) <= {text.get_text() for text in ax.texts}
    lit = [box for box in ax.patches if viz.plt.matplotlib.colors.same_color(box.get_facecolor(), unet.LIT)]
    assert [box.get_center().tolist() for box in lit] == [list(map(float, unet.PLACES["mid.1"]))]


def test_watch_gives_all_answers_and_takes_its_hooks_off():
    model = MiniUNet(channels=(16, 32))
    answers = stages.watch(model, torch.zeros(2, 1, 28, 28), torch.tensor([5, 6]))
    assert list(answers) == unet.STAGES and answers["mid.1"].shape == (2, 32, 7, 7)
    assert not any(layer._forward_hooks for layer in model.modules())
    assert not answers["conv_out"].requires_grad
    with pytest.raises(ValueError):
        stages.watch(model, torch.zeros(2, 1, 27, 27), torch.tensor([5, 6]))
    assert not any(layer._forward_hooks for layer in model.modules())


def test_receptive_fields_are_those_of_the_formula():
    fields = stages.receptive_field(MiniUNet(channels=(16, 32)))
    assert [fields[stage] for stage in unet.STAGES[:6]] == [6, 14, 18, 34, 50, 96]


def test_explained_is_one_for_what_can_be_read_and_zero_for_noise(generator):
    target = torch.randn(20, 1, 28, 28, generator=generator)
    h = F.pixel_unshuffle(target, 2)
    mixed = torch.einsum("ij,bjhw->bihw", torch.randn(4, 4, generator=generator), h) + 3
    assert stages.explained(mixed, target) > 0.999
    assert abs(stages.explained(torch.randn(h.shape, generator=generator), target)) < 0.02
    assert 0.4 < stages.explained(h + torch.randn(h.shape, generator=generator), target) < 0.6


def test_operate_changes_one_block_and_nothing_afterwards(generator):
    model = stages.drawn_anew(MiniUNet(channels=(16, 32))).requires_grad_(False)
    denoiser = toy_ddpm.Denoiser(model, toy_ddpm.linear())
    x_t = torch.randn(3, 1, 28, 28, generator=generator)
    untouched = denoiser(x_t, 500)[0]
    for block in (0, 1):
        assert_close(stages.operate(denoiser, x_t, 500, block, lambda h: h), untouched)
        assert not torch.allclose(stages.operate(denoiser, x_t, 500, block, lambda h, factor: factor * h, 0), untouched)
    assert_close(denoiser(x_t, 500)[0], untouched)


def test_places_for_half():
    weights = torch.tensor([[0.6, 0.2, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25], [0.1, 0.3, 0.3, 0.3]])
    assert stages.places_for_half(weights).tolist() == [1, 2, 2]


def test_attention_is_brightest_at_its_largest_weight():
    weights = torch.rand(7, 7, generator=torch.Generator().manual_seed(0))
    ax = unet.attention_over(torch.zeros(28, 28), weights, (2, 3))
    alpha = torch.tensor(ax.images[1].get_array())[..., 3]
    assert alpha.argmax() == weights.argmax() and ax.patches[0].get_xy() == (3, 2)


def test_multiplications_of_a_known_layer():
    class Known(nn.Conv2d):
        def forward(self, x_t, t):
            return super().forward(x_t)

    assert stages.multiplications(Known(1, 5, 3, padding=1, bias=False), 10) == 10 * 10 * 5 * 9


def test_bars_have_their_own_limits():
    ax = stages.bars_with_limits({"a": 0.9, "b": 0.2}, {"a": 0.7}, "loss")
    assert [line.get_ydata()[0] for line in ax.lines] == [0.7]


def test_the_longer_runs_are_there_in_order():
    runs = stages.long_runs("all levels")
    assert {"bottleneck", "no bridges", "U-Net", "transformer"} <= set(runs)
    for found in runs.values():
        assert list(found) == sorted(found)


def test_scenes_hold_paper_digit_and_bar():
    images = torch.full((4, 1, 28, 28), -1.0)
    images[:, :, 10:18, 10:18] = 1
    grey, part = scenes.scene(images, torch.Generator().manual_seed(0))
    assert grey.shape == (4, 3, 28, 28) and (part == 1).sum() == 4 * 64
    assert ((part == 2).sum((1, 2)) >= 2 * 28 - 16).all() and (grey[:, 0][part > 0] == 1).all()
    assert torch.equal(scenes.nearest_part(scenes.paint(part)), part)


@pytest.mark.parametrize("network", [Bottleneck, MLP, Transformer])
def test_rivals_keep_the_shape_and_use_the_level(network, generator):
    torch.manual_seed(0)
    model, x_t = network(), torch.randn(3, 1, 28, 28, generator=generator)
    early, late = (model(x_t, torch.full((3,), t)) for t in (10, 900))
    assert early.shape == x_t.shape and not torch.allclose(early, late)
    assert_close(model(x_t[:1], torch.tensor([10])), early[:1], rtol=1e-4, atol=1e-5)  # pictures do not leak


def test_the_bottleneck_has_one_and_the_transformer_one_size():
    model = Bottleneck(code=1)
    x_t, t = torch.randn(50, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.full((50,), 7)
    codes = []
    model.to_code.register_forward_hook(lambda layer, inputs, answer: codes.append(answer))
    model(x_t, t)
    assert codes[0].shape == (50, 1)
    with pytest.raises(RuntimeError, match="size"):
        Transformer()(torch.zeros(1, 1, 56, 56), torch.tensor([5]))
    assert Transformer(side=56)(torch.zeros(1, 1, 56, 56), torch.tensor([5])).shape == (1, 1, 56, 56)
