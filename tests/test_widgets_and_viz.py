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


def test_images_that_are_there_need_no_function_to_draw_them():
    """Keys are the choices, in their order; the sentence may be a function or a dict with the same keys."""
    album = {(word, t): torch.full((2, 1, 4, 4), level) for word, t, level in
             [("cat", 1, -1.0), ("cat", 9, 0.0), ("dog", 1, 0.5), ("dog", 9, 1.0)]}  # fmt: skip
    explorer = widgets.Explorer.of_images(album, names=("word", "t"), say=lambda word, t: f"{word} at {t}", columns=1)
    assert explorer.choices == {"word": ["cat", "dog"], "t": [1, 9]} and len(set(explorer.pictures.values())) == 4
    assert explorer.select(word="dog", t=9) == "dog at 9"
    by_draw = widgets.Explorer(lambda t: viz.images(album["dog", t], 1), lambda t: "", t=[1, 9])
    assert explorer.pictures["dog", 9] == by_draw.pictures[9,]
    one = widgets.Explorer.of_images({t: album["cat", t] for t in (1, 9)}, "t", {1: "early", 9: "late"})
    assert one.select(t=9) == "late" and one.pictures[9,] != one.pictures[1,]


@pytest.mark.parametrize("keys, said", [
    ([("a", 1), ("b", 2)], "lacks 2 combinations of x, y, such as ..a., 2"), ([("a", 1), ("b",)], "2 values"), ([1], "2 values"), ([], "0 pictures"),
])  # fmt: skip
def test_albums_with_gaps_are_refused(keys, said):
    with pytest.raises(ValueError, match=said):
        widgets.Explorer.of_images({key: torch.zeros(1, 1, 4, 4) for key in keys}, ("x", "y"), lambda x, y: "")


def fails(*_, **__):
    raise RuntimeError("no <memory> left")


@pytest.mark.parametrize("draw, say, said", [
    (lambda a: fails() if a == 2 else viz.bars({"a": a}, "y"), lambda a: "fine", "that did not work: no &lt;memory&gt; left"),
    (lambda a: viz.bars({"a": a}, "y"), lambda a: fails() if a == 2 else "fine", "that did not work: no &lt;memory&gt; left"),
    (lambda a: viz.bars({"a": a}, "y") if a != 2 else None, lambda a: "fine", "Is there a `return`"),
    (lambda a: viz.bars({"a": a}, "y"), lambda a: None if a == 2 else "fine", "Is there a `return`"),
])  # fmt: skip
def test_explorer_says_on_the_page_what_went_wrong(draw, say, said, monkeypatch):
    """The other choices still work; from code and under the cell the error is raised."""
    shown = []
    monkeypatch.setattr(widgets, "display", shown.append)
    explorer = widgets.Explorer(draw, say, a=[1, 2, 3])
    assert explorer.select(a=3) == "fine" and bytes(explorer.picture.value).startswith(b"\x89PNG")
    explorer.sliders["a"].value = 2
    assert said in explorer.sentence.value and explorer.sentence.value.startswith("<p role='status'>")
    assert not explorer.picture.value
    with pytest.raises((RuntimeError, TypeError)):
        explorer.select(a=2)
    with pytest.raises((RuntimeError, TypeError)):
        explorer.show()
    assert shown == [explorer.box]


def test_sentences_are_text_not_html():
    explorer = widgets.Explorer(lambda w: viz.bars({"w": w}, "y"), lambda w: f"w < {w} & more", w=[3])
    assert explorer.sentence.value == "<p role='status'>w &lt; 3 &amp; more</p>" and explorer.select() == "w < 3 & more"


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


@pytest.mark.parametrize("x, said", [
    (torch.tensor([0.0, torch.nan]).view(2, 1, 1, 1), "NaN"), (torch.full((1, 3, 2, 2), torch.inf), "infinity"),
    (torch.zeros(3, 2, 2), r"got \[3, 2, 2\]$"), (torch.zeros(0, 3, 2, 2), "at least one"),
])  # fmt: skip
def test_what_is_no_picture_is_not_drawn(x, said):
    with pytest.raises(ValueError, match=said):
        viz.images(x)


def test_wrapped_breaks_between_words():
    assert viz.wrapped(["a dog with glasses"], 10) == ["a dog with\nglasses"]


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


@pytest.mark.parametrize("draw, say, said", [
    (fails, None, "that did not work: no &lt;memory&gt; left"),
    (lambda mask: None, None, "that did not work: draw returns a picture [1, 3, 8, 8]"),
    (lambda mask: mask, None, "that did not work: draw returns a picture [1, 3, 8, 8]"),
    (lambda mask: torch.full((1, 3, 8, 8), torch.nan), None, "without NaN"),
    (lambda mask: mask.expand(-1, 3, -1, -1), fails, "that did not work: no &lt;memory&gt; left"),
    (lambda mask: mask.expand(-1, 3, -1, -1), lambda mask: "one argument", "positional argument"),
])  # fmt: skip
def test_painter_says_on_the_page_what_went_wrong(draw, say, said):
    """Also where the button was pressed and nobody sees the error; from code it is raised."""
    p = widgets.MaskPainter(torch.zeros(1, 3, 8, 8), draw, say, cells=4)
    p.rectangle(1, 2, 1, 4)
    p.commands["draw it"].click()
    assert said in p.sentence.value and p.sentence.value.startswith("<p role='status'>")
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        p.draw()
    p.toggle(1, 1)
    assert "7 of 16 cells" in p.sentence.value  # it can go on


@pytest.mark.parametrize("picture, said", [
    (torch.zeros(2, 3, 8, 8), "one picture"), (torch.full((1, 3, 8, 8), torch.nan), "NaN"), (torch.zeros(3, 8, 8), "must be"),
    (torch.full((1, 3, 8, 8), 200.0), "127.5"), (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "float"),
])  # fmt: skip
def test_painter_refuses_what_is_no_picture(picture, said):
    with pytest.raises(ValueError, match=said):
        widgets.MaskPainter(picture, lambda mask: picture, cells=4)


def test_painter_says_what_is_no_mask():
    p = painter()
    assert "nothing is painted" in p.draw()
    p.rectangle(3, 2, 1, 1)
    assert "no rectangle inside 1 to 4" in p.sentence.value and not p.mask.any()
    with pytest.raises(ValueError, match="3 cells per side do not divide 8 x 8"):
        painter(cells=3)
