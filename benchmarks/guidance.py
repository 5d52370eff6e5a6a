"""Judge the shipped digit network over the guidance scale; print one JSON line for each scale.

    python benchmarks/guidance.py --samples 300 --seeds 2 --threads 1 > benchmarks/results/guidance.jsonl

Every scale starts from the same noises and labels. Fréchet distances are biased by the number of samples and by their
own spread, so the ruler, real training digits of the same labels, are as many (a mean of ten draws). The mean over the
seeds, and how far apart the lowest and the highest are. The line "amplified" is the recipe that notebook 09 begins with:
the digit without a label, and three times the difference to the one with it. Needs MNIST (see course.data).
"""

import argparse
import json

import torch

from course import data, device, judges, metrics, toy_ddpm, weights

SCALES = [0, 1, 1.25, 1.5, 2, 3, 7.5, 15]


def draw(denoiser, labels, scale, x_T, steps):
    """Digits `[n, 1, 28, 28]` of these labels by DDIM, guided; not clipped."""
    told = denoiser.given(torch.full_like(labels, denoiser.network.c_null) if scale == 0 else labels)
    guided = told if scale in (0, 1) else toy_ddpm.guide(told, scale)
    with device.autocast():
        return toy_ddpm.last(toy_ddpm.sample(guided, x_T, steps, toy_ddpm.ddim)).float()


def summary(values):
    """The mean over the seeds and the distance of the extremes, rounded."""
    return {"mean": round(sum(values) / len(values), 4), "range": round(max(values) - min(values), 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    device.setup(args.threads, quiet=True)

    denoiser, judge = weights.load("digit-unet"), judges.load_digit_judge()
    test, real = data.digits(train=False, quiet=True), data.digits(quiet=True)
    labels = torch.arange(args.samples) % 10
    asked = {"samples": args.samples, "seeds": args.seeds, "steps": args.steps}

    def measure(x, labels):
        inside = x.clamp(-1, 1)
        return {
            "label_accuracy": metrics.accuracy(judge, inside, labels),
            "diversity": metrics.diversity(judge, inside, labels),
            "frechet_distance": metrics.judged_distance(judge, inside, test.images),
            "beyond_1.05": (x.abs() > 1.05).float().mean().item(),
        }

    found = {}  # what was measured: a list of one dictionary for each seed
    for seed in range(args.seeds):
        x_T = torch.randn(args.samples, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
        drawn = {scale: draw(denoiser, labels, scale, x_T, args.steps) for scale in SCALES}
        drawn["amplified"] = drawn[0] + 3 * (drawn[1] - drawn[0])
        for name, x in drawn.items():
            found.setdefault(name, []).append(measure(x, labels))
        some = metrics.rows_like(labels, real, torch.Generator().manual_seed(seed))
        ruler = measure(real.images[some], real.labels[some])
        ruler["frechet_distance"], _ = metrics.real_distance(judge, real, labels, test.images, seed=seed)
        found.setdefault("real digits", []).append(ruler)
    for name, lines in found.items():
        what = {"guidance_scale": name} if isinstance(name, int | float) else {"what": name}
        numbers = {key: summary([line[key] for line in lines]) for key in lines[0]}
        print(json.dumps(asked | what | numbers | {"data": test.source}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
