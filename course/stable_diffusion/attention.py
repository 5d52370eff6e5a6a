"""Where the U-Net looks: the weights of its cross-attention, recorded while it draws.

Rombach et al. 2021 (arXiv 2112.10752), Sec. 3.3. Letters in the shape comments: B pictures, L tokens, h and w latent cells.
"""

import torch
import torch.nn.functional as F

from course import stable_diffusion


class AttentionRecorder:
    """diffusers' attention, which keeps its weights `[B, cells, L]`, the mean of the heads, in `seen`."""

    def __init__(self):
        self.seen = []

    def __call__(self, attn, hidden_states, encoder_hidden_states, attention_mask=None, temb=None):
        parts = attn.to_q(hidden_states), attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states)
        q, k, v = map(attn.head_to_batch_dim, parts)  # [B * heads, cells or L, d]
        weights = attn.get_attention_scores(q, k, attention_mask)  # rows sum to 1
        self.seen.append(weights.unflatten(0, (-1, attn.heads)).mean(1))
        return attn.to_out[1](attn.to_out[0](attn.batch_to_head_dim(weights @ v)))


def attention_maps(sd, prompts, seeds=None, **choices):
    """Latents as `walk` draws them, and how much each place looked at each token: `[steps, B, L, h, w]`, sums over L are 1.

    The mean of all cross-attention layers, each stretched to the latents' size (Tang et al. 2022, arXiv 2210.04885).
    choices: those of `walk`. Raises ValueError where it does.
    """
    own, recorder, maps = sd.unet.attn_processors, AttentionRecorder(), []
    sd.unet.set_attn_processor({name: recorder if ".attn2." in name else kept for name, kept in own.items()})
    try:
        for _, z, _ in stable_diffusion.walk(sd, prompts, seeds, **choices):
            layers = [
                _as_grid(weights[-len(z) :], *z.shape[2:]) for weights in recorder.seen
            ]  # the half with the prompt
            maps.append(torch.stack([F.interpolate(layer, z.shape[2:], mode="bilinear") for layer in layers]).mean(0))
            recorder.seen.clear()
    finally:
        sd.unet.set_attn_processor(own)
    return z, torch.stack(maps)


def _as_grid(weights, h, w):
    """Weights `[B, cells, L]` of a layer as maps `[B, L, rows, columns]`: each level halves h and w, rounding up."""
    while h * w > weights.shape[1]:
        h, w = -(-h // 2), -(-w // 2)
    return weights.mT.unflatten(2, (h, w))
