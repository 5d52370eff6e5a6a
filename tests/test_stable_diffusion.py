"""The mini Stable Diffusion: its loop is diffusers' own, and any prompt whatever gives a picture or a clear word."""

import warnings

import pytest
import torch
from diffusers import DDIMScheduler
from torch.testing import assert_close

from course import stable_diffusion, toy_ddpm, train_zoo


@pytest.fixture(scope="module")
def sd():
    return stable_diffusion.load_mini()


def test_walk_is_diffusers_ddim_with_guidance(sd):
    """The same noise through diffusers' scheduler, on the levels that ours visits, guided by diffusers' expression."""
    steps, scale = 5, 3.0
    scheduler = DDIMScheduler.from_config(
        train_zoo.scheduler().config, timestep_spacing="trailing", set_alpha_to_one=True
    )
    scheduler.set_timesteps(steps)
    x = stable_diffusion.starting_noise(sd, [3, 4])
    c, c_null = (stable_diffusion.encode_prompt(sd, prompts) for prompts in (["a dog", "a cat with a hat"], ["", ""]))
    for i in scheduler.timesteps:
        unconditional, conditional = sd.unet(torch.cat([x, x]), i, torch.cat([c_null, c])).sample.chunk(2)
        x = scheduler.step(unconditional + scale * (conditional - unconditional), i, x).prev_sample
    ours = stable_diffusion.walk(sd, ["a dog", "a cat with a hat"], [3, 4], steps, scale)
    assert_close(toy_ddpm.last(ours), x, rtol=1e-4, atol=1e-4)


def test_a_picture_depends_on_its_seed_and_prompt_alone(sd):
    together = stable_diffusion.generate(sd, ["a dog", "a pizza", "a dog"], [1, 1, 2], steps=2)
    alone = stable_diffusion.generate(sd, ["a pizza"], [1], steps=2)
    assert_close(together[1:2], alone, atol=1e-4, rtol=0)
    assert (together[0] - together[1]).abs().max() > 1e-3 and (together[0] - together[2]).abs().max() > 1e-3


@pytest.mark.parametrize("prompt", ["", "A DOG WITH GLASSES", "a giraffe on a bicycle", "🍕🐶", "a\tdog\n", "日本"])
def test_any_prompt_gives_a_picture(sd, prompt):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = stable_diffusion.generate(sd, [prompt], steps=2)
    assert x.shape == (1, 3, 64, 64) and x.isfinite().all() and x.abs().max() <= 1


def test_a_prompt_that_is_too_long_is_cut_with_a_warning(sd):
    with pytest.warns(UserWarning, match="its end is cut off"):
        stable_diffusion.generate(sd, ["a dog with glasses " * 20], steps=1)


def test_capitals_draw_the_same_picture(sd):
    small, large = (stable_diffusion.generate(sd, [text], [5], steps=2) for text in ("a dog", "A DOG"))
    assert_close(small, large)


def test_seeds_and_prompts_come_in_pairs(sd):
    with pytest.raises(ValueError, match="one seed a prompt is needed; got 3 seeds for 2 prompts"):
        stable_diffusion.generate(sd, ["a dog", "a cat"], [1, 2, 3])


def test_guidance_scale_zero_ignores_the_prompt_and_one_is_plain(sd):
    zero = [stable_diffusion.generate(sd, [text], [1], steps=2, guidance_scale=0.0) for text in ("a dog", "a pizza")]
    assert_close(*zero, atol=1e-5, rtol=0)
    c = stable_diffusion.encode_prompt(sd, ["a dog"])
    x_T, schedule = stable_diffusion.starting_noise(sd, [1]), toy_ddpm.make_schedule("scaled_linear")
    plain = toy_ddpm.last(toy_ddpm.sample(stable_diffusion.eps_model(sd), x_T, schedule, 2, eta=0.0, c=c))
    guided = toy_ddpm.last(stable_diffusion.walk(sd, ["a dog"], [1], 2, guidance_scale=1.0))
    assert_close(guided, plain, atol=1e-4, rtol=0)


def test_watching_the_attention_changes_nothing(sd):
    """The latents with the watching processors are those without, and every place's weights sum to 1 over the tokens."""
    prompts, seeds = ["a boy with mouse ears", "a pizza"], [1, 2]
    before = [type(own) for own in sd.unet.attn_processors.values()]
    z, maps = stable_diffusion.attention_maps(sd, prompts, seeds, steps=3)
    assert_close(z, toy_ddpm.last(stable_diffusion.walk(sd, prompts, seeds, steps=3)), rtol=1e-4, atol=1e-4)
    assert maps.shape == (3, 2, 32, 8, 8) and maps.min() >= 0
    assert_close(maps.sum(2), torch.ones(3, 2, 8, 8))
    assert [type(own) for own in sd.unet.attn_processors.values()] == before


def test_attention_maps_are_those_of_the_prompt_and_of_each_picture(sd):
    """Not those of the empty prompt that guidance adds: no guidance scale changes the first step's maps."""
    (_, both), (_, alone) = (
        stable_diffusion.attention_maps(sd, prompts, range(len(prompts)), steps=1, guidance_scale=scale)
        for prompts, scale in ((["a dog", "a cat"], 3.0), (["a dog"], 1.0))
    )
    assert_close(both[:, :1], alone, rtol=1e-4, atol=1e-6)
    _, empty = stable_diffusion.attention_maps(sd, [""], [0], steps=1)
    assert (empty - alone).abs().max() > 1e-4
