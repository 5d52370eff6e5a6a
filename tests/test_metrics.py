"""The judges and their figures, against hand-computed and outside values."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import linalg
from torch.testing import assert_close

from course import data, metrics, toy_zoo, train_zoo


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
    floor = 0.99 if "MNIST" in test.source.split("(")[0] else 0.8
    assert metrics.accuracy(metrics.load_judge(), test.images, test.labels) > floor


def test_distance_rises_with_noise():
    judge, test = metrics.load_judge(), data.digits(train=False, quiet=True)
    half = len(test.images) // 2
    a, b = test.images[:half], test.images[half:]
    noise = torch.randn(b.shape, generator=torch.Generator().manual_seed(0))
    distances = [metrics.judged_distance(judge, a, (b + level * noise).clamp(-1, 1)) for level in (0, 0.3, 0.8)]
    assert distances == sorted(distances) and distances[2] > 3 * distances[0]


def renderings(scenes):
    return train_zoo.pixels(
        np.stack([toy_zoo.render(scene, np.random.default_rng(i)) for i, scene in enumerate(scenes)])
    )


def test_zoo_judge_reads_what_was_drawn_also_what_others_never_see():
    scenes = toy_zoo.HELD_OUT + toy_zoo.TRAINING[::8]
    seen = metrics.load_zoo_judge().read(renderings(scenes))
    assert sum(a == b for a, b in zip(seen, scenes)) >= 0.995 * len(scenes)


def test_prompt_accuracy_counts_all_that_is_named_and_nothing_else():
    judge, x = metrics.load_zoo_judge(), renderings([toy_zoo.Scene("dog", "brown", "blue", "glasses")])
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
        metrics.prompt_accuracy(metrics.load_zoo_judge(), torch.zeros(1, 3, 64, 64), prompts)


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
