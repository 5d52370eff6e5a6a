"""Mini DALL-E 2: words to CLIP's embedding of a picture that might show them, and that embedding to a picture.

Ramesh et al. 2022 (unCLIP, arXiv 2204.06125). The prior is diffusers' `PriorTransformer`; the decoder is the mini Stable
Diffusion's U-Net, which has learned to read an embedding in place of words. Embeddings are directions of 64 numbers; they are
diffused at `SCALE` times that length, so that each number is about 1. Letters in the shape comments: B pictures, L tokens,
D numbers of an embedding.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, PriorTransformer, UNet2DConditionModel
from transformers import CLIPModel, CLIPTokenizer

from course import mini_clip, stable_diffusion, toy_ddpm, weights
from course.stable_diffusion import given

FOLDER = "mini-unclip"
SCALE = 8.0  # the root of D
PRIOR_SCHEDULE, PRIOR_PREDICTION = "cosine", "x_0"
GUIDANCE_SCALE = 5.0
PRIOR_GUIDANCE_SCALE = 2.0


class MiniUnclip(NamedTuple):
    """The trained parts; tokenizer and CLIP are those of notebook 08, the autoencoder that of the mini Stable Diffusion."""

    tokenizer: CLIPTokenizer
    clip: CLIPModel
    prior: PriorTransformer
    unet: UNet2DConditionModel
    vae: AutoencoderKL


def make_prior(layers=4):
    """An untrained `PriorTransformer` that reads 32 token states and the text's embedding, and writes an embedding of 64."""
    return PriorTransformer(
        num_attention_heads=4, attention_head_dim=32, num_layers=layers, embedding_dim=64,
        num_embeddings=mini_clip.CONTEXT, additional_embeddings=4, dropout=0.0,
    )  # fmt: skip


def make_decoder(unet):
    """The mini Stable Diffusion's U-Net with an entrance for an embedding: 32 tokens of its own, and a part of the level's.

    As diffusers builds Kandinsky 2.2's decoder. Everything that it has in common with `unet` begins from there.
    """
    config = {key: value for key, value in unet.config.items() if not key.startswith("_")}
    config |= {"encoder_hid_dim": 64, "encoder_hid_dim_type": "image_proj", "addition_embed_type": "image"}
    decoder = UNet2DConditionModel(**config)
    decoder.load_state_dict(unet.state_dict(), strict=False)
    return decoder


def learned(decoder):
    """What the decoder does not share with the U-Net that it began from: the entrance, and the attention to it."""
    places = "attn2", "encoder_hid_proj", "add_embedding"
    return {name: p for name, p in decoder.named_parameters() if any(place in name for place in places)}


def load():
    """The shipped parts. Raises WeightsError if a file is missing or damaged."""
    unet = weights.load_pretrained(f"{weights.MINI}/unet", UNet2DConditionModel)
    return MiniUnclip(
        weights.load_pretrained("mini-clip", CLIPTokenizer),
        weights.load_pretrained("mini-clip", CLIPModel),
        weights.load_pretrained(f"{FOLDER}/prior", PriorTransformer),
        weights.load_changes(f"{FOLDER}/decoder", make_decoder(unet)),
        weights.load_pretrained(f"{weights.MINI}/vae", AutoencoderKL),
    )


# ---------------------------------------------------------------- prior: words to an embedding


def read_tokens(clip, ids):
    """What the prior is told of tokens ids `[B, L]`: `[B, L + 1, D]`, each token's state, and last the text's embedding."""
    out = clip.text_model(input_ids=ids)
    text = SCALE * F.normalize(clip.text_projection(out.pooler_output), dim=-1)
    return torch.cat([clip.text_projection(out.last_hidden_state), text[:, None]], dim=1)


@torch.no_grad()
def encode_prompt(unclip, prompts):
    """`read_tokens` of prompts."""
    return read_tokens(unclip.clip, mini_clip.tokens(unclip.tokenizer, prompts))


@torch.no_grad()
def embed(unclip, x):
    """Pictures `[B, 3, 64, 64]` in [-1, 1] as embeddings `[B, D]` of length `SCALE`."""
    return SCALE * mini_clip.embed_images(unclip.clip, x)


def prior_network(prior):
    """The prior as `network(x_t, t, c)`, c from `read_tokens`; diffusers counts the levels from 0."""

    def network(x_t, t, c):
        return prior(x_t, t - 1, proj_embedding=c[:, -1], encoder_hidden_states=c[:, :-1]).predicted_image_embedding

    return network


def draw_embeddings(unclip, prompts, sources, timesteps=25, guidance_scale=PRIOR_GUIDANCE_SCALE):
    """Embeddings `[B, D]` of pictures that the prompts might belong to. sources: a generator each, or one for all."""
    schedule, c = toy_ddpm.make_schedule(PRIOR_SCHEDULE), encode_prompt(unclip, prompts)
    plain = toy_ddpm.Denoiser(prior_network(unclip.prior), schedule, PRIOR_PREDICTION, c)
    guided = toy_ddpm.guide(plain, guidance_scale, encode_prompt(unclip, [""]))
    return toy_ddpm.last(toy_ddpm.sample(guided, toy_ddpm.noise_like(c[:, -1], sources), timesteps, toy_ddpm.ddim))


# ---------------------------------------------------------------- decoder: an embedding to a picture


def network(decoder):
    """The decoder as `network(z_t, t, c)`, c: embeddings `[B, D]`, zeros for none."""

    def eps_model(z_t, t, c):
        return decoder(z_t, t - 1, None, added_cond_kwargs={"image_embeds": c}).sample

    return eps_model


def decode(unclip, embeddings, sources, timesteps=25, guidance_scale=GUIDANCE_SCALE):
    """Pictures `[B, 3, 64, 64]` in [-1, 1] of embeddings `[B, D]`. sources: a generator each, or one for all."""
    schedule = toy_ddpm.make_schedule("scaled_linear")
    plain = toy_ddpm.Denoiser(network(unclip.unet), schedule, "eps", embeddings)
    guided = toy_ddpm.guide(plain, guidance_scale, torch.zeros_like(embeddings[:1]))
    z_T = toy_ddpm.noise_like(torch.zeros(len(embeddings), 4, 8, 8), sources)
    z = toy_ddpm.last(toy_ddpm.sample(guided, z_T, timesteps, toy_ddpm.ddim))
    return to_pictures(unclip, z)


@torch.no_grad()
def to_pictures(unclip, z):
    """Latents `[B, 4, 8, 8]` as pictures in [-1, 1]."""
    return unclip.vae.decode(z / unclip.vae.config.scaling_factor).sample.clamp(-1, 1)


# ---------------------------------------------------------------- what one can do with embeddings


def between(a, b, share):
    """The embeddings on the way from a to b, `[..., D]`, along the sphere: share 0 is a, 1 is b. unCLIP Sec. 3.2.

    Shoemake 1985's slerp; the length is a's. Raises ValueError where a and b are opposite, so that no way is the shortest.
    """
    length = a.norm(dim=-1, keepdim=True)
    a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
    angle = (a * b).sum(-1, keepdim=True).clamp(-1, 1).acos()
    if (angle > 3.14).any():
        raise ValueError("a and b are opposite embeddings: every way between them is equally long")
    straight = (1 - share) * a + share * b
    curved = (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin().clamp(min=1e-6)
    return length * F.normalize(torch.where(angle < 1e-3, straight, curved), dim=-1)


def changed_by_words(unclip, embeddings, before, after, share=0.4):
    """Embeddings `[B, D]` led towards what the words add: the difference of two texts' embeddings. unCLIP Sec. 3.3."""
    ids = mini_clip.tokens(unclip.tokenizer, [before, after])
    texts = mini_clip.embed_texts(unclip.clip, ids)
    return between(embeddings, (texts[1] - texts[0]).expand_as(embeddings), share)


def generate(unclip, prompts, seeds=None, **choices):
    """Pictures `[B, 3, 64, 64]` in [-1, 1], one per prompt: prior, then decoder. seeds: a whole number each, default 0, 1, ...

    choices: those of `decode`. Raises ValueError on other prompts or seeds.
    """
    prompts, seeds, _ = given.paired(prompts, seeds)

    def draw(prompts, seeds):
        sources = stable_diffusion.generators(seeds)
        return decode(unclip, draw_embeddings(unclip, prompts, sources), sources, **choices)

    return stable_diffusion.in_parts(draw, 16, prompts, seeds)
