"""Copies, watermarks and what is drawn when nothing is said; print one JSON line each. Notebook 13 reads them.

    python benchmarks/duties.py --pictures 200 --threads 1 > benchmarks/results/duties.jsonl
    python benchmarks/duties.py --parts bias --pictures 20

copying: the share of copies (`digit_parts.copied`) among digits by the networks that saw few digits, many, or ten of them a
hundred times as often, and the share that are copies of these ten.
watermark: a Tree-Ring mark (`course.watermark`) looked for in drawn pictures: the share below a threshold where one of a
hundred unmarked pictures should be, and the area under the ROC curve. "forged" are drawings with the key that sixteen marked
pictures show.
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
from course.figures.duties import counted
from course.train import digit_parts

STRENGTH = 1.5  # of the mark
ASKED = [("", 1.0), ("a dog", 1.0), ("a dog", 7.5)]
STEPS = 15


def share(flags):
    return zoo.share(flags.tolist())


def copying(n):
    digits, labels = data.digits(quiet=True), torch.arange(n) % 10
    ten = digit_parts.part_rows("10", digits.labels)
    for part in ("10", "100", "1000", "half-a", "repeated"):
        rows = digit_parts.part_rows(part, digits.labels).unique()
        copy, nearest = digit_parts.copied(digit_parts.draw(part, labels, seed=100), digits.images[rows])
        of_ten = share(copy & torch.isin(rows[nearest], ten))
        zoo.say(what="copying", saw=part, digits=n, copies=share(copy), of_the_ten=of_ten)


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


def marks(n):
    """Tree-Ring's mark in pictures of n prompts, looked for as it is, with another key, after changes, and forged."""
    sd, judge, rng = stable_diffusion.load_mini(), judges.load_zoo_judge(), np.random.default_rng(13)
    scenes = [toy_zoo.TRAINING[rng.integers(len(toy_zoo.TRAINING))] for _ in range(n)]
    prompts = [toy_zoo.caption(scene, rng, everything=True) for scene in scenes]
    key, other = (watermark.make_key(8, 2, STRENGTH, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    unmarked_z_T, marked_z_T, own_z_T = (stable_diffusion.starting_noise(sd, range(i * n, i * n + n)) for i in range(3))

    def say(mark, x, z, key=key):
        """found: the share whose noise z is nearer to the key than the threshold of the unmarked ones."""
        unmarked, distance = watermark.distance(unmarked_z, key), watermark.distance(z, key)
        line = {"mark": mark, "pictures": n, "found": share(distance < watermark.threshold(unmarked))}
        auc = roc_auc_score([0] * n + [1] * n, -torch.cat([unmarked, distance]).numpy())
        right = metrics.prompt_accuracy(judge, x, prompts)
        zoo.say(what="watermark", **line, auc=round(auc, 4), prompt_accuracy=round(right, 4))

    unmarked = draw(sd, unmarked_z_T, prompts)
    unmarked_z = invert(sd, unmarked)
    marked = draw(sd, watermark.write(marked_z_T, key), prompts)
    marked_z = invert(sd, marked)
    say("marked", marked, marked_z)
    say("unmarked", unmarked, unmarked_z)
    say("marked, looked for with another key", marked, marked_z, other)
    hidden = draw(sd, watermark.write(marked_z_T, other), prompts)
    hidden_z = invert(sd, hidden)
    say("marked with that other key", hidden, hidden_z, other)
    say("marked, after JPEG of quality 50", jpeg(marked), invert(sd, jpeg(marked)))
    say("marked, 2 pixels cut off each side", cropped(marked), invert(sd, cropped(marked)))
    for mark, z, right_key in (("forged", marked_z, key), ("forged, that other key", hidden_z, other)):
        guess = watermark.guess_key(z[:16], unmarked_z[:16], STRENGTH)
        forged = draw(sd, watermark.write(own_z_T, guess), prompts)
        say(mark, forged, invert(sd, forged), right_key)


def bias(n):
    sd, judge = stable_diffusion.load_mini(), judges.load_zoo_judge()
    for prompt, w in ASKED:
        x = stable_diffusion.generate(sd, [prompt] * n, range(n), at_once=25, guidance_scale=w, steps=STEPS)
        seen = judge.read(x)
        counts = {name: counted(seen, name) for name in toy_zoo.ATTRIBUTES}
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
