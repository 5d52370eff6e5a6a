"""Run the notebooks and store their outputs: `python tools/store_notebooks.py [NUMBER ...]`, or `make notebooks`.

The only way that outputs come about. A notebook that raises is left as it was, and the command fails.
"""

import os
import re
import sys
import time
import tomllib
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
WIDGET = "application/vnd.jupyter.widget-view+json"
MARKS = re.compile(r"<!-- badges -->.*?<!-- /badges -->", re.S)


def main(numbers):
    paths = sorted(p for p in (ROOT / "notebooks").glob("*.ipynb") if not numbers or p.name[:2] in numbers)
    address = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("urls", {}).get("Repository", "")
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        started = time.monotonic()
        place_badges(notebook, address, path.name)
        NotebookClient(
            notebook, timeout=600, resources={"metadata": {"path": path.parent}}, store_widget_state=False,
            coalesce_streams=True,  # a progress bar is then one text, of which tidy keeps the last line
        ).execute()  # fmt: skip
        tidy(notebook)
        unfinished = path.with_suffix(".unfinished")
        nbformat.write(notebook, unfinished)
        os.replace(unfinished, path)
        print(f"{path.name}: {time.monotonic() - started:.0f} s, {path.stat().st_size / 1e3:.0f} kB", flush=True)
    readme = ROOT / "README.md"
    if readme.exists():
        text = MARKS.sub(badges(address, "00_start_here.ipynb"), readme.read_text("utf-8"))
        readme.write_text(text, "utf-8")


def badges(address, name):
    """Launch badges as Markdown between two marks, made from the repository's public address; none while it is not set."""
    repository = address.removeprefix("https://github.com/").rstrip("/")
    links = {
        "Colab": f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{name}",
        "Binder": f"https://mybinder.org/v2/gh/{repository}/HEAD?labpath=notebooks/{name}",
        "Codespaces": f"https://codespaces.new/{repository}",
    }
    text = " · ".join(f"[Open in {place}]({link})" for place, link in links.items()) if repository else ""
    return f"<!-- badges -->{text}<!-- /badges -->"


def place_badges(notebook, address, name):
    """Put the badges into the first cell, and before the set-up a cell that fetches the course where only the notebook was opened."""
    first = notebook.cells[0]
    first.source = MARKS.sub("", first.source).rstrip()
    notebook.cells = [cell for cell in notebook.cells if cell.id != "fetch-course"]
    if address:
        first.source += "\n\n" + badges(address, name)
        fetch = f"![ -d ../course ] || (git clone -q --depth 1 {address} course-repo && cp -r course-repo/* .. )"
        notebook.cells.insert(1, nbformat.v4.new_code_cell(fetch, id="fetch-course"))


def tidy(notebook):
    """Drop what depends on the machine or the moment: widget views, times, all but the end of a progress bar."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if "data" in output and WIDGET in output["data"]:
                sliders = "Slider" in output["data"]["text/plain"]
                label = (
                    "[explorer] run this cell to move the sliders" if sliders else "[painter] run this cell to paint"
                )
                output["data"] = {"text/plain": label}
            if output.output_type == "stream":
                output.text = re.sub(r"[^\n]*\r", "", output.text)


if __name__ == "__main__":
    main(sys.argv[1:])
