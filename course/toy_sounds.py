"""A small world of captioned sounds, made by formula, as many as one asks for: "a short high rising chirp".

A `Sound` names length, pitch, movement and kind; `render` makes it with chance in exact pitch, phase, loudness, length and
start, `caption` says it in plain English, `parse` reads that back. Four of the 36 sounds are held out of training.

Left out: several sounds at once, echo, any noise.
"""

import itertools
from typing import NamedTuple

import numpy as np

LENGTHS = ("short", "long")
PITCHES = ("low", "high")
MOVEMENTS = ("falling", "steady", "rising")
KINDS = ("beep", "bell", "chirp")
ATTRIBUTES = {"length": LENGTHS, "pitch": PITCHES, "movement": MOVEMENTS, "kind": KINDS}

RATE = 8000  # samples a second
SAMPLES = 2048  # of one sound with the silence around it, about a quarter of a second
SECONDS = {"short": 0.09, "long": 0.21}
HERTZ = {"low": 400, "high": 1000}  # in the middle of the sound
BETWEEN = 632  # hertz, the geometric mean of the two: what is higher counts as high
WIDTH = 1.15  # the exact pitch lies between the middle one divided by this and multiplied by it
GLIDE = 1.2  # a rising sound goes from its middle pitch divided by this to its middle pitch multiplied by it
OVERTONES = {"beep": (2, 0.3), "bell": (2.76, 0.4), "chirp": (1, 0)}  # how many times as high, how many times as loud
TRILL = 40  # pulses of a chirp a second


class Sound(NamedTuple):
    """What is heard, word by word, in the order of a caption."""

    length: str
    pitch: str
    movement: str
    kind: str


def all_sounds():
    """Every sound of this world, 36 of them, in a fixed order."""
    return [Sound(*words) for words in itertools.product(*ATTRIBUTES.values())]


def held_out(sound):
    """Whether it is held out of training: for each length and pitch one of the nine pairs of movement and kind."""
    length, pitch, movement, kind = numbers(sound)
    return (3 * movement + kind + 2 * pitch + 4 * length) % 9 == 8


def numbers(sound):
    """The places of the sound's words in `ATTRIBUTES`, a list of four. Raises ValueError if it is none of this world's."""
    for (name, values), word in zip(ATTRIBUTES.items(), sound):
        if word not in values:
            raise ValueError(f"{name} is {word!r}; allowed: {', '.join(values)}")
    return [values.index(word) for values, word in zip(ATTRIBUTES.values(), sound)]


TRAINING = [sound for sound in all_sounds() if not held_out(sound)]
HELD_OUT = [sound for sound in all_sounds() if held_out(sound)]

# ---------------------------------------------------------------- captions


def caption(sound):
    """The sound in English. Raises ValueError if it is none of this world's."""
    numbers(sound)
    return f"a {' '.join(sound)}"


def parse(text):
    """The attributes that a caption names, as a dict without what it leaves unsaid; unknown words are passed over.

    Raises ValueError where two words say different things of one attribute.
    """
    words, named = text.lower().replace(",", " ").strip(" .!?").split(), {}
    for name, values in ATTRIBUTES.items():
        said = [value for value in values if value in words]
        if len(said) > 1:
            raise ValueError(f"{text!r} says two things of the {name}: {' and '.join(said)}; keep one")
        if said:
            named[name] = said[0]
    return named


# ---------------------------------------------------------------- sounds


def render(sound, rng):
    """The sound as a wave, float32 `[2048]` in [-1, 1], 8000 samples a second; `rng`, a NumPy generator, is its chance.

    Raises ValueError if the sound is none of this world's.
    """
    numbers(sound)
    seconds = SECONDS[sound.length] * rng.uniform(0.92, 1.08)
    start, phases = rng.uniform(0.0, 0.02), rng.uniform(0, 2 * np.pi, size=2)
    hertz = HERTZ[sound.pitch] * WIDTH ** rng.uniform(-1, 1)
    u = (np.arange(SAMPLES) / RATE - start) / seconds  # 0 at the beginning of the sound, 1 at its end
    angle = 2 * np.pi * hertz * seconds * periods(u, sound.movement)
    ratio, share = OVERTONES[sound.kind]
    wave = np.sin(angle + phases[0]) + share * fading(u, sound.kind) * np.sin(ratio * angle + phases[1])
    wave = wave * envelope(u, seconds, sound.kind)
    return (rng.uniform(0.5, 0.9) * wave / np.abs(wave).max()).astype(np.float32)


def periods(u, movement):
    """The integral from 0 to u of pitch / middle pitch, which is GLIDE ** (2 u - 1) where it rises."""
    if movement == "steady":
        return u
    rate = 2 * np.log(GLIDE) * (1 if movement == "rising" else -1)
    return np.exp(-rate / 2) * np.expm1(rate * u) / rate


def fading(u, kind):
    """How the overtone fades beside the tone: a bell's is gone sooner."""
    return np.exp(-4 * u) if kind == "bell" else 1.0


def envelope(u, seconds, kind):
    """How loud the sound is at each moment, 0 outside of 0 < u < 1; no edge is harder than 5 ms, or it would click."""
    inside = np.clip(np.minimum(u, 1 - u) * seconds / 0.005, 0, 1)
    if kind == "bell":
        return inside * np.exp(-3.5 * u)
    if kind == "chirp":
        return inside * np.sin(np.pi * round(seconds * TRILL) * u) ** 2
    return inside


def examples(n, seed=0, sounds=TRAINING):
    """n waves of chance sounds, float32 `[n, 1, 2048]`, and the sounds."""
    rng = np.random.default_rng(seed)
    chosen = [sounds[i] for i in rng.integers(len(sounds), size=n)]
    return np.stack([render(sound, rng) for sound in chosen])[:, None], chosen
