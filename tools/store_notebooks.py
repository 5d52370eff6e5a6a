"""Run the notebooks and store their outputs: `python tools/store_notebooks.py [NOTEBOOK ...]`, or `make notebooks`.

The only way that outputs come about. A notebook that raises is left as it was, and the command fails. The launch badges,
the minutes in the notebooks' first cells and README's tables are written anew between their marks.
"""

import math
import os
import re
import sys
import time
import tomllib

import nbformat
import own_course  # noqa: F401, before course
from nbclient import NotebookClient

from course import ROOT, index, settings

WIDGET = "application/vnd.jupyter.widget-view+json"
FETCH = """\
import os
import subprocess

if not os.path.isdir("{up}course"):
    if not os.path.isdir("diffusion-course"):
        subprocess.run(["git", "clone", "--quiet", "--depth", "1", "{address}", "diffusion-course"], check=True)
    os.chdir("diffusion-course/{folder}")"""


def main(words):
    try:
        chosen = index.choose(words)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    address = repository()
    for row in chosen:
        started = time.monotonic()
        store(row.path, address)
        print(f"{row.name}: {time.monotonic() - started:.0f} s, {row.path.stat().st_size / 1e3:.0f} kB", flush=True)
    readme = ROOT / "README.md"
    readme.write_text(between_marks(readme.read_text("utf-8"), made_for_readme(address)), "utf-8")


def repository():
    """The repository's public address in pyproject.toml, or an empty text."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return project.get("urls", {}).get("Repository", "")


def made_for_readme(address):
    """What stands between README's marks."""
    return {
        "badges": badges(address, index.rows()[0].path),
        "notebooks": f"\n{table()}\n",
        "settings": f"\n{settings.table()}\n",
    }


def store(path, address):
    """Run one notebook and put what came out in its place."""
    notebook = nbformat.read(path, as_version=4)
    place_badges(notebook, address, path)
    NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": path.parent}}, store_widget_state=False,
        coalesce_streams=True,  # a progress bar is then one text, of which tidy keeps the last line
    ).execute()  # fmt: skip
    tidy(notebook)
    unfinished = path.with_suffix(".unfinished")
    nbformat.write(notebook, unfinished)
    notebook.cells[0].source = between_marks(notebook.cells[0].source, {"minutes": told(unfinished)})
    nbformat.write(notebook, unfinished)
    os.replace(unfinished, path)


def told(path):
    """How many minutes a stored notebook announces, in words."""
    reading, exercises = index.minutes(path)
    return f"About {rounded(reading + exercises)} minutes, {exercises} of them for the exercises."


def rounded(minutes):
    """Up to the next full five: learners are slower than they think."""
    return math.ceil(minutes / 5) * 5


def between_marks(text, made):
    """The text with `made`, {mark: text}, written between the marks <!-- mark --> and <!-- /mark --> that it holds."""

    def written(found):
        return f"<!-- {found[1]} -->{made[found[1]]}<!-- /{found[1]} -->" if found[1] in made else found[0]

    return index.MADE.sub(written, text)


def table():
    """README's table of the notebooks."""
    lines = ["| notebook | about | minutes | seconds to run | peak memory |", "|---|---|---|---|---|"]
    measured = index.measured()
    for row in index.rows() + index.extras():
        ran = measured.get(row.name)
        cost = f"{ran['seconds']:.0f} | {ran['peak_MB']} MB" if ran else "– | –"
        minutes = rounded(sum(index.minutes(row.path)))
        lines.append(f"| [{row.name}]({in_repository(row.path)}) | {row.line} | {minutes} | {cost} |")
    return "\n".join(lines)


def in_repository(path):
    """Where a notebook lies, as a link counts it."""
    return path.relative_to(ROOT).as_posix()


def badges(address, path):
    """Launch badges as Markdown, made from the repository's public address; none while it is not set."""
    repository, place = address.removeprefix("https://github.com/").rstrip("/"), in_repository(path)
    links = {
        "Colab": f"https://colab.research.google.com/github/{repository}/blob/main/{place}",
        "Binder": f"https://mybinder.org/v2/gh/{repository}/HEAD?labpath={place}",
        "Codespaces": f"https://codespaces.new/{repository}",
    }
    return " · ".join(f"[Open in {where}]({link})" for where, link in links.items()) if repository else ""


def place_badges(notebook, address, path):
    """Put badges under the title, and before the set-up a cell that fetches the course where only the notebook was opened."""
    first = notebook.cells[0]
    first.source = re.sub("<!-- badges -->.*?<!-- /badges -->", "", first.source, flags=re.S).rstrip()
    notebook.cells = [cell for cell in notebook.cells if cell.id != "fetch-course"]
    if address:
        first.source += f"\n\n<!-- badges -->{badges(address, path)}<!-- /badges -->"
        folder = path.parent.relative_to(ROOT)
        fetch = FETCH.format(address=address, up="../" * len(folder.parts), folder=folder.as_posix())
        notebook.cells.insert(1, nbformat.v4.new_code_cell(fetch, id="fetch-course"))


def tidy(notebook):
    """Drop what depends on the machine or the moment: widget views, times, all but the end of a progress bar."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell, place in zip(notebook.cells, index.sections(notebook.cells)):
        cell.metadata.pop("execution", None)
        mark(cell, place)
        for output in cell.get("outputs", []):
            if WIDGET in output.get("data", {}):
                sliders = "Slider" in output["data"]["text/plain"]
                what = "[explorer] run this cell to move the sliders" if sliders else "[painter] run this cell to paint"
                output["data"] = {"text/plain": what}
            if output.output_type == "stream":
                output.text = re.sub(r"[^\n]*\r", "", output.text)
        if "outputs" in cell:  # a bar that has wiped itself away leaves an empty text
            cell.outputs = [output for output in cell.outputs if output.get("text") != ""]


def mark(cell, place):
    """Say in a cell's tags whether it stands on the core or on a side road, and fold it if it holds claims."""
    tags = [tag for tag in cell.metadata.get("tags", []) if tag not in ("core", "side-road", "hide-input")]
    if "claims" in tags:
        cell.metadata["jupyter"] = {"source_hidden": True}  # for JupyterLab; the tag folds it in a book
        tags.append("hide-input")
    cell.metadata["tags"] = [*tags, place]


if __name__ == "__main__":
    main(sys.argv[1:])
