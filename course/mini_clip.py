"""A small CLIP in the libraries' own classes: tokenizer, two encoders, the symmetric loss.

Radford et al. 2021 (arXiv 2103.00020). The text encoder's token states are what the U-Net of Toy Zoo
attends to, as in Stable Diffusion v1. Letters in the shape comments: B pairs, L tokens, D numbers.
"""

import copy
import json
import warnings
from collections.abc import Iterable, Mapping, Set

import torch
import torch.nn.functional as F
from tokenizers import pre_tokenizers
from transformers import CLIPConfig, CLIPModel, CLIPTextModel, CLIPTokenizer

CONTEXT = 32  # tokens of a prompt, start and end among them; CLIP's own is 77
START, END = "<|startoftext|>", "<|endoftext|>"


def make_tokenizer(captions, merges=400):
    """A lower-case byte-pair tokenizer: merges learned from `captions`, and every byte, so any text can be written."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    letters += [letter + "</w>" for letter in letters]  # inside a word, and at its end
    start = CLIPTokenizer(vocab={token: i for i, token in enumerate([*letters, START, END])}, merges=[])
    learned = start.train_new_from_iterator(captions, vocab_size=len(letters) + merges, show_progress=False)
    pairs = [tuple(pair) for pair in json.loads(learned.backend_tokenizer.to_str())["model"]["merges"]]
    words = dict.fromkeys([*letters, *map("".join, pairs), START, END])
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(words)}, merges=pairs, model_max_length=CONTEXT)


def as_texts(texts, what="texts"):
    """A list of strings from a list, tuple, array or generator of them: the tokenizer would join pairs, silently.

    Raises ValueError on a single string, on none at all, and on everything else in the list. what: its name there.
    """
    if isinstance(texts, str | bytes):
        raise ValueError(f"{what} is a list of strings; write [{texts!r}]")
    if not isinstance(texts, Iterable) or isinstance(texts, Set | Mapping):  # those have no order to rely on
        raise ValueError(f"{what} is a list of strings, such as ['a dog']; got {texts!r}")
    texts = list(texts)
    wrong = [text for text in texts if not isinstance(text, str) or text != text.encode(errors="ignore").decode()]
    if wrong or not texts:
        got = f"{wrong[0]!r} in it" if wrong else "none"
        raise ValueError(f"{what} is a list of strings, one per picture, such as ['a dog', 'a cat']; got {got}")
    return texts


def tokens(tokenizer, texts):
    """Texts as token numbers, long `[B, L]`, filled up with the end token; too long ones are cut, with a warning.

    Raises ValueError on other lists than `as_texts` takes.
    """
    texts = as_texts(texts)
    limit = tokenizer.model_max_length
    for row in tokenizer(texts, verbose=False).input_ids:
        if len(row) > limit:
            lost = tokenizer.decode(row[limit - 1 : -1]).strip()
            warnings.warn(f"a prompt has {len(row)} tokens, but {limit} are read; cut off: {lost!r}", stacklevel=2)
    padded = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
    return padded.input_ids


def make_clip(tokenizer, width=128, layers=3, shared=64):
    """An untrained `CLIPModel`: 64x64 pictures in patches of 8, and texts, both to `shared` numbers."""
    tower = dict(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        projection_dim=shared,
    )
    ends = dict(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    text = tower | ends | dict(vocab_size=len(tokenizer), max_position_embeddings=CONTEXT)
    vision = tower | dict(image_size=64, patch_size=8)
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=shared))


def contrastive_loss(image_embeds, text_embeds, scale):
    """The symmetric loss of CLIP, Fig. 3: each picture is to find its text among all, and each text its picture.

    image_embeds, text_embeds: `[B, D]` of length 1, pairs in equal rows; scale: 1 / temperature. Returns a scalar.
    """
    similarity = scale * image_embeds @ text_embeds.T  # [B, B], pairs on the diagonal
    pair = torch.arange(len(similarity), device=similarity.device)
    return (F.cross_entropy(similarity, pair) + F.cross_entropy(similarity.T, pair)) / 2


def embed_images(clip, pixels):
    """Pictures `[B, 3, 64, 64]` in [-1, 1] as directions `[B, D]` of length 1."""
    return F.normalize(clip.visual_projection(clip.vision_model(pixel_values=pixels).pooler_output), dim=-1)


def embed_texts(clip, ids):
    """Token numbers `[B, L]` as directions `[B, D]` of length 1."""
    return F.normalize(clip.text_projection(clip.text_model(input_ids=ids).pooler_output), dim=-1)


@torch.no_grad()
def cosines(clip, tokenizer, texts, pixels):
    """Cosine of every text with every picture, `[N, B]`: the CLIP score. pixels: `[B, 3, 64, 64]` in [-1, 1]."""
    return embed_texts(clip, tokens(tokenizer, texts)) @ embed_images(clip, pixels).T


def text_encoder(clip, layers=1):
    """The first layers of a CLIP's text half as the `CLIPTextModel` that Stable Diffusion's folder holds.

    Stable Diffusion v1 takes all layers, v2 all but the last. Here one of three: after it "glasses" still reads much
    the same behind "a dog" as behind "a cat". With the states of all three, the U-Net, which never sees dogs with
    glasses in training, left the glasses off every second dog that should wear them.
    """
    config = copy.deepcopy(clip.config.text_config)
    config.num_hidden_layers = layers
    encoder = CLIPTextModel(config)
    kept = {key: value for key, value in clip.text_model.state_dict().items() if key in encoder.state_dict()}
    encoder.load_state_dict(kept)
    return encoder
