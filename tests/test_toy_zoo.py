"""Toy Zoo: the same seed draws the same picture, captions mean what they say, nothing held out is ever trained on."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from course import toy_zoo
from course.toy_zoo import HELD_OUT, TRAINING, Scene, all_scenes, caption, parse, render


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_world_is_counted():
    """Five subjects with a coat (5 coats, 5 backgrounds, 7 things worn) and the pizza without."""
    assert len(all_scenes()) == len(set(all_scenes())) == 5 * 5 * 5 * 7 + 5 * 7
    assert sorted([*TRAINING, *HELD_OUT], key=str) == sorted(all_scenes(), key=str)


def test_a_tenth_is_held_out_and_every_dog_with_glasses():
    assert 0.08 <= len(HELD_OUT) / len(all_scenes()) <= 0.12
    dogs = [s for s in all_scenes() if s.subject == "dog" and s.worn == "glasses"]
    assert len(dogs) == 25 and set(dogs) <= set(HELD_OUT) and dogs == toy_zoo.DOGS_WITH_GLASSES


def test_what_is_held_out_can_be_put_together_from_training_scenes():
    """Every value, and every pair of values but dog and glasses, stands in some training scene."""
    for i, j in itertools.combinations(range(4), 2):
        everywhere, trained = ({(s[i], s[j]) for s in scenes} for scenes in (all_scenes(), TRAINING))
        assert everywhere - trained == ({("dog", "glasses")} if (i, j) == (0, 3) else set())


def test_the_same_seed_draws_the_same_and_another_does_not():
    scene = TRAINING[0]
    assert_array_equal(render(scene, rng(1)), render(scene, rng(1)))
    assert (render(scene, rng(1)) != render(scene, rng(2))).mean() > 0.1
    a, b = toy_zoo.examples(20, seed=3), toy_zoo.examples(20, seed=3)
    assert_array_equal(a[0], b[0])
    assert a[1:] == b[1:]


@pytest.mark.parametrize("kind", ["dog", "cat", "mouse", "rabbit"])
def test_an_animal_of_parts_is_drawn_with_those_parts(kind):
    """All three parts of one animal are that animal; another's ears, face or tail show."""
    cat = Scene("cat", "grey", "blue", "a hat")
    whole = render(cat, rng(5), kinds=(kind, kind, kind))
    assert_array_equal(whole, render(cat._replace(subject=kind), rng(5)))
    other = "dog" if kind == "rabbit" else "rabbit"
    for parts in ((other, kind, kind), (kind, other, kind), (kind, kind, other)):
        assert (render(cat, rng(5), kinds=parts) != whole).any()


def test_an_animal_walks_head_first_in_one_coat_before_one_wall():
    """Only the figure moves: corners keep their colour in all frames; drawn with the same chance, it is a mirror of itself."""
    for seed in range(8):
        film = toy_zoo.walk(Scene("dog", "brown", "blue", "nothing"), rng(seed)).astype(int)
        assert film.shape == (8, 64, 64, 3) and len({tuple(frame[0, 0]) for frame in film}) == 1
        figure = np.abs(film - film[:, :1, :1]).sum(3) > 90  # [F, H, W]
        middle = [np.nonzero(frame)[1].mean() for frame in figure]
        ears, legs = (np.nonzero(figure[0, rows])[1].mean() for rows in (slice(0, 24), slice(46, 64)))
        assert (np.diff(middle) * np.sign(ears - legs) > 0.2).all()
        assert 8 < abs(middle[-1] - middle[0]) < 11


def test_a_walk_takes_its_chance_as_a_picture_does():
    """Background and coat are those of the picture that `render` makes of the same seed, and it leaves `rng` where that does."""
    scene, one, other = Scene("cat", "grey", "pink", "a hat"), rng(4), rng(4)
    film, picture = toy_zoo.walk(scene, one, frames=3), render(scene, other)
    assert_array_equal(film[:, 0, 0], np.tile(picture[0, 0], (3, 1)))
    assert one.random() == other.random()


@pytest.mark.parametrize("scene, frames", [(Scene("pizza", None, "blue", "a hat"), 8), (TRAINING[0], 0)])
def test_what_does_not_walk_is_refused(scene, frames):
    with pytest.raises(ValueError, match="dog, cat, mouse, rabbit walk, in at least one frame; got"):
        toy_zoo.walk(scene, rng(), frames)


@pytest.mark.parametrize("size", [32, 64, 96, 128])
def test_pictures_have_the_size_asked_for(size):
    picture = render(TRAINING[5], rng(), size)
    assert picture.shape == (size, size, 3) and picture.dtype == np.uint8


def test_every_scene_can_be_drawn_and_hardly_anything_leaves_the_picture():
    """Of the 256 pixels of the rim less than one is inked on average, and never a tenth: an ear or a tail at most."""
    inked = []
    for i, scene in enumerate(all_scenes()):
        picture = render(scene, rng(i)).astype(int)
        rim = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        inked.append((rim.sum(1) < 200).sum())
    assert np.mean(inked) < 1 and max(inked) < 25


def test_examples_come_from_their_scenes_alone_and_every_subject_equally():
    _, captions, scenes = toy_zoo.examples(1200, seed=4)
    assert not [scene for scene in scenes if toy_zoo.held_out(scene)]
    counts = [sum(scene.subject == subject for scene in scenes) for subject in toy_zoo.SUBJECTS]
    assert min(counts) > 150 and max(counts) < 250
    assert not [text for text in captions if "dog" in text and "glasses" in text]


@pytest.mark.parametrize("everything", [True, False])
def test_captions_parse_back(everything):
    for i, scene in enumerate(all_scenes() * 3):
        text = caption(scene, rng(i), everything)
        named = parse(text)
        assert all(getattr(scene, name) == value for name, value in named.items()), text
        if everything:
            assert named == {name: value for name, value in scene._asdict().items() if value}, text


def test_captions_leave_things_unsaid_and_vary():
    texts = {caption(TRAINING[10], rng(i)) for i in range(300)}
    assert len(texts) > 40
    assert len({frozenset(parse(text)) for text in texts}) > 8


def test_english():
    texts = [caption(scene, rng(i)) for i, scene in enumerate(all_scenes())]
    assert not [text for text in texts if "a orange" in text or "  " in text]
    assert "a dog with glasses" in {caption(Scene("dog", "brown", "blue", "glasses"), rng(i)) for i in range(100)}


@pytest.mark.parametrize(
    "text, named",
    [
        ("a dog with glasses", {"subject": "dog", "worn": "glasses"}),
        ("A BROWN DOG wearing glasses on a blue background.",
         {"subject": "dog", "coat": "brown", "background": "blue", "worn": "glasses"}),
        ("a boy with mouse ears", {"subject": "boy", "worn": "mouse ears"}),
        ("a mouse with a bow tie", {"subject": "mouse", "worn": "a bow tie"}),
        ("a pizza in front of a yellow wall", {"subject": "pizza", "background": "yellow"}),
        ("a cat with yellow boots", {"subject": "cat", "worn": "yellow boots"}),
        ("a giraffe", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_parse_reads_what_people_write(text, named):
    assert parse(text) == named


@pytest.mark.parametrize(
    "scene, said",
    [
        (Scene("dragon", "brown", "blue", "nothing"), "subject is 'dragon'; allowed: dog, cat"),
        (Scene("dog", None, "blue", "nothing"), "coat is None; allowed: brown"),
        (Scene("pizza", "brown", "blue", "nothing"), "None for a pizza"),
        (Scene("dog", "brown", "blue", "hat"), "worn is 'hat'; allowed: nothing, glasses, a hat"),
    ],
)
def test_scenes_of_another_world_are_refused(scene, said):
    with pytest.raises(ValueError, match=said):
        render(scene, rng())
