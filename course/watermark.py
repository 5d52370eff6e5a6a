"""Tree-Ring: a watermark in the Fourier transform of the noise that a picture starts from.

Wen, Kirchenbauer, Geiping, Goldstein 2023 (arXiv 2305.20030). The picture is drawn as usual; who knows the key walks from
the picture back up to its noise by DDIM and looks whether the rings are there. Transforms are orthonormal, so white noise
has values of mean square 1 at every frequency. Letters in the shape comments: B pictures, C channels, n latent cells.

Left out: the paper's p-value, and rings of complex values, whose imaginary half a real noise cannot carry.
"""

from itertools import pairwise

import torch

from course import stable_diffusion, toy_ddpm


def rings(n):
    """How far each frequency of an n x n Fourier transform lies from 0, in whole numbers, long `[n, n]`, 0 first."""
    f = n * torch.fft.fftfreq(n)
    return torch.hypot(f[:, None], f[None, :]).round().long()


def make_key(channels, n, radius, strength, generator):
    """A key `[C, n, n]`: every ring up to the radius is +strength or -strength by chance in each of `channels`, all else 0.

    channels: which of the latents' four channels carry it. Real and equal at opposite frequencies, so its noise is real.
    """
    signs = 2.0 * torch.randint(0, 2, (4, n), generator=generator) - 1
    key = strength * signs[:, rings(n).clamp(max=n - 1)] * (rings(n) <= radius)
    return key * torch.tensor([float(c in channels) for c in range(4)]).view(4, 1, 1)


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
    """How far the noises z `[B, C, n, n]` are from holding the key, the paper's L1 distance, a mean over the rings: small where marked. Returns `[B]`."""
    f = torch.fft.fft2(z, norm="ortho")
    return (f - key).abs()[:, key != 0].mean(dim=1)


def threshold(unmarked, false_alarms=0.01):
    """The distance that so large a share of unmarked pictures falls below, if their distances `[N]` are normal, as they nearly are."""
    below = torch.special.ndtri(torch.tensor(false_alarms, dtype=torch.float64))
    return (unmarked.double().mean() + below * unmarked.double().std()).item()
