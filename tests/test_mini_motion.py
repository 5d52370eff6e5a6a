"""Layers between the frames of a film: nothing at first, attention as torch has it, and along the frames alone."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from course import metrics, mini_motion, stable_diffusion, toy_zoo, weights
from course.mini_motion import FrameAttention, FrameLayer, MiniMotion, by_frame, by_place, draw_frames, mixed
from course.train import zoo_unet


@pytest.fixture(scope="module")
def sd():
    return stable_diffusion.load_mini()


def awake(channels=12, inner=8, heads=2, frames=4):
    """A layer whose output is not zero any more."""
    torch.manual_seed(3)
    layer = FrameLayer(channels, inner, heads, frames)
    for weight in (layer.attention.to_out.weight, layer.think[-1].weight, layer.number):
        nn.init.normal_(weight)
    return layer.requires_grad_(False)


# ---------------------------------------------------------------- rows


def test_places_come_and_go_by_brute_force(generator):
    films, frames, channels, height, width = 2, 3, 5, 2, 4
    h = torch.randn(films * frames, channels, height, width, generator=generator)
    rows = by_place(h, frames)
    assert rows.shape == (films * height * width, frames, channels)
    for b in range(films):
        for f in range(frames):
            for y in range(height):
                for x in range(width):
                    assert torch.equal(rows[(b * height + y) * width + x, f], h[b * frames + f, :, y, x])
    assert torch.equal(by_frame(rows, height, width), h)


def test_half_a_film_is_refused():
    with pytest.raises(ValueError, match="films of 8 frames come in whole; got 12 rows"):
        by_place(torch.zeros(12, 3, 2, 2), 8)


# ---------------------------------------------------------------- one layer


def test_attention_is_that_of_torch(generator):
    """Its MultiheadAttention with the same weights; and Vaswani et al. 2017 (arXiv 1706.03762), Eq. 1, for a single head."""
    rows, layer = torch.randn(9, 4, 8, generator=generator), FrameAttention(8, 8, 2).requires_grad_(False)
    nn.init.normal_(layer.to_out.weight, generator=generator)
    library = nn.MultiheadAttention(8, 2, batch_first=True).requires_grad_(False)
    library.in_proj_weight.copy_(layer.to_qkv.weight), library.in_proj_bias.zero_()
    library.out_proj.weight.copy_(layer.to_out.weight), library.out_proj.bias.zero_()
    assert_close(layer(rows), library(rows, rows, rows)[0])
    layer.heads = 1
    q, k, v = (rows @ layer.to_qkv.weight.T).chunk(3, dim=2)
    assert_close(layer(rows), (q @ k.mT / 8**0.5).softmax(2) @ v @ layer.to_out.weight.T)


def test_a_frame_is_felt_in_its_own_film_and_place_alone(generator):
    layer, h = awake(), torch.randn(3 * 4, 12, 2, 2, generator=generator)
    other = h.clone()
    other[5, :, 0, 1] += torch.randn(12, generator=generator)  # frame 1 of film 1, in one place
    felt = (layer(other) - layer(h)).abs().amax(1)  # [B F, h, w]
    inside = torch.zeros_like(felt, dtype=torch.bool)
    inside[4:8, 0, 1] = True
    assert (felt[inside] > 1e-4).all() and (felt[~inside] == 0).all()


def test_frames_have_numbers(generator):
    """With eight equal frames the layer says something else of each; without its rows of numbers it could not."""
    layer, h = awake(), torch.randn(1, 12, 2, 2, generator=generator).expand(4, -1, -1, -1)
    assert torch.pdist(layer(h).flatten(1)).min() > 0.1
    layer.number.zero_()
    assert_close(layer(h), layer(h)[:1].expand(4, -1, -1, -1))


def test_attention_knows_the_numbers(generator):
    """What a frame hears changes where two others change places; without numbers attention could not tell them apart."""
    layer, h = awake(), torch.randn(4, 12, 2, 2, generator=generator)
    nn.init.zeros_(layer.think[-1].weight)
    swapped = h[[0, 2, 1, 3]]
    assert (layer(swapped) - layer(h))[0].abs().max() > 1e-3
    layer.number.zero_()
    assert_close(layer(swapped)[0], layer(h)[0])


# ---------------------------------------------------------------- in the picture model


def test_before_the_training_it_is_the_picture_model_bit_for_bit(sd, generator):
    z, c = torch.randn(16, 4, 8, 8, generator=generator), torch.randn(16, 32, 128, generator=generator)
    alone = sd.unet(z, 500, c).sample
    motion = MiniMotion().requires_grad_(False)
    with motion.inside(sd.unet):
        assert torch.equal(sd.unet(z, 500, c).sample, alone)


def test_films_in_a_batch_do_not_see_each_other(sd, generator):
    z, c = torch.randn(16, 4, 8, 8, generator=generator), torch.randn(16, 32, 128, generator=generator)
    other = z.clone()
    other[2] += 1
    motion = weights.load("motion")
    with motion.inside(sd.unet):
        felt = (sd.unet(other, 500, c).sample - sd.unet(z, 500, c).sample).abs().flatten(1).amax(1)
    assert (felt[:8] > 1e-4).all() and felt[8:].max() < 1e-5 < felt[:8].min()


def test_the_layers_leave_with_the_film_also_after_an_error(sd):
    with pytest.raises(KeyError), MiniMotion().inside(sd.unet):
        assert sum(len(layer._forward_hooks) for layer in sd.unet.modules()) == 7
        raise KeyError
    assert not any(layer._forward_hooks for layer in sd.unet.modules())


def test_only_the_new_numbers_are_stored():
    assert 1e5 <= weights.parameters(weights.load("motion")) <= 4e5
    assert (weights.FOLDER / "motion" / "model.safetensors").stat().st_size < 1e6


# ---------------------------------------------------------------- films


@pytest.mark.parametrize("shared", [0, 0.3, 1])
def test_noise_is_standard_and_shares_what_it_should(shared, generator):
    z = mixed(torch.randn(60, 8, 256, generator=generator), torch.randn(60, 1, 256, generator=generator), shared)
    assert_close(z.var(), torch.tensor(1.0), rtol=0, atol=0.03)
    assert_close((z[:, 0] * z[:, 5]).mean(), torch.tensor(float(shared)), rtol=0, atol=0.03)


def test_one_noise_for_all_is_a_still_picture(sd):
    film = draw_frames(sd, MiniMotion(), ["a grey cat"], steps=2, shared=1)[0]
    assert_close(film, film[:1].expand(8, -1, -1, -1), rtol=0, atol=1e-4)


def test_untrained_layers_draw_the_pictures_of_the_picture_model(sd):
    """With noises of their own, drawn one after the other from the film's seed; and a film is the same in every list."""
    films = draw_frames(sd, MiniMotion(), ["a dog", "a grey cat"], seeds=[4, 5], steps=3, shared=0)
    denoiser = stable_diffusion.denoiser(sd, ["a grey cat"] * 8, mini_motion.GUIDANCE_SCALE)
    z_T = stable_diffusion.noise(sd, [torch.Generator().manual_seed(5)] * 8)
    walk = stable_diffusion.toy_ddpm.sample(
        denoiser, z_T, stable_diffusion.timesteps(sd, 3), stable_diffusion.toy_ddpm.ddim
    )
    assert torch.equal(films[1], stable_diffusion.finish(sd, walk))


def test_the_shipped_layers_make_an_animal_walk(sd):
    """Ten steps: calmer than independent frames, farther than a still picture, head first."""
    prompts = ["a brown dog with nothing on a blue background", "a white rabbit with a hat on a green background"]
    film = draw_frames(sd, weights.load("motion"), prompts, steps=10)
    loose = draw_frames(sd, MiniMotion(), prompts, steps=10, shared=0)
    assert metrics.flicker(film) < 0.7 * metrics.flicker(loose)
    path = metrics.paths(film)
    assert (path[:, -1] - path[:, 0] > 4).all()


@pytest.mark.parametrize("wrong, said", [
    ({"prompts": "a dog"}, "prompts is a list of strings"),
    ({"prompts": []}, "one per picture"),
    ({"seeds": [1, 2]}, "got 1 prompts, 2 seeds"),
    ({"seeds": [0.5]}, "whole numbers"),
    ({"steps": 0}, "steps is 0"),
    ({"guidance_scale": float("nan")}, "finite number"),
    ({"shared": 1.5}, "shared is 1.5, but a share of the noise lies in 0..1"),
])  # fmt: skip
def test_bad_input(sd, wrong, said):
    given = {"motion": MiniMotion(), "prompts": ["a dog"], "steps": 2} | wrong
    with pytest.raises(ValueError, match=said):
        draw_frames(sd, **given)


def test_another_u_net_is_refused(sd):
    with pytest.raises(ValueError, match="are for the widths"):
        draw_frames(sd, MiniMotion(widths=[96, 160]), ["a dog"])
    with MiniMotion().inside(zoo_unet.make_unet()) as unet:
        assert unet.dtype == torch.float32


def test_toy_zoo_has_as_many_frames_as_the_layers():
    scene = next(scene for scene in toy_zoo.TRAINING if scene.subject == "cat")
    assert len(toy_zoo.walk(scene, np.random.default_rng(0))) == mini_motion.FRAMES
