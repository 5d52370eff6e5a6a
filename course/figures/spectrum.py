"""Figures of notebook 02: pictures as sums of waves, and the noise floor that rises through their spectrum.

Functions take tensors and `ax=None` and return the axes, where they draw. Pictures are square, `[N, C, S, S]`.
"""

import torch

from course import viz

STYLES = [  # colour and line of the first, second, ... level
    (viz.DATA, "--"),
    (viz.GREEN, "-."),
    (viz.RED, ":"),
    (viz.PINK, (0, (5, 1))),
]


def waves(side):
    """How many waves of each Fourier coefficient fit into a picture, in whole numbers, `[side, side]`."""
    k = torch.fft.fftfreq(side) * side
    return (k[:, None] ** 2 + k**2).sqrt().round()


def power(x):
    """Mean power of pictures at 0, 1, ..., S // 2 waves per picture. White noise of variance 1 has 1 everywhere."""
    side = x.shape[-1]
    strength = torch.fft.fft2(x).abs().square().mean((0, 1)) / side**2  # [S, S]
    number = waves(side)
    return torch.stack([strength[number == k].mean() for k in range(side // 2 + 1)])


def low_pass(x, k):
    """The pictures built from their waves of at most k per picture; 0 leaves the mean brightness, -1 nothing."""
    return torch.fft.ifft2(torch.fft.fft2(x) * (waves(x.shape[-1]) <= k)).real


def above(power_of_data, schedule, t):
    """The finest wave on or above the noise floor at level t, all coarser ones being so too; -1 if there is none.

    power_of_data: `[K + 1]` from `power`. The wave's power is signal_t^2 times that, the floor std_t^2.
    """
    over = schedule.signal[t] ** 2 * power_of_data >= schedule.std[t] ** 2
    return int(over.long().cumprod(0).sum()) - 1


def crossing(power_of_data, schedule, t):
    """Where the shrunk spectrum meets the noise floor at level t, a fraction of waves; None outside 1..K."""
    k = above(power_of_data, schedule, t)
    if not 1 <= k < len(power_of_data) - 1:
        return None
    distance = (power_of_data * schedule.snr[t]).log()  # above the floor, on the axis of the figure
    return k + (distance[k] / (distance[k] - distance[k + 1])).item()


def noise_floor(power_of_data, schedule, levels, ax=None):
    """The shrunk spectrum at up to four levels, each level's noise floor in the same style, a dot where the two cross.

    power_of_data: `[K + 1]` from `power`; levels: whole numbers in 1..T. The clean spectrum is black. Returns the axes.
    """
    ax = ax or viz.panels(width=5.8, height=3.8)
    k = torch.arange(1, len(power_of_data))
    ax.plot(k, power_of_data[1:], color=viz.TRUTH, label="clean digits")
    for t, (color, style) in zip(levels, STYLES):
        floor = (schedule.std[t] ** 2).item()
        ax.plot(k, schedule.signal[t] ** 2 * power_of_data[1:], color=color, ls=style, label=f"digits at t = {t}")
        ax.axhline(floor, color=color, ls=style, lw=1)
        ax.text(k[-1] + 0.3, floor, f"noise at t = {t}", color=color, ha="right", va="bottom")
        if (place := crossing(power_of_data, schedule, t)) is not None:
            ax.plot(place, floor, "o", color=color, ms=8)
    ax.set(xlabel="waves per picture", ylabel="power", yscale="log", xlim=(0.7, len(power_of_data) - 0.6))
    viz.xticks(ax, k.tolist())
    ax.legend(loc="lower left")
    return ax


def shares_got_right(shares, power_of_data, schedule, ax=None):
    """Which share of each wave's power an estimate gets right, with a dot where the noise floor is crossed.

    shares: dict level -> `[K + 1]`, at most four; power_of_data: `[K + 1]` from `power`. Returns the axes.
    """
    ax = ax or viz.panels(width=5.4, height=3.2)
    k = torch.arange(1, len(power_of_data))
    for (t, share), (color, style) in zip(shares.items(), STYLES):
        ax.plot(k, share[1:], color=color, ls=style, label=f"t = {t}")
        if (place := crossing(power_of_data, schedule, t)) is not None:
            before, after = share[int(place)], share[int(place) + 1]
            ax.plot(place, before + (place - int(place)) * (after - before), "o", color=color, ms=8)
    ax.axhline(0.5, color=viz.TRUTH, lw=0.8)
    ax.set(
        xlabel="waves per picture", ylabel="share got right", ylim=(-0.05, 1.05), xlim=(0.7, len(power_of_data) - 0.6)
    )
    viz.xticks(ax, k.tolist())
    ax.legend(loc="lower left")
    return ax
