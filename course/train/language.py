"""Toy Zoo's language model, which reads captions and no picture: Mini Imagen's text encoder, and a writer of captions."""

import numpy as np
import torch
from transformers import T5EncoderModel

from course import mini_clip, mini_language, toy_zoo, weights
from course.toy_zoo import TRAINING, all_scenes
from course.train.recipe import Recipe
from course.train.trainer import Trainer

STANDING = 0.1  # the weight of a word that stands
LOWEST = 0.02  # the least share of masks; below it most captions would have none


def language_loss(language, rows, draw):
    """The loss at levels spread evenly over the batch, which is calmer; and a little for saying the words that stand.

    Without that their states fade, for nothing asks for them: between "pink" and "green" 7 % of a state's length were left,
    and a picture model that read these states mixed up the walls.
    """
    (ids,) = rows
    even = torch.linspace(0, 1, draw.batch_size + 1)[:-1][draw.share].to(ids.device)
    share = ((draw.uniform() + even) % 1).clamp(min=LOWEST)
    x_t = mini_language.masked(language, ids, share, draw.uniform(ids.shape[1]))
    hidden = x_t == mini_language.mask_token(language)
    surprise = mini_language.surprise(language, x_t, ids)
    return (surprise * (hidden / share.view(-1, 1) + STANDING * ~hidden)).mean()


def captions(n, seed, scenes=TRAINING):
    """n captions of chance scenes."""
    rng = np.random.default_rng(seed)
    return [toy_zoo.caption(scenes[rng.integers(len(scenes))], rng) for _ in range(n)]


def load_tokenizer():
    return weights.load_pretrained(f"{weights.MINI}/tokenizer", mini_clip.CLIPTokenizer)


def language_trainer(seed=0, n=40_000, **changes):
    """A `Trainer` of a new language model on n captions of training scenes; changes: keywords of `Trainer`."""
    tokenizer = load_tokenizer()
    torch.manual_seed(seed)
    language = mini_language.make_language_model(tokenizer)
    recipe = {
        "batch_size": 64,
        "lr": 2e-3,
        "ema_decay": 0.999,
        "seed": seed,
        "source": "captions of Toy Zoo's training scenes",
    }
    ids = mini_clip.tokens(tokenizer, captions(n, 8000 + seed))
    return Trainer(language, language_loss, (ids,), **recipe | changes)


@torch.no_grad()
def written(language, tokenizer, n, calls, seed=0):
    """n captions that the model writes from nothing but masks, as texts."""
    ids = torch.full((n, mini_clip.CONTEXT), mini_language.mask_token(language))
    ids[:, 0] = tokenizer.bos_token_id
    *_, ids = mini_language.write(language, ids, calls, torch.Generator().manual_seed(seed))
    return [tokenizer.decode(row, skip_special_tokens=True).strip() for row in ids.tolist()]


def store(trainer):
    weights.save_pretrained("mini-imagen/text_encoder", trainer.ema_model)


def measure(seed, n=500):
    """Of n captions written in 32 calls: the share that the world can write, and of those the share that was never read."""
    language = weights.load_pretrained("mini-imagen/text_encoder", T5EncoderModel)
    texts = written(language, load_tokenizer(), n, calls=32, seed=seed)
    read, possible = toy_zoo.every_caption(TRAINING), toy_zoo.every_caption(all_scenes())
    right = [text for text in texts if text in possible]
    return {"written captions that the world can write": len(right) / n,
            "of these, captions of scenes held out alone": sum(text not in read for text in right) / max(1, len(right))}  # fmt: skip


RECIPE = Recipe(
    name="language",
    folder="mini-imagen/text_encoder",
    steps=10_000,
    needs=("clip",),
    build=lambda seed, device: language_trainer(seed, device=device),
    store=store,
    measure=measure,
)
