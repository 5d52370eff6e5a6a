"""Tree-Ring against numpy's Fourier transform, and with a key that has to be found again."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch.testing import assert_close

from course import stable_diffusion, watermark


def key(strength=1.0, seed=0):
    return watermark.make_key(8, 3, strength, torch.Generator().manual_seed(seed))


def noise(n=3):
    return torch.randn(n, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def test_rings_are_rounded_distances_from_frequency_0():
    f = np.fft.fftfreq(8) * 8
    assert watermark.rings(8).tolist() == [[round((a * a + b * b) ** 0.5) for b in f] for a in f]


def test_a_key_is_one_value_per_ring_and_leaves_the_mean_free():
    k, rings = key(1.5), watermark.rings(8)
    assert not k[:, (rings == 0) | (rings > 3)].any()
    for channel in range(4):
        for ring in (1, 2, 3):
            values = k[channel][rings == ring].unique()
            assert len(values) == 1 and values.abs().item() == 1.5
    assert not torch.equal(k, key(1.5, seed=1))


def test_numpy_reads_the_key_where_it_was_written_and_the_old_noise_elsewhere():
    z, k = noise(), key()
    before, after = (np.fft.fft2(x.double().numpy(), norm="ortho") for x in (z, watermark.write(z, k)))
    where = (k != 0).numpy()
    np.testing.assert_allclose(after[:, where], np.broadcast_to(k.numpy()[where], after[:, where].shape), atol=1e-5)
    np.testing.assert_allclose(after[:, ~where], before[:, ~where], atol=1e-5)


def test_a_lopsided_key_is_refused_and_real_would_have_halved_it():
    k = torch.zeros(4, 8, 8)
    k[0, 0, 2] = 3.0  # without its opposite, [0, 0, 6]
    with pytest.raises(ValueError, match="symmetric"):
        watermark.write(noise(), k)
    spectrum = np.zeros((8, 8))
    spectrum[0, 2] = 3.0
    again = np.fft.fft2(np.fft.ifft2(spectrum).real)
    np.testing.assert_allclose([again[0, 2], again[0, 6]], [1.5, 1.5], atol=1e-12)


def test_the_distance_is_0_with_the_key_and_numpys_mean_without():
    z, k = noise(), key()
    assert_close(watermark.distance(watermark.write(z, k), k), torch.zeros(3), atol=1e-5, rtol=0)
    f, where = np.fft.fft2(z.numpy(), norm="ortho"), (k != 0).numpy()
    wanted = np.abs(f - k.numpy())[:, where].mean(1)
    np.testing.assert_allclose(watermark.distance(z, k).numpy(), wanted, rtol=1e-5)


def test_the_threshold_is_scipys_normal_quantile():
    distances = 2 + 0.3 * torch.randn(50, generator=torch.Generator().manual_seed(2))
    wanted = norm(distances.mean().item(), distances.std().item()).ppf(0.01)
    assert watermark.threshold(distances, 0.01) == pytest.approx(wanted, rel=1e-5)


def test_a_forger_reads_the_key_from_many_noises():
    k, many = key(1.5), torch.randn(400, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    marked = watermark.write(many[:200], k)
    assert_close(watermark.guess_key(marked, many[200:], 1.5), k)
    assert not watermark.guess_key(many[:200], many[200:], 1.5).any()


def test_a_drawn_picture_leads_back_to_noise_like_its_own():
    sd = stable_diffusion.load_mini()
    z_T = stable_diffusion.starting_noise(sd, [0, 1, 2, 3])
    x = stable_diffusion.generate(sd, ["a dog"] * 4, range(4), steps=10, guidance_scale=1)
    z = watermark.invert(sd, x, 10)
    own = torch.nn.functional.cosine_similarity(z.flatten(1)[:, None], z_T.flatten(1)[None], dim=2)
    assert z.shape == z_T.shape and (own.argmax(1) == torch.arange(4)).all()
    assert own.diagonal().min() > 0.35  # walked down in place of up it is 0.1 to 0.2
