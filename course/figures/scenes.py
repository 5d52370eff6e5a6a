"""Scenes for notebook 04, a digit crossed by a bar, on which one class of network learns three tasks.

Letters in the shape comments: B pictures, H and W height and width.
"""

import torch

from course import viz

PALETTE = torch.tensor([[-1.0, -1.0, -1.0], [-0.6, 0.2, 1.0], [1.0, 0.3, -1.0]])  # paper black, digit blue, bar orange


def scene(images, generator):
    """Digits crossed by a bar of the same grey, `[B, 3, 28, 28]`, and the part of each pixel: 0 paper, 1 digit, 2 bar.

    images: `[B, 1, 28, 28]` in [-1, 1].
    """
    bar = torch.zeros(len(images), 28, 28, dtype=torch.bool)
    for one in bar:
        at = torch.randint(4, 23, (1,), generator=generator).item()
        if torch.rand(1, generator=generator) < 0.5:
            one[at : at + 2] = True
        else:
            one[:, at : at + 2] = True
    part = torch.where(images[:, 0] > 0, 1, torch.where(bar, 2, 0))
    grey = torch.where(bar, 1.0, images[:, 0])
    return grey[:, None].repeat(1, 3, 1, 1), part


def paint(part):
    """The parts `[B, H, W]` in their colours, `[B, 3, H, W]`."""
    return PALETTE[part].permute(0, 3, 1, 2)


def nearest_part(colours):
    """The part whose colour lies nearest to each pixel of `[B, 3, H, W]`: `[B, H, W]`."""
    return (colours[:, None] - PALETTE.view(1, 3, 3, 1, 1)).square().sum(2).argmin(1)


def three_tasks(denoiser, colouriser, segmenter, images, level=200):
    """Scenes made of digits `[B, 1, 28, 28]`, each in a column: noisy, denoised, grey, coloured, parts found, truth. Returns the axes."""
    grey, part = scene(images, torch.Generator().manual_seed(5))
    noise = torch.randn(grey.shape, generator=torch.Generator().manual_seed(6))
    signal, std = denoiser.schedule.at(level, grey)
    noisy, one = signal * grey + std * noise, torch.ones(len(grey))
    with torch.no_grad():
        found = segmenter(grey, one).argmax(1)
        rows = [noisy, denoiser(noisy, level)[0], grey, colouriser(grey, one), paint(found), paint(part)]
    titles = ["noisy", "denoised", "grey", "coloured", "parts found", "truth"]
    return viz.images(torch.cat(rows), len(grey), row_titles=titles)
