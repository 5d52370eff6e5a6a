"""Toy Zoo: a small world of captioned pictures, drawn as many as one asks for.

A `Scene` names a subject, its coat, the background and the thing worn; `render` draws it with chance
in place, size, pose and shade, `caption` says it in plain English, `parse` reads that back. About a
tenth of all scenes is held out of training, every dog with glasses among them.

Left out: more than one figure in a picture, perspective, light.
"""

import itertools
from typing import NamedTuple

import numpy as np

from course.toy_zoo import draw, gait

ANIMALS = ("dog", "cat", "mouse", "rabbit")
SUBJECTS = (*ANIMALS, "boy", "pizza")
COATS = ("brown", "black", "grey", "white", "orange")
BACKGROUNDS = ("blue", "green", "yellow", "pink", "purple")
WORN = ("nothing", "glasses", "a hat", "a bow tie", "mouse ears", "red boots", "yellow boots")
ATTRIBUTES = {"subject": SUBJECTS, "coat": COATS, "background": BACKGROUNDS, "worn": WORN}

SIZE = 64  # pixels per side of the pictures that the course's models are trained on


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


DOGS_WITH_GLASSES = [scene for scene in all_scenes() if (scene.subject, scene.worn) == ("dog", "glasses")]


def held_out(scene):
    """Whether no training picture shows this scene: each dog with glasses, and one in thirteen of the others."""
    if scene in DOGS_WITH_GLASSES:
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


class _Script:
    """A source of chance that says what is written: the yes or no of each `random`, and the place of each `choice`."""

    def __init__(self, answers, places, start):
        self.answers, self.places, self.start = iter(answers), iter(places), start

    def random(self):
        return 1 - next(self.answers)

    def choice(self, options):
        return options[self.start if len(options) > 2 else next(self.places)]


def every_caption(scenes):
    """The set of all captions that `caption` may write of these scenes."""
    yes_no = [list(itertools.product((0, 1), repeat=n)) for n in (4, 2)]
    scripts = list(itertools.product(*yes_no, (0, 3, 4)))  # no start, "a picture of", "a drawing of"
    return {caption(scene, _Script(*script)) for scene in scenes for script in scripts}


def parse(text):
    """The attributes that a caption names, as a dict without what it leaves unsaid; unknown words are passed over."""
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


def render(scene, rng, size=SIZE, kinds=None):
    """The scene as a picture, uint8 `[size, size, 3]`, RGB; `rng`, a NumPy generator, decides place, pose and shade.

    size: pixels per side. kinds: for an animal, whose tail, ears and face it has, for example ("cat", "dog", "rabbit").
    Raises ValueError if the scene is none of this world's.
    """
    check(scene)
    return draw.draw(scene, rng, size, kinds)


def walk(scene, rng, frames=8, size=SIZE):
    """The scene's animal on its way across the picture, uint8 `[frames, size, size, 3]`; `rng` decides as in `render`.

    One chance for all frames, which therefore differ in the place of the figure, its legs, tail and head alone.
    Raises ValueError if the scene is none of this world's or shows no animal, and on fewer than one frame.
    """
    check(scene)
    if scene.subject not in ANIMALS or frames < 1:
        raise ValueError(f"{', '.join(ANIMALS)} walk, in at least one frame; got {scene.subject!r} in {frames}")
    return gait.walk(scene, rng, frames, size)


def examples(n, seed=0, scenes=TRAINING):
    """n pictures of chance scenes, every subject equally often: uint8 `[n, 64, 64, 3]`, their captions and scenes."""
    rng = np.random.default_rng(seed)
    by_subject = [[scene for scene in scenes if scene.subject == subject] for subject in SUBJECTS]
    groups = [group for group in by_subject if group]
    chosen = [group[rng.integers(len(group))] for group in (groups[rng.integers(len(groups))] for _ in range(n))]
    pictures = np.stack([render(scene, rng) for scene in chosen])
    return pictures, [caption(scene, rng) for scene in chosen], chosen
