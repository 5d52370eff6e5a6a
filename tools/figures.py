"""Draw the pictures in `assets/figures/`: `python tools/figures.py`. Needs the shipped weights, about half a minute."""

import own_course  # noqa: F401, before course
import torch

from course import ROOT, device, stable_diffusion, toy_ddpm, viz, weights


def noise_to_digits(path):
    """The README's picture: five noises on their way to the digits that were asked for, by the shipped network."""
    c, generator = torch.tensor([2, 5, 3, 8, 6]), torch.Generator().manual_seed(11)
    x_T = torch.randn(5, 1, 28, 28, generator=generator)
    guided = toy_ddpm.guide(weights.load("digit-unet").given(c), 1.5)
    with device.autocast():
        film = [x_T, *(x_t for _, x_t, _ in toy_ddpm.sample(guided, x_T, 25, generator=generator))]
    steps = [0, 8, 12, 15, 18, 20, 22, 23, 24, 25]
    sheet = torch.stack([film[step][row] for row in range(5) for step in steps])
    titles = [f"{1000 - 40 * step}" for step in steps]
    ax = viz.images(sheet, len(steps), titles, [f'"{label}"' for label in c.tolist()], limits=(-1.5, 1.5), scale=0.75)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(viz.png(ax.figure))


def toy_zoo(path):
    """Six prompts from the same four noises each, by the shipped mini Stable Diffusion."""
    prompts = ["a dog with glasses", "a boy with mouse ears", "a cat with yellow boots", "a white rabbit with a hat",
               "a pizza with a bow tie", "a grey mouse on a pink background"]  # fmt: skip
    seeds = [seed for seed in range(4) for _ in prompts]
    x = stable_diffusion.generate(stable_diffusion.load_mini(), 4 * prompts, seeds)
    ax = viz.images(x, len(prompts), viz.wrapped(prompts, 16), scale=1.15)
    path.write_bytes(viz.png(ax.figure))


def dog_with_glasses(path, prompt="a dog with glasses", seeds=(0, 1, 2)):
    """The README's second picture: what the U-Net takes for the picture on its way, for the demo's prompt."""
    sd, steps = stable_diffusion.load_mini(), [0, 1, 2, 3, 5, 8, 12, 17, 24]
    walked = list(stable_diffusion.walk(sd, [prompt] * len(seeds), seeds))
    film = [stable_diffusion.decode(sd, walked[step][2]) for step in steps]
    titles = [f"t = {stable_diffusion.timesteps(sd)[step]}" for step in steps]
    sheet = torch.stack([frame[row] for row in range(len(seeds)) for frame in film])
    ax = viz.images(sheet, len(steps), titles, [f"seed {seed}" for seed in seeds], scale=1.0)
    path.write_bytes(viz.png(ax.figure))


if __name__ == "__main__":
    device.setup()
    for draw in (noise_to_digits, dog_with_glasses, toy_zoo):
        draw(ROOT / "assets" / "figures" / f"{draw.__name__}.png")
