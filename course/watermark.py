"""Tree-Ring: a watermark in the Fourier transform of the noise that a picture starts from.

Wen, Kirchenbauer, Geiping, Goldstein 2023 (arXiv 2305.20030). The picture is drawn as usual; who knows the key walks from
the picture back up to its noise by DDIM and looks whether the rings are there. Transforms are orthonormal, so white noise
has values of mean square 1 at every frequency. Letters in the shape comments: B pictures, C channels, n latent cells.

Left out: the paper's p-value, and complex keys. The forger's way is Yang and others' (2024, arXiv 2406.09026): average.
"""

from itertools import pairwise

import torch

from course import stable_diffusion, toy_ddpm


def rings(n):
    """How far each frequency of an n x n Fourier transform lies from 0, in whole numbers, long `[n, n]`, 0 first."""
    f = n * torch.fft.fftfreq(n)
    return torch.hypot(f[:, None], f[None, :]).round().long()


def make_key(n, radius, strength, generator):
    """A key `[4, n, n]`: in each channel every ring from 1 to the radius is +strength or -strength by chance, all else 0.

    The middle stays free, for it is the channel's mean: a key there would fix the picture's colour.
    """
    where = (rings(n) >= 1) & (rings(n) <= radius)
    signs = 2.0 * torch.randint(0, 2, (4, n), generator=generator) - 1
    return strength * signs[:, rings(n).clamp(max=n - 1)] * where


def write(z_T, key):
    """The noise z_T `[B, C, n, n]` with the key's rings in its Fourier transform.

    Raises ValueError where opposite frequencies differ: the result would be complex, and `.real` would lose half of it.
    """
    f = torch.fft.fft2(z_T, norm="ortho")
    z = torch.fft.ifft2(torch.where(key != 0, key.to(f.dtype), f), norm="ortho")
    if z.imag.abs().max() > 1e-4:
        raise ValueError("the key differs at opposite frequencies, so this noise would be complex: make it symmetric")
    return z.real.contiguous()


@torch.no_grad()
def invert(sd, x, steps=15):
    """The noise `[B, C, n, n]` from which pictures x `[B, 3, H, W]` may have come: DDIM upwards, with the empty prompt."""
    z = stable_diffusion.encode(sd, x, stable_diffusion.generators(range(len(x))))
    c = stable_diffusion.encode_prompt(sd, [""] * len(x))
    plain = toy_ddpm.Denoiser(stable_diffusion.network(sd), sd.schedule, "eps", c)
    for t, t_next in pairwise(reversed(stable_diffusion.timesteps(sd, steps))):
        z, _ = toy_ddpm.ddim(plain, z, t, t_next)
    return z


def distance(z, key):
    """The mean L1 distance of the noises z `[B, 4, n, n]` to the key's rings (section 3.3 of the paper): small where marked. Returns `[B]`."""
    f = torch.fft.fft2(z, norm="ortho")
    return (f - key).abs()[:, key != 0].mean(dim=1)


def threshold(unmarked, false_alarms=0.01):
    """The distance that this share of unmarked pictures falls below if their distances `[N]` are normal, as they nearly are."""
    below = torch.special.ndtri(torch.tensor(false_alarms, dtype=torch.float64))
    return (unmarked.double().mean() + below * unmarked.double().std()).item()


def guess_key(marked, unmarked, strength):
    """A forger's key `[4, n, n]`: what the noises found in marked pictures have in common and those in unmarked ones have not.

    marked, unmarked: `[B, 4, n, n]`, the B of both may differ. An entry counts from a third of the strength on.
    """
    shown = torch.fft.fft2(marked.mean(0) - unmarked.mean(0), norm="ortho").real
    shown[:, 0, 0] = 0  # the channels' means are colours
    return strength * shown.sign() * (shown.abs() > strength / 3)
