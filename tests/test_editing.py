"""Image-to-image and inpainting: diffusers' own pipelines for the same seed, exact toys, and clear words on bad input."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from PIL import Image
from test_sd_weights import small_pipeline
from test_stable_diffusion import ask, stock
from torch.testing import assert_close

from course import editing, stable_diffusion, toy_ddpm, toy_zoo, train_zoo

PROMPTS, SEEDS = ["a dog with glasses", "a cat with a hat"], [3, 4]


@pytest.fixture(scope="module")
def sd():
    return stable_diffusion.load_mini()


@pytest.fixture(scope="module")
def pictures():
    return train_zoo.pixels(toy_zoo.examples(2, seed=5)[0]).contiguous()


@pytest.fixture(scope="module")
def mask():
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 37:, 13:50] = 1
    return mask


@pytest.mark.parametrize("strength", [0.1, 0.6, 1.0])
def test_image_to_image_is_diffusers(sd, pictures, strength):
    theirs = ask(stock(StableDiffusionImg2ImgPipeline), PROMPTS, SEEDS, image=(pictures + 1) / 2, strength=strength,
                 num_inference_steps=10)  # fmt: skip
    ours = editing.image_to_image(sd, pictures, PROMPTS, SEEDS, strength=strength, steps=10)
    assert_close((ours + 1) / 2, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("strength", [0.7, 1.0])
def test_inpainting_is_diffusers(sd, pictures, mask, strength):
    theirs = ask(stock(StableDiffusionInpaintPipeline), PROMPTS, SEEDS, image=(pictures + 1) / 2, mask_image=mask,
                 strength=strength, num_inference_steps=10)  # fmt: skip
    ours = editing.inpaint(sd, pictures, mask, PROMPTS, SEEDS, strength=strength, steps=10, keep_pixels=False)
    assert_close((ours + 1) / 2, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("strength", [0.7, 1.0])
def test_the_nine_channel_checkpoint_is_diffusers(tmp_path, strength):
    small_pipeline(tmp_path, in_channels=9)
    sd = stable_diffusion.load(tmp_path, "cpu", quiet=True)
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, :16] = 1
    theirs = ask(stock(StableDiffusionInpaintPipeline, tmp_path), PROMPTS, SEEDS, image=(pictures + 1) / 2,
                 mask_image=mask, strength=strength, num_inference_steps=5, height=32, width=32)  # fmt: skip
    ours = editing.inpaint(sd, pictures, mask, PROMPTS, SEEDS, strength=strength, steps=5, keep_pixels=False)
    assert_close((ours + 1) / 2, theirs, atol=1e-5, rtol=0)
    other = editing.inpaint(sd, pictures, 1 - mask, PROMPTS, SEEDS, strength=strength, steps=5, keep_pixels=False)
    assert (ours - other).abs().max() > 1e-3  # the mask is looked at


@pytest.mark.parametrize("channels", [4, 9])
def test_everything_stays_on_the_device_and_asks_it_nothing(tmp_path, channels):
    """On the `meta` device, which has no numbers, tensors of two devices and every look at a value (it stops a GPU) raise."""
    small_pipeline(tmp_path, in_channels=channels)
    sd = stable_diffusion.load(tmp_path, "meta", quiet=True)
    assert sd.unet.dtype == torch.float16
    pictures = torch.zeros(2, 3, 32, 32)  # one's own, on the CPU as `editing.picture` gives them
    mask = editing.as_mask(np.full((32, 32), 255, np.uint8), pictures)
    how = {"steps": 3, "negative": "a hat", "strength": 0.7}
    drawn = [editing.inpaint(sd, pictures, mask, PROMPTS, **how, paste=paste) for paste in editing.PASTES]
    drawn += [editing.inpaint(sd, pictures, mask, PROMPTS, resample=2, cover=True, steps=3)]
    if channels == 4:
        drawn += [stable_diffusion.generate(sd, PROMPTS, steps=3, at_once=1)]
        drawn += [editing.image_to_image(sd, pictures, PROMPTS, **how)]
        assert stable_diffusion.attention_maps(sd, PROMPTS, SEEDS, steps=3)[1].device.type == "meta"
    else:
        with pytest.raises(ValueError, match="the inpainting checkpoint, which wants a mask"):
            stable_diffusion.generate(sd, PROMPTS, steps=3)
    assert {x.device.type for x in drawn} == {"meta"} and {x.shape for x in drawn} == {pictures.shape}


def test_strength_zero_goes_through_the_autoencoder_alone(sd, pictures):
    z_0 = stable_diffusion.encode(sd, pictures, stable_diffusion.generators(SEEDS))
    out = editing.image_to_image(sd, pictures, PROMPTS, SEEDS, strength=0.0)
    assert_close(out, stable_diffusion.decode(sd, z_0))


@pytest.mark.parametrize("strength, steps, first", [(0.1, 5, 82), (0.5, 25, 482), (0.75, 37, 722), (1.0, 50, 982)])
def test_part_of_grid_is_the_librarys(sd, strength, steps, first):
    """Strengths of facts known from diffusers: 50 steps, of which int(50 * strength) are walked."""
    grid = editing.part_of_grid(stable_diffusion.levels(sd, 50), strength)
    assert (len(grid) - 1, grid[0]) == (steps, first)


def test_part_of_grid_truncates_and_refuses(sd):
    assert editing.part_of_grid([4, 3, 2, 1], 0.32) == [1]
    for strength in (-0.1, 1.01):
        with pytest.raises(ValueError, match="between 0 .keep the picture. and 1"):
            editing.part_of_grid([2, 1], strength)


def test_kept_pixels_are_the_originals_and_the_others_are_new(sd, pictures, mask):
    out = editing.inpaint(sd, pictures, mask, PROMPTS, SEEDS, steps=5)
    assert torch.equal(out * (1 - mask), pictures * (1 - mask))
    assert ((out - pictures).abs() * mask).amax((1, 2, 3)).min() > 0.1


def test_pieces_are_pasted_where_they_belong():
    """A model that knows nothing: what is kept must end as `known`, and on the way as `known` with the level's noise."""
    schedule, grid = toy_ddpm.make_schedule("linear"), [1000, 600, 300, 0]
    known, mask = torch.full((4000, 2), 3.0), torch.tensor([0.0, 1.0])
    x_T = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    for paste, wanted in (("noised", 3 * schedule.alpha_bar[600].sqrt()), ("clean", 3.0)):
        steps = list(editing.replace(lambda x, t: x * 0, x_T, known, mask, schedule, grid, paste=paste, eta=0.0))
        assert_close(steps[0][1][:, 0].mean(), torch.as_tensor(wanted).float(), atol=0.06, rtol=0)
        assert torch.equal(steps[-1][1][:, 0], known[:, 0]) and steps[-1][0] == 0
    std = {paste: list(editing.replace(lambda x, t: x * 0, x_T, known, mask, schedule, grid, paste=paste, eta=0.0))[1][1][:, 0].std()
           for paste in editing.PASTES}  # fmt: skip
    assert_close(std["noised"], (1 - schedule.alpha_bar[300]).sqrt().float(), atol=0.02, rtol=0)
    assert std["clean"] == 0 and std["end"] > 1


@pytest.mark.parametrize("resample, mean, std", [(1, 0.937, 0.547), (10, 1.317, 0.415)])
def test_resampling_brings_the_two_halves_together(resample, mean, std):
    """Correlation 0.9, first value known to be 1.5: truth is 1.35 and 0.436. Reference values computed apart from this code."""
    schedule, covariance = toy_ddpm.make_schedule("linear"), torch.tensor([[1, 0.9], [0.9, 1]]).double()

    def eps_model(x_t, t, c=None):
        alpha_bar = schedule.alpha_bar[t[0]]
        spread = alpha_bar * covariance + (1 - alpha_bar) * torch.eye(2).double()
        return ((1 - alpha_bar).sqrt() * x_t.double() @ torch.linalg.inv(spread)).float()

    n, grid = 10_000, toy_ddpm.step_grid(1000, 250)
    generator = torch.Generator().manual_seed(1)
    x_T, known = torch.randn(n, 2, generator=generator), torch.tensor([[1.5, 0.0]]).expand(n, 2)
    steps = editing.replace(eps_model, x_T, known, torch.tensor([[0.0, 1.0]]), schedule, grid, resample=resample,
                            generator=generator, eta=1.0)  # fmt: skip
    second = toy_ddpm.last(steps)[:, 1]
    assert abs(second.mean() - mean) < 0.02 and abs(second.std() - std) < 0.02


def test_replace_refuses_unknown_ways():
    for wrong in ({"paste": "original"}, {"resample": 0}):
        with pytest.raises(ValueError, match="paste is one of noised, clean, end and resample at least 1"):
            next(editing.replace(None, None, None, None, None, [2, 1], **wrong))


def test_a_seed_means_the_same_in_every_batch(sd, pictures, mask):
    """With fresh noise at every step too: each picture has its own source of chance."""
    how = {"steps": 3, "resample": 2}
    both = editing.inpaint(sd, pictures, mask, PROMPTS, SEEDS, **how)
    second = editing.inpaint(sd, pictures[1:], mask, PROMPTS[1:], SEEDS[1:], **how)
    assert_close(both[1:], second, atol=1e-3, rtol=0)


# ---------------------------------------------------------------- bad input


def test_pictures_of_every_kind_become_colour():
    red = Image.new("RGB", (8, 16), "red")
    assert editing.picture(red).shape == (1, 3, 16, 8)
    assert editing.picture(red)[0, :, 0, 0].tolist() == [1, -1, -1]
    assert editing.picture(red.convert("L")).unique().numel() == 1
    assert editing.picture(np.asarray(red)).equal(editing.picture(red))
    assert (editing.picture(Image.new("RGBA", (8, 8), (255, 0, 0, 0))) == 1).all()  # transparent: white
    with pytest.raises(ValueError, match=r"must be uint8 \[H, W\].*got float64 \(8, 8\)"):
        editing.picture(np.zeros((8, 8)))


def test_sixteen_bits_are_scaled_and_numbers_without_a_white_refused(pictures):
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    image = Image.fromarray(ramp)
    assert image.mode == "I;16"
    expected = torch.from_numpy(ramp.astype(np.float32)) / 32767.5 - 1
    assert_close(editing.picture(image)[0, 0], expected, atol=0.01, rtol=0)
    assert editing.as_mask(image, pictures).mean() == 0.5
    for mode in ("I", "F"):
        with pytest.raises(ValueError, match=f"an image of mode {mode} has no fixed white"):
            editing.picture(Image.new(mode, (8, 8)))


@pytest.mark.parametrize("strength", [0.0, 0.75])
def test_odd_sizes_are_refused(sd, strength):
    with pytest.raises(ValueError, match="60 x 64 is no multiple of 8; try 64 x 64"):
        editing.image_to_image(sd, torch.zeros(1, 3, 60, 64), ["a dog"], strength=strength)


def test_masks(pictures):
    half = Image.new("L", (64, 64), 0)
    half.paste(255, (0, 0, 32, 64))
    assert editing.as_mask(half, pictures).sum() == 32 * 64  # white is redrawn
    grey = np.full((64, 64), 127, np.uint8)
    grey[:10] = 128
    assert editing.as_mask(grey, pictures).sum() == 10 * 64
    assert editing.as_mask(np.eye(64, dtype=bool), pictures).sum() == 64
    for wrong, words in (
        (Image.new("L", (32, 64), 255), "the mask is 64 x 32, the picture 64 x 64"),
        (torch.ones(3, 64, 64), "the mask is 3 x 64 x 64, the picture 64 x 64; .* one channel"),
        (torch.full((64, 64), 255.0), "between 0 .keep. and 1 .redraw.; got 255..255"),
        (torch.zeros(64, 64), "black everywhere"),
    ):
        with pytest.raises(ValueError, match=words):
            editing.as_mask(wrong, pictures)


def test_a_single_pixel_is_lost_or_covered(sd):
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 3, 3] = 1
    assert editing.shrink_mask(sd, mask).sum() == 0  # as in diffusers: a cell asks its upper left pixel
    assert editing.shrink_mask(sd, mask, cover=True).sum() == 1


def test_pictures_prompts_and_seeds_come_together(sd, pictures, mask):
    for edit, more in ((editing.image_to_image, ()), (editing.inpaint, (mask,))):
        with pytest.raises(ValueError, match="got 2 pictures, 1 prompts and 1 seeds"):
            edit(sd, pictures, *more, ["a dog"])
        with pytest.raises(ValueError, match="got 2 pictures, 2 prompts and 1 seeds"):
            edit(sd, pictures, *more, PROMPTS, [3])


@pytest.mark.parametrize("strength", [0.0, 0.03])
def test_inpainting_with_less_than_a_step_is_refused(sd, pictures, mask, strength):
    with pytest.raises(ValueError, match=f"strength {strength} of 25 steps is less than one step"):
        editing.inpaint(sd, pictures, mask, PROMPTS, strength=strength)
