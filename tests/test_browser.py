"""JupyterLab in a real browser: a slider of each notebook is moved by keyboard, and sentence and picture change.

Needs the extra `browser` (Playwright) and a Chromium, for example Debian's package; skipped without them.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from notebook_files import ALL, NOTEBOOKS, ROOT

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")]


@pytest.fixture
def lab(tmp_path):
    """Address of a JupyterLab that serves a copy of the notebooks beside the real package."""
    for name in ("notebooks", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--ServerApp.token=course",
    ]
    env = os.environ | {"JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/lab?token=course", timeout=1)
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def first_visible(page, locator):
    """Scroll down until it can be seen: Lab draws only what is near the window."""
    page.locator(".jp-WindowedPanel-outer").first.hover()
    page.keyboard.press("Escape")
    page.mouse.wheel(0, -100_000)
    for _ in range(400):
        if locator.count() and locator.first.is_visible():
            return locator.first
        page.mouse.wheel(0, 250)
        page.wait_for_timeout(100)
    raise AssertionError("no slider came into view")


@pytest.fixture
def page():
    """A window of a browser in which nobody has been before."""
    with sync_api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"])
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def open_notebook(page, lab, name):
    page.goto(f"{lab}/lab/tree/notebooks/{name}.ipynb?token=course")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()


def test_lab_opens_without_a_question(lab, page):
    """`make setup` switches off the extension that asks a new reader whether he wants Jupyter's news."""
    open_notebook(page, lab, NOTEBOOKS[0].stem)
    page.wait_for_timeout(5000)
    assert page.locator(".jp-Notification, .Toastify__toast, .jp-Dialog").count() == 0


@pytest.mark.parametrize("name", [path.relative_to(ROOT / "notebooks").with_suffix("").as_posix() for path in ALL])
def test_slider_moves_the_picture(lab, page, name):
    open_notebook(page, lab, name)
    page.locator('.lm-MenuBar-itemLabel:text-is("Run")').click()
    page.locator('.lm-Menu-itemLabel:text-is("Run All Cells")').click()
    page.get_by_text("Python 3 (ipykernel) | Busy").wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=600_000)
    handle = first_visible(page, page.locator(".noUi-handle"))
    handle.scroll_into_view_if_needed()
    box = page.locator(".widget-vbox", has=handle).last
    sentence, picture = box.locator("p[role=status]"), box.locator("img.jupyter-widget-image, img.widget-image")
    before = sentence.first.inner_text(), picture.first.get_attribute("src")
    handle.focus()
    at_the_end = float(handle.get_attribute("aria-valuenow")) >= float(handle.get_attribute("aria-valuemax"))
    page.keyboard.press("ArrowLeft" if at_the_end else "ArrowRight")
    sync_api.expect(sentence.first).not_to_have_text(before[0], timeout=30_000)
    sync_api.expect(picture.first).not_to_have_attribute("src", before[1], timeout=30_000)
    if os.environ.get("COURSE_SCREENSHOTS"):
        page.screenshot(path=f"{os.environ['COURSE_SCREENSHOTS']}/{Path(name).name}.png")


def test_a_stored_page_plays_its_sounds_and_moves_its_film(page, tmp_path):
    """Notebook 13 as a page, without a kernel: each player runs to its end and is loud, and the film shows several pictures."""
    source = next(path for path in NOTEBOOKS if path.stem.startswith("13"))
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--output", str(tmp_path / "page.html"), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    page.goto((tmp_path / "page.html").as_uri())
    players = page.locator("audio[aria-label]")
    assert players.count() >= 3
    for player in players.all():
        heard = player.evaluate(
            """async player => {
                const coded = await (await fetch(player.currentSrc || player.querySelector("source").src)).arrayBuffer();
                const samples = (await new AudioContext().decodeAudioData(coded)).getChannelData(0);
                player.muted = true;
                player.playbackRate = 4;
                await player.play();
                await new Promise(done => player.onended = done);
                return [player.duration, player.currentTime, Math.max(...samples)];
            }"""
        )
        assert heard[0] > 0.5 and heard[1] == pytest.approx(heard[0], abs=0.05) and 0.3 < heard[2] < 1.1, (
            heard
        )  # resampling overshoots a little
    film = page.locator('[id="cell-id=motion-animation"] img')
    film.scroll_into_view_if_needed()
    seen = set()
    for _ in range(8):
        seen.add(film.screenshot())
        page.wait_for_timeout(250)
    assert len(seen) >= 3
