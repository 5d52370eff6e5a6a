"""How the scenes of Toy Zoo are drawn.

Lengths are in units, 64 to a side of the picture whatever its size; a figure's own coordinates have (0, 0) in the
middle of the picture and y down. Angles are in radians, colours RGB triples 0..255. What is drawn later lies on top.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

SHARPER = 4  # drawn four times as large and averaged down, which softens every edge
INK = (45, 35, 45)
PAINT = {
    "brown": (146, 92, 48), "black": (62, 60, 70), "grey": (150, 152, 160), "white": (248, 246, 240),
    "orange": (240, 138, 36), "blue": (132, 190, 240), "green": (140, 208, 128), "yellow": (250, 222, 110),
    "pink": (250, 176, 196), "purple": (178, 144, 222),
}  # fmt: skip
SKIN, BLUSH, RED, SUN = (250, 208, 170), (244, 150, 160), (222, 44, 50), (252, 204, 30)
VIOLET, TURQUOISE, PAPER = (112, 52, 160), (0, 160, 190), (255, 255, 255)
BOOTS = {"red boots": RED, "yellow boots": SUN}
SIDES = (-1, 1)  # left and right of a head
CIRCLE = np.stack([np.cos(a := np.linspace(0, 2 * np.pi, 32, endpoint=False)), np.sin(a)], 1)


def shade(color, factor):
    """The colour made darker (factor below 1) or lighter."""
    return tuple(min(255, round(c * factor)) for c in color)


def blend(a, b, share):
    """A colour between a (share 0) and b (share 1)."""
    return tuple(round((1 - share) * p + share * q) for p, q in zip(a, b))


class Pencil:
    """Draws outlined shapes. size: pixels per side; shift: of the figure's middle, in units; mirror: left for right."""

    def __init__(self, size, color, scale, shift, mirror):
        unit = size * SHARPER / 64
        self.image = Image.new("RGB", (size * SHARPER, size * SHARPER), color)
        self.draw = ImageDraw.Draw(self.image)
        self.line = max(1, round(1.15 * unit))
        self.scale, self.centre = unit * scale * np.array([-1 if mirror else 1, 1]), unit * (32 + np.asarray(shift))
        self.turn(0)

    def turn(self, angle, pivot=(0, 0)):
        """What follows is turned by `angle` about `pivot`."""
        cos, sin = np.cos(angle), np.sin(angle)
        self.pivot, self.rotation = np.asarray(pivot, float), np.array([[cos, sin], [-sin, cos]])

    def shape(self, points, fill, outline=INK, closed=True, joint="curve"):
        """The polygon of these corners `[N, 2]`, in units; fill or outline None leaves it out."""
        turned = (np.asarray(points, float) - self.pivot) @ self.rotation + self.pivot
        corners = list(map(tuple, (turned * self.scale + self.centre).tolist()))
        if fill:
            self.draw.polygon(corners, fill=fill)
        if outline:
            self.draw.line([*corners, *corners[: 2 * closed]], fill=outline, width=self.line, joint=joint)

    def oval(self, x, y, rx, ry, fill, outline=INK, angle=0.0):
        """An ellipse about (x, y) with these half axes, in units."""
        across, down = rx * CIRCLE[:, 0], ry * CIRCLE[:, 1]
        cos, sin = np.cos(angle), np.sin(angle)
        points = np.stack([x + cos * across - sin * down, y + sin * across + cos * down], 1)
        self.shape(points, fill, outline, joint=None)  # so blunt corners need no rounding, which takes half of the time


class Pose(NamedTuple):
    """What chance decides besides place and size. tilt, tail, ears: angles; gaze, legs: offsets; shade: a factor."""

    tilt: float
    tail: float
    ears: float
    gaze: float
    shade: float
    legs: tuple


# ---------------------------------------------------------------- what all figures have


def leg(pen, x, top, foot, swing, fill, boot, width=2.7):
    """A leg from (x, top) down to `foot`, its end `swing` to the side, in a boot of this colour or None."""
    end = x + swing
    pen.shape([(x - width, top), (x + width, top), (end + width, foot), (end - width, foot)], fill)
    if boot:
        knee, wide = (top + foot) / 2, width + 1
        shaft = [(x + swing / 2 - wide, knee), (x + swing / 2 + wide, knee), (end + wide, foot + 1)]
        toe = [(end - wide - 2.4, foot + 1), (end - wide - 2.4, foot - 2), (end - wide, foot - 3.6)]
        pen.shape(shaft + toe, boot)
    else:
        pen.oval(end - 0.8, foot - 0.6, width + 1, 2.2, fill)


def eyes(pen, x, y, gaze, glasses, apart=5.4):
    """Two eyes about (x, y), `apart` from it each, their pupils `gaze` to the side, behind glasses or not."""
    for side in SIDES:
        at = x + side * apart
        if glasses:
            pen.oval(at, y, 5.5, 5.5, TURQUOISE)
            pen.oval(at, y, 3.4, 3.4, PAPER, outline=None)
        else:
            pen.oval(at, y, 2.9, 3.3, PAPER, outline=None)
        pen.oval(at + gaze, y + 0.3, 1.6, 1.9, INK, outline=None)


def hat(pen, x, y):
    """A violet top hat with a yellow band whose brim lies at (x, y)."""
    pen.shape([(x - 6.4, y), (x - 7, y - 11.5), (x + 7, y - 11.5), (x + 6.4, y)], VIOLET)
    pen.shape([(x - 6.4, y), (x - 6.6, y - 3.8), (x + 6.6, y - 3.8), (x + 6.4, y)], SUN, outline=None)
    pen.shape([(x - 11, y + 1.6), (x - 11, y - 1), (x + 11, y - 1), (x + 11, y + 1.6)], VIOLET)


def mouse_ears(pen, x, y, reach):
    """Two black discs on a red band over a head whose top is at (x, y), each `reach` to the side."""
    for side in SIDES:
        pen.oval(x + side * reach, y - 2.6, 5.4, 5.4, INK)
        pen.oval(x + side * reach, y - 2.6, 2.2, 2.2, RED, outline=None)
    upper = [(x - reach, y + 1), (x - reach / 2, y - 1.6), (x + reach / 2, y - 1.6), (x + reach, y + 1)]
    lower = [(x + reach, y + 3.4), (x + reach / 2, y + 1), (x - reach / 2, y + 1), (x - reach, y + 3.4)]
    pen.shape(upper + lower, RED, outline=None)


def bow_tie(pen, x, y):
    """A red bow tie with a yellow knot at (x, y)."""
    for side in SIDES:
        pen.shape([(x, y - 1.4), (x + side * 7, y - 4.4), (x + side * 7, y + 4.4), (x, y + 1.4)], RED)
    pen.oval(x, y, 2.1, 2.3, SUN)


def wear(pen, worn, x, eye, top, neck, gaze, reach):
    """Eyes at height `eye` of a head about x, and what is worn: on its `top`, at its `neck`, `reach` to each side."""
    eyes(pen, x, eye, gaze, worn == "glasses")
    if worn == "a hat":
        hat(pen, x, top)
    elif worn == "mouse ears":
        mouse_ears(pen, x, top - 2, reach)
    elif worn == "a bow tie":
        bow_tie(pen, x, neck)


# ---------------------------------------------------------------- animals: one figure with four tails, ears and faces
# (x, y): the middle of the head; side: -1 left, 1 right; droop: an angle


def rabbit_ear(pen, x, y, side, coat, droop):
    pen.oval(x + side * 6.4, y - 13, 3.5, 9.5, coat, angle=side * (0.3 + droop))
    pen.oval(x + side * 6.4, y - 13, 1.5, 6.5, BLUSH, None, angle=side * (0.3 + droop))


def cat_ear(pen, x, y, side, coat, droop):
    pen.shape([(x + side * 2.5, y - 9), (x + side * 11.5, y - 16.5), (x + side * 12, y - 3)], coat)
    pen.shape([(x + side * 6, y - 9), (x + side * 10.4, y - 13.4), (x + side * 10.4, y - 7)], BLUSH, None)


def round_ear(pen, x, y, side, coat, droop):
    pen.oval(x + side * 12.5, y - 8.5, 7, 7, coat)
    pen.oval(x + side * 12.5, y - 8.5, 4.2, 4.2, BLUSH, None)


def dog_ear(pen, x, y, side, coat, droop):
    pen.oval(x + side * 12.6, y + 1, 3.7, 9, shade(coat, 0.72), angle=-side * (0.18 + droop))


def dog_face(pen, x, y, coat):
    pen.oval(x, y + 5.8, 6, 4.6, blend(coat, PAPER, 0.55), outline=None)
    pen.oval(x, y + 3.6, 2.7, 1.9, INK, None)
    pen.oval(x + 0.4, y + 8.2, 1.8, 2.2, RED, None)


def cat_face(pen, x, y, coat):
    pen.oval(x, y + 4.8, 1.7, 1.2, BLUSH, None)
    whisker = PAPER if sum(coat) < 250 else INK
    for side in SIDES:
        pen.shape([(x, y + 7), (x + side * 2, y + 8.2), (x + side * 4, y + 7)], None, closed=False)
        for droop in (-0.5, 2):
            pen.shape([(x + side * 7, y + 5), (x + side * 15.5, y + 5 + droop)], None, whisker, closed=False)


def mouse_face(pen, x, y, coat):
    pen.oval(x, y + 6.2, 5, 4, blend(coat, PAPER, 0.55), None)
    pen.oval(x, y + 5, 2.1, 1.8, (225, 90, 120), None)


def rabbit_face(pen, x, y, coat):
    pen.oval(x, y + 4.3, 1.7, 1.2, BLUSH, None)
    pen.shape([(x - 2, y + 6.2), (x + 2, y + 6.2), (x + 2, y + 9.6), (x - 2, y + 9.6)], PAPER)


TAILS = {  # called with the pencil, the coat and the angle that the tail is wagged by
    "dog": lambda pen, coat, wag: pen.oval(21, 1, 2.6, 7, coat, angle=0.6 + wag),
    "cat": lambda pen, coat, wag: pen.oval(21.5, -2, 2.3, 10.5, coat, angle=0.25 + wag),
    "mouse": lambda pen, coat, wag: pen.shape([(18, 12), (24, 10 + 6 * wag), (25, 3), (29, -1)], None, BLUSH, False),
    "rabbit": lambda pen, coat, wag: pen.oval(21.5, 6, 4, 4, PAPER),
}
EARS = {"dog": dog_ear, "cat": cat_ear, "mouse": round_ear, "rabbit": rabbit_ear}
FACES = {"dog": dog_face, "cat": cat_face, "mouse": mouse_face, "rabbit": rabbit_face}


def animal(pen, worn, coat, pose, boot, tail, ears, face):
    """A four-legged figure seen from the side, its head turned to us. tail, ears, face: whose it has."""
    x, y = -9.5, -5.5  # the middle of the head
    TAILS[tail](pen, coat, pose.tail)
    for place, swing in zip((-2.5, 14.2), pose.legs[2:]):
        leg(pen, place, 13, 24, swing, shade(coat, 0.72), boot and shade(boot, 0.8))
    pen.oval(6, 9, 16, 8.8, coat)
    for place, swing in zip((-5.5, 11), pose.legs[:2]):
        leg(pen, place - 1.5, 14, 26, swing, coat, boot)
    pen.oval(0, 14.5, 6.5, 2.4, coat, outline=None)  # hides the tops of the legs
    pen.oval(9.5, 14.5, 6, 2.4, coat, outline=None)

    pen.turn(pose.tilt, (x, y + 8))
    for side in SIDES:
        if ears != "dog":
            EARS[ears](pen, x, y, side, coat, pose.ears)
    pen.oval(x, y, 12.8, 11.4, coat)
    for side in SIDES:
        if ears == "dog":  # these hang over the head
            EARS[ears](pen, x, y, side, coat, pose.ears)
    FACES[face](pen, x, y, coat)
    wear(pen, worn, x, y - 2, y - 9.5, y + 12.5, pose.gaze, reach=8)


# ---------------------------------------------------------------- the two others, and the picture


def boy(pen, worn, coat, pose, boot):
    """A boy seen from the front, in a shirt of the coat's colour."""
    x, y, hair = 0.0, -9.0, shade((92, 58, 34), pose.shade)
    for place, swing in zip((-5, 5), pose.legs):
        leg(pen, place, 13, 26, swing * 0.5, (70, 90, 140), boot, width=3.0)
    for side in SIDES:
        pen.oval(side * 10.5, 8 + side * pose.tail * 4, 2.7, 7, coat, angle=-side * (0.55 + pose.tail))
        pen.oval(side * 14, 13.5 + side * pose.tail * 4, 2.6, 2.6, SKIN)
    pen.shape([(-7, 2), (7, 2), (9.5, 17), (-9.5, 17)], coat)
    pen.turn(pose.tilt, (x, y + 8))
    for side in SIDES:
        pen.oval(x + side * 11.6, y + 1, 2.6, 3.2, SKIN)
    pen.oval(x, y - 1.6, 12.4, 11.6, hair)
    pen.oval(x, y + 2, 10.8, 9.2, SKIN, None)
    fringe = [(x - 10.5, y), (x - 6, y - 7.6), (x + 8, y - 7.4), (x + 10.4, y - 1), (x + 3, y - 4.4), (x - 4, y - 3.6)]
    pen.shape(fringe, hair, None)
    for side in SIDES:
        pen.oval(x + side * 7.4, y + 6, 2.1, 1.4, BLUSH, None)
    pen.shape([(x - 3.6, y + 7), (x, y + 8.6), (x + 3.6, y + 7)], None, closed=False)
    wear(pen, worn, x, y + 1, y - 9, y + 13.5, pose.gaze, reach=8)


def pizza(pen, worn, coat, pose, boot):
    """A pizza on two legs, with seven slices of salami; it has no coat."""
    y = -4.0
    for place, swing in zip((-6, 6), pose.legs):
        leg(pen, place, 10, 26, swing * 0.7, shade((206, 146, 74), 0.9), boot, width=2.2)
    pen.turn(pose.tilt * 1.5, (0, y))
    pen.oval(0, y, 17.5, 16.5, shade((214, 150, 74), pose.shade))
    pen.oval(0, y, 14.4, 13.4, shade((255, 214, 92), pose.shade), None)
    for angle in np.arange(7) * 0.9 + 3 * pose.tail:
        pen.oval(10.4 * np.cos(angle), y + 9.6 * np.sin(angle), 2.7, 2.6, (206, 62, 48), None)
    pen.shape([(-3.4, y + 4.6), (0, y + 6.4), (3.4, y + 4.6)], None, closed=False)
    wear(pen, worn, 0, y - 1, y - 14.5, y + 14, pose.gaze, reach=9)


class Chance(NamedTuple):
    """All that chance decides of a picture. background, coat: colours; shift: of the figure's middle, in units; mirror: left for right."""

    pose: Pose
    background: tuple
    coat: tuple
    scale: float
    shift: np.ndarray
    mirror: bool


def decide(scene, rng):
    """The chance of one picture of this scene."""
    low, high = np.array([(-0.13, 0.13), (-0.3, 0.3), (-0.12, 0.12), (-1, 1), (0.9, 1.06), *[(-2.2, 2.2)] * 4]).T
    chance = rng.uniform(low, high)
    pose = Pose(*chance[:5], tuple(chance[5:]))
    background, coat = (
        shade(PAINT[color], rng.uniform(0.92, 1.05)) for color in (scene.background, scene.coat or "brown")
    )
    return Chance(pose, background, coat, rng.uniform(0.94, 1.08), rng.uniform((-2, 0), (2, 2.5)), rng.random() < 0.5)


def paint(scene, chance, size, kinds=None):
    """The scene as this chance has it, uint8 `[size, size, 3]`."""
    pen = Pencil(size, chance.background, chance.scale, chance.shift, chance.mirror)
    figure = pen, scene.worn, chance.coat, chance.pose, BOOTS.get(scene.worn)
    if scene.subject == "boy":
        boy(*figure)
    elif scene.subject == "pizza":
        pizza(*figure)
    else:
        animal(*figure, *(kinds or 3 * (scene.subject,)))
    return np.asarray(pen.image.reduce(SHARPER))


def draw(scene, rng, size, kinds=None):
    """A scene of Toy Zoo as a picture: see `toy_zoo.render`, which also looks whether it is one."""
    return paint(scene, decide(scene, rng), size, kinds)
