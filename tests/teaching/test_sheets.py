"""The sheets are one A4 page each, large enough to read, and say what the notebooks say."""

import re
import sys

import pytest

pytest.importorskip("nbconvert")
pypdf = pytest.importorskip("pypdf")
pytest.importorskip("sphinxcontrib.katex")
sync_api = pytest.importorskip("playwright.sync_api")
from notebook_files import NOTEBOOKS, ROOT, source  # noqa: E402

sys.path.append(str(ROOT / "tools"))
import make_sheets  # noqa: E402
import plans  # noqa: E402

NAMES = [path.stem for path in make_sheets.SOURCES]
SMALLEST = """() => {
  const sizes = [];
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode())
    if (walker.currentNode.data.trim() && !walker.currentNode.parentElement.closest(".katex"))
      sizes.push(parseFloat(getComputedStyle(walker.currentNode.parentElement).fontSize) * 0.75);
  return Math.min(...sizes);
}"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The folder with both sheets, and what their pages asked for from elsewhere."""
    folder = tmp_path_factory.mktemp("sheets")
    make_sheets.OUT, before = folder, make_sheets.OUT
    make_sheets.main()
    make_sheets.OUT = before
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_one_page_of_a4(printed, name):
    pages = pypdf.PdfReader(printed / f"{name}.pdf").pages
    assert len(pages) == 1
    width, height = (float(side) / 72 * 25.4 for side in pages[0].mediabox[2:])
    assert (round(width), round(height)) == (210, 297)


@pytest.mark.parametrize("name", NAMES)
def test_text_is_large_enough_and_nothing_comes_from_elsewhere(printed, name):
    with sync_api.sync_playwright() as playwright:
        browser = make_sheets.chromium(playwright)
        tab, asked = browser.new_page(), []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto((printed / f"{name}.html").as_uri(), wait_until="networkidle")
        smallest, formulas = tab.evaluate(SMALLEST), tab.locator(".katex").count()
        left = tab.locator("main").inner_text()
        browser.close()
    assert smallest >= 8
    assert all(url.startswith("file:") for url in asked)
    assert formulas >= 4 and "$" not in left


def test_quizzes_are_a_page_each_and_answers_stand_elsewhere(printed):
    asked, told = (pypdf.PdfReader(printed / f"{name}.pdf").pages for name in ("quizzes", "answers"))
    assert len(asked) == 7
    texts = [" ".join(page.extract_text().split()) for page in asked]
    assert all(f"{place + 1}. " in text[:20] for place, text in enumerate(texts))
    why = "Variances of independent numbers add, and the sign is squared away."
    assert why not in " ".join(texts) and why in " ".join(" ".join(page.extract_text().split()) for page in told)


def test_the_shapes_are_those_that_notebook_10_prints():
    [cell] = [cell for cell in plans.cells_of("10_stable_diffusion") if cell["id"] == "shapes-at-every-arrow"]
    counted = re.findall(r"\[[\d, ]+\]", "".join("".join(out.get("text", "")) for out in cell["outputs"]))
    table = (ROOT / "teaching" / "sheet.md").read_text("utf-8").split("## Shapes")[1]
    assert re.findall(r"\[[\d, ]+\]", table) == counted


def test_every_myth_of_the_notebooks_is_on_the_map():
    """Each notebook with a myth has at least as many lines on the map as it has myths, in the section of each."""
    table = (ROOT / "teaching" / "misconceptions.md").read_text("utf-8")
    settled = set(re.findall(r"\| (\d\d) `([a-z0-9-]+)` \|", table))
    for path in NOTEBOOKS:
        cells = plans.cells_of(path.stem)
        for place, cell in enumerate(cells):
            if cell["cell_type"] == "markdown" and "**Myth.**" in source(cell):
                near = {(path.stem[:2], other["id"]) for other in cells[place : place + 5]}
                assert near & settled, f"{path.stem}: the myth of {cell['id']} is not on the map"
