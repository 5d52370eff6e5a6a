"""Answers and usual mistakes of notebook 10, Stable Diffusion."""

import copy
from dataclasses import replace
from functools import cache, partial

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from course import mini_clip, stable_diffusion
from course.check.engine import FunctionExercise, ValueExercise
from course.toy_ddpm import ddim, from_betas, last, posterior, sample, split

twenty_steps = ValueExercise(
    [951, 1, 40],
    mistakes=[
        ([950, 0, 40], "this is the grid of the other repository; what do Stable Diffusion's settings add?"),
        ([981, 1, 40], "981 belongs to 50 steps; how many levels apart are 20 steps?"),
        ([952, 2, 40], "these are the course's levels t; the library counts from 0"),
        ([999, 49, 40], "this is the trailing grid; Stable Diffusion's is counted from the clean end"),
        ([950, 0, 20], "this is a grid without the offset; and how often does guidance ask at each level?"),
        ([1000, 0, 20], "the levels are counted from 0, 50 apart and from the clean end; and guidance asks twice"),
        ([951, 1, 20], "the grid is right; how often does guidance ask at each level?"),
        ([981, 1, 20], "981 belongs to 50 steps, and guidance asks more than once at each level"),
        ([950, 1, 40], "the last index is right; the offset moves every index of the grid, so the first one too"),
        ([951, 0, 40], "the first index is right; the offset moves every index of the grid, so the last one too"),
        ([951, 51, 40], "51 is the last but one; where does the grid end that is counted from the clean end?"),
        ([951, 1, 42], "the last step ends at a level where the network is not asked again: 20 levels, two questions at each"),
    ],
    tolerance=1e-4,
)  # fmt: skip

# ---------------------------------------------------------------- the loop


@cache
def _tiny():
    """A whole Stable Diffusion v1 with small random weights, loud ones, so that every slip in the loop shows in its picture."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(10)
        tokenizer = mini_clip.make_tokenizer(["a red square", "a blue circle"], merges=8)
        ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}  # fmt: skip
        text = CLIPTextConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                              num_attention_heads=2, max_position_embeddings=mini_clip.CONTEXT, **ends)  # fmt: skip
        encoder = CLIPTextModel(text)
        unet = UNet2DConditionModel(
            sample_size=4, block_out_channels=(8, 16), layers_per_block=1, cross_attention_dim=16, attention_head_dim=8,
            norm_num_groups=8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        )  # fmt: skip
        vae = AutoencoderKL(
            block_out_channels=(8, 8, 8, 8), norm_num_groups=8, sample_size=32, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip
        for name, values in unet.named_parameters():
            if "attn2" in name:
                values.data *= 6  # the prompt is to be heard
        vae.decoder.conv_out.weight.data *= 3  # some pixels end beyond 1
        parts = [part.eval().requires_grad_(False) for part in (encoder, unet, vae)]
    return stable_diffusion.StableDiffusion(tokenizer, *parts, scheduler=stable_diffusion.make_scheduler())


def _pipeline(sd, prompt, seed, steps, w):
    """diffusers' own answer."""
    source = torch.Generator().manual_seed(seed)
    more = {"num_inference_steps": steps, "guidance_scale": w, "generator": source, "output_type": "pt"}
    return stable_diffusion.as_pipeline(sd)(prompt, **more).images * 2 - 1


def _drawn(sd, prompt, seed, steps, w, guide=None, noise=1.0, level=0, leave=0, stop_at_0=False, first=1, roots=True,
           factor=lambda z, s: z / s, clip=True):  # fmt: skip
    """The loop, with room for a slip in every place. level: added to the index that the U-Net hears; leave: steps not walked."""
    c = stable_diffusion.encode_prompt(sd, ["", prompt])
    z, alpha_bar = noise * stable_diffusion.starting_noise(sd, [seed]), sd.scheduler.alphas_cumprod
    stride = 1000 // steps
    for k in reversed(range(leave, steps)):
        i = stride * k + first
        eps_u, eps_c = sd.unet(torch.cat([z, z]), i + level, c).sample.chunk(2)
        eps_hat = guide(eps_u, eps_c, w) if guide else eps_u + w * (eps_c - eps_u)
        now, after = alpha_bar[i], alpha_bar[max(i - stride, 0)]
        if stop_at_0 and k == 0:
            after = torch.ones(())
        signal, std = (now.sqrt(), (1 - now).sqrt()) if roots else (now, 1 - now)
        signal_after, std_after = (after.sqrt(), (1 - after).sqrt()) if roots else (after, 1 - after)
        z = signal_after * (z - std * eps_hat) / signal + std_after * eps_hat
    s = sd.vae.config.scaling_factor
    picture = sd.vae.decode(factor(z, s)).sample
    return picture.clamp(-1, 1) if clip else picture


class _Loop(FunctionExercise):
    """A function exercise whose first argument is the tiny Stable Diffusion, each time with a scheduler as new."""

    @torch.no_grad()
    def run(self, function):
        answers = []
        for case in self.cases:
            sd = _tiny()
            answers.append(function(sd._replace(scheduler=copy.deepcopy(sd.scheduler)), *case))
        return answers

    def verdict(self, attempt):
        status, message = super().verdict(attempt)
        if "Output" in message and "by name" not in message:
            message += (
                ". A library's call returns its tensors by name: .sample (U-Net, decoder) or .prev_sample (scheduler)"
            )
        if "shapes cannot be multiplied" in message or "must match" in message:
            message += (
                ". The check's model is another, smaller one: does each tensor come from `sd`, `prompt` and `seed`?"
            )
        return status, message


text_to_image = _Loop(
    _pipeline,
    mistakes=[
        (
            partial(_drawn, guide=lambda u, c, w: c + w * (u - c)),
            "this pushes away from the prompt: which half of the batch is the empty prompt's?",
        ),
        (
            partial(_drawn, guide=lambda u, c, w: c),
            "this follows the prompt without guidance: where does w come in?",
        ),
        (
            partial(_drawn, guide=lambda u, c, w: u),
            "this draws without the prompt: only the answer for the empty prompt is used",
        ),
        (
            partial(_drawn, guide=lambda u, c, w: u + w * c),
            "guidance multiplies a difference of two predictions, not one prediction",
        ),
        (
            partial(_drawn, guide=lambda u, c, w: c + w * (c - u)),
            "this is the paper's weight, which is one less than the library's: w = 1 should be the plain prompt",
        ),
        (
            partial(_drawn, guide=lambda u, c, w: u + w * (u - c)),
            "this walks away from the prompt: the arrow leads from eps_u to eps_c",
        ),
        (lambda sd, prompt, seed, steps, w: _drawn(sd, prompt, 0, steps, w), "your start noise is the same for every seed"),
        (lambda sd, prompt, seed, steps, w: _drawn(sd, prompt, seed, 1, w), "one step is right; where do the other `steps` go?"),
        (lambda sd, prompt, seed, steps, w: _drawn(sd, prompt, seed, 25, w), "you walk 25 steps, whatever `steps` says"),
        (lambda sd, prompt, seed, steps, w: _drawn(sd, prompt, seed, 50, w), "you walk 50 steps, whatever `steps` says"),
        (lambda sd, prompt, seed, steps, w: _drawn(sd, prompt, seed, steps, 7.5), "you guide with 7.5, whatever `w` says"),
        (
            partial(_drawn, factor=lambda z, s: z),
            "the walk is right; the decoder expects the latent in its own units (section 7, and notebook 07)",
        ),
        (
            partial(_drawn, factor=lambda z, s: z * s),
            "the walk is right; the factor is there, but the encoder's way round: what undoes it?",
        ),
        (
            partial(_drawn, factor=lambda z, s: z / s / s),
            "the walk is right; the factor is applied twice: which of your calls does it already?",
        ),
        (
            partial(_drawn, clip=False),
            "all right but for the range: a picture ends at -1 and 1",
        ),
        (
            lambda *case: _drawn(*case) / 2 + 0.5,
            "all right but for the range: this picture lies in 0..1, as the library's do; the course's lie in -1..1",
        ),
        (
            partial(_drawn, level=1),
            "the U-Net hears a level too high by one: the library counts from 0, so it wants the index i itself",
        ),
        (
            partial(_drawn, level=-1),
            "the U-Net hears a level too low by one: who has subtracted 1 already?",
        ),
        (
            partial(_drawn, leave=1),
            "one step is missing: the walk stops at index 1, but there is a last step from there to index 0",
        ),
        (
            partial(_drawn, stop_at_0=True),
            "the last step goes too far: Stable Diffusion's ends at index 0, where a little noise is left",
        ),
        (
            partial(_drawn, first=0),
            "the grid lacks its offset: with 50 steps it begins at 980 here, and at 981 in Stable Diffusion",
        ),
        (
            partial(_drawn, roots=False),
            "signal and noise are weighed by roots: of alpha_bar and of 1 - alpha_bar",
        ),
        (
            partial(_drawn, noise=0.18215),
            "the start noise is too faint: it was drawn in the latent's own units, and no factor belongs to it",
        ),
    ],
    cases=[("a red square", 0, 1, 1.0), ("a red square", 1, 3, 1.0), ("a blue circle", 2, 3, 7.5)],
    tolerance=1e-3,
    names=["a single step without guidance", "three steps without guidance", "three steps with guidance"],
)  # fmt: skip

# ---------------------------------------------------------------- which part is to blame


@torch.no_grad()
def suspects(sd, prompt, seed, steps):
    """Four pictures `[4, 3, H, W]`, each with another part spoiled; in which order, the check knows."""
    z_T, grid = stable_diffusion.starting_noise(sd, [seed]), stable_diffusion.timesteps(sd, steps)
    right, mute = stable_diffusion.denoiser(sd, [prompt]), stable_diffusion.denoiser(sd, [""])
    turned = replace(right, network=lambda z_t, t, c: right.network(z_t.mT, t, c))

    def drawn(denoiser, levels):
        return last(sample(denoiser, z_T, levels, ddim))

    factor = sd.vae.config.scaling_factor
    latents = [factor**2 * drawn(right, grid), drawn(mute, grid), drawn(turned, grid), drawn(right, [1000, 1])]
    return torch.cat([stable_diffusion.decode(sd, z) for z in latents])


class _Matching(ValueExercise):
    """A list in which each number is a choice: a wrong one hears which are right, not that the order is wrong."""

    def own_slip(self, got, want, mistakes):
        return None


to_blame = _Matching(
    [4, 1, 2, 3],
    mistakes=[
        ([1, 4, 2, 3], "A and B: which of the two shows what the prompt says, only badly?"),
        ([2, 1, 4, 3], "A and C: which of the two was drawn well, and only shown badly?"),
        ([3, 1, 2, 4], "A and D: which of the two has fine outlines but faint colours, and which is a mean of many pictures?"),
        ([4, 2, 1, 3], "B and C: which of the two is a clean picture of something that was not asked for?"),
        ([4, 3, 2, 1], "B and D: which of the two does not care for its prompt, and which has not come far?"),
        ([4, 1, 3, 2], "C and D: a walk that never got rid of its noise, and one that took all of it off at once: which is which?"),
    ],
)  # fmt: skip


# ---------------------------------------------------------------- their step

_z_t, _eps_hat, _noise = torch.randn(3, 2, 4, 3, 3, generator=torch.Generator().manual_seed(10), dtype=torch.float64)
_number = partial(torch.tensor, dtype=torch.float64)  # takes **0.5, .sqrt() and torch.sqrt alike

_alpha_bar = _number([1.0, 0.99, 0.95, 0.9, 0.4, 0.2])  # of the cases below, as a chain of five steps
_schedule = from_betas(1 - _alpha_bar[1:] / _alpha_bar[:-1])


def _level(alpha_bar):
    return int((_schedule.alpha_bar - alpha_bar).abs().argmin())


def _clean(z_t, eps_hat, alpha_bar_t):
    return split(eps_hat, z_t, _level(alpha_bar_t), _schedule, "eps")[0]


def _mean(z_t, eps_hat, alpha_bar_t, alpha_bar_prev):
    t, t_prev = _level(alpha_bar_t), _level(alpha_bar_prev)
    return posterior(_clean(z_t, eps_hat, alpha_bar_t), z_t, t, _schedule, t_prev)[0]


def _of_means(of_z_0, of_z_t, a, b):
    """The mean of Eq. 7 of what is put in place of z_0_hat and z_t."""
    return (b**0.5 * (1 - a / b) * of_z_0 + (a / b) ** 0.5 * (1 - b) * of_z_t) / (1 - a)


def _variance(alpha_bar_t, alpha_bar_prev):
    return posterior(_z_t, _z_t, _level(alpha_bar_t), _schedule, _level(alpha_bar_prev))[1]


def _fresh(noise, a, b):
    return _variance(a, b) ** 0.5 * noise


ancestral_step = FunctionExercise(
    lambda z_t, eps_hat, noise, a, b: _mean(z_t, eps_hat, a, b) + _fresh(noise, a, b),
    mistakes=[
        (lambda z_t, eps_hat, noise, a, b: _mean(z_t, eps_hat, a, b), "the mean is right; where is the fresh noise?"),
        (
            lambda z_t, eps_hat, noise, a, b: _mean(z_t, eps_hat, a, b) + _variance(a, b) * noise,
            "the mean is right; noise is multiplied by a standard deviation, not by a variance",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: _mean(z_t, eps_hat, a, b) + (1 - a / b) ** 0.5 * noise,
            "the mean is right; this is the larger variance beta, which leaves grain in the last step",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: (
                _of_means(z_t - (1 - a) ** 0.5 * eps_hat, z_t, a, b) + _fresh(noise, a, b)
            ),
            "z_0_hat is too faint: after the noise is taken off, the signal has still its factor sqrt(alpha_bar_t)",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: (
                _of_means((z_t - (1 - a) * eps_hat) / a, z_t, a, b) + _fresh(noise, a, b)
            ),
            "in z_0_hat signal and noise are weighed by roots: sqrt(alpha_bar_t), sqrt(1 - alpha_bar_t)",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: _of_means(eps_hat, z_t, a, b) + _fresh(noise, a, b),
            "the mean wants the estimate z_0_hat; eps_hat is the noise that the network sees",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: (
                (b**0.5 * (1 - a) * _clean(z_t, eps_hat, a) + a**0.5 * (1 - b) * z_t) / (1 - a) + (1 - b) ** 0.5 * noise
            ),
            "alpha is the share of signal of this one step: the ratio of the two alpha_bar, not alpha_bar_t itself",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: (
                (b**0.5 * (1 - b / a) * _clean(z_t, eps_hat, a) + (b / a) ** 0.5 * (1 - b) * z_t) / (1 - a)
                + ((1 - b) / (1 - a) * (1 - b / a)) ** 0.5 * noise
            ),
            "alpha is upside down: this one step keeps alpha_bar_t / alpha_bar_prev, which is less than 1",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: (1 - a) * _mean(z_t, eps_hat, a, b) + _fresh(noise, a, b),
            "the noise is right; both terms of the mean are divided by something",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: b**0.5 * _clean(z_t, eps_hat, a) + (1 - b) ** 0.5 * eps_hat,
            "this is DDIM's step: it uses the predicted noise again and no fresh one",
        ),
        (
            lambda z_t, eps_hat, noise, a, b: b**0.5 * _clean(z_t, eps_hat, a) + (1 - b) ** 0.5 * noise,
            "all noise is fresh here; the mean should also keep a part of z_t",
        ),
    ],
    cases=[
        (_z_t, 0 * _eps_hat, 0 * _noise, _number(0.2), _number(0.4)),
        (_z_t, _eps_hat, 0 * _noise, _number(0.9), _number(0.95)),
        (0 * _z_t, 0 * _eps_hat, _noise, _number(0.9), _number(0.95)),
        (_z_t, _eps_hat, _noise, _number(0.99), _number(1.0)),
    ],
    names=["the mean where eps_hat is 0", "the mean", "the fresh noise", "the last step"],
)  # fmt: skip
