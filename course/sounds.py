"""Sounds as waves `[B, 1, L]` in [-1, 1]: what may go in, their spectrogram, their pitch, several in a row.

The spectrogram is `torch.stft`; the tests hold it and the pitch to SciPy and to frequencies that are known.
"""

import torch
import torch.nn.functional as F

from course.toy_sounds import RATE

WINDOW, HOP = 256, 64  # samples of one look of the spectrogram, and from one look to the next: 32 and 8 ms
QUIETEST = -60  # decibels, below which a spectrogram tells no more
LOWEST, HIGHEST = 200, 2000  # hertz, between which `pitch` seeks
FINER = 8  # lags that `pitch` looks at for each sample


def check(waves, what="waves", samples=None, limit=1.0):
    """Raise ValueError, saying what is wrong and how to mend it, unless these are float waves `[B, 1, L]` in [-1, 1].

    samples: the L that is needed, None: any from one window on; limit: how far values may reach, more than 1 for drawn waves.
    """
    if not isinstance(waves, torch.Tensor) or not waves.is_floating_point():
        got = waves.dtype if isinstance(waves, torch.Tensor) else type(waves).__name__
        raise ValueError(f"{what} must be a float tensor; got {got}. Sound files of 16 bits: samples / 32768")
    shape = tuple(waves.shape)
    if len(shape) != 3 or shape[1] != 1 or not shape[0] or (shape[2] != samples if samples else shape[2] < WINDOW):
        mend = {1: f": {what}[None, None]?", 2: f": {what}[:, None]?"}.get(len(shape), "; cut them, or add zeros")
        wanted = samples or f"at least {WINDOW}"
        raise ValueError(f"{what} must be [B, 1, L], one channel, L = {wanted} samples; got {list(shape)}{mend}")
    if waves.device.type != "cpu":  # a GPU is asked nothing
        return
    if not waves.isfinite().all():
        raise ValueError(f"{what} hold NaN or infinity: look at what made them")
    if waves.abs().max() > limit + 1e-3:
        span = f"{waves.min().item():.4g}..{waves.max().item():.4g}"
        raise ValueError(f"{what} lie in {span}, but waves lie in -1..1: {what} / 32768 for 16 bits, or clamp(-1, 1)")


def spectrogram(waves):
    """How loud each frequency is at each moment, in decibels, `[B, 129, L // 64 + 1]`: 0 is a sine that reaches 1.

    Rows: 0 to 4000 Hz in steps of 31.25; columns: steps of 8 ms. Nothing is below -60. Raises ValueError where `check` does.
    """
    check(waves, limit=10)
    window = torch.hann_window(WINDOW, device=waves.device)
    looks = torch.stft(waves[:, 0].float(), WINDOW, HOP, window=window, return_complex=True, pad_mode="constant")
    amplitude = looks.abs() / (window.sum() / 2)
    return 20 * amplitude.clamp(min=10 ** (QUIETEST / 20)).log10()


def loudest(waves):
    """The window of each wave with most power, `[B, 512]`."""
    pieces = waves[:, 0].unfold(1, 2 * WINDOW, HOP)  # [B, places, 512]
    where = pieces.square().sum(2).argmax(1)
    return pieces[torch.arange(len(waves)), where]


def pitch(waves):
    """The pitch in hertz where each wave is loudest, `[B]`, by autocorrelation: the shift at which it is most like itself.

    By the Wiener-Khinchin theorem the autocorrelation is the inverse Fourier transform of the power; zeros put behind the
    power's last frequency give the values between whole lags. Raises ValueError where `check` does.
    """
    check(waves, limit=10)
    piece = loudest(waves) * torch.hann_window(2 * WINDOW, device=waves.device)
    size = 4 * WINDOW  # twice the piece, so that it does not meet itself coming round
    alike = torch.fft.irfft(torch.fft.rfft(piece, size).abs().square(), FINER * size)  # [B, lags]
    own = torch.fft.irfft(torch.fft.rfft(torch.hann_window(2 * WINDOW), size).abs().square(), FINER * size)
    first, last = FINER * RATE // HIGHEST, FINER * RATE // LOWEST
    lags = torch.arange(first, last + 1)
    inside = (alike / own.clamp(min=1e-6))[:, lags]  # without the window's own fall
    peak = (inside > 0.9 * inside.amax(1, keepdim=True)).float().argmax(1)  # the first high one: no octave too low
    climb = inside.gather(1, (peak[:, None] + torch.arange(FINER * 4)).clamp(max=len(lags) - 1)).argmax(1)
    return FINER * RATE / lags[peak + climb].float()


def in_a_row(waves, gap=0.15):
    """The waves one after the other as one `[L]`, with `gap` seconds of silence behind each."""
    return F.pad(waves[:, 0], (0, int(gap * RATE))).flatten()
