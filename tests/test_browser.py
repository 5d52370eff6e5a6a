"""JupyterLab in a real browser: a slider of notebook 00 is moved by keyboard and the picture changes.

Needs the extra `browser` (Playwright) and a Chromium, for example Debian's package; skipped without them.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from test_notebooks import ROOT

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
        yield f"http://127.0.0.1:{port}/lab/tree/notebooks/00_start_here.ipynb?token=course"
    finally:
        server.terminate()
        server.wait(20)


def test_slider_moves_the_picture(lab):
    with sync_api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"])
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.goto(lab)
        page.set_default_timeout(60_000)
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.locator('.lm-MenuBar-itemLabel:text-is("Run")').click()
        page.locator('.lm-Menu-itemLabel:text-is("Run All Cells")').click()
        handle = page.locator(".noUi-handle").first
        handle.wait_for(state="attached")
        page.locator("h2:text-is('Where this is going')").click()  # Lab draws only what is near the window
        page.locator(".jp-WindowedPanel-outer").first.hover()
        for _ in range(30):
            if handle.is_visible():
                break
            page.mouse.wheel(0, 300)
            page.wait_for_timeout(200)
        sentence, picture = (
            page.locator("p[role=status]").first,
            page.locator("img.jupyter-widget-image, img.widget-image").first,
        )
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=180_000)  # the other cells have run
        before = sentence.inner_text(), picture.get_attribute("src")
        handle.focus()
        for _ in range(6):
            page.keyboard.press("ArrowRight")
        sync_api.expect(sentence).not_to_have_text(before[0], timeout=30_000)
        sync_api.expect(picture).not_to_have_attribute("src", before[1], timeout=30_000)
        if os.environ.get("COURSE_SCREENSHOT"):
            page.screenshot(path=os.environ["COURSE_SCREENSHOT"])
        browser.close()
