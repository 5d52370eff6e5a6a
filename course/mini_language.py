"""Masked diffusion on captions: words vanish behind masks instead of noise, and a small transformer puts them back.

Sahoo et al. 2024 (MDLM, arXiv 2406.07524); Nie et al. 2025 (LLaDA, arXiv 2502.09992). The network is a T5 encoder
(Raffel et al. 2019, arXiv 1910.10683) that has never seen a picture; it reads prompts, as Imagen's does, and writes captions.
Letters in the shape comments: B captions, L places, V tokens, D numbers per token.
"""

import torch
import torch.nn.functional as F
from transformers import T5Config, T5EncoderModel


def make_language_model(tokenizer, width=128, layers=2):
    """An untrained `T5EncoderModel`, with one token more than the tokenizer has, the last: the mask."""
    end = tokenizer.eos_token_id
    return T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer) + 1, d_model=width, d_kv=width // 4, d_ff=2 * width, num_layers=layers, num_heads=4,
            relative_attention_num_buckets=64, relative_attention_max_distance=64, dropout_rate=0.0,
            feed_forward_proj="gated-gelu", pad_token_id=end, eos_token_id=end,
        )
    )  # fmt: skip


def mask_token(language):
    """The number of the mask, the last of the vocabulary."""
    return language.config.vocab_size - 1


def states(language, ids):
    """What the network makes of tokens ids `[B, L]`: `[B, L, D]`."""
    return language(input_ids=ids).last_hidden_state


def logits(language, ids):
    """What each place holds, for tokens ids `[B, L]` with masks among them: `[B, L, V]`; never a mask."""
    h = states(language, ids)
    scores = h @ language.shared.weight.T / h.shape[-1] ** 0.5  # as T5 reads its own table of tokens
    return scores[..., : mask_token(language)]


def masked(language, ids, share, chance):
    """The jump to a level: each token but the first becomes a mask with probability `share`, in 0..1, `[B]` or a number.

    chance: uniform numbers `[B, L]`, the same for every level.
    """
    share = torch.as_tensor(share, dtype=chance.dtype).view(-1, 1)
    hidden = chance < share
    hidden[:, 0] = False  # the start of the text is no secret
    return torch.where(hidden, mask_token(language), ids)


def surprise(language, x_t, ids):
    """Cross-entropy of every place of ids `[B, L]`, for a network that is shown x_t `[B, L]`: `[B, L]`."""
    return F.cross_entropy(logits(language, x_t).transpose(1, 2), ids, reduction="none")


def masked_loss(language, ids, share, chance):
    """LLaDA Eq. 3: the surprise at what is masked, over the share that is. Mean over places; ids `[B, L]`. Returns a scalar."""
    x_t = masked(language, ids, share, chance)
    return (surprise(language, x_t, ids) * (x_t == mask_token(language)) / share.view(-1, 1)).mean()


@torch.no_grad()
def write(language, ids, calls=16, generator=None):
    """From masks to words in so many calls: a generator of ids `[B, L]`, after each call. LLaDA, Algorithm 4, by chance.

    ids: what is given, with masks where words are wanted. In each call every mask gets a word, drawn from what the network
    says of its place alone, and so many of them keep it that the share of masks falls evenly. Raises ValueError on fewer
    calls than one.
    """
    if calls < 1:
        raise ValueError(f"calls is {calls}, but at least 1 is needed")
    for left in range(calls, 0, -1):
        says = logits(language, ids).softmax(dim=-1)
        words = torch.multinomial(says.flatten(0, 1), 1, generator=generator).view_as(ids)
        kept = torch.rand(ids.shape, generator=generator) < 1 / left  # in the last call all
        ids = torch.where((ids == mask_token(language)) & kept, words, ids)
        yield ids
