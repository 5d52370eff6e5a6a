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


def painter(cells=4):
    """On a picture of 8 x 8 that is to turn white where painted."""
    return widgets.MaskPainter(torch.zeros(1, 3, 8, 8), lambda mask: mask.expand(-1, 3, -1, -1), cells=cells)


def test_painted_cells_become_the_mask_and_clear_wipes_them():
    p = painter()
    p.rectangle(3, 4, 1, 2)
    p.toggle(1, 4)
    wanted = torch.zeros(1, 1, 8, 8)
    wanted[..., 4:, :4] = wanted[..., :2, 6:] = 1
    torch.testing.assert_close(p.mask, wanted)
    p.toggle(1, 4)
    assert p.painted.sum() == 4 and "4 of 16 cells" in p.sentence.value
    p.clear()
    assert not p.mask.any() and all(button.description == " " for row in p.buttons for button in row)


def test_painting_by_mouse_and_by_numbers_is_the_same():
    clicked, typed = painter(), painter()
    for row in (2, 3):
        for column in (1, 2):
            clicked.buttons[row - 1][column - 1].click()
    for edge, value in zip(("top", "bottom", "left", "right"), (2, 3, 1, 2)):
        typed.edges[edge].value = value
    typed.commands["paint rectangle"].click()
    assert torch.equal(clicked.mask, typed.mask) and clicked.mask.sum() == 16
    assert clicked.buttons[1][0].description == "×" and "row 2, column 1: draw anew" in clicked.buttons[1][0].tooltip
    typed.commands["clear"].click()
    assert not typed.mask.any()


def test_painter_draws_only_when_asked_and_shows_the_result():
    p = painter()
    p.rectangle(1, 2, 1, 4)
    before = p.picture.value
    p.commands["draw it"].click()
    assert p.picture.value != before and bytes(p.picture.value).startswith(b"\x89PNG")
    assert p.draw() == "50% of the picture was drawn anew." and "role='status'" in p.sentence.value


def test_painter_says_what_went_wrong():
    def fails(mask):
        raise RuntimeError("out of memory")

    p = painter()
    p.make = fails
    p.rectangle(1, 2, 1, 4)
    with pytest.raises(RuntimeError):
        p.draw()
    assert "that did not work: out of memory" in p.sentence.value


def test_painter_says_what_is_no_mask():
    p = painter()
    assert "nothing is painted" in p.draw()
    p.rectangle(3, 2, 1, 1)
    assert "no rectangle inside 1 to 4" in p.sentence.value and not p.mask.any()
    with pytest.raises(ValueError, match="3 cells a side do not divide 8 x 8"):
        painter(cells=3)
