"""Explorers move and say what they show; figures carry the text that a screen reader speaks."""

import pytest
import torch

from course import viz, widgets


def make():
    return widgets.Explorer(
        lambda a, b: viz.bars({"sum": a + b}, "value"), lambda a, b: f"{a} + {b} = {a + b}", a=[1, 2, 3], b=[10, 20]
    )


def test_slider_changes_picture_and_sentence():
    explorer = make()
    before = explorer.picture.value
    assert explorer.sentence.value == "<p role='status'>1 + 10 = 11</p>"
    explorer.sliders["a"].value = 3
    assert explorer.picture.value != before and bytes(explorer.picture.value).startswith(b"\x89PNG")
    assert "3 + 10 = 13" in explorer.sentence.value


def test_select_moves_the_sliders():
    explorer = make()
    assert explorer.select(a=2, b=20) == "2 + 20 = 22"
    assert explorer.sliders["b"].value == 20 and "22" in explorer.sentence.value


@pytest.mark.parametrize("choice", [dict(a=4), dict(c=1)])
def test_impossible_choice_names_the_possible_ones(choice):
    with pytest.raises(ValueError, match=r"\[1, 2, 3\]"):
        make().select(**choice)


def test_explorers_need_something_to_show():
    with pytest.raises(ValueError, match="1 to 200"):
        widgets.Explorer(lambda a: None, lambda a: "", a=[])


def test_figures_carry_alt_text(monkeypatch):
    shown = []
    monkeypatch.setattr(viz, "display", lambda *args, **kwargs: shown.append((*args, kwargs)))
    viz.show(viz.lines([1, 2], {"y": [1, 2]}, "x", "y"), "a line that rises")
    ((data, kwargs),) = shown
    assert data["image/png"].startswith(b"\x89PNG")
    assert kwargs["metadata"]["image/png"]["alt"] == "a line that rises"
    with pytest.raises(ValueError, match="alt is empty"):
        viz.show(viz.bars({"a": 1}, "y"), " ")


def test_sheet_keeps_order_place_and_values():
    x = torch.stack([torch.full((1, 4, 4), v) for v in (-1.0, 0.0, 1.0)])
    sheet = viz.images(x, columns=2).images[0].get_array()
    assert sheet.shape == (12, 12)
    assert [sheet[3, 3], sheet[3, 9], sheet[9, 3]] == [0.0, 0.5, 1.0]
    viz.plt.close("all")


def test_lit_keeps_the_brightest_cell_and_darkens_the_others():
    cells, white = torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.ones(3, 2, 2)
    torch.testing.assert_close(viz.lit(white, cells)[0], 2 * (0.15 + 0.85 * cells / 3) - 1)
    assert viz.lit(white, torch.ones(2, 2)).isfinite().all()


def test_wrapped_breaks_between_words():
    assert viz.wrapped(["a dog with glasses"], 10) == ["a dog with\nglasses"]


def test_numerals_draws_every_point_once():
    ax = viz.numerals(torch.arange(8.0).view(4, 2), torch.tensor([3, 3, 9, 0]))
    drawn = sorted(tuple(p) for group in ax.collections for p in group.get_offsets().tolist())
    assert drawn == [(0.0, 1.0), (2.0, 3.0), (4.0, 5.0), (6.0, 7.0)]
