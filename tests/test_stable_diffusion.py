"""Stable Diffusion: our loop gives what diffusers' pipeline gives, and any prompt whatever gives a picture or a clear word."""

import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline
from diffusers.models.attention_processor import Attention
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from pipelines import ask, stock
from torch.testing import assert_close
from transformers import CLIPConfig, CLIPImageProcessor

from course import stable_diffusion, toy_ddpm
from course.stable_diffusion import attention, edit, given
from course.stable_diffusion.check import MINI
from course.weights import FOLDER, WeightsError


@pytest.fixture(scope="module")
def sd():
    return stable_diffusion.load_mini()


def settings(scheduler):
    """Without diffusers' own notes: its version, and which settings nobody gave."""
    return {key: value for key, value in scheduler.config.items() if key[0] != "_"}


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
            pipeline = cls.from_pretrained({str(FOLDER / MINI)!r})
        assert not any(name.startswith("course") for name in sys.modules)
    """
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, cwd=tempfile.gettempdir(), capture_output=True)


@pytest.mark.parametrize(
    "cls", [StableDiffusionPipeline, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline]
)
def test_as_pipeline_is_what_diffusers_opens(sd, cls):
    ours, theirs = stable_diffusion.as_pipeline(sd, cls), stock(cls)
    assert type(ours) is cls and ours.config.requires_safety_checker is False
    assert settings(ours.scheduler) == settings(theirs.scheduler) and ours.unet is sd.unet
    assert ours.components.keys() == theirs.components.keys()
    assert [part is None for part in ours.components.values()] == [part is None for part in theirs.components.values()]


@pytest.mark.parametrize("steps", [1, 10, 30, 50, 999])
def test_timesteps_are_the_librarys(sd, steps):
    sd.scheduler.set_timesteps(steps)
    assert [t - 1 for t in stable_diffusion.timesteps(sd, steps)[:-1]] == sd.scheduler.timesteps.tolist()


def test_fifty_timesteps_and_impossible_ones(sd):
    assert stable_diffusion.timesteps(sd, 50)[:2] == [982, 962] and stable_diffusion.timesteps(sd, 50)[-2:] == [2, 1]
    assert stable_diffusion.timesteps(sd, np.int64(50)) == stable_diffusion.timesteps(sd, 50)
    for steps in (0, 1000, -1, 2.5, float("nan"), None, "25"):
        with pytest.raises(ValueError, match=f"steps is {steps}, but 1 to 999 are possible"):
            stable_diffusion.timesteps(sd, steps)


def test_walks_that_would_begin_without_enough_noise_are_refused(sd):
    """Pure noise is level 1000: 501 steps of one level begin at 502, 334 of two at 668. All others begin at 900 or above,
    or are so few that even spacing cannot."""
    for steps, first, better in ((501, 502, 500), (899, 900, 500), (334, 668, 333), (251, 752, 250)):
        with pytest.raises(
            ValueError, match=f"{steps} steps would begin at level {first} of 1000.*take {better} steps"
        ):
            stable_diffusion.timesteps(sd, steps)
        assert stable_diffusion.timesteps(sd, better)[0] > 990
    for steps in range(10, 1000):
        try:
            assert stable_diffusion.timesteps(sd, steps)[0] > 1000 - 100 - 1000 // steps
        except ValueError as error:
            assert "would begin at level" in str(error)


def test_asking_for_timesteps_leaves_the_scheduler_alone(sd):
    sd.scheduler.set_timesteps(7)
    before = sd.scheduler.timesteps.tolist()
    stable_diffusion.timesteps(sd, 50)
    assert sd.scheduler.timesteps.tolist() == before


def test_the_schedule_is_the_librarys_and_the_courses(sd):
    assert torch.equal(sd.schedule.signal[1:], sd.scheduler.alphas_cumprod.sqrt())
    assert torch.equal(sd.schedule.std[1:], (1 - sd.scheduler.alphas_cumprod).sqrt())
    own = toy_ddpm.make_schedule("scaled_linear").alpha_bar.float()
    assert_close(sd.schedule.alpha_bar, own, rtol=1e-4, atol=0)


def test_a_step_is_the_librarys_to_the_last_bit(sd):
    """All of a walk: the same latents and the same answers of a network go through both."""
    answers = torch.Generator().manual_seed(1)
    z_t = theirs = stable_diffusion.starting_noise(sd, [0, 1])
    model = toy_ddpm.Denoiser(lambda z, t: torch.randn(z.shape, generator=answers), sd.schedule)
    sd.scheduler.set_timesteps(50)
    grid = stable_diffusion.timesteps(sd, 50)
    for t, t_prev in zip(grid, grid[1:]):
        state = answers.get_state()
        z_t, z_0_hat = toy_ddpm.ddim(model, z_t, t, t_prev)
        answers.set_state(state)
        step = sd.scheduler.step(torch.randn(z_t.shape, generator=answers), t - 1, theirs)
        theirs = step.prev_sample
        assert torch.equal(z_t, theirs) and torch.equal(z_0_hat, step.pred_original_sample)


def test_the_noise_of_a_seed_is_the_librarys(sd):
    """Each row from its own generator, as the pipeline draws it, and the same alone."""
    both = stable_diffusion.starting_noise(sd, [3, 4], size=(72, 96))
    theirs = stock(StableDiffusionPipeline).prepare_latents(2, 4, 72, 96, torch.float32, torch.device("cpu"),
                                                            stable_diffusion.generators([3, 4]))  # fmt: skip
    assert torch.equal(both, theirs) and torch.equal(stable_diffusion.starting_noise(sd, [4], size=(72, 96)), both[1:])


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


# ---------------------------------------------------------------- lists of one per picture


def test_one_negative_prompt_a_picture_is_diffusers(sd):
    prompts, seeds, negative = ["a dog", "a cat", "a pizza"], [3, 4, 5], ["glasses", "", "a red background"]
    theirs = ask(stock(StableDiffusionPipeline), prompts, seeds, num_inference_steps=3, negative_prompt=negative)
    ours = stable_diffusion.generate(sd, prompts, seeds, steps=3, negative=negative, at_once=2)
    assert_close((ours + 1) / 2, theirs, atol=1e-5, rtol=0)


def test_seeds_of_every_kind(sd):
    wanted = stable_diffusion.starting_noise(sd, [0, 1])
    for seeds in (range(2), (0, 1), np.arange(2), torch.arange(2), [np.int32(0), torch.tensor(1)], iter([0, 1])):
        assert torch.equal(stable_diffusion.starting_noise(sd, seeds), wanted)
    assert stable_diffusion.generate(sd, ("a dog",), torch.tensor([1]), steps=1).shape == (1, 3, 64, 64)


NO_LISTS = {
    "a string": ("a dog", r"list of strings; write \['a dog'\]"),
    "a pair": ([("a dog", "a cat")], r"list of strings.*got \('a dog', 'a cat'\) in it"),
    "a list in it": (["a dog", ["a cat"]], r"got \['a cat'\] in it"),
    "a number": (["a dog", 3], "got 3 in it"),
    "None in it": ([None], "got None in it"),
    "None": (None, "list of strings.*got None"),
    "nothing": ([], "list of strings, one per picture.*got none"),
    "a set": ({"a dog"}, "list of strings, such as"),
    "half a letter": (["a dog", "\ud83d"], "in it"),
    "bytes": ([b"a dog"], "got b'a dog' in it"),
}
BY_PROMPTS = {
    "encode_prompt": lambda sd, prompts, **more: stable_diffusion.encode_prompt(sd, prompts),
    "denoiser": lambda sd, prompts, **more: stable_diffusion.denoiser(sd, prompts, **more),
    "walk": lambda sd, prompts, **more: stable_diffusion.walk(sd, prompts, **more),
    "generate": lambda sd, prompts, **more: stable_diffusion.generate(sd, prompts, steps=1, **more),
    "attention_maps": lambda sd, prompts, **more: attention.attention_maps(sd, prompts, steps=1, **more),
}  # the editing functions: test_editing


@pytest.mark.parametrize("function", BY_PROMPTS)
@pytest.mark.parametrize("kind", NO_LISTS)
def test_what_is_no_list_of_strings_is_refused(sd, function, kind):
    wrong, words = NO_LISTS[kind]
    with pytest.raises(ValueError, match=words):
        BY_PROMPTS[function](sd, wrong)
    if function != "encode_prompt" and kind != "a string":
        with pytest.raises(ValueError, match="negative.*" + words):
            BY_PROMPTS[function](sd, ["a dog", "a cat"], negative=wrong)


@pytest.mark.parametrize("function", ["walk", "generate", "attention_maps"])
def test_seeds_and_prompts_come_in_pairs(sd, function):
    draw, prompts = BY_PROMPTS[function], ["a dog", "a cat"]
    for more, words in (
        ({"seeds": [1, 2, 3]}, "one seed.*got 2 prompts, 3 seeds"),
        ({"seeds": torch.tensor([1])}, "got 2 prompts, 1 seeds"),
        ({"negative": ["a hat"]}, "one negative prompt .or one for all.; got 2 prompts, 2 seeds, 1 negative prompts"),
        ({"seeds": 3}, "whole numbers, one per picture.*got 3"),
        ({"seeds": "12"}, "whole numbers.*got '12'"),
        ({"seeds": [1.5, 2.0]}, "whole numbers"),
        ({"seeds": np.array([1.0, 2.0])}, "whole numbers"),
        ({"seeds": torch.tensor(3)}, "whole numbers"),
        ({"seeds": [None, 1]}, "whole numbers"),
        ({"seeds": {0, 1}}, "whole numbers"),
        ({"seeds": [1, 2**64]}, "64 bits; got 18446744073709551616"),
    ):
        with pytest.raises(ValueError, match=words):
            draw(sd, prompts, **more)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), -float("inf"), None, "7", [7.5]])
@pytest.mark.parametrize("function", ["denoiser", "walk", "generate", "attention_maps"])
def test_a_guidance_scale_that_is_no_number_is_refused(sd, function, scale):
    with pytest.raises(ValueError, match="guidance_scale is .*, but a finite number is needed"):
        BY_PROMPTS[function](sd, ["a dog"], guidance_scale=scale)


@pytest.mark.parametrize("size", [64, (64,), (64.0, 64.0), "64", (64, None), (0, 64), (-64, 64), (64, 64, 64)])
def test_sizes_that_are_none_are_refused(sd, size):
    with pytest.raises(ValueError, match="size is .H, W. in pixels|is no multiple of 8"):
        stable_diffusion.generate(sd, ["a dog"], steps=1, size=size)


def test_pictures_and_generators_come_in_pairs(sd):
    with pytest.raises(ValueError, match="one generator per picture is needed; got 1 for 2 pictures"):
        stable_diffusion.encode(sd, torch.zeros(2, 3, 64, 64), stable_diffusion.generators([0]))


@pytest.mark.parametrize("sources", [[], [0], 0, None, "ab", torch.Generator()])
def test_sources_that_are_none_are_refused(sd, sources):
    for draw in (
        lambda: stable_diffusion.noise(sd, sources),
        lambda: stable_diffusion.encode_any(sd, torch.zeros(1, 3, 64, 64), sources),
    ):
        with pytest.raises(ValueError, match="sources are generators, one per picture"):
            draw()


@pytest.mark.parametrize("at_once", [0, -1, 1.5, "2"])
def test_so_many_at_once_is_a_whole_number(sd, at_once):
    with pytest.raises(ValueError, match="at_once is a whole number of pictures, at least 1"):
        stable_diffusion.generate(sd, ["a dog"], steps=1, at_once=at_once)


@pytest.mark.parametrize("shape", [(4, 8, 8), (1, 3, 64, 64), (0, 4, 8, 8)])
def test_what_is_no_latents_is_not_decoded(sd, shape):
    with pytest.raises(ValueError, match=r"latents have the shape \[B, 4, h, w\]"):
        stable_diffusion.decode(sd, torch.zeros(shape))


def test_encode_looks_at_what_it_is_given(sd):
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    for wrong, words in ((ramp, "0..1"), (ramp * 255, "127.5"), (ramp / 0, "NaN"), (ramp[0], r"\[B, 3, H, W\]")):
        with pytest.raises(ValueError, match=words):
            stable_diffusion.encode(sd, wrong, stable_diffusion.generators([0]))
    assert stable_diffusion.encode_any(sd, ramp * 3, stable_diffusion.generators([0])).isfinite().all()


# ---------------------------------------------------------------- what it costs


def test_a_large_picture_says_what_it_will_cost_before_it_is_drawn(sd, monkeypatch):
    monkeypatch.setattr(given, "PATIENCE", 0)
    with pytest.warns(UserWarning, match=r"160 x 192 pixels are 7 times the 64 x 64.*50 steps take about .*size=64"):
        stable_diffusion.walk(sd, ["a dog", "a cat"], size=(160, 192))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stable_diffusion.walk(sd, ["a dog"], size=(128, 128))


def test_the_cost_is_that_of_a_line_and_a_square(sd, monkeypatch):
    """A U-Net that takes 2 n + 3 n^2 milliseconds for n thousand cells: 4 steps of 256 x 192 cells, told from two small ones."""
    now, cells = [0.0], []

    class Clocked:
        config, device, dtype = sd.unet.config, sd.unet.device, sd.unet.dtype

        def __call__(self, z, t, c):
            cells.append(z.shape[2] * z.shape[3])
            now[0] += 2e-3 * cells[-1] + 3e-6 * cells[-1] ** 2
            return sd.unet(z[..., :8, :8], t, c)

    monkeypatch.setattr(given.time, "perf_counter", lambda: now[0])
    minutes = 4 * (2e-3 * 49_152 + 3e-6 * 49_152**2) / 60
    with pytest.warns(UserWarning, match=f"768 times.*4 steps take about {minutes:.1f} minutes"):
        given.warn_of_cost(sd._replace(unet=Clocked()), (2048, 1536), 4)
    assert cells == [64 * 48, 64 * 48, 128 * 96]


def test_a_long_walk_shows_a_bar_and_a_short_one_none(sd, monkeypatch, capsys):
    list(stable_diffusion.walk(sd, ["a dog"], steps=2))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(given, "PATIENCE", 0)
    list(stable_diffusion.walk(sd, ["a dog"], steps=2))
    assert "/2" in capsys.readouterr().err


# ---------------------------------------------------------------- guidance, attention, safety


def test_guidance_scale_zero_ignores_the_prompt_and_one_is_plain(sd):
    zero = [stable_diffusion.generate(sd, [text], [1], steps=2, guidance_scale=0.0) for text in ("a dog", "a pizza")]
    assert_close(*zero, atol=1e-5, rtol=0)
    c, z_T = stable_diffusion.encode_prompt(sd, ["a dog"]), stable_diffusion.starting_noise(sd, [1])
    model = toy_ddpm.Denoiser(stable_diffusion.network(sd), sd.schedule, c=c)
    plain = toy_ddpm.last(toy_ddpm.sample(model, z_T, stable_diffusion.timesteps(sd, 2), toy_ddpm.ddim))
    guided = toy_ddpm.last(stable_diffusion.walk(sd, ["a dog"], [1], 2, guidance_scale=1.0))
    assert_close(guided, plain, atol=1e-4, rtol=0)


def test_watching_the_attention_changes_nothing(sd):
    """The latents with the watching processors are those without, and every place's weights sum to 1 over the tokens."""
    prompts, seeds = ["a boy with mouse ears", "a pizza"], [1, 2]
    before = [type(own) for own in sd.unet.attn_processors.values()]
    z, maps = attention.attention_maps(sd, prompts, seeds, steps=3)
    assert_close(z, toy_ddpm.last(stable_diffusion.walk(sd, prompts, seeds, steps=3)), rtol=1e-4, atol=1e-4)
    assert maps.shape == (3, 2, 32, 8, 8) and maps.min() >= 0
    assert_close(maps.sum(2), torch.ones(3, 2, 8, 8))
    assert [type(own) for own in sd.unet.attn_processors.values()] == before


def test_attention_maps_are_those_of_the_prompt_and_of_each_picture(sd):
    """Not those of the empty prompt that guidance adds: no guidance scale changes the first step's maps."""
    (_, both), (_, alone) = (
        attention.attention_maps(sd, prompts, range(len(prompts)), steps=1, guidance_scale=scale)
        for prompts, scale in ((["a dog", "a cat"], 3.0), (["a dog"], 1.0))
    )
    assert_close(both[:, :1], alone, rtol=1e-4, atol=1e-6)
    _, empty = attention.attention_maps(sd, [""], [0], steps=1)
    assert (empty - alone).abs().max() > 1e-4


def test_attention_maps_are_the_mean_of_all_layers(sd, monkeypatch):
    """Each layer's weights, heads and the two halves of the guidance still apart, are caught where diffusers computes them."""
    scores = []

    def caught(self, query, key, attention_mask=None, own=Attention.get_attention_scores):
        scores.append(own(self, query, key, attention_mask))
        return scores[-1]

    monkeypatch.setattr(Attention, "get_attention_scores", caught)
    _, maps = attention.attention_maps(sd, ["a dog with glasses"], [0], steps=1)
    layers = [s.view(2, -1, round(s.shape[1] ** 0.5), round(s.shape[1] ** 0.5), 32)[1].mean(0) for s in scores]
    assert len(layers) == sum(".attn2." in name for name in sd.unet.attn_processors) and {len(x) for x in layers} == {
        4,
        8,
    }
    wanted = sum(F.interpolate(x.movedim(-1, 0)[None], (8, 8), mode="bilinear") for x in layers) / len(layers)
    assert_close(maps[0], wanted)


def test_attention_maps_of_pictures_that_are_not_square(sd):
    """9 x 12 cells and, a level below, 5 x 6. What is left or right, above or below stays there: the layer's own map says so."""
    z, maps = attention.attention_maps(sd, ["a dog"], [0], steps=1, size=(72, 96))
    assert maps.shape == (1, 1, 32, 9, 12)
    assert_close(maps.sum(2), torch.ones(1, 1, 9, 12))
    for (h, w), (rows, columns) in {(9, 12): (5, 6), (12, 9): (6, 5), (16, 2): (8, 1), (9, 9): (5, 5)}.items():
        layer = torch.arange(2 * rows * columns).view(2, rows * columns, 1)
        assert torch.equal(attention._as_grid(layer, h, w)[:, 0], layer.view(2, rows, columns))


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
        seen = stable_diffusion.run_safety_checker(
            sd._replace(safety_checker=checker, feature_extractor=CLIPImageProcessor()), x
        )
        assert_close(seen, torch.full_like(x, -1.0) if objects else x)
        assert ("blackened 2 of 2" in capsys.readouterr().out) == objects


@pytest.mark.parametrize("dtype, share", [("float16", 0.01), ("bfloat16", 0.05)])
def test_in_half_precision_a_seed_means_what_it_means_to_diffusers(dtype, share):
    """Rounding sets the loops apart by little; another noise would by the length of the noise itself."""
    half = stable_diffusion.load("mini", "cpu", quiet=True, dtype=dtype)
    prompts, sources = ["a dog", "a cat"], stable_diffusion.generators([3, 4])
    pipe = stable_diffusion.as_pipeline(half)
    drawn = pipe.prepare_latents(2, 4, 64, 64, half.unet.dtype, "cpu", stable_diffusion.generators([3, 4]))
    assert torch.equal(stable_diffusion.starting_noise(half, [3, 4]), drawn.float())
    theirs = pipe(prompts, generator=sources, num_inference_steps=5, output_type="latent").images.float()
    ours = toy_ddpm.last(stable_diffusion.walk(half, prompts, [3, 4], steps=5))
    assert 0 < (ours - theirs).norm() / theirs.norm() < share  # 0 would be float32


def test_image_to_image_in_half_precision_is_diffusers_and_an_overflow_is_named():
    half = stable_diffusion.load("mini", "cpu", quiet=True, dtype="bfloat16")
    x = stable_diffusion.generate(half, ["a dog"], steps=5)
    pipe, sources = stable_diffusion.as_pipeline(half, StableDiffusionImg2ImgPipeline), stable_diffusion.generators([0])
    how = {"num_inference_steps": 10, "output_type": "pt", "generator": sources}
    theirs = pipe(["a dog"], image=(x + 1) / 2, strength=0.5, **how).images.float() * 2 - 1
    ours = edit.image_to_image(half, x, ["a dog"], strength=0.5, steps=10)
    assert (ours - theirs).abs().mean() < 0.02
    short = stable_diffusion.load("mini", "cpu", quiet=True, dtype="float16")  # up to 65,504; the encoder needs 132,116
    with pytest.raises(WeightsError, match='left the range of torch.float16: load with dtype="bfloat16"'):
        edit.image_to_image(short, x, ["a dog"], strength=0.5, steps=10)
