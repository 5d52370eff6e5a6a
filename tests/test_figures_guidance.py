"""The figures of notebook 09: what is drawn is what was handed over, at the right place."""

import numpy as np
import torch
from torch.testing import assert_close

from course import toy_ddpm, viz
from course.figures import guidance


def xy(line):
    return torch.from_numpy(np.stack([np.asarray(line.get_xdata()), np.asarray(line.get_ydata())])).double()


def test_the_arrow_goes_beyond_the_plain_condition():
    ax = guidance.arrow(torch.tensor([0.4, 0.2]), torch.tensor([0.6, 0.5]), (0, 1, 3))
    points = next(line for line in ax.lines if line.get_marker() == "o")
    assert_close(xy(points).T, torch.tensor([[0.4, 0.2], [0.6, 0.5], [1.0, 1.1]]).double())
    x, y = xy(next(line for line in ax.lines if line.get_linestyle() == ":"))
    assert_close((y[1] - y[0]) / (x[1] - x[0]), torch.tensor(1.5).double())  # one straight line through all
    assert [text.get_text() for text in ax.texts if text.get_text().startswith("w")] == ["w = 0", "w = 1", "w = 3"]


def test_walks_stand_at_their_levels_over_the_band_of_the_class():
    schedule = toy_ddpm.linear()
    states = torch.arange(33).double()[None] / 33 + torch.zeros(201, 1)  # a walk that stands still
    states[-1] = 2
    ax = guidance.trajectories(schedule, states, shown=5, guided=(300, 700))
    assert ax.get_xlim() == (1000, 0)  # t falls to the right
    middle, *walks, mark = ax.lines
    assert len(walks) == 5 and tuple(mark.get_xdata()) == (300, 700)
    for line in walks:
        x, y = xy(line)
        assert_close(x[[0, 1, -1]], torch.tensor([1000.0, 995, 0]).double())
        assert y[-1] == 2 and (y[:-1] == y[0]).all()
    assert_close(xy(middle)[1], schedule.signal)
    band = ax.collections[0].get_paths()[0].vertices
    clean = band[np.isclose(band[:, 0], 0)][:, 1]
    assert abs(clean.min() - 0.5) < 1e-6 and abs(clean.max() - 1.5) < 1e-6


def test_the_truth_lies_behind_every_cloud():
    truth, drawn = torch.zeros(7, 2), torch.ones(5, 2)
    axes = guidance.clouds_over(truth, {"a": [drawn, 2 * drawn], "b": [drawn, drawn]}, ["w = 0", "w = 1"])
    assert axes.shape == (2, 2) and axes[0, 1].get_title() == "a, w = 1"
    for ax in axes.flat:
        behind, before = (c for c in ax.collections if len(c.get_offsets()))
        assert len(behind.get_offsets()) == 7 and len(before.get_offsets()) == 5
    assert_close(torch.from_numpy(np.asarray(axes[0, 1].collections[-1].get_offsets())).float(), 2 * drawn)


def test_curves_are_named_beside_their_first_points():
    ax = guidance.over_scale([1, 3, 5], {"a": [0.5, 9, 1], "b": [40, 2, 3]}, "distance", real=0.3, log=True)
    assert ax.get_yscale() == "log" and [t.get_text() for t in ax.texts] == ["a", "b"]
    assert [t.xy for t in ax.texts] == [(1, 0.5), (1, 40)]
    mark, one, _, real = ax.lines
    assert mark.get_xdata()[0] == 1 and real.get_ydata()[0] == 0.3 and real.get_color() == viz.TRUTH
    assert_close(xy(one)[1], torch.tensor([0.5, 9, 1]).double())
    assert not guidance.over_scale([1, 3], {"a": [1, 2]}, "share").texts


def test_of_a_file_of_results_the_longest_sweep_is_taken():
    def line(world, scale, value, prompts=200):
        numbers = dict.fromkeys(("prompt_accuracy", "frechet_distance", "diversity"), value)
        return {"scenes": world, "guidance_scale": scale, "prompts": prompts} | numbers

    worlds = ("held-out", "training", "dog with glasses")
    lines = [line(world, scale, scale + i) for i, world in enumerate(worlds) for scale in (5.0, 1.0)]
    lines += [line(world, 7.5, 99, prompts=500) for world in worlds] + [{"what": "clip"}]
    truth = {"what": "true renderings", "scenes": "held-out", "prompts": 200, "diversity": 1.2}
    scales, curves, true, count = guidance.by_world([*lines, truth | {"prompts": 500}, truth])
    assert scales == [1.0, 5.0] and count == 200 and true == truth
    assert curves["diversity"]["training"] == [2.0, 6.0] and list(curves["diversity"])[0] == "dog with glasses"
