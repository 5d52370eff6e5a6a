"""Stable Diffusion: our loop gives what diffusers' pipeline gives, and any prompt whatever gives a picture or a clear word."""

import os
import subprocess
import sys
import tempfile
import warnings

import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from torch.testing import assert_close
from transformers import CLIPConfig, CLIPImageProcessor

from course import sd_weights, stable_diffusion, toy_ddpm


@pytest.fixture(scope="module")
def sd():
    return stable_diffusion.load_mini()


def stock(cls, folder=sd_weights.weights.FOLDER / sd_weights.MINI):
    pipeline = cls.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def ask(pipeline, prompts, seeds, **more):
    """The stock pipeline's pictures in [0, 1], each from its own generator."""
    return pipeline(prompts, generator=stable_diffusion.generators(seeds), output_type="pt", **more).images


def test_generate_is_diffusers_pipeline(sd):
    prompts, seeds = ["a dog with glasses", "a cat with a hat"], [3, 4]
    theirs = ask(stock(StableDiffusionPipeline), prompts, seeds, num_inference_steps=7, guidance_scale=6.0,
                 negative_prompt=["a boy", "a boy"])  # fmt: skip
    ours = stable_diffusion.generate(sd, prompts, seeds, steps=7, guidance_scale=6.0, negative="a boy")
    assert_close((ours + 1) / 2, theirs, atol=1e-5, rtol=0)


def test_another_size_is_diffusers_too_and_an_odd_one_is_refused(sd):
    theirs = ask(stock(StableDiffusionPipeline), ["a dog"], [1], num_inference_steps=3, height=72, width=96)
    assert_close(
        (stable_diffusion.generate(sd, ["a dog"], [1], steps=3, size=(72, 96)) + 1) / 2, theirs, atol=1e-5, rtol=0
    )
    with pytest.raises(ValueError, match="70 x 96 is no multiple of 8; try 72 x 96"):
        stable_diffusion.generate(sd, ["a dog"], steps=1, size=(70, 96))


def test_the_folder_opens_without_this_course():
    """In a fresh Python outside the repository, offline, with diffusers alone."""
    code = f"""if True:
        import sys
        from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline
        for cls in (StableDiffusionPipeline, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline):
            pipeline = cls.from_pretrained({str(sd_weights.weights.FOLDER / sd_weights.MINI)!r})
        assert not any(name.startswith("course") for name in sys.modules)
    """
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, cwd=tempfile.gettempdir(), capture_output=True)


@pytest.mark.parametrize("steps", [1, 10, 30, 50, 999])
def test_levels_are_the_librarys_grid(sd, steps):
    sd.scheduler.set_timesteps(steps)
    assert [t - 1 for t in stable_diffusion.levels(sd, steps)[:-1]] == sd.scheduler.timesteps.tolist()


def test_fifty_levels_and_impossible_ones(sd):
    assert stable_diffusion.levels(sd, 50)[:2] == [982, 962] and stable_diffusion.levels(sd, 50)[-2:] == [2, 1]
    for steps in (0, 1000):
        with pytest.raises(ValueError, match=f"steps is {steps}, but 1 to 999 are possible"):
            stable_diffusion.levels(sd, steps)


def test_the_schedule_is_the_librarys_and_the_courses(sd):
    assert torch.equal(sd.schedule.alpha_bar[1:], sd.scheduler.alphas_cumprod)
    own = toy_ddpm.make_schedule("scaled_linear").alpha_bar.float()
    assert_close(sd.schedule.alpha_bar, own, rtol=1e-4, atol=0)


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
    with pytest.warns(UserWarning, match="82 tokens, but 32 are read; cut off: .with glasses a dog"):
        stable_diffusion.generate(sd, ["a dog with glasses " * 20], steps=1)


def test_capitals_draw_the_same_picture(sd):
    small, large = (stable_diffusion.generate(sd, [text], [5], steps=2) for text in ("a dog", "A DOG"))
    assert_close(small, large)


def test_seeds_and_prompts_come_in_pairs(sd):
    with pytest.raises(ValueError, match="one seed a prompt is needed; got 3 seeds for 2 prompts"):
        stable_diffusion.generate(sd, ["a dog", "a cat"], [1, 2, 3])


def test_a_single_string_is_no_list_of_prompts(sd):
    with pytest.raises(ValueError, match=r"list of strings; write \['a dog'\]"):
        stable_diffusion.generate(sd, "a dog")


def test_guidance_scale_zero_ignores_the_prompt_and_one_is_plain(sd):
    zero = [stable_diffusion.generate(sd, [text], [1], steps=2, guidance_scale=0.0) for text in ("a dog", "a pizza")]
    assert_close(*zero, atol=1e-5, rtol=0)
    c = stable_diffusion.encode_prompt(sd, ["a dog"])
    z_T, grid = stable_diffusion.starting_noise(sd, [1]), stable_diffusion.levels(sd, 2)
    plain = toy_ddpm.last(stable_diffusion.descend(stable_diffusion.eps_model(sd), z_T, sd.schedule, grid, c))
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


def test_the_safety_checker_blackens_what_it_objects_to(sd, capsys):
    """A checker that objects to everything, and one that objects to nothing; both of diffusers' own class."""
    config = CLIPConfig(
        vision_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2},
        projection_dim=8,
    )
    x = stable_diffusion.generate(sd, ["a dog", "a pizza"], steps=1)
    for threshold, objects in ((-2.0, True), (2.0, False)):
        checker = StableDiffusionSafetyChecker(config).eval()
        checker.concept_embeds_weights.fill_(threshold)
        checker.special_care_embeds_weights.fill_(2.0)
        seen = stable_diffusion.censor(sd._replace(safety_checker=checker, feature_extractor=CLIPImageProcessor()), x)
        assert_close(seen, torch.full_like(x, -1.0) if objects else x)
        assert ("blackened 2 of 2" in capsys.readouterr().out) == objects
