"""The figures of notebook 11: what is pale is what is drawn anew, and lines lie where the mask begins."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from course import viz
from course.figures import editing


def test_cells_are_pale_where_the_mask_is_one_and_the_grid_lies_between_cells():
    mask = torch.zeros(1, 1, 16, 24)
    mask[..., 8:, 16:] = 1
    ax = editing.cells(torch.zeros(1, 3, 16, 24), mask, 8)
    pale = np.asarray(ax.images[1].get_array())
    assert_close(torch.from_numpy(pale[..., 3] > 0), mask[0, 0] > 0)
    assert ax.images[1].get_extent() == [0.5, 24.5, 16.5, 0.5]  # the picture's own place on its sheet
    columns, rows = ([segment[0] for segment in lines.get_segments()] for lines in ax.collections)
    assert [x for x, _ in columns] == [0.5, 8.5, 16.5, 24.5] and [y for _, y in rows] == [0.5, 8.5, 16.5]
    viz.plt.close(ax.figure)


def test_blocks_are_cells_of_pixels():
    small = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]])
    wide = editing.blocks(small, 8)
    assert wide.shape == (1, 1, 16, 16)
    assert_close(torch.nn.functional.avg_pool2d(wide, 8), small)


def test_walks_have_a_row_for_each_name_and_a_line_at_the_mask():
    states = {"clean": [torch.full((1, 1, 4, 4), v) for v in (-2.5, 2.5)], "noised": [torch.zeros(1, 1, 4, 4)] * 2}
    ax = editing.walks(states, [1000, 0], 2)
    sheet = np.asarray(ax.images[0].get_array())
    assert sheet[1, 1] == 0 and sheet[1, 7] == 1 and sheet[7, 1] == 0.5
    assert [line.get_ydata()[0] for line in ax.lines] == [2.5, 8.5]
    viz.plt.close(ax.figure)


def test_a_slice_holds_the_pairs_in_the_strip_alone():
    points = torch.tensor([[1.5, 0.0], [1.55, 1.0], [1.7, 2.0], [-1.5, 3.0]])
    axes = editing.slice_of_a_cloud(points, 1.5, 0.2, lambda x: 0 * x)
    assert "2 pairs" in axes[1].get_title()
    viz.plt.close(axes[0].figure)


def test_seams_tell_rulers_from_ways():
    rows = [{"how": "real", "seam": 0.1, "read": 1.0}]
    rows += [{"how": how, "seam": 0.2, "read": 0.5, "seed": seed} for how in ("end", "clean") for seed in (0, 1)]
    axes = editing.seams(rows)
    assert [text.get_text() for text in axes[0].get_yticklabels()] == ["clean", "end"]
    assert list(editing.by_way(rows)) == ["real", "end", "clean"] and len(editing.by_way(rows)["end"]) == 2
    viz.plt.close(axes[0].figure)


def test_photographs_are_square_pictures():
    x = editing.photographs(["china.jpg", "flower.jpg"], 32)
    assert x.shape == (2, 3, 32, 32) and x.abs().max() <= 1 and x[0].std() > 0.1


def test_what_was_not_measured_is_said():
    with pytest.raises(ValueError, match="nothing was measured of 'tea'"):
        editing.measured("tea")
