"""The book as built: whole, folded, small, nothing from elsewhere; and in Chromium read, searched, heard and moved."""

import base64
import hashlib
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
from urllib.parse import urlparse

import nbformat
import numpy as np
import pytest
from notebook_files import ALL, ROOT, code_cells, source, tagged
from PIL import Image

pytest.importorskip("myst_nb")
pytest.importorskip("sphinxcontrib.katex")
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "teaching")]
import book_frames  # noqa: E402
import make_book  # noqa: E402
from book_pages import Page  # noqa: E402

from course import index, viz, widgets  # noqa: E402

ROWS = index.rows() + index.extras()
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_browser = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")


@pytest.fixture(scope="session")
def book():
    """The folder of the pages, built now, with the sliders of notebook 00 at the least."""
    book_frames.main(["00"])
    done = subprocess.run([sys.executable, ROOT / "tools" / "make_book.py"], capture_output=True, text=True)
    assert done.returncode == 0 and not re.search("warn|error", done.stderr, re.I), done.stderr
    return make_book.PAGES


@pytest.fixture(scope="session")
def pages(book):
    return {
        path.relative_to(book).as_posix(): Page(path) for path in book.rglob("*.html") if "_static" not in path.parts
    }


@pytest.fixture(params=ROWS, ids=lambda row: row.name)
def both(request, pages):
    """A notebook, a dict as JSON gives it, and its page."""
    return json.loads(request.param.path.read_bytes()), pages[f"{make_book.page_of(request.param)}.html"]


def texts(notebook):
    return [source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]


# ---------------------------------------------------------------- the pages as files


def test_next_and_previous_walk_through_everything_in_order(book, pages):
    walk, names = pages["index.html"], []
    while following := walk.link("next"):
        before, walk = walk, pages[following.relative_to(book).as_posix()]
        assert walk.link("previous") == before.path
        names.append(walk.heading)
    titles = [f"{row.number}. {row.title}" for row in index.rows()] + [row.title for row in index.extras()]
    assert names[: len(ROWS)] == titles
    assert names[-2:] == ["Glossary", "Index"]
    assert len(names) == len(titles) + 2 + make_book.SHEET.exists()


def test_nothing_is_fetched_from_elsewhere(book, pages):
    """Every address that a page or a style loads is a file of the book, or stands in the page itself."""
    for page in pages.values():
        for address in filter(None, page.loads()):
            if not address.startswith("data:"):
                assert not urlparse(address).netloc and page.beside(address).is_file(), (page.path, address)
    for style in book.rglob("*.css"):
        text = re.sub(r"url\(\s*([\"'])data:.*?\1\s*\)", "", style.read_text("utf-8"))
        outside = re.findall(r"(?:@import\s*|url\(\s*)[\"']?(?:https?:)?//[^;)]*", text)
        assert not outside, (style, outside)


def test_every_page_with_its_pictures_is_below_two_megabytes(pages):
    for page in pages.values():
        pictures = {page.beside(a["src"]) for tag, a in page.tags if tag == "img" and not a["src"].startswith("data:")}
        assert page.path.stat().st_size + sum(path.stat().st_size for path in pictures) < 2_000_000, page.path


def test_solutions_claims_and_setup_are_folded(both):
    notebook, page = both
    solutions = sum(text.count("<details>") for text in texts(notebook))
    assert solutions >= len(tagged(notebook, "exercise")) > 0
    claims = tagged(notebook, "claims")
    assert page.count("details") == solutions + len(claims) + 1  # the set-up
    assert not any("open" in attributes for tag, attributes in page.tags if tag == "details")
    assert page.text.count("Show the claims") == len(claims)


def test_side_roads_are_sections_that_the_style_marks(book, both):
    notebook, page = both
    roads = sum(bool(re.match("#+ Side road:", text)) for text in texts(notebook))
    assert sum(tag == "section" and a["id"].startswith("side-road") for tag, a in page.tags) == roads
    assert 'section[id^="side-road"]' in (book / "_static" / "book.css").read_text("utf-8")


def test_formulas_are_set_and_none_is_left_raw(both):
    notebook, page = both
    text = re.sub(r"```.*?```|`[^`]*`", "", "\n".join(texts(notebook)), flags=re.S)
    shown = text.count("$$") // 2
    assert page.count("span", **{"class": "katex-display"}) == shown
    assert page.count("span", **{"class": "katex"}) >= shown + ("$" in text)
    assert not page.count("span", **{"class": "katex-error"})
    assert not re.search(r"\$\$|\\\(|\\frac|\$\\", page.text)


def test_pictures_and_films_are_those_of_the_notebook_with_their_words(book, both):
    notebook, page = both
    shown = {a["src"].split("/")[-1]: a.get("alt") for tag, a in page.tags if tag == "img" and "_images" in a["src"]}
    for cell in code_cells(notebook):
        for output in cell["outputs"]:
            for kind in {"image/png", "image/jpeg"} & set(output.get("data", {})):
                data = base64.b64decode("".join(output["data"][kind]))
                (file,) = (book / "_images").glob(f"{hashlib.sha256(data).hexdigest()}.*")
                assert file.read_bytes() == data  # a film too, with all its pictures
                assert shown[file.name] == output["metadata"][kind]["alt"]


def test_glossary_and_index_hold_every_word(pages):
    words = [part for word, _, _ in make_book.glossary_words() for part in word.split(", ")]
    assert len(words) > 45
    assert pages["glossary.html"].count("dt") == len(words)
    lead = [a["href"] for tag, a in pages["genindex.html"].tags if tag == "a" and "#" in (a.get("href") or "")]
    for word in words:
        assert word in pages["genindex.html"].text
    assert sum(address.startswith("glossary.html#term-") for address in lead) == len(words)
    assert sum(bool(re.match(r"\d\d_\w+\.html#index-", address)) for address in lead) == len(words)


# ---------------------------------------------------------------- the frames of the sliders


def drawn(count, number=3):
    ax = viz.panels(width=2, height=1.5)
    ax.plot(range(int(number)), [count] * int(number))
    return ax


def said(count, number):
    return f"{count} & {number} <b>"


@pytest.fixture
def explorer():
    made = widgets.Explorer(drawn, said, count=[1, 2, 3], number=["4", "5"])
    made.select(count=2)
    return made


def test_frames_are_the_explorers_pictures(explorer, tmp_path):
    told = book_frames.export(explorer, tmp_path)
    assert [sentence for _, sentence in told["frames"]] == [
        said(*values) for values in itertools.product([1, 2, 3], "45")
    ]
    assert told["start"] == [1, 0]
    for (name, _), data in zip(told["frames"], explorer.pictures.values()):
        original, frame = (Image.open(f).convert("RGB") for f in (io.BytesIO(data), tmp_path / name))
        assert original.size == frame.size
        difference = np.abs(np.subtract(original, frame, dtype=float)).mean()
        assert difference < 3


def test_without_frames_a_sentence_stands_in_their_place(monkeypatch):
    monkeypatch.setattr(book_frames, "stored", lambda row: {})
    notebook = nbformat.read(ROWS[0].path, as_version=4)
    make_book.place_sliders(notebook, ROWS[0])
    (cell,) = [cell for cell in notebook.cells if cell.id == "explorer"]
    assert [output["data"]["text/plain"] for output in cell.outputs] == [make_book.NO_SLIDERS]


def test_no_frame_is_large(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype="uint8"))
    noise.save(tmp_path / "noise.png")
    assert len(book_frames.small((tmp_path / "noise.png").read_bytes())) <= book_frames.LARGEST


def test_other_code_means_other_frames(tmp_path, monkeypatch):
    row = index.rows()[3]
    monkeypatch.setattr(index, "FOLDER", tmp_path)
    copy = index.Row(*row[:3], folder=tmp_path)
    notebook = json.loads(row.path.read_bytes())
    copy.path.write_text(json.dumps(notebook), "utf-8")
    assert book_frames.folder_of(copy) == book_frames.folder_of(row)
    notebook["cells"][0]["source"] = ["# Another title"]
    copy.path.write_text(json.dumps(notebook), "utf-8")
    assert book_frames.folder_of(copy) == book_frames.folder_of(row)
    code_cells(notebook)[3]["source"].append("\n1 + 1")
    copy.path.write_text(json.dumps(notebook), "utf-8")
    assert book_frames.folder_of(copy) != book_frames.folder_of(row)


# ---------------------------------------------------------------- in a browser, from the disk, without a network


@pytest.fixture(scope="module")  # an open browser is in the way of every other loop of events
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"])
        yield browser
        browser.close()


@pytest.fixture
def window(browser):
    """Opens a window of some width, light or dark; whatever it asks of another place is refused, and fails the test."""
    asked, opened = [], []

    def refuse(route):
        asked.append(route.request.url)
        route.abort()

    def open_window(width=1300, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.route(lambda url: not url.startswith(("file:", "data:", "blob:")), refuse)
        opened.append(page)
        return page

    yield open_window
    for page in opened:
        page.close()
    assert not asked


@in_browser
def test_no_page_asks_elsewhere_or_scrolls_sideways_on_a_phone(pages, window):
    phone, desk = window(390), window()
    for name, page in pages.items():
        desk.goto(page.path.as_uri())
        phone.goto(page.path.as_uri())
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390, name


@in_browser
def test_the_search_finds_a_word(book, window):
    page = window()
    page.goto((book / "index.html").as_uri())
    page.keyboard.press("Control+k")
    page.keyboard.type("spectrogram")
    page.keyboard.press("Enter")
    page.locator("#search-results li a", has_text="13. The wider family").first.click()
    assert page.locator("article h1").inner_text().startswith("13. The wider family")


@in_browser
def test_folded_parts_open_by_keyboard(book, window):
    page = window()
    page.goto((book / "00_start_here.html").as_uri())
    solution = page.locator("details", has_text="28 * 28").first
    code = solution.locator(".highlight")
    assert not code.is_visible()
    solution.locator("summary").focus()
    page.keyboard.press("Enter")
    assert code.is_visible()


def steps(page, explorer, slider, count):
    """Press an arrow key `count` times, and give what is seen each time: (sentence, picture's file, words of the picture)."""
    for _ in range(count):
        slider.press("ArrowRight")
        image = explorer.locator("img")
        yield explorer.locator("p[role=status]").inner_text(), image.get_attribute("src"), image.get_attribute("alt")


@in_browser
def test_the_slider_of_notebook_00_moves_by_keyboard(book, window):
    (told,), row = book_frames.stored(index.rows()[0])["explorer"], index.rows()[0]
    page = window()
    page.goto((book / f"{row.name}.html").as_uri())
    explorer = page.locator(".explorer")
    slider = explorer.get_by_role("slider", name="step")
    for number, seen in enumerate(steps(page, explorer, slider, 12), 1):
        file, sentence = told["frames"][number]
        assert seen == (sentence, f"_static/frames/{row.name}/{file}", f"Picture at step = {2 * number}")
        explorer.locator("img").scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('.explorer img').complete")
        assert page.evaluate("document.querySelector('.explorer img').naturalWidth") > 100


@in_browser
def test_two_sliders_show_what_the_explorer_shows(explorer, tmp_path, window):
    told = book_frames.export(explorer, tmp_path)
    script = (ROOT / "book" / "_static" / "book.js").read_text("utf-8")
    html = f"<meta charset=utf-8>{make_book.sliders(told, '')}<script>{script}</script>"
    (tmp_path / "page.html").write_text(html, "utf-8")
    page = window()
    page.goto((tmp_path / "page.html").as_uri())
    count, number = page.get_by_role("slider", name="count"), page.get_by_role("slider", name="number")
    assert (count.input_value(), number.input_value()) == ("1", "0")
    for i, j in itertools.product(range(3), range(2)):
        count.fill(str(i))
        number.fill(str(j))
        assert page.locator("p").inner_text() == explorer.select(count=[1, 2, 3][i], number="45"[j])
        assert page.locator("img").get_attribute("src") == told["frames"][2 * i + j][0]
    assert count.get_attribute("aria-valuetext") == "3"


@in_browser
def test_sounds_play_and_the_film_moves(book, window):
    page = window()
    page.goto((book / "13_wider_family.html").as_uri())
    players = page.locator("audio[aria-label]").all()
    assert len(players) >= 3
    for player in players:
        reached = player.evaluate(
            """async player => {
                player.muted = true; player.playbackRate = 4; await player.play();
                await new Promise(done => player.onended = done);
                return player.currentTime;
            }"""
        )
        assert reached > 0.5
    notebook = json.loads(next(path for path in ALL if path.stem.startswith("13")).read_bytes())
    cell = next(c for c in code_cells(notebook) if c["id"] == "motion-animation")
    png = next(o["data"]["image/png"] for o in cell["outputs"] if "image/png" in o.get("data", {}))
    film = page.locator(f'img[src*="{hashlib.sha256(base64.b64decode("".join(png))).hexdigest()}"]')
    film.scroll_into_view_if_needed()
    seen = set()
    for _ in range(8):
        seen.add(film.screenshot())
        page.wait_for_timeout(250)
    assert len(seen) >= 3


AXE = ["index", "00_start_here", "05_toy_ddpm", "13_wider_family", "glossary", "genindex"]


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", AXE)
def test_axe_finds_nothing_serious(book, window, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = window(scheme=scheme)
    page.goto((book / f"{name}.html").as_uri())
    page.evaluate("Promise.all(document.getAnimations().map(one => one.finished))")  # colours still on their way
    found = axe.Axe().run(page).response["violations"]
    grave = [v for v in found if v["impact"] in ("serious", "critical")]
    assert not [(v["id"], len(v["nodes"]), v["nodes"][0]["html"][:300]) for v in grave]
