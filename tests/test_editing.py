"""Image-to-image and inpainting: diffusers' own pipelines for the same seed, exact toys, and clear words on bad input."""

import math
import warnings

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from pipelines import ask, stock
from small_pipeline import small_pipeline
from torch.testing import assert_close

from course import pictures as images
from course import stable_diffusion, toy_ddpm, toy_zoo
from course.stable_diffusion import attention, edit

PROMPTS, SEEDS = ["a dog with glasses", "a cat with a hat"], [3, 4]


@pytest.fixture(scope="module")
def sd():
    return stable_diffusion.load_mini()


@pytest.fixture(scope="module")
def pictures():
    return images.from_uint8(toy_zoo.examples(2, seed=5)[0]).contiguous()


@pytest.fixture(scope="module")
def mask():
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 37:, 13:50] = 1
    return mask


@pytest.mark.parametrize("strength", [0.1, 0.6, 1.0])
def test_image_to_image_is_diffusers(sd, pictures, strength):
    theirs = ask(stock(StableDiffusionImg2ImgPipeline), PROMPTS, SEEDS, image=(pictures + 1) / 2, strength=strength,
                 num_inference_steps=10)  # fmt: skip
    ours = edit.image_to_image(sd, pictures, PROMPTS, SEEDS, strength=strength, steps=10)
    assert_close((ours + 1) / 2, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("strength", [0.7, 1.0])
def test_inpainting_is_diffusers(sd, pictures, mask, strength):
    theirs = ask(stock(StableDiffusionInpaintPipeline), PROMPTS, SEEDS, image=(pictures + 1) / 2, mask_image=mask,
                 strength=strength, num_inference_steps=10)  # fmt: skip
    ours = edit.inpaint(sd, pictures, mask, PROMPTS, SEEDS, strength=strength, steps=10, keep_pixels=False)
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
    ours = edit.inpaint(sd, pictures, mask, PROMPTS, SEEDS, strength=strength, steps=5, keep_pixels=False)
    assert_close((ours + 1) / 2, theirs, atol=1e-5, rtol=0)
    other = edit.inpaint(sd, pictures, 1 - mask, PROMPTS, SEEDS, strength=strength, steps=5, keep_pixels=False)
    assert (ours - other).abs().max() > 1e-3  # the mask is looked at


@pytest.mark.parametrize("channels", [4, 9])
def test_everything_stays_on_the_device_and_asks_it_nothing(tmp_path, channels):
    """On the `meta` device, which has no numbers, tensors of two devices and every look at a value (it stops a GPU) raise."""
    small_pipeline(tmp_path, in_channels=channels)
    sd = stable_diffusion.load(tmp_path, "meta", quiet=True)
    assert sd.unet.dtype == torch.float16
    pictures = torch.zeros(2, 3, 32, 32)  # one's own, on the CPU as `pictures.from_image` gives them
    mask = images.as_mask(np.full((32, 32), 255, np.uint8), pictures)
    how = {"steps": 3, "negative": "a hat", "strength": 0.7}
    drawn = [edit.inpaint(sd, pictures, mask, PROMPTS, **how, paste=paste) for paste in toy_ddpm.PASTES]
    drawn += [edit.inpaint(sd, pictures, mask, PROMPTS, resample=2, cover=True, steps=3)]
    if channels == 4:
        drawn += [stable_diffusion.generate(sd, PROMPTS, steps=3, at_once=1)]
        drawn += [edit.image_to_image(sd, pictures, PROMPTS, **how)]
        assert attention.attention_maps(sd, PROMPTS, SEEDS, steps=3)[1].device.type == "meta"
    else:
        with pytest.raises(ValueError, match="the inpainting checkpoint, which wants a mask"):
            stable_diffusion.generate(sd, PROMPTS, steps=3)
    assert {x.device.type for x in drawn} == {"meta"} and {x.shape for x in drawn} == {pictures.shape}


def test_strength_zero_goes_through_the_autoencoder_alone(sd, pictures):
    z_0 = stable_diffusion.encode(sd, pictures, stable_diffusion.generators(SEEDS))
    out = edit.image_to_image(sd, pictures, PROMPTS, SEEDS, strength=0.0)
    assert_close(out, stable_diffusion.decode(sd, z_0))


@pytest.mark.parametrize("strength, steps, first", [(0.1, 5, 82), (0.5, 25, 482), (0.75, 37, 722), (1.0, 50, 982)])
def test_partial_timesteps_is_the_librarys(sd, strength, steps, first):
    """Strengths of facts known from diffusers: 50 steps, of which int(50 * strength) are walked."""
    grid = edit.partial_timesteps(stable_diffusion.timesteps(sd, 50), strength)
    assert (len(grid) - 1, grid[0]) == (steps, first)


def test_partial_timesteps_truncates_and_refuses(sd):
    assert edit.partial_timesteps([4, 3, 2, 1], 0.32) == [1]
    for strength in (-0.1, 1.01, math.nan, math.inf, None, "0.5"):
        with pytest.raises(ValueError, match="between 0 .keep the picture. and 1"):
            edit.partial_timesteps([2, 1], strength)


def test_kept_pixels_are_the_originals_and_the_others_are_new(sd, pictures, mask):
    out = edit.inpaint(sd, pictures, mask, PROMPTS, SEEDS, steps=5)
    assert torch.equal(out * (1 - mask), pictures * (1 - mask))
    assert ((out - pictures).abs() * mask).amax((1, 2, 3)).min() > 0.1


def test_a_seed_means_the_same_in_every_batch(sd, pictures, mask):
    """With fresh noise at every step too: each picture has its own source of chance."""
    how = {"steps": 3, "resample": 2}
    both = edit.inpaint(sd, pictures, mask, PROMPTS, SEEDS, **how)
    second = edit.inpaint(sd, pictures[1:], mask, PROMPTS[1:], SEEDS[1:], **how)
    assert_close(both[1:], second, atol=1e-3, rtol=0)


# ---------------------------------------------------------------- RePaint


def know_nothing(schedule):
    """A denoiser that finds no noise in anything."""
    return toy_ddpm.Denoiser(lambda x, t: x * 0, schedule)


def test_pieces_are_pasted_where_they_belong():
    """A model that knows nothing: what is kept must end as `known`, and on the way as `known` with the level's noise."""
    schedule, grid = toy_ddpm.make_schedule("linear"), [1000, 600, 300, 0]
    known, mask = torch.full((4000, 2), 3.0), torch.tensor([0.0, 1.0])
    x_T = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))

    def walk(paste):
        return list(
            toy_ddpm.sample(know_nothing(schedule), x_T, grid, toy_ddpm.repaint(toy_ddpm.ddim, known, mask, paste))
        )

    for paste, wanted in (("noised", 3 * schedule.alpha_bar[600].sqrt()), ("clean", 3.0)):
        steps = walk(paste)
        assert_close(steps[0][1][:, 0].mean(), torch.as_tensor(wanted).float(), atol=0.06, rtol=0)
        assert torch.equal(steps[-1][1][:, 0], known[:, 0]) and steps[-1][0] == 0
    std = {paste: walk(paste)[1][1][:, 0].std() for paste in toy_ddpm.PASTES}
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

    n, generator = 10_000, torch.Generator().manual_seed(1)
    x_T, known = torch.randn(n, 2, generator=generator), torch.tensor([[1.5, 0.0]]).expand(n, 2)
    step = toy_ddpm.repaint(toy_ddpm.ddim, known, torch.tensor([[0.0, 1.0]]), resample=resample)
    model = toy_ddpm.Denoiser(eps_model, schedule)
    second = toy_ddpm.last(toy_ddpm.sample(model, x_T, 250, step, eta=1.0, generator=generator))[:, 1]
    assert abs(second.mean() - mean) < 0.02 and abs(second.std() - std) < 0.02


def test_repaint_refuses_unknown_ways(sd, pictures, mask):
    for wrong in ({"paste": "original"}, {"resample": 0}, {"resample": 1.5}, {"resample": math.nan}):
        with pytest.raises(ValueError, match="paste is one of noised, clean, end and resample at least 1"):
            toy_ddpm.repaint(toy_ddpm.ddim, None, None, **wrong)
        with pytest.raises(ValueError, match="paste is one of noised, clean, end and resample at least 1"):
            edit.inpaint(sd, pictures, mask, PROMPTS, **wrong)


# ---------------------------------------------------------------- bad input: whatever a public function is given


def by_name(name, mask):
    """A public function as draw(sd, pictures, prompts, **choices)."""
    function = getattr(edit, name)
    if name.startswith("inpaint"):
        return lambda sd, x, *rest, mask=mask, **more: function(sd, x, mask, *rest, **more)
    return function


FUNCTIONS = ["img2img_latents", "image_to_image", "inpaint_latents", "inpaint"]
everywhere = pytest.mark.parametrize("name", FUNCTIONS)


@everywhere
def test_pictures_prompts_and_seeds_come_together(sd, pictures, mask, name):
    draw = by_name(name, mask)
    for prompts, more, words in (
        (["a dog"], {}, "got 2 pictures, 1 prompts, 1 seeds"),
        (PROMPTS, {"seeds": [3]}, "got 2 pictures, 2 prompts, 1 seeds"),
        (PROMPTS, {"seeds": 3}, "whole numbers"),
        (PROMPTS, {"seeds": [0.5, 1]}, "whole numbers"),
        (PROMPTS, {"negative": ["a hat"]}, "2 seeds, 1 negative prompts"),
        (PROMPTS, {"negative": [["a", "b"], "c"]}, "negative is a list of strings"),
        (PROMPTS, {"negative": None}, "negative is a list of strings"),
        ("a dog", {}, "list of strings; write"),
        ([PROMPTS, PROMPTS], {}, "list of strings"),
        ([], {}, "list of strings.*none"),
        (None, {}, "list of strings"),
    ):
        with pytest.raises(ValueError, match=words):
            draw(sd, pictures, prompts, **more)


@everywhere
def test_numbers_that_are_none_are_refused(sd, pictures, mask, name):
    draw = by_name(name, mask)
    for more, words in (
        ({"guidance_scale": math.nan}, "guidance_scale is nan"),
        ({"guidance_scale": math.inf}, "guidance_scale is inf"),
        ({"strength": math.nan}, "strength is nan"),
        ({"strength": 1.5}, "strength is 1.5"),
        ({"strength": None}, "strength is None"),
        ({"steps": 501}, "501 steps would begin at level 502"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 2.5}, "steps is 2.5"),
    ):
        with pytest.raises(ValueError, match=words):
            draw(sd, pictures, PROMPTS, **more)


@everywhere
def test_pictures_of_another_range_or_shape_are_told(sd, pictures, mask, name):
    """Each is named with its range and the mend; a bright picture of the right range is drawn."""
    draw = by_name(name, mask)
    for wrong, words in (
        (pictures / 2 + 0.5, "0..1"),
        ((pictures + 1) * 127.5, "127.5"),
        (((pictures + 1) * 127.5).byte(), "from_uint8"),
        (pictures * 2, "-1..1"),
        (pictures.where(pictures < 0.9, torch.nan), "NaN"),
        (pictures.where(pictures < 0.9, torch.inf), "infinity"),
        (pictures[0], r"\[None\]"),
        (pictures.movedim(1, -1), "movedim"),
        (pictures[:, :1], r"\[B, 3, H, W\]"),
        (pictures[:0], "at least one"),
        (images.to_images(pictures), "from_image"),
        (None, "from_image"),
    ):
        with pytest.raises(ValueError, match=words):
            draw(sd, wrong, PROMPTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bright = images.from_uint8((images.np.asarray(images.to_images(pictures)) // 2 + 128).astype(np.uint8))
        draw(sd, bright, PROMPTS, steps=2)


@pytest.mark.parametrize("name", FUNCTIONS[2:])
def test_masks_of_another_range_or_shape_are_told(sd, pictures, mask, name):
    draw = by_name(name, mask)
    for wrong, words in (
        (mask * 255, "255"),
        (mask * 2 - 1, "between 0 .keep. and 1"),
        (mask.where(mask < 1, torch.nan), "NaN"),
        (mask[..., :32], "the mask is .* the picture 64 x 64"),
        (mask.expand(2, 3, -1, -1), "the mask is"),
        (mask * 0, "black everywhere"),
    ):
        with pytest.raises(ValueError, match=words):
            draw(sd, pictures, PROMPTS, mask=wrong)
    with pytest.raises(ValueError):
        draw(sd, pictures, PROMPTS, mask=None)


@pytest.mark.parametrize("cover", [False, True])
def test_a_mask_is_looked_at_before_it_is_shrunk(sd, mask, cover):
    for wrong, words in (
        (mask * 255, "255"),
        (mask.where(mask < 1, torch.nan), "NaN"),
        (mask[..., :60], "64 x 60 is no mult"),
    ):
        with pytest.raises(ValueError, match=words):
            edit.shrink_mask(sd, wrong, cover)


def test_a_mask_of_every_legal_kind_draws_the_same(sd, pictures, mask):
    eight_bits = (mask[0, 0] * 255).byte().numpy()
    wanted = edit.inpaint(sd, pictures, mask, PROMPTS, SEEDS, steps=2)
    for kind in (mask[0, 0], mask.bool(), mask * 0.7, eight_bits, images.Image.fromarray(eight_bits)):
        assert torch.equal(edit.inpaint(sd, pictures, kind, PROMPTS, SEEDS, steps=2), wanted)


@pytest.mark.parametrize("channels", [4, 9])
def test_a_picture_of_numbers_is_looked_at_before_anything_is_asked_of_the_model(tmp_path, channels):
    """On `meta` no number can be looked at afterwards: the refusal comes from the picture as it was given."""
    small_pipeline(tmp_path, in_channels=channels)
    sd = stable_diffusion.load(tmp_path, "meta", quiet=True)
    with pytest.raises(ValueError, match="NaN"):
        edit.inpaint(sd, torch.full((1, 3, 32, 32), torch.nan), torch.ones(1, 1, 32, 32), ["a dog"])


def test_one_negative_prompt_a_picture_is_diffusers(sd, pictures, mask):
    negative = ["a brown dog", "a blue background"]
    more = {"image": (pictures + 1) / 2, "num_inference_steps": 5, "negative_prompt": negative}
    theirs = ask(stock(StableDiffusionImg2ImgPipeline), PROMPTS, SEEDS, strength=0.8, **more)
    ours = edit.image_to_image(sd, pictures, PROMPTS, SEEDS, strength=0.8, steps=5, negative=negative)
    assert_close((ours + 1) / 2, theirs, atol=1e-5, rtol=0)
    theirs = ask(stock(StableDiffusionInpaintPipeline), PROMPTS, SEEDS, mask_image=mask, strength=1.0, **more)
    ours = edit.inpaint(sd, pictures, mask, PROMPTS, SEEDS, steps=5, negative=negative, keep_pixels=False)
    assert_close((ours + 1) / 2, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("strength", [0.0, 0.75])
def test_odd_sizes_are_refused(sd, strength):
    with pytest.raises(ValueError, match="60 x 64 is no multiple of 8; try 64 x 64"):
        edit.image_to_image(sd, torch.zeros(1, 3, 60, 64), ["a dog"], strength=strength)


def test_a_single_pixel_is_lost_or_covered(sd):
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 3, 3] = 1
    assert edit.shrink_mask(sd, mask).sum() == 0  # as in diffusers: a cell asks its upper left pixel
    assert edit.shrink_mask(sd, mask, cover=True).sum() == 1


@pytest.mark.parametrize("strength", [0.0, 0.03])
def test_inpainting_with_less_than_a_step_is_refused(sd, pictures, mask, strength):
    with pytest.raises(ValueError, match=f"strength {strength} of 25 steps is less than one step"):
        edit.inpaint(sd, pictures, mask, PROMPTS, strength=strength)
