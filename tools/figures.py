"""Draw the pictures in `assets/figures/`: `python tools/figures.py`. Needs the shipped weights, about 10 seconds."""

import torch

from course import data, device, toy_ddpm, train, viz, weights


def noise_to_digits(path):
    """The README's picture: five noises on their way to the digits that were asked for, by the shipped network."""
    model = weights.load("digit-unet", train.MiniUNet)
    c, generator = torch.tensor([2, 5, 3, 8, 6]), torch.Generator().manual_seed(11)
    x_T = torch.randn(5, 1, 28, 28, generator=generator)
    guided = toy_ddpm.guide(model, model.c_null, 1.5)
    with device.autocast():
        walk = toy_ddpm.sample(guided, x_T, toy_ddpm.cosine(), 25, generator=generator, c=c, predicts="v")
        film = [x_T] + [x_t.float() for _, x_t, _ in walk]
    steps = [0, 8, 12, 15, 18, 20, 22, 23, 24, 25]
    sheet = torch.stack([film[step][row] for row in range(5) for step in steps])
    titles = [f"{1000 - 40 * step}" for step in steps]
    ax = viz.images(sheet, len(steps), titles, [f'"{label}"' for label in c.tolist()], limits=(-1.5, 1.5), scale=0.75)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(viz.png(ax.figure))


if __name__ == "__main__":
    device.pick()
    noise_to_digits(data.ROOT / "assets" / "figures" / "noise_to_digits.png")
