"""Toy Zoo's CLIP with its tokenizer. The first layer of its text half is the text encoder of the mini Stable Diffusion."""

import math

import numpy as np
import torch
from torch.distributed.nn.functional import all_gather
from transformers import CLIPModel

from course import mini_clip, toy_zoo, weights
from course.pictures import from_uint8
from course.toy_zoo import HELD_OUT
from course.train.recipe import Recipe
from course.train.trainer import Trainer

COLDEST = math.log(100)  # of the learned scale: Radford et al. 2021, Sec. 2.5
CHOICES = 64  # captions among which a picture is to find its own


def clip_loss(clip, rows, draw):
    """The symmetric loss over the whole batch: every process sees the embeddings of all."""
    pictures, ids = rows
    embeds = mini_clip.embed_images(clip, from_uint8(pictures)).float(), mini_clip.embed_texts(clip, ids).float()
    if torch.distributed.is_initialized():
        embeds = (torch.cat(all_gather(embed)) for embed in embeds)
    return mini_clip.contrastive_loss(*embeds, clip.logit_scale.clamp(max=COLDEST).exp())


def clip_examples(seed=0, n=20_000):
    """Training pictures uint8 `[n, 64, 64, 3]`, their captions, and the tokenizer that is made from these captions."""
    pictures, captions, _ = toy_zoo.examples(n, seed=3000 + seed)
    return pictures, captions, mini_clip.make_tokenizer(captions)


def clip_trainer(seed=0, n=20_000, **changes):
    """A `Trainer` of a new CLIP on n pictures of training scenes; changes: keywords of `Trainer`."""
    pictures, captions, tokenizer = clip_examples(seed, n)
    torch.manual_seed(seed)
    clip = mini_clip.make_clip(tokenizer)
    recipe = {"batch_size": 128, "lr": 1e-3, "ema_decay": 0.99, "seed": seed,
              "source": "Toy Zoo, training scenes with a caption each"}  # fmt: skip
    data = torch.from_numpy(pictures), mini_clip.tokens(tokenizer, captions)
    trainer = Trainer(clip, clip_loss, data, **recipe | changes)
    trainer.tokenizer = tokenizer  # stored with the weights
    return trainer


@torch.no_grad()
def zero_shot(clip, tokenizer, rounds=10, seed=5):
    """Share of held-out pictures whose own caption lies nearest among 64 of distinct scenes, over some rounds."""
    rng, right = np.random.default_rng(seed), []
    for _ in range(rounds):
        scenes = [HELD_OUT[i] for i in rng.choice(len(HELD_OUT), CHOICES, replace=False)]
        pictures = np.stack([toy_zoo.render(scene, rng) for scene in scenes])
        texts = [toy_zoo.caption(scene, rng, everything=True) for scene in scenes]
        similarity = mini_clip.cosines(clip, tokenizer, texts, from_uint8(pictures))  # [64 texts, 64 pictures]
        right.append(similarity.argmax(0) == torch.arange(CHOICES))
    return torch.cat(right).float().mean().item()


def store(trainer):
    weights.save_pretrained("mini-clip", trainer.ema_model, trainer.tokenizer)
    weights.save_pretrained(f"{weights.MINI}/tokenizer", trainer.tokenizer)
    weights.save_pretrained(f"{weights.MINI}/text_encoder", mini_clip.text_encoder(trainer.ema_model))


def measure(seed):
    clip, tokenizer = (weights.load_pretrained("mini-clip", cls) for cls in (CLIPModel, mini_clip.CLIPTokenizer))
    return {f"zero-shot top-1 among {CHOICES} held-out captions": zero_shot(clip, tokenizer, seed=5 + seed)}


RECIPE = Recipe(
    name="clip",
    folder="mini-clip",
    steps=1_200,
    build=lambda seed, device: clip_trainer(seed, device=device),
    store=store,
    measure=measure,
)
