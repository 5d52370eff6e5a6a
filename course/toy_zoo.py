"""Toy Zoo: a small world of captioned pictures, drawn as many as one asks for.

A `Scene` names a subject, its coat, the background and the thing worn; `render` draws it with chance
in place, size, pose and shade, `caption` says it in plain English, `parse` reads that back. About a
tenth of all scenes is held out of training, every dog with glasses among them.

Left out: more than one figure in a picture, perspective, light.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

SUBJECTS = ("dog", "cat", "mouse", "rabbit", "boy", "pizza")
COATS = ("brown", "black", "grey", "white", "orange")
BACKGROUNDS = ("blue", "green", "yellow", "pink", "purple")
WORN = ("nothing", "glasses", "a hat", "a bow tie", "mouse ears", "red boots", "yellow boots")
ATTRIBUTES = {"subject": SUBJECTS, "coat": COATS, "background": BACKGROUNDS, "worn": WORN}

SIZE = 64
SHARPER = 4  # drawn four times as large and averaged down, which softens every edge


class Scene(NamedTuple):
    """What a picture shows. coat: the colour of the fur or the clothes; a pizza has none (None)."""

    subject: str
    coat: str | None
    background: str
    worn: str


def all_scenes():
    """Every scene of this world, 910 of them, in a fixed order."""
    every = itertools.product(SUBJECTS, COATS, BACKGROUNDS, WORN)
    return list(dict.fromkeys(Scene(s, None if s == "pizza" else c, b, w) for s, c, b, w in every))


def held_out(scene):
    """Whether no training picture shows this scene: each dog with glasses, and one in thirteen of the others."""
    if (scene.subject, scene.worn) == ("dog", "glasses"):
        return True
    coat = len(COATS) if scene.coat is None else COATS.index(scene.coat)
    places = SUBJECTS.index(scene.subject), coat, BACKGROUNDS.index(scene.background), WORN.index(scene.worn)
    return sum(step * place for step, place in zip((1, 2, 5, 7), places)) % 13 == 0


TRAINING = [scene for scene in all_scenes() if not held_out(scene)]
HELD_OUT = [scene for scene in all_scenes() if held_out(scene)]


def check(scene):
    """Raise a ValueError that names what is wrong if the scene is none of this world's."""
    for name, value in scene._asdict().items():
        pizza = name == "coat" and scene.subject == "pizza"
        if value not in ([None] if pizza else ATTRIBUTES[name]):
            raise ValueError(
                f"{name} is {value!r}; allowed: {'None for a pizza' if pizza else ', '.join(ATTRIBUTES[name])}"
            )


# ---------------------------------------------------------------- captions


def caption(scene, rng, everything=False):
    """One of many ways to say the scene in English; attributes may stay unsaid unless `everything` is asked for."""
    says = (lambda share: True) if everything else (lambda share: rng.random() < share)
    text = "somebody" if not says(0.95) else f"a {scene.subject}"
    if scene.coat and says(0.6):
        text = (
            f"{text} in {scene.coat}"
            if scene.subject == "boy" or text == "somebody"
            else f"a {scene.coat} {scene.subject}"
        )
    if says(0.3 if scene.worn == "nothing" else 0.85):
        text += f" {rng.choice(['with', 'wearing'])} {scene.worn}"
    if says(0.55):
        text += f" {rng.choice(['on a {} background', 'in front of a {} wall'])}".format(scene.background)
    start = rng.choice(["", "", "", "a picture of ", "a drawing of "])
    return (start + text).replace("a orange", "an orange")


def parse(text):
    """The attributes that a caption names, as a dict; what it leaves unsaid is absent. Unknown words are passed over."""
    words, named = f" {text.lower().strip(' .!?')} ".replace(",", " "), {}
    for place in (" background", " wall"):
        for color in BACKGROUNDS:
            if f" {color}{place} " in words:
                named["background"] = color
                words = words.replace(f"{color}{place}", "")
    for name, values in (("worn", WORN), ("subject", SUBJECTS), ("coat", COATS)):
        for value in values:
            if f" {value} " in words:
                named[name] = value
                words = words.replace(f" {value} ", "  ", 1)
    return named


# ---------------------------------------------------------------- pictures

INK = (45, 35, 45)
PAINT = {
    "brown": (146, 92, 48), "black": (62, 60, 70), "grey": (150, 152, 160), "white": (248, 246, 240), "orange": (240, 138, 36),
    "blue": (132, 190, 240), "green": (140, 208, 128), "yellow": (250, 222, 110), "pink": (250, 176, 196),
    "purple": (178, 144, 222),
}  # fmt: skip
SKIN, BLUSH, RED, SUN = (250, 208, 170), (244, 150, 160), (222, 44, 50), (252, 204, 30)
VIOLET, TURQUOISE, PAPER = (112, 52, 160), (0, 160, 190), (255, 255, 255)
CIRCLE = np.stack([np.cos(a := np.linspace(0, 2 * np.pi, 32, endpoint=False)), np.sin(a)], 1)


class Pencil:
    """Draws outlined shapes in the figure's own coordinates: 64 units a side, (0, 0) the middle, y down."""

    def __init__(self, size, color, scale, shift, mirror):
        unit = size * SHARPER / 64
        self.image = Image.new("RGB", (size * SHARPER, size * SHARPER), color)
        self.draw = ImageDraw.Draw(self.image)
        self.line = max(1, round(1.15 * unit))
        self.scale, self.centre = unit * scale * np.array([-1 if mirror else 1, 1]), unit * (32 + np.asarray(shift))
        self.turn(0)

    def turn(self, angle, pivot=(0, 0)):
        """What follows is turned by `angle` (radians) about `pivot`."""
        cos, sin = np.cos(angle), np.sin(angle)
        self.pivot, self.rotation = np.asarray(pivot, float), np.array([[cos, sin], [-sin, cos]])

    def shape(self, points, fill, outline=INK, closed=True, joint="curve"):
        turned = (np.asarray(points, float) - self.pivot) @ self.rotation + self.pivot
        corners = list(map(tuple, (turned * self.scale + self.centre).tolist()))
        if fill:
            self.draw.polygon(corners, fill=fill)
        if outline:
            self.draw.line([*corners, *corners[: 2 * closed]], fill=outline, width=self.line, joint=joint)

    def oval(self, x, y, rx, ry, fill, outline=INK, angle=0.0):
        across, down = rx * CIRCLE[:, 0], ry * CIRCLE[:, 1]
        cos, sin = np.cos(angle), np.sin(angle)
        points = np.stack([x + cos * across - sin * down, y + sin * across + cos * down], 1)
        self.shape(points, fill, outline, joint=None)  # so blunt corners need no rounding, which takes half of the time


def leg(pen, x, top, foot, swing, fill, boot, width=2.7):
    """A leg from (x, top) down to `foot`, its end `swing` to the side, in a boot of this colour or None."""
    end = x + swing
    pen.shape([(x - width, top), (x + width, top), (end + width, foot), (end - width, foot)], fill)
    if boot:
        knee, wide = (top + foot) / 2, width + 1
        pen.shape([(x + swing / 2 - wide, knee), (x + swing / 2 + wide, knee), (end + wide, foot + 1),
                   (end - wide - 2.4, foot + 1), (end - wide - 2.4, foot - 2), (end - wide, foot - 3.6)], boot)  # fmt: skip
    else:
        pen.oval(end - 0.8, foot - 0.6, width + 1, 2.2, fill)


def eyes(pen, x, y, gaze, glasses, apart=5.4):
    for side in (-1, 1):
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
    """Two black discs on a red band over a head whose top is at (x, y)."""
    for side in (-1, 1):
        pen.oval(x + side * reach, y - 2.6, 5.4, 5.4, INK)
        pen.oval(x + side * reach, y - 2.6, 2.2, 2.2, RED, outline=None)
    pen.shape([(x - reach, y + 1), (x - reach / 2, y - 1.6), (x + reach / 2, y - 1.6), (x + reach, y + 1), (x + reach, y + 3.4),
               (x + reach / 2, y + 1), (x - reach / 2, y + 1), (x - reach, y + 3.4)], RED, outline=None)  # fmt: skip


def bow_tie(pen, x, y):
    for side in (-1, 1):
        pen.shape([(x, y - 1.4), (x + side * 7, y - 4.4), (x + side * 7, y + 4.4), (x, y + 1.4)], RED)
    pen.oval(x, y, 2.1, 2.3, SUN)


def animal(pen, scene, coat, pose, boot, kinds=None):
    """A four-legged figure seen from the side, its head turned to us. kinds: whose tail, ears and face, default the subject's."""
    behind, ears, face = kinds or 3 * (scene.subject,)
    x, y = -9.5, -5.5
    dark, light = shade(coat, 0.72), blend(coat, PAPER, 0.55)
    tail = {
        "dog": lambda: pen.oval(21, 1, 2.6, 7, coat, angle=0.6 + pose.tail),
        "cat": lambda: pen.oval(21.5, -2, 2.3, 10.5, coat, angle=0.25 + pose.tail),
        "mouse": lambda: pen.shape([(18, 12), (24, 10 + 6 * pose.tail), (25, 3), (29, -1)], None, BLUSH, closed=False),
        "rabbit": lambda: pen.oval(21.5, 6, 4, 4, PAPER),
    }
    tail[behind]()
    for place, swing in zip((-2.5, 14.2), pose.legs[2:]):
        leg(pen, place, 13, 24, swing, dark, boot and shade(boot, 0.8))
    pen.oval(6, 9, 16, 8.8, coat)
    for place, swing in zip((-5.5, 11), pose.legs[:2]):
        leg(pen, place - 1.5, 14, 26, swing, coat, boot)
    pen.oval(0, 14.5, 6.5, 2.4, coat, outline=None)  # hides the tops of the legs
    pen.oval(9.5, 14.5, 6, 2.4, coat, outline=None)

    pen.turn(pose.tilt, (x, y + 8))
    for side in (-1, 1):
        if ears == "rabbit":
            pen.oval(x + side * 6.4, y - 13, 3.5, 9.5, coat, angle=side * (0.3 + pose.ears))
            pen.oval(x + side * 6.4, y - 13, 1.5, 6.5, BLUSH, None, angle=side * (0.3 + pose.ears))
        if ears == "cat":
            pen.shape([(x + side * 2.5, y - 9), (x + side * 11.5, y - 16.5), (x + side * 12, y - 3)], coat)
            pen.shape([(x + side * 6, y - 9), (x + side * 10.4, y - 13.4), (x + side * 10.4, y - 7)], BLUSH, None)
        if ears == "mouse":
            pen.oval(x + side * 12.5, y - 8.5, 7, 7, coat)
            pen.oval(x + side * 12.5, y - 8.5, 4.2, 4.2, BLUSH, None)
    pen.oval(x, y, 12.8, 11.4, coat)
    if ears == "dog":
        for side in (-1, 1):
            pen.oval(x + side * 12.6, y + 1, 3.7, 9, dark, angle=-side * (0.18 + pose.ears))
    if face == "dog":
        pen.oval(x, y + 5.8, 6, 4.6, light, outline=None)
        pen.oval(x, y + 3.6, 2.7, 1.9, INK, None)
        pen.oval(x + 0.4, y + 8.2, 1.8, 2.2, RED, None)
    if face == "cat":
        pen.oval(x, y + 4.8, 1.7, 1.2, BLUSH, None)
        for side in (-1, 1):
            pen.shape([(x, y + 7), (x + side * 2, y + 8.2), (x + side * 4, y + 7)], None, closed=False)
            for droop in (-0.5, 2):
                pen.shape(
                    [(x + side * 7, y + 5), (x + side * 15.5, y + 5 + droop)],
                    None,
                    PAPER if sum(coat) < 250 else INK,
                    closed=False,
                )
    if face == "mouse":
        pen.oval(x, y + 6.2, 5, 4, light, None)
        pen.oval(x, y + 5, 2.1, 1.8, (225, 90, 120), None)
    if face == "rabbit":
        pen.oval(x, y + 4.3, 1.7, 1.2, BLUSH, None)
        pen.shape([(x - 2, y + 6.2), (x + 2, y + 6.2), (x + 2, y + 9.6), (x - 2, y + 9.6)], PAPER)
    wear(pen, scene.worn, x, y - 2, y - 9.5, y + 12.5, pose.gaze, reach=8)


def boy(pen, scene, coat, pose, boot):
    x, y, hair = 0.0, -9.0, shade((92, 58, 34), pose.shade)
    for place, swing in zip((-5, 5), pose.legs):
        leg(pen, place, 13, 26, swing * 0.5, (70, 90, 140), boot, width=3.0)
    for side in (-1, 1):
        pen.oval(side * 10.5, 8 + side * pose.tail * 4, 2.7, 7, coat, angle=-side * (0.55 + pose.tail))
        pen.oval(side * 14, 13.5 + side * pose.tail * 4, 2.6, 2.6, SKIN)
    pen.shape([(-7, 2), (7, 2), (9.5, 17), (-9.5, 17)], coat)
    pen.turn(pose.tilt, (x, y + 8))
    for side in (-1, 1):
        pen.oval(x + side * 11.6, y + 1, 2.6, 3.2, SKIN)
    pen.oval(x, y - 1.6, 12.4, 11.6, hair)
    pen.oval(x, y + 2, 10.8, 9.2, SKIN, None)
    pen.shape(
        [(x - 10.5, y), (x - 6, y - 7.6), (x + 8, y - 7.4), (x + 10.4, y - 1), (x + 3, y - 4.4), (x - 4, y - 3.6)],
        hair,
        None,
    )
    for side in (-1, 1):
        pen.oval(x + side * 7.4, y + 6, 2.1, 1.4, BLUSH, None)
    pen.shape([(x - 3.6, y + 7), (x, y + 8.6), (x + 3.6, y + 7)], None, closed=False)
    wear(pen, scene.worn, x, y + 1, y - 9, y + 13.5, pose.gaze, reach=8)


def pizza(pen, scene, coat, pose, boot):
    y = -4.0
    for place, swing in zip((-6, 6), pose.legs):
        leg(pen, place, 10, 26, swing * 0.7, shade((206, 146, 74), 0.9), boot, width=2.2)
    pen.turn(pose.tilt * 1.5, (0, y))
    pen.oval(0, y, 17.5, 16.5, shade((214, 150, 74), pose.shade))
    pen.oval(0, y, 14.4, 13.4, shade((255, 214, 92), pose.shade), None)
    for angle in np.arange(7) * 0.9 + 3 * pose.tail:
        pen.oval(10.4 * np.cos(angle), y + 9.6 * np.sin(angle), 2.7, 2.6, (206, 62, 48), None)
    pen.shape([(-3.4, y + 4.6), (0, y + 6.4), (3.4, y + 4.6)], None, closed=False)
    wear(pen, scene.worn, 0, y - 1, y - 14.5, y + 14, pose.gaze, reach=9)


def wear(pen, worn, x, eye, top, neck, gaze, reach):
    eyes(pen, x, eye, gaze, worn == "glasses")
    if worn == "a hat":
        hat(pen, x, top)
    elif worn == "mouse ears":
        mouse_ears(pen, x, top - 2, reach)
    elif worn == "a bow tie":
        bow_tie(pen, x, neck)


class Pose(NamedTuple):
    """What chance decides besides place and size: angles in radians, offsets in units, `shade` a factor."""

    tilt: float
    tail: float
    ears: float
    gaze: float
    shade: float
    legs: tuple


def render(scene, rng, size=SIZE, kinds=None):
    """The scene as a picture, uint8 `[size, size, 3]`, RGB; `rng`, a NumPy generator, decides place, size, pose and shade.

    kinds: for an animal, whose tail, ears and face it has, for example ("cat", "dog", "rabbit").
    """
    check(scene)
    low, high = np.array([(-0.13, 0.13), (-0.3, 0.3), (-0.12, 0.12), (-1, 1), (0.9, 1.06), *[(-2.2, 2.2)] * 4]).T
    chance = rng.uniform(low, high)
    pose = Pose(*chance[:5], tuple(chance[5:]))
    background, coat = (
        shade(PAINT[color], rng.uniform(0.92, 1.05)) for color in (scene.background, scene.coat or "brown")
    )
    pen = Pencil(size, background, rng.uniform(0.94, 1.08), rng.uniform((-2, 0), (2, 2.5)), rng.random() < 0.5)
    boot = {"red boots": RED, "yellow boots": SUN}.get(scene.worn)
    draw = {"boy": boy, "pizza": pizza}.get(scene.subject, functools.partial(animal, kinds=kinds))
    draw(pen, scene, coat, pose, boot)
    return np.asarray(pen.image.reduce(SHARPER))


def examples(n, seed=0, scenes=TRAINING):
    """n pictures of chance scenes, every subject equally often: uint8 `[n, 64, 64, 3]`, their captions and their scenes."""
    rng = np.random.default_rng(seed)
    by_subject = [[scene for scene in scenes if scene.subject == subject] for subject in SUBJECTS]
    groups = [group for group in by_subject if group]
    chosen = [group[rng.integers(len(group))] for group in (groups[rng.integers(len(groups))] for _ in range(n))]
    pictures = np.stack([render(scene, rng) for scene in chosen])
    return pictures, [caption(scene, rng) for scene in chosen], chosen


def shade(color, factor):
    return tuple(min(255, round(c * factor)) for c in color)


def blend(a, b, share):
    return tuple(round((1 - share) * p + share * q) for p, q in zip(a, b))
