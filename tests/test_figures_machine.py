"""The map and the film of notebook 10, and the sheets of drawn pictures: what is drawn is what was handed over."""

import numpy as np
import pytest
import torch
from matplotlib.colors import same_color
from matplotlib.patches import FancyBboxPatch

from course import viz, widgets
from course.figures import gallery, machine


def randn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


TENSORS = {"prompt": "a dog", "ids": torch.tensor([[7, 8, 9, 9]]), "c": randn(1, 4, 6), "z_T": randn(1, 4, 8, 8),
           "z_t": randn(1, 4, 8, 8), "eps_hat": randn(1, 4, 8, 8), "picture": randn(1, 3, 64, 64)}  # fmt: skip


def words(ax):
    return "\n".join(text.get_text() for text in ax.texts)


def test_the_map_fills_up_and_colours_what_is_live():
    for names in ([], ["c"], ["c", "z_T", "picture"], list(TENSORS)):
        ax = machine.draw_map({name: TENSORS[name] for name in names}, live=["U-Net"])
        assert len(ax.images) == len(set(names) - {"prompt", "ids"})
        boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
        coloured = [same_color(box.get_facecolor(), viz.PREDICTION) for box in boxes]
        assert len(boxes) == 5 and sum(coloured) == 1
        viz.plt.close(ax.figure)
    assert "4 x 6" in words(ax) and "3 x 64 x 64" in words(ax) and "7, 8, 9" in words(ax) and '"a dog"' in words(ax)
    with pytest.raises(ValueError, match="no encoder"):
        machine.draw_map({}, live=["encoder"])
    with pytest.raises(ValueError, match="no z_0"):
        machine.draw_map({"z_0": randn(1, 4, 8, 8)})


def test_thumbnails_hold_the_tensor_in_false_colours():
    ax = machine.draw_map({"z_T": TENSORS["z_T"]})
    shown = np.asarray(ax.images[0].get_array())
    want = (TENSORS["z_T"][0, :3] / machine.LATENT).clamp(-1, 1).permute(1, 2, 0) / 2 + 0.5
    np.testing.assert_allclose(shown, want.numpy(), atol=1e-6)


def frame(t):
    return {"t": t, "state": randn(1, 3, 16, 16).clamp(-1, 1), "estimate": -randn(1, 3, 16, 16).clamp(-1, 1),
            "eps_u": randn(1, 4, 2, 2), "eps_c": randn(1, 4, 2, 2) + 0.1}  # fmt: skip


def test_the_film_has_a_column_per_level_and_its_difference_is_louder():
    ax = machine.film([frame(962), frame(2)])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["t = 962", "t = 2"]
    sheet = np.asarray(ax.images[0].get_array())
    assert sheet.shape[:2] == (5 * 18, 2 * 18)
    assert abs(sheet[3 * 18 + 5, 5, 0] - (0.1 / 0.25 / 2 + 0.5)) < 1e-6  # 0.1 of 0.25, not of 2.5
    row = np.asarray(machine.moment(frame(962)).images[0].get_array())
    np.testing.assert_allclose(row[:, :18], sheet[:18, :18])
    np.testing.assert_allclose(row[:, 3 * 18 : 4 * 18], sheet[3 * 18 : 4 * 18, :18])


def test_the_map_over_a_picture_has_its_own_cells():
    ax = machine.over_grey(randn(3, 16, 16), torch.tensor([[0.0, 1.0], [2.0, 4.0]]))
    grey, cells = ax.images
    assert cells.get_array().shape == (2, 2) and cells.get_clim() == (0, 4)
    assert list(grey.get_extent()) == list(cells.get_extent())


def test_large_pictures_are_large_smooth_and_in_full_colour(monkeypatch):
    said = []
    monkeypatch.setattr(viz, "display", lambda data, **more: said.append((data, more["metadata"])))
    small = gallery.sheet(randn(4, 3, 64, 64), 4)
    assert small.images[0].get_interpolation() == "nearest"
    viz.show(small, "four")
    large = gallery.sheet(randn(2, 3, 256, 256), 2, ["a", "b"])
    large.figure.draw_without_rendering()
    box = large.get_window_extent()
    assert large.images[0].get_interpolation() == "antialiased" and box.width / 2 > 250  # CSS pixels of each picture
    viz.show(large, "two")
    (four, _), (two, look) = said
    assert four["image/png"][:4] == b"\x89PNG" and "image/png" not in two
    assert two["image/jpeg"][:2] == b"\xff\xd8" and look["image/jpeg"]["alt"] == "two"
    assert abs(look["image/jpeg"]["width"] - 96 * large.figure.get_figwidth()) < 1


def test_the_film_of_large_pictures_and_what_widgets_show_of_them_is_smooth():
    large = {name: randn(1, 3, 256, 256) for name in ("state", "estimate")}
    large |= {"t": 500, "eps_u": randn(1, 4, 32, 32), "eps_c": randn(1, 4, 32, 32)}
    for ax in (machine.film([large, large]), machine.moment(large)):
        assert ax.images[0].get_interpolation() == "antialiased" and viz.form(viz.encoded(ax.figure)) == "jpeg"
    explorer = widgets.Explorer(lambda t: machine.moment(large | {"t": t}), lambda t: "one", t=[500])
    painter = widgets.MaskPainter(large["state"].clamp(-1, 1), lambda mask: mask)
    for picture in (explorer.picture, painter.picture):
        assert picture.format == viz.form(picture.value) == "jpeg"
        assert picture.width == str(viz.width(picture.value))
