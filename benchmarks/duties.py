"""Copies, watermarks and what is drawn when nothing is said; print one JSON line each. Notebook 13 reads them.

    python benchmarks/duties.py --threads 1 > benchmarks/results/duties.jsonl
    python benchmarks/duties.py --parts bias --pictures 50 --threads 1

copying: digits by the networks that saw few digits, many, or ten of them a hundred times as often. "nearer to seen" is the
share whose nearest digit among those seen is nearer than the nearest of as many unseen ones of the same labels; one half is
no copying at all. "copies" is the share less than half as far from the nearest digit seen as from the second.
watermark: Tree-Ring marks (`course.watermark`) in several channels and strengths, found again in the drawn pictures: area
under the ROC curve (and that of the mean of four pictures), share found where one of a hundred unmarked pictures should be a
false alarm, and what the mark costs. Then the same after changes to the pictures, and by a key that was not used. "forged"
are pictures with the key that some marked ones show to somebody who does not know it.
bias: what the judge sees in pictures whose prompt leaves it open.
"""

import io

import numpy as np
import torch
import torch.nn.functional as F
import zoo
from PIL import Image
from sklearn.metrics import roc_auc_score

from course import data, judges, metrics, pictures, stable_diffusion, toy_ddpm, toy_zoo, watermark
from course.device import autocast
from course.train import digit_parts

KEYS = {  # channels, strength
    "one channel, strength 1": ((0,), 1.0),
    "four channels, strength 1": ((0, 1, 2, 3), 1.0),
    "four channels, strength 1.25": ((0, 1, 2, 3), 1.25),
    "four channels, strength 1.5": ((0, 1, 2, 3), 1.5),
}
BEST = "four channels, strength 1.5"  # the one that is attacked and forged
RADIUS = 3
STRONG, GUESS = 0.3, 1.25  # where a forger believes in a ring, and how strongly he writes it
ASKED = [("", 1.0), ("a picture", 1.0), ("a picture", 7.5), ("a dog", 1.0), ("a dog", 7.5)]


def rounded(x, digits=4):
    return round(float(x), digits)


# ---------------------------------------------------------------- copying


def unseen(rows, labels, seed):
    """As many rows of digits that are none of `rows`, with the same labels, as far as there are so many."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    order = order[~torch.isin(order, rows)]
    counts = labels[rows].bincount(minlength=10)
    return torch.cat([order[labels[order] == label][:count] for label, count in enumerate(counts)])


def copying(sd, args):
    digits, labels = data.digits(quiet=True), torch.arange(args.pictures) % 10
    for part in ("10", "100", "1000", "half-a", "repeated"):
        rows = digit_parts.part_rows(part, digits.labels).unique()
        seen = digits.images[rows]
        ten = torch.isin(rows, digit_parts.part_rows("10", digits.labels))
        for seed in args.seeds:
            with autocast():
                x = digit_parts.draw(part, labels, 100 + seed).float()
            near = torch.cdist(x.flatten(1), seen.flatten(1)).topk(2, largest=False)
            other = digit_parts.nearest(x, digits.images[unseen(rows, digits.labels, seed)])[1]
            first, second = near.values.unbind(1)
            copy = first < second / 2
            zoo.say(
                what="copying", saw=part, seed=seed, digits=len(x), distance=rounded(first.mean() / 28),
                distance_unseen=rounded(other.mean()), nearer_to_seen=rounded((first / 28 < other).float().mean()),
                ratio=rounded((first / second).median()), copies=rounded(copy.float().mean()),
                copies_of_the_ten=rounded((copy & ten[near.indices[:, 0]]).float().mean()),
            )  # fmt: skip


# ---------------------------------------------------------------- watermark


def jpeg(x, quality=50):
    """Pictures `[B, 3, H, W]` after a JPEG file of that quality."""
    out = []
    for image in pictures.to_images(x):
        file = io.BytesIO()
        image.save(file, "jpeg", quality=quality)
        out.append(np.asarray(Image.open(file)))
    return pictures.from_uint8(np.stack(out)).contiguous()


def cropped(x, edge=2):
    """Pictures without that many pixels on every side, stretched to their old size."""
    return F.interpolate(x[..., edge:-edge, edge:-edge], size=x.shape[-2:], mode="bilinear").clamp(-1, 1)


def blurred(x, sigma=1.0):
    weights = torch.exp(-(torch.arange(-3.0, 4) ** 2) / (2 * sigma**2))
    kernel = (weights / weights.sum()).view(1, 1, 1, 7).expand(3, 1, 1, 7)
    x = F.conv2d(F.pad(x, (3, 3, 0, 0), "replicate"), kernel, groups=3)
    return F.conv2d(F.pad(x, (0, 0, 3, 3), "replicate"), kernel.transpose(2, 3), groups=3).clamp(-1, 1)


CHANGES = {
    "JPEG, quality 50": jpeg,
    "2 pixels cut off each side": cropped,
    "blur of 1 pixel": blurred,
    "brighter by a tenth": lambda x: (x + 0.2).clamp(-1, 1),
}


def draw(sd, z_T, prompts, steps):
    """Pictures from these noises, 25 at once."""

    def part(z_T, prompts):
        walk = toy_ddpm.sample(
            stable_diffusion.denoiser(sd, prompts), z_T, stable_diffusion.timesteps(sd, steps), toy_ddpm.ddim
        )
        return stable_diffusion.decode(sd, toy_ddpm.last(walk))

    return stable_diffusion.in_parts(part, 25, z_T, prompts)


def invert(sd, x, steps):
    return stable_diffusion.in_parts(lambda x: watermark.invert(sd, x, steps), 25, x)


def of_four(distances, draws=2000):
    """Means over four of the pictures, chosen by chance, `[draws]`."""
    chosen = np.random.default_rng(0).integers(len(distances), size=(draws, 4))
    return distances.numpy()[chosen].mean(1)


def found(marked, unmarked):
    """How well distances to the key tell marked pictures from unmarked ones."""
    truth = np.r_[np.ones(len(marked)), np.zeros(len(unmarked))]
    limit = watermark.threshold(unmarked)
    return {
        "auc": rounded(roc_auc_score(truth, -torch.cat([marked, unmarked]).numpy())),
        "auc_of_four": rounded(roc_auc_score(np.repeat([1, 0], 2000), -np.r_[of_four(marked), of_four(unmarked)])),
        "threshold": rounded(limit),
        "found": rounded((marked < limit).float().mean()),
        "false_alarms": rounded((unmarked < limit).float().mean()),
        "distance": rounded(marked.mean()),
        "distance_unmarked": rounded(unmarked.mean()),
    }


def make_key(name, n=8, seed=0):
    channels, strength = KEYS[name]
    return watermark.make_key(channels, n, RADIUS, strength, torch.Generator().manual_seed(seed))


def marks(sd, args):
    judge, n = judges.load_zoo_judge(), args.pictures
    rng = np.random.default_rng(13)
    scenes = [toy_zoo.TRAINING[rng.integers(len(toy_zoo.TRAINING))] for _ in range(n)]
    prompts = [toy_zoo.caption(scene, rng, everything=True) for scene in scenes]
    noise = [stable_diffusion.starting_noise(sd, range(i * n, i * n + n)) for i in range(3)]
    plain, other = draw(sd, noise[0], prompts, args.steps), draw(sd, noise[1], prompts, args.steps)
    plain_z = invert(sd, plain, args.steps)
    alike = torch.corrcoef(torch.stack([noise[0].flatten(), plain_z.flatten()]))[0, 1]
    zoo.say(
        what="watermark", mark="none", pictures=n, prompt_accuracy=rounded(metrics.prompt_accuracy(judge, plain, prompts)),
        frechet_distance=rounded(metrics.judged_distance(judge, other, plain)), noise_correlation=rounded(alike),
    )  # fmt: skip
    for name in KEYS:
        key = make_key(name)
        x = draw(sd, watermark.write(noise[2], key), prompts, args.steps)
        z = invert(sd, x, args.steps)
        accuracy, cost = metrics.prompt_accuracy(judge, x, prompts), metrics.judged_distance(judge, x, plain)
        tells = found(watermark.distance(z, key), watermark.distance(plain_z, key))
        zoo.say(
            what="watermark",
            mark=name,
            pictures=n,
            prompt_accuracy=rounded(accuracy),
            frechet_distance=rounded(cost),
            **tells,
        )
        if name == BEST:
            attacked(sd, x, z, plain, plain_z, key, prompts, args)


def attacked(sd, x, z, plain, plain_z, key, prompts, args):
    """The mark after changes to the pictures, by a wrong key, and forged."""
    wrong, clean = make_key(BEST, seed=1), watermark.distance(plain_z, key)
    tells = found(watermark.distance(z, wrong), watermark.distance(plain_z, wrong))
    zoo.say(what="watermark", after="nothing, another key", pictures=len(x), **tells)
    for name, change in CHANGES.items():
        marked, unmarked = (watermark.distance(invert(sd, change(part), args.steps), key) for part in (x, plain))
        tells = found(marked, unmarked)
        limit = watermark.threshold(clean)  # of unchanged pictures, for nobody knows what was done to a picture
        old = {"found_by_old_threshold": rounded((marked < limit).float().mean()),
               "false_alarms_by_old_threshold": rounded((unmarked < limit).float().mean())}  # fmt: skip
        zoo.say(what="watermark", after=name, pictures=len(x), **tells, **old)
    forged(sd, z, clean, key, prompts, args)


def guessed(z):
    """A forger's key: where the mean of the noises found in marked pictures is strong, its sign; `[C, n, n]`."""
    f = torch.fft.fft2(z.mean(0), norm="ortho").real
    return GUESS * f.sign() * (f.abs() > STRONG)


def forged(sd, z, clean, key, prompts, args):
    """The key that some marked pictures show, written into new drawings and into pictures that the model never drew."""
    limit, n = watermark.threshold(clean), len(prompts)
    own = stable_diffusion.starting_noise(sd, range(5 * n, 6 * n))
    given = pictures.from_uint8(toy_zoo.examples(n // 2, seed=77)[0]).contiguous()
    given_z = invert(sd, given, args.steps)
    for k in dict.fromkeys((0, min(10, n), n)):
        guess = guessed(z[:k]) if k else torch.zeros_like(key)
        x = draw(sd, watermark.write(own, guess), prompts, args.steps)
        y = draw(sd, watermark.write(given_z, guess), [""] * len(given), args.steps)
        kept = {"prompt_accuracy": rounded(metrics.prompt_accuracy(judges.load_zoo_judge(), x, prompts))}
        for onto, out, cost in (
            ("new drawings", x, kept),
            ("given pictures", y, {"psnr": rounded(metrics.psnr(y, given), 2)}),
        ):
            distance = watermark.distance(invert(sd, out, args.steps), key)
            zoo.say(
                what="forged", onto=onto, of_marked=k, pictures=len(out), distance=rounded(distance.mean()),
                threshold=rounded(limit), taken_for_marked=rounded((distance < limit).float().mean()), **cost,
            )  # fmt: skip


# ---------------------------------------------------------------- bias


def bias(sd, args):
    judge = judges.load_zoo_judge()
    for prompt, guidance_scale in ASKED:
        n = args.pictures
        x = stable_diffusion.generate(
            sd, [prompt] * n, range(n), at_once=25, guidance_scale=guidance_scale, steps=args.steps
        )
        seen = judge.read(x)
        counts = {
            name: {str(value): sum(getattr(scene, name) == value for scene in seen) for value in values}
            for name, values in toy_zoo.ATTRIBUTES.items()
        }
        zoo.say(what="bias", prompt=prompt, guidance_scale=guidance_scale, pictures=n, **counts)


def main():
    parser = zoo.parser(__doc__)
    parts = {"copying": copying, "watermark": marks, "bias": bias}
    parser.add_argument("--parts", nargs="+", default=list(parts), choices=list(parts))
    parser.add_argument("--pictures", type=int, default=200, help="or digits, of each kind")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.set_defaults(steps=15)
    args = zoo.parse(parser)
    sd = stable_diffusion.load_mini()
    for name in args.parts:
        parts[name](sd, args)


if __name__ == "__main__":
    main()
