"""Copies, watermarks and what is drawn when nothing is said; print one JSON line each. Notebook 13 reads them.

    python benchmarks/duties.py --pictures 200 --threads 1 > benchmarks/results/duties.jsonl
    python benchmarks/duties.py --parts bias --pictures 20

copying: digits by the networks that saw few digits, many, or ten of them a hundred times as often. "copies" is the share
less than half as far from the nearest digit seen as from the second, "of_the_ten" the share that are copies of the ten.
watermark: Tree-Ring marks (`course.watermark`) found again in the drawn pictures: the share found below a threshold where one
of a hundred unmarked pictures should be a false alarm, the area under the ROC curve, and the mark's cost. Then with another
key, after changes to the marked pictures, and forged: other drawings with the key that sixteen marked pictures show.
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
from course.train import digit_parts

STRENGTHS = (1.0, 1.5)  # the last one is changed and forged
ASKED = [("", 1.0), ("a dog", 1.0), ("a dog", 7.5)]
STEPS = 15


def copying(n):
    digits, labels = data.digits(quiet=True), torch.arange(n) % 10
    ten = digit_parts.part_rows("10", digits.labels)
    for part in ("10", "100", "1000", "half-a", "repeated"):
        rows = digit_parts.part_rows(part, digits.labels).unique()
        copy, nearest = digit_parts.copied(digit_parts.draw(part, labels, seed=100), digits.images[rows])
        of_ten = zoo.share(copy & torch.isin(rows[nearest], ten))
        zoo.say(what="copying", saw=part, digits=n, copies=zoo.share(copy), of_the_ten=of_ten)


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


def draw(sd, z_T, prompts):
    def part(z_T, prompts):
        denoiser, levels = stable_diffusion.denoiser(sd, prompts), stable_diffusion.timesteps(sd, STEPS)
        return stable_diffusion.decode(sd, toy_ddpm.last(toy_ddpm.sample(denoiser, z_T, levels, toy_ddpm.ddim)))

    return stable_diffusion.in_parts(part, 25, z_T, prompts)


def invert(sd, x):
    return stable_diffusion.in_parts(lambda x: watermark.invert(sd, x, STEPS), 25, x)


def found(z, plain_z, key):
    """How well distances to the key tell the noises z of marked pictures from those of unmarked ones."""
    marked, unmarked = watermark.distance(z, key), watermark.distance(plain_z, key)
    limit = watermark.threshold(unmarked)
    truth = np.r_[np.ones(len(marked)), np.zeros(len(unmarked))]
    auc = round(roc_auc_score(truth, -torch.cat([marked, unmarked]).numpy()), 4)
    return {"found": zoo.share(marked < limit), "false_alarms": zoo.share(unmarked < limit), "auc": auc}


def marks(n):
    sd, judge, rng = stable_diffusion.load_mini(), judges.load_zoo_judge(), np.random.default_rng(13)
    scenes = [toy_zoo.TRAINING[rng.integers(len(toy_zoo.TRAINING))] for _ in range(n)]
    prompts = [toy_zoo.caption(scene, rng, everything=True) for scene in scenes]
    z_T, other, own = (stable_diffusion.starting_noise(sd, range(i * n, i * n + n)) for i in range(3))
    plain = draw(sd, z_T, prompts)
    plain_z = invert(sd, plain)

    def say(mark, x, **tells):
        accuracy, cost = metrics.prompt_accuracy(judge, x, prompts), metrics.judged_distance(judge, x, plain)
        line = {"mark": mark, "pictures": n, "prompt_accuracy": round(accuracy, 4), "frechet_distance": round(cost, 3)}
        zoo.say(what="watermark", **line, **tells)

    alike = torch.corrcoef(torch.stack([z_T.flatten(), plain_z.flatten()]))[0, 1].item()
    say("none", draw(sd, other, prompts), noise_correlation=round(alike, 3))
    for strength in STRENGTHS:
        key = watermark.make_key(8, 2, strength, torch.Generator().manual_seed(0))
        x = draw(sd, watermark.write(other, key), prompts)
        z = invert(sd, x)
        say(f"strength {strength}", x, **found(z, plain_z, key))
    wrong = watermark.make_key(8, 2, strength, torch.Generator().manual_seed(1))
    zoo.say(what="watermark", mark="looked for with another key", pictures=n, **found(z, plain_z, wrong))
    for change in (jpeg, cropped):
        say(f"strength {strength}, {change.__name__}", change(x), **found(invert(sd, change(x)), plain_z, key))
    forged = draw(sd, watermark.write(own, watermark.guess_key(z[:16], plain_z[:16], strength)), prompts)
    say("forged", forged, **found(invert(sd, forged), plain_z, key))


def bias(n):
    sd, judge = stable_diffusion.load_mini(), judges.load_zoo_judge()
    for prompt, w in ASKED:
        x = stable_diffusion.generate(sd, [prompt] * n, range(n), at_once=25, guidance_scale=w, steps=STEPS)
        seen = judge.read(x)
        counts = {
            name: {value: sum(getattr(scene, name) == value for scene in seen) for value in values if value}
            for name, values in toy_zoo.ATTRIBUTES.items()
        }
        zoo.say(what="bias", prompt=prompt, guidance_scale=w, pictures=n, **counts)


def main():
    parser = zoo.parser(__doc__)
    parts = {"copying": copying, "watermark": marks, "bias": bias}
    parser.add_argument("--parts", nargs="+", default=list(parts), choices=list(parts))
    parser.add_argument("--pictures", type=int, default=200, help="or digits, of each kind")
    args = zoo.parse(parser)
    for name in args.parts:
        parts[name](args.pictures)


if __name__ == "__main__":
    main()
