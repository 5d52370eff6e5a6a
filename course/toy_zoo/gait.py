"""How an animal of Toy Zoo walks: one chance for the whole film, and of it only place, legs, tail and head move."""

import numpy as np

from course.toy_zoo import draw

WAY = 5.0  # units that the animal walks to each side of the middle: 10 of the picture's 64 in all
STRIDE = 3.2  # units that a foot swings to each side
STEPS = 1.25  # strides on that way
GAIT = (0.0, np.pi, np.pi, 0.0)  # the phases of the legs: two cross-wise together, as in a trot


def moment(chance, share):
    """The chance of one frame. share: of the way, 0 where the walk begins, 1 where it ends; the head goes first."""
    phase = 2 * np.pi * STEPS * share
    ahead = 1 if chance.mirror else -1  # unmirrored, the head is on the left
    legs = tuple(STRIDE * np.sin(phase + offset) for offset in GAIT)
    pose = chance.pose._replace(legs=legs, tail=0.3 * np.sin(phase), tilt=0.05 * np.sin(2 * phase))
    shift = chance.shift + np.array([ahead * WAY * (2 * share - 1), 0])
    return chance._replace(pose=pose, shift=shift)


def walk(scene, rng, frames, size):
    """The frames of a walk: see `toy_zoo.walk`, which also looks whether the scene can walk."""
    chance = draw.decide(scene, rng)
    return np.stack([draw.paint(scene, moment(chance, i / max(1, frames - 1)), size) for i in range(frames)])
