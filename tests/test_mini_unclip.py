"""Mini DALL-E 2: prior and decoder walk as diffusers' schedulers do, and the decoder is its base but for what it learned."""

import pytest
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, PriorTransformer, UNet2DConditionModel
from library_walk import COSINE, both, guided, walked
from scipy.spatial import geometric_slerp
from torch.testing import assert_close

from course import mini_clip, mini_unclip, toy_zoo, weights

PROMPTS = ["a dog with glasses", "a grey cat"]


@pytest.fixture(scope="module")
def tokenizer():
    return mini_clip.make_tokenizer(sorted(toy_zoo.every_caption(toy_zoo.TRAINING[:50])))


@pytest.fixture(scope="module")
def unclip(tokenizer):
    torch.manual_seed(2)
    small = {"block_out_channels": (16,), "norm_num_groups": 4, "layers_per_block": 1}
    unet = UNet2DConditionModel(
        sample_size=8, cross_attention_dim=128, attention_head_dim=4, down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",), **small,
    )  # fmt: skip
    clip, prior = mini_clip.make_clip(tokenizer), mini_unclip.make_prior(1)
    vae = AutoencoderKL(**small)
    return mini_unclip.MiniUnclip(
        tokenizer, clip.eval(), prior.eval(), mini_unclip.make_decoder(unet).eval(), vae.eval()
    )


def test_prior_walks_as_diffusers(unclip, tokenizer):
    ours = mini_unclip.draw_embeddings(
        unclip, PROMPTS, torch.Generator().manual_seed(6), timesteps=10, guidance_scale=2.0
    )

    x_T = torch.randn(2, 64, generator=torch.Generator().manual_seed(6))
    text = unclip.clip.text_model(mini_clip.tokens(tokenizer, ["", "", *PROMPTS]))
    project = unclip.clip.text_projection
    embedding = mini_unclip.SCALE * F.normalize(project(text.pooler_output), dim=1)

    def model(x, t):
        x, t = both(x, t)
        says = unclip.prior(x, t, proj_embedding=embedding, encoder_hidden_states=project(text.last_hidden_state))
        return guided(says.predicted_image_embedding, 2.0)

    assert_close(ours, walked(DDIMScheduler(**COSINE, prediction_type="sample"), x_T, 10, model), atol=2e-4, rtol=1e-4)


def test_decoder_walks_as_diffusers_and_differs_from_its_base_only_where_it_learned(unclip):
    z = mini_unclip.SCALE * F.normalize(torch.randn(2, 64, generator=torch.Generator().manual_seed(7)), dim=1)
    ours = mini_unclip.decode(unclip, z, torch.Generator().manual_seed(8), timesteps=10, guidance_scale=3.0)

    x_T = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(8))
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, timestep_spacing="trailing",
                              clip_sample=False, set_alpha_to_one=True)  # fmt: skip
    c = {"image_embeds": torch.cat([torch.zeros_like(z), z])}

    def model(x, t):
        x, t = both(x, t)
        return guided(unclip.unet(x, t, None, added_cond_kwargs=c).sample, 3.0)

    latents = walked(scheduler, x_T, 10, model)
    theirs = unclip.vae.decode(latents / unclip.vae.config.scaling_factor).sample.clamp(-1, 1)
    assert_close(ours, theirs, atol=2e-4, rtol=0)
    base = UNet2DConditionModel(**{k: v for k, v in unclip.unet.config.items() if not k.startswith("_")}
                                | {"encoder_hid_dim": None, "encoder_hid_dim_type": None, "addition_embed_type": None})  # fmt: skip
    own = set(dict(unclip.unet.named_parameters())) - set(dict(base.named_parameters()))
    learned = set(mini_unclip.learned(unclip.unet))
    assert own < learned and all("attn2" in name for name in learned - own)


def test_the_way_between_two_embeddings_has_even_angles_and_one_length():
    """scipy goes the same way."""
    a, b = F.normalize(torch.randn(2, 64, generator=torch.Generator().manual_seed(9), dtype=torch.float64), dim=1)
    shares = torch.linspace(0, 1, 5, dtype=torch.float64)
    theirs = torch.from_numpy(geometric_slerp(a.numpy(), b.numpy(), shares.numpy()))
    assert_close(torch.stack([mini_unclip.between(8 * a, 3 * b, share) for share in shares]), 8 * theirs)
    assert_close(mini_unclip.between(a, a, 0.5), a)
    with pytest.raises(ValueError, match="opposite"):
        mini_unclip.between(a, -a, 0.5)


def test_a_seed_means_the_same_in_every_batch(unclip):
    together = mini_unclip.generate(unclip, PROMPTS, [4, 9], timesteps=2)
    assert_close(mini_unclip.generate(unclip, PROMPTS[1:], [9], timesteps=2), together[1:], atol=1e-4, rtol=0)
    assert together.shape == (2, 3, 8, 8) and together.abs().max() <= 1
    with pytest.raises(ValueError, match="2 prompts, 1 seeds"):
        mini_unclip.generate(unclip, PROMPTS, [4])


def test_the_shipped_decoder_is_the_mini_stable_diffusion_but_for_what_it_learned():
    unclip = mini_unclip.load()
    assert isinstance(unclip.prior, PriorTransformer)
    stored = weights.load_pretrained(f"{weights.MINI}/unet", UNet2DConditionModel).state_dict()
    now = unclip.unet.state_dict()
    changed = {name for name in stored if not torch.equal(stored[name], now[name])}
    assert changed and all("attn2" in name for name in changed)
