"""Which reader serves a diffusion model better: one that has only read, or CLIP's? Print one JSON line for each.

    python benchmarks/text_encoders.py --steps 1000 --prompts 200 --threads 1 > benchmarks/results/text_encoders.jsonl

Mini Imagen's base model is trained twice, with the same pictures, captions, noises and steps: once it reads the states of
the language model, once those of the mini Stable Diffusion's text encoder, the first layer of CLIP's text half. The judge
reads its pictures of 16 pixels, stretched, at several guidance scales. The shipped model had three times as many steps.
"""

import argparse

import numpy as np
import torch
import zoo
from transformers import CLIPTextModel, T5EncoderModel

from course import device, judges, metrics, mini_imagen, mini_upscaler, toy_zoo, weights
from course.train.imagen import imagen_trainer
from course.train.language import load_tokenizer

READERS = {
    "language model": (f"{mini_imagen.FOLDER}/text_encoder", T5EncoderModel),
    "CLIP": (f"{weights.MINI}/text_encoder", CLIPTextModel),
}
SETS = {"held-out": toy_zoo.HELD_OUT, "dog with glasses": toy_zoo.DOGS_WITH_GLASSES}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    device.setup(args.threads, quiet=True)
    judge, tokenizer = judges.load_zoo_judge(), load_tokenizer()
    for name, (folder, cls) in READERS.items():
        reader = weights.load_pretrained(folder, cls)
        trainer = imagen_trainer(tokenizer, reader, args.seed)
        *_, loss = trainer.run(args.steps)
        imagen = mini_imagen.MiniImagen(tokenizer, reader, trainer.ema_model, None)
        right = {}
        for world, scenes in SETS.items():
            rng = np.random.default_rng(6)
            chosen = [scenes[i] for i in rng.integers(len(scenes), size=args.prompts)]
            prompts = [toy_zoo.caption(scene, rng, everything=True) for scene in chosen]
            small = mini_imagen.draw_small(imagen, prompts, torch.Generator().manual_seed(0))
            seen = mini_upscaler.stretch(small).clamp(-1, 1)
            right[world] = round(metrics.prompt_accuracy(judge, seen, prompts), 4)
        asked = {"steps": args.steps, "prompts": args.prompts, "seed": args.seed}
        zoo.say(reader=name, parameters=weights.parameters(reader), **asked, loss=round(loss.item(), 4), **right)


if __name__ == "__main__":
    main()
