"""The judges and their figures, against hand-computed and outside values."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import linalg
from torch.testing import assert_close

from course import data, judges, metrics, pictures, toy_zoo, weights


def normal(n, d, mean=0.0, std=1.0, seed=0):
    return mean + std * torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_one_dimension_by_hand():
    a = normal(400_000, 1)
    assert_close(metrics.frechet_distance(a, normal(400_000, 1, mean=1.0, seed=1)), 1.0, atol=0.02, rtol=0)
    assert_close(metrics.frechet_distance(a, normal(400_000, 1, std=2.0, seed=2)), 1.0, atol=0.02, rtol=0)
    assert metrics.frechet_distance(a, a) < 1e-9


def test_matrix_root_against_scipy():
    mix_a, mix_b = normal(8, 8, seed=3), normal(8, 8, seed=4)
    a, b = normal(500, 8, seed=5) @ mix_a, normal(700, 8, mean=0.3, seed=6) @ mix_b
    cov_a, cov_b = np.cov(a.numpy().T), np.cov(b.numpy().T)
    root = linalg.sqrtm(cov_a @ cov_b).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum().item() + np.trace(cov_a + cov_b - 2 * root)
    assert_close(metrics.frechet_distance(a, b), float(expected), rtol=1e-8, atol=0)


@pytest.mark.parametrize("a, b, message", [
    (torch.zeros(3, 2), torch.zeros(3, 4), "needs"), (torch.zeros(1, 2), torch.zeros(3, 2), "needs"),
    (torch.full((3, 2), torch.nan), torch.zeros(3, 2), "NaN"),
])  # fmt: skip
def test_bad_features_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        metrics.frechet_distance(a, b)


def test_judge_reads_real_digits():
    test = data.digits(train=False, quiet=True)
    floor = 0.99 if test.is_mnist else 0.8
    assert metrics.accuracy(judges.load_digit_judge(), test.images, test.labels) > floor


def test_distance_rises_with_noise():
    judge, test = judges.load_digit_judge(), data.digits(train=False, quiet=True)
    half = len(test.images) // 2
    a, b = test.images[:half], test.images[half:]
    noise = torch.randn(b.shape, generator=torch.Generator().manual_seed(0))
    distances = [metrics.judged_distance(judge, a, (b + level * noise).clamp(-1, 1)) for level in (0, 0.3, 0.8)]
    assert distances == sorted(distances) and distances[2] > 3 * distances[0]


def renderings(scenes):
    return pictures.from_uint8(
        np.stack([toy_zoo.render(scene, np.random.default_rng(i)) for i, scene in enumerate(scenes)])
    )


def test_zoo_judge_reads_what_was_drawn_also_what_others_never_see():
    scenes = toy_zoo.HELD_OUT + toy_zoo.TRAINING[::8]
    seen = judges.load_zoo_judge().read(renderings(scenes))
    assert sum(a == b for a, b in zip(seen, scenes)) >= 0.995 * len(scenes)


def test_prompt_accuracy_counts_all_that_is_named_and_nothing_else():
    judge, x = judges.load_zoo_judge(), renderings([toy_zoo.Scene("dog", "brown", "blue", "glasses")])
    named = {
        "a dog": 1.0,
        "a dog with glasses on a blue background": 1.0,
        "a black dog with glasses": 0.0,
        "a cat": 0.0,
    }
    for prompt, share in named.items():
        assert metrics.prompt_accuracy(judge, x, [prompt]) == share, prompt
    assert metrics.prompt_accuracy(judge, x.repeat(4, 1, 1, 1), list(named)) == 0.5


@pytest.mark.parametrize("prompts", [["a giraffe"], [""], ["a dog", "a cat"]])
def test_prompts_that_cannot_be_judged_are_refused(prompts):
    with pytest.raises(ValueError, match="one prompt a picture that names something of Toy Zoo"):
        metrics.prompt_accuracy(judges.load_zoo_judge(), torch.zeros(1, 3, 64, 64), prompts)


def test_diversity_is_the_mean_distance_inside_the_groups_alone():
    judge = SimpleNamespace(features=lambda x: x)
    x, groups = torch.tensor([[0.0, 0.0], [3.0, 4.0], [100.0, 0.0], [100.0, 1.0]]), torch.tensor([0, 0, 1, 1])
    assert_close(metrics.diversity(judge, x, groups), 3.0)  # of 5 and 1
    with pytest.raises(ValueError, match="single picture"):
        metrics.diversity(judge, x, torch.arange(4))


def test_psnr_of_a_known_error():
    """Values span 2, so an error of 0.2 everywhere is a hundredth of the peak's square: 20 dB."""
    x = torch.zeros(2, 3, 4, 4)
    assert_close(metrics.psnr(x, x + 0.2), 20.0, atol=1e-4, rtol=0)


# ---------------------------------------------------------------- what real digits get


def made_digits(n=3000, seed=0):
    """Digits whose one feature is 10 times their label and a little chance; label 9 is rare."""
    labels = torch.cat([torch.arange(9).repeat(n // 9), torch.full((50,), 9)])
    noise = torch.randn(len(labels), generator=torch.Generator().manual_seed(seed))
    return data.Digits((10 * labels + noise)[:, None], labels, "made", False)


def test_real_distance_asks_for_the_same_labels():
    """Of labels 0 and 1 in equal parts the features have mean 5 and variance 26: Fréchet's formula in one dimension by hand."""
    judge, digits = SimpleNamespace(features=lambda x: x), made_digits()
    test = 100 + 2 * normal(200_000, 1).float()
    for labels, mean, variance in (
        (torch.arange(200) % 2, 5, 26),
        (torch.full((200,), 7), 70, 1),
        (torch.arange(4).repeat(50) % 4 // 3, 2.5, 19.75),
    ):
        by_hand = (mean - 100) ** 2 + (variance**0.5 - 2) ** 2
        got, spread = metrics.real_distance(judge, digits, labels, test)
        assert_close(got, float(by_hand), rtol=5e-3, atol=0)
        assert 0 < spread < 0.01 * by_hand


def test_real_distance_draws_other_digits_each_time_and_the_same_for_a_seed():
    judge, digits, labels = SimpleNamespace(features=lambda x: x), made_digits(), torch.arange(50) % 10
    test = normal(1000, 1).float()
    first, again, other = (metrics.real_distance(judge, digits, labels, test, seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    singles = [metrics.real_distance(judge, digits, labels, test, draws=draws)[0] for draws in (2, 3)]
    assert singles[0] != singles[1]
    with pytest.raises(ValueError, match="60 digits 9 are wanted, but there are 50"):
        metrics.real_distance(judge, digits, torch.full((60,), 9), test)
    with pytest.raises(ValueError, match="1 digits 12 are wanted, but there are 0"):
        metrics.real_distance(judge, digits, torch.tensor([12]), test)


def test_balanced_real_digits_are_nearer_than_a_chance_draw():
    """512 of MNIST's: 0.16 with ten equal classes, 0.26 by chance. With the latter for floor a ratio flatters by 1.6."""
    train, test = data.digits(quiet=True), data.digits(train=False, n=2000, quiet=True)
    if not train.is_mnist:
        pytest.skip("needs MNIST")
    judge, generator = judges.load_digit_judge(), torch.Generator().manual_seed(0)
    balanced, spread = metrics.real_distance(judge, train, torch.arange(512) % 10, test.images)
    reference, chance = metrics.in_batches(judge.features, test.images), []
    for _ in range(10):
        images = train.images[torch.randint(60_000, (512,), generator=generator)]
        chance.append(metrics.frechet_distance(metrics.in_batches(judge.features, images), reference))
    assert balanced + 2 * spread < sum(chance) / 10


# ---------------------------------------------------------------- bad input

WRONG = {
    "NaN": (lambda x: x * torch.nan, "NaN or infinity"),
    "one NaN": (lambda x: torch.cat([x[:-1], x[-1:] * torch.nan]), "NaN or infinity"),
    "infinity": (lambda x: x / 0, "NaN or infinity"),
    "0..1": (lambda x: (x + 1) / 2, "nothing is darker than middle grey"),
    "0..255": (lambda x: (x + 1) * 127.5, "/ 127.5 - 1"),
    "uint8": (lambda x: ((x + 1) * 127.5).byte(), "float tensor"),
    "no batch": (lambda x: x[0], "None"),
    "none": (lambda x: x[:0], "at least one"),
    "another size": (lambda x: x[..., ::2, ::2], "this judge reads"),
    "another number of channels": (lambda x: x[:, [0, 0]], "must be"),
}


@pytest.fixture(scope="module")
def zoo():
    return renderings(toy_zoo.TRAINING[:4])


@pytest.mark.parametrize("change, message", WRONG.values(), ids=WRONG)
def test_pictures_that_no_judge_can_read_are_named_before_they_are_judged(zoo, change, message):
    judge, wrong, groups = judges.load_zoo_judge(), change(zoo), torch.zeros(4, dtype=torch.long)
    prompts, groups = ["a brown dog on a blue background"] * len(wrong), groups[: len(wrong)]
    for call in (
        lambda: judge.read(wrong), lambda: metrics.prompt_accuracy(judge, wrong, prompts),
        lambda: metrics.judged_distance(judge, wrong, zoo), lambda: metrics.judged_distance(judge, zoo, wrong),
        lambda: metrics.diversity(judge, wrong, groups),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()
    if message != "this judge reads" and message != "must be":
        for pair in ((wrong, zoo), (zoo, wrong)):
            with pytest.raises(ValueError, match=message):
                metrics.psnr(*pair)


@pytest.mark.parametrize("change, message", WRONG.values(), ids=WRONG)
def test_digits_that_no_judge_can_read_are_named(change, message):
    judge, test = judges.load_digit_judge(), data.digits(train=False, n=20, quiet=True)
    wrong = change(test.images)
    with pytest.raises(ValueError, match=message):
        metrics.accuracy(judge, wrong, test.labels[: len(wrong)])
    with pytest.raises(ValueError, match=message):
        metrics.real_distance(judge, test, test.labels[:3], wrong)


def test_drawn_digits_may_overshoot():
    judge, test = judges.load_digit_judge(), data.digits(train=False, n=100, quiet=True)
    assert metrics.accuracy(judge, 1.5 * test.images, test.labels) > 0.7


def test_everything_has_its_partner(zoo):
    judge, digit_judge, test = (
        judges.load_zoo_judge(),
        judges.load_digit_judge(),
        data.digits(train=False, n=4, quiet=True),
    )
    for labels in (test.labels[:1], test.labels[:3], test.labels[None], test.labels[:, None]):
        with pytest.raises(ValueError, match="one label a digit"):
            metrics.accuracy(digit_judge, test.images, labels)
        with pytest.raises(ValueError, match="one group a picture"):
            metrics.diversity(judge, zoo, labels)
    with pytest.raises(ValueError, match="one shape"):
        metrics.psnr(zoo, zoo[:1])
    with pytest.raises(ValueError, match="one prompt a picture that names something of Toy Zoo.* '.*' for 4 pictures"):
        metrics.prompt_accuracy(judge, zoo, "a dog")
    assert metrics.prompt_accuracy(judge, renderings([toy_zoo.Scene("dog", "brown", "blue", "nothing")]), "a dog") == 1


def test_stand_ins_are_asked_for_numbers_alone():
    judge, x = SimpleNamespace(features=lambda x: x), torch.tensor([[0.0, 300.0], [1.0, 2.0]])
    assert metrics.judged_distance(judge, x, x) < 1e-6 * 300**2
    for wrong in (x * torch.nan, x / 0):
        with pytest.raises(ValueError, match="pictures hold NaN or infinity"):
            metrics.judged_distance(judge, x, wrong)
        with pytest.raises(ValueError, match="pictures hold NaN or infinity"):
            metrics.diversity(judge, wrong, torch.zeros(2))


def test_equal_pictures_have_no_noise(zoo):
    assert metrics.psnr(zoo, zoo) == torch.inf


# ---------------------------------------------------------------- films


def square_film(lefts, size=4, wide=16):
    """A white square on grey, its left edge at these pixels: one film `[1, F, 3, wide, wide]`."""
    film = torch.zeros(1, len(lefts), 3, wide, wide)
    for f, left in enumerate(lefts):
        film[0, f, :, 6 : 6 + size, left : left + size] = 1
    return film


def test_flicker_and_centres_of_a_square_by_hand():
    film = square_film([3, 4, 6])
    assert_close(metrics.centres(film), torch.tensor([[5.0, 6.0, 8.0]]))
    moved = (2 * 4 * 1 + 2 * 4 * 2) / 2 / 16**2  # two edges of 4 pixels, moved by 1, then by 2
    assert_close(metrics.flicker(film), moved)
    assert metrics.flicker(film[:, :1].expand(-1, 3, -1, -1, -1)) == 0


def test_paths_count_towards_the_head_and_a_mirrored_film_has_the_same():
    rng = np.random.default_rng(1)
    scenes = [toy_zoo.Scene(kind, "grey", "pink", "nothing") for kind in toy_zoo.ANIMALS for _ in range(6)]
    films = torch.stack([pictures.from_uint8(toy_zoo.walk(scene, rng)) for scene in scenes])
    path = metrics.paths(films)
    assert (path.diff(dim=1) > -0.05).all() and (path[:, -1] - path[:, 0] > 7).all()
    assert_close(path.sum(1), torch.zeros(24), rtol=0, atol=1e-3)
    assert torch.equal(metrics.headings(films.flip(-1)), -metrics.headings(films))
    assert_close(metrics.paths(films.flip(-1)), path, rtol=0, atol=1e-3)
    assert (metrics.paths(films.flip(1))[:, -1] < 0).all()  # backwards


def test_films_as_asked_counts_frames_and_whole_films():
    rng = np.random.default_rng(2)
    scenes = [toy_zoo.Scene("dog", "brown", wall, "a hat") for wall in ("pink", "blue")]
    films = torch.stack([pictures.from_uint8(toy_zoo.walk(scene, rng)) for scene in scenes])
    films[1, 0] = films[0, 0]
    prompts = ["a dog with a hat in front of a pink wall", "a brown dog on a blue background"]
    assert metrics.films_as_asked(judges.load_zoo_judge(), films, prompts) == (15 / 16, 0.5)


@pytest.mark.parametrize("films", [
    torch.zeros(8, 3, 4, 4), torch.zeros(1, 1, 3, 4, 4), torch.zeros(1, 8, 1, 4, 4), torch.full((1, 2, 3, 4, 4), torch.nan)
])  # fmt: skip
def test_what_is_no_film_is_refused(films):
    for measure in (metrics.flicker, metrics.centres, metrics.headings, metrics.paths):
        with pytest.raises(ValueError, match=r"films are finite, \[B, F, 3, H, W\] with F at least 2; got"):
            measure(films)


@pytest.mark.parametrize(
    "name, shape", [("digit-judge", (1, 28, 28)), ("zoo-judge", (3, 64, 64)), ("sound-judge", (1, 2048))]
)
def test_a_judge_takes_what_was_drawn_on_another_device(name, shape):
    """The `meta` device stands for the other one: layers raise where input and weights lie apart."""
    answer = weights.load(name).to("meta")(torch.zeros(1, *shape))
    assert all(logits.is_meta for logits in (answer.values() if isinstance(answer, dict) else [answer]))
