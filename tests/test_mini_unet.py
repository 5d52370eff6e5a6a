"""The network: its pieces against torch and diffusers, and the properties that silent bugs break."""

import pytest
import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from diffusers.models.embeddings import get_timestep_embedding
from torch.testing import assert_close

from course.mini_unet import MiniUNet, ResBlock, SelfAttention, time_embedding


def awake(model):
    """The same network with every weight drawn anew, so that no branch is silent as it is at the start of training."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) / (p[0].numel() ** 0.5 if p.dim() > 1 else 1))
    return model.eval()


@pytest.mark.parametrize("dim", [2, 48, 128])
def test_time_embedding_is_diffusers(dim):
    t = torch.tensor([1, 2, 500, 501, 1000])
    theirs = get_timestep_embedding(t, dim, flip_sin_to_cos=False, downscale_freq_shift=0)
    assert_close(time_embedding(t, dim), theirs, rtol=1e-5, atol=1e-4)


def test_neighbouring_times_are_similar_and_no_two_are_equal():
    """Indexing rows for columns, a bug of well-known tutorials, makes neighbours unlike (0.196)."""
    e = time_embedding(torch.arange(1, 1001), 128)
    assert F.cosine_similarity(e[499], e[500], dim=0) > 0.95
    assert torch.cdist(e, e).fill_diagonal_(9).min() > 0.05


def test_odd_width_is_refused():
    with pytest.raises(ValueError, match="even"):
        time_embedding(torch.tensor([1]), 7)


def test_attention_is_torchs(generator):
    layer = awake(SelfAttention(16))
    x = torch.randn(3, 16, 5, 5, generator=generator)
    q, k, v = layer.to_qkv(layer.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)
    mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
    assert_close(layer(x), x + layer.out(mixed), rtol=1e-5, atol=1e-5)


def test_new_blocks_change_nothing(generator):
    x, emb = torch.randn(2, 16, 6, 6, generator=generator), torch.randn(2, 32, generator=generator)
    assert torch.equal(ResBlock(16, 16, 32)(x, emb), x)
    assert torch.equal(SelfAttention(16)(x), x)


@pytest.mark.parametrize("kwargs, size", [
    (dict(), 28), (dict(patch=1), 28), (dict(skips=False), 28), (dict(channels=(16, 32, 64)), 32),
    (dict(in_channels=3, channels=(16,)), 14),
])  # fmt: skip
def test_output_has_the_shape_of_the_input(kwargs, size, generator):
    model = MiniUNet(**kwargs)
    x = torch.randn(2, kwargs.get("in_channels", 1), size, size, generator=generator)
    assert model(x, torch.tensor([1, 1000])).shape == x.shape


def test_output_depends_on_t_on_c_and_on_every_pixel(generator):
    model = awake(MiniUNet(num_classes=10))
    x, t, c = torch.randn(1, 1, 28, 28, generator=generator), torch.tensor([300]), torch.tensor([3])
    base = model(x, t, c)
    assert (model(x, t + 200, c) - base).abs().max() > 1e-2
    assert (model(x, t, c + 1) - base).abs().max() > 1e-2
    assert torch.equal(model(x, t), model(x, t, torch.tensor([model.c_null])))
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(model(x, t, c)[0, 0, 14, 14], x)
    assert (gradient != 0).all()  # attention in the middle lets every pixel speak to every other


def test_images_in_a_batch_do_not_mix(generator):
    model = awake(MiniUNet(num_classes=10))
    x, t, c = torch.randn(3, 1, 28, 28, generator=generator), torch.tensor([1, 500, 1000]), torch.tensor([0, 5, 9])
    alone = torch.cat([model(x[i : i + 1], t[i : i + 1], c[i : i + 1]) for i in range(3)])
    assert_close(model(x, t, c), alone, rtol=1e-4, atol=1e-5)


def test_a_device_is_asked_nothing():
    """On `meta` there are shapes and no numbers: whoever looks at one fails."""
    model = MiniUNet(num_classes=10).to("meta")
    x, t, c = (torch.zeros(shape, device="meta", dtype=kind)
               for shape, kind in [((2, 1, 28, 28), torch.float32), ((2,), torch.long), ((2,), torch.long)])  # fmt: skip
    assert model(x, t, c).shape == model(x, t).shape == x.shape
    with pytest.raises(ValueError, match="c must be a tensor of shape"):
        model(x, t, c[:1])


def test_parts_are_called_as_in_diffusers():
    theirs = UNet2DModel(layers_per_block=1, block_out_channels=(32, 64), norm_num_groups=8,
                         down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2)  # fmt: skip
    shared = {"conv_in", "down_blocks", "up_blocks", "conv_out"}
    ours = MiniUNet(channels=(32, 64))
    assert shared <= {name for name, _ in ours.named_children()} and shared <= {
        name for name, _ in theirs.named_children()
    }
    for model in (ours, theirs):  # the decoder's blocks lie in the order in which they are walked
        deepest, finest = ([p for p in block.parameters() if p.dim() == 4][0].shape[1] for block in model.up_blocks)
        assert deepest > finest


@pytest.mark.parametrize("x, t, c, message", [
    (torch.zeros(1, 1, 30, 30), torch.tensor([1]), None, "divisible"),
    (torch.zeros(1, 3, 28, 28), torch.tensor([1]), None, "channels"),
    (torch.zeros(2, 1, 28, 28), torch.tensor([1]), None, "t must be a tensor of shape .2,., one per image; got .1,."),
    (torch.zeros(1, 1, 28, 28), 500, None, "t must be a tensor .* got 500"),
    (torch.zeros(1, 1, 28, 28), torch.tensor([1]), torch.tensor([11]), "labels"),
    (torch.zeros(1, 1, 28, 28), torch.tensor([1]), torch.tensor([-1]), "labels"),
    (torch.zeros(2, 1, 28, 28), torch.tensor([1, 1]), torch.tensor([1]), "c must be a tensor of shape"),
])  # fmt: skip
def test_bad_input_is_refused(x, t, c, message):
    with pytest.raises(ValueError, match=message):
        MiniUNet(num_classes=10)(x, t, c)


def test_labels_need_a_network_that_knows_them():
    with pytest.raises(ValueError, match="without num_classes"):
        MiniUNet()(torch.zeros(1, 1, 28, 28), torch.tensor([1]), torch.tensor([1]))
