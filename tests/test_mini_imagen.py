"""Mini Imagen: its base model walks as diffusers' schedulers do, with dynamic thresholding."""

import pytest
import torch
from diffusers import DDIMScheduler
from library_walk import both, guided, walked
from torch.testing import assert_close

from course import mini_clip, mini_imagen, mini_language, mini_upscaler, toy_ddpm
from course.train.language import load_tokenizer

PROMPTS = ["a dog with glasses", "a grey cat"]


@pytest.fixture(scope="module")
def imagen():
    torch.manual_seed(1)
    tokenizer = load_tokenizer()
    language = mini_language.make_language_model(tokenizer).eval()
    unet = mini_imagen.make_unet(widths=(16, 32)).eval()
    upscaler = toy_ddpm.Denoiser(mini_upscaler.Upscaler((16, 32)).eval(), toy_ddpm.cosine(), "x_0")
    return mini_imagen.MiniImagen(tokenizer, language, unet, upscaler)


def test_base_model_walks_as_diffusers_with_dynamic_thresholding(imagen):
    ours = mini_imagen.draw_small(imagen, PROMPTS, torch.Generator().manual_seed(5), timesteps=10, guidance_scale=4.0)

    x_T = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(5))
    c = imagen.text_encoder(mini_clip.tokens(imagen.tokenizer, ["", "", *PROMPTS])).last_hidden_state
    linear = {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02, "timestep_spacing": "trailing"}
    scheduler = DDIMScheduler(
        **linear, clip_sample=False, prediction_type="v_prediction", thresholding=True, sample_max_value=100.0
    )

    def model(x, t):
        x, t = both(x, t)
        return guided(imagen.unet(x, t, c).sample, 4.0)

    assert_close(ours, walked(scheduler, x_T, 10, model).clamp(-1, 1), atol=2e-4, rtol=0)


def test_a_seed_means_the_same_in_every_batch(imagen):
    together = mini_imagen.generate(imagen, PROMPTS, [4, 9], timesteps=2)
    assert_close(mini_imagen.generate(imagen, PROMPTS[1:], [9], timesteps=2), together[1:], atol=1e-4, rtol=0)
    assert together.shape == (2, 3, 64, 64) and together.abs().max() <= 1
    with pytest.raises(ValueError, match="2 prompts, 1 seeds"):
        mini_imagen.generate(imagen, PROMPTS, [4])


def test_the_shipped_parts_belong_together():
    imagen = mini_imagen.load()
    assert mini_language.mask_token(imagen.text_encoder) == len(imagen.tokenizer)
    assert (imagen.upscaler.prediction, imagen.unet.config.sample_size) == ("x_0", mini_imagen.SIDE)
    assert imagen.unet.config.cross_attention_dim == imagen.text_encoder.config.d_model
