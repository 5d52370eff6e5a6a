"""The choice of device, the list of notebooks, and the tool that stores them."""

import json
import re
import sys

import nbformat
import pytest
import torch

from course import ROOT, device, index

sys.path.append(str(ROOT / "tools"))
import core_notebooks  # noqa: E402
import store_notebooks as store  # noqa: E402


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_device_is_reported_in_one_line(monkeypatch, capsys, threads):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    assert device.setup(threads=1) == torch.device("cpu")
    assert capsys.readouterr().out == f"device: cpu (1 CPU thread, PyTorch {torch.__version__.split('+')[0]})\n"
    monkeypatch.setenv("COURSE_THREADS", "2")
    device.setup(quiet=True)
    assert torch.get_num_threads() == 2 and capsys.readouterr().out == ""


@pytest.mark.parametrize("variable, value, said", [("COURSE_DEVICE", "tpu", "'tpu'; here there is .*cpu"), ("COURSE_THREADS", "-1", "from 1 on"), ("COURSE_THREADS", "two", "from 1 on")])  # fmt: skip
def test_impossible_devices_are_refused(monkeypatch, variable, value, said, threads):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=said):
        device.setup()


def test_notebooks_are_chosen_by_number_and_name():
    known, beside = index.rows(), index.extras()
    assert index.choose(["pytorch_warm_up"]) == index.choose(["notebooks/extras/pytorch_warm_up.ipynb"]) == beside
    assert index.choose(["pytorch_warm_up", "5"]) == [known[5], *beside]
    known = known + beside
    assert index.choose([]) == index.choose([""]) == known
    assert index.choose(["5"]) == index.choose(["05"]) == index.choose(["05_toy_ddpm"]) == [known[5]]
    assert index.choose(["notebooks/06_samplers.ipynb", "0,5", "05"]) == [known[0], known[5], known[6]]


@pytest.mark.parametrize("words", [["99"], ["5", "x"], ["-1"], ["05_toy"], ["005"], ["*"], ["pytorch"]])
def test_unknown_notebooks_are_named_beside_the_known_ones(words):
    with pytest.raises(
        ValueError, match=f"no notebook {re.escape(repr(words[-1]))}; there are 00, 01.* and beside them pytorch"
    ):
        index.choose(words)
    with pytest.raises(SystemExit, match="error: there is no notebook"):
        store.main(words)


def test_the_core_is_written_without_side_roads_and_old_copies_go(monkeypatch, tmp_path):
    folder = tmp_path / "core"
    folder.mkdir()
    (folder / "core_of_12_gone.ipynb").write_text("{}")
    monkeypatch.setattr(core_notebooks, "FOLDER", folder)
    core_notebooks.main()
    assert not (folder / "core_of_12_gone.ipynb").exists()
    told = json.loads(index.rows()[5].path.read_bytes())["cells"]
    left = json.loads((folder / "core_of_05_toy_ddpm.ipynb").read_bytes())["cells"]
    assert [c["id"] for c in left] == [c["id"] for c in told if "core" in c["metadata"]["tags"]]
    assert not re.search(r"#+ Side road", json.dumps(left)) and len(left) < len(told)


def test_minutes_are_counted_as_the_readme_says(tmp_path):
    """Counted by hand: 300 words, 30 lines, one formula, three figures, two exercises."""
    text = (
        "word " * 285
        + "$$a=b$$\n![alt](x.png)\n### Exercise 01.1: two words (easy, 5 minutes)\n### Exercise 9 (12 min)"
    )
    text += " <!-- minutes -->not these words<!-- /minutes -->"
    picture = nbformat.v4.new_output("display_data", {"image/png": "", "text/plain": ""})
    cells = [
        nbformat.v4.new_markdown_cell(text),
        nbformat.v4.new_code_cell("x\n\n" * 30, outputs=[picture, picture]),
        nbformat.v4.new_code_cell("x\n" * 99, metadata={"tags": ["claims"]}),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "x.ipynb")
    assert index.minutes(tmp_path / "x.ipynb") == (2.5 + 2.5 + 1 + 1.5, 17)


def test_only_what_stands_between_marks_is_written():
    text = "a <!-- x -->old\nlines<!-- /x --> b <!-- y -->kept<!-- /y --> <!-- x --><!-- /x -->"
    once = store.between_marks(text, {"x": r"new \1", "z": "nowhere"})
    assert once == r"a <!-- x -->new \1<!-- /x --> b <!-- y -->kept<!-- /y --> <!-- x -->new \1<!-- /x -->"
    assert store.between_marks(once, {"x": r"new \1"}) == once


def test_the_readme_holds_what_the_tool_writes():
    readme = (ROOT / "README.md").read_text("utf-8")
    made = store.made_for_readme(store.repository())
    assert all(f"<!-- {mark} -->" in readme for mark in made)
    assert store.between_marks(readme, made) == readme
    assert all(f"](notebooks/{row.path.name})" in readme for row in index.rows())
    assert all(f"](notebooks/extras/{row.path.name})" in readme for row in index.extras())


def test_badges_come_from_the_address_and_only_from_it():
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("1", id="setup")]
    )
    for _ in range(2):
        store.place_badges(notebook, "https://github.com/someone/course", index.FOLDER / "01_x.ipynb")
    assert [c.id for c in notebook.cells[1:]] == ["fetch-course", "setup"]
    assert (
        notebook.cells[0].source.count("colab.research.google.com/github/someone/course/blob/main/notebooks/01_x.ipynb")
        == 1
    )
    assert "mybinder.org/v2/gh/someone/course" in notebook.cells[0].source
    assert 'isdir("../course")' in notebook.cells[1].source and '-course/notebooks")' in notebook.cells[1].source
    store.place_badges(notebook, "https://github.com/someone/course", index.FOLDER / "extras" / "x.ipynb")
    assert "/course/blob/main/notebooks/extras/x.ipynb)" in notebook.cells[0].source
    assert "?labpath=notebooks/extras/x.ipynb)" in notebook.cells[0].source
    fetch = notebook.cells[1].source
    assert 'isdir("../../course")' in fetch and '-course/notebooks/extras")' in fetch
    store.place_badges(notebook, "", index.FOLDER / "01_x.ipynb")
    assert [c.source for c in notebook.cells] == ["# Title", "1"]
    assert store.badges("", index.FOLDER / "x.ipynb") == ""


def widget(contents):
    return nbformat.v4.new_output("display_data", {store.WIDGET: {"model_id": "ab"}, "text/plain": f"VBox({contents})"})


def test_tidy_drops_what_depends_on_machine_and_moment():
    view, painter = widget("children=(SelectionSlider(...),)"), widget("children=(HBox(...),)")
    bar = nbformat.v4.new_output("stream", text="step 1\r  0%|\r 50%|\r100%| done\nend\n")
    wiped = nbformat.v4.new_output("stream", name="stderr", text=" 50%|\r")
    cell = nbformat.v4.new_code_cell(
        "x", outputs=[view, bar, painter, wiped], metadata={"execution": {"iopub.execute_input": "now"}, "tags": ["a"]}
    )
    notebook = nbformat.v4.new_notebook(
        cells=[cell], metadata={"widgets": {}, "language_info": {"name": "python", "version": "3.11.7"}}
    )
    store.tidy(notebook)
    assert "widgets" not in notebook.metadata and notebook.metadata["language_info"] == {"name": "python"}
    assert cell.metadata == {"tags": ["a", "core"]}
    assert cell.outputs[0]["data"] == {"text/plain": "[explorer] run this cell to move the sliders"}
    assert cell.outputs[2]["data"] == {"text/plain": "[painter] run this cell to paint"}
    assert cell.outputs[1].text == "100%| done\nend\n" and len(cell.outputs) == 3


def test_every_notebook_announces_the_minutes_that_are_counted():
    for row in index.rows() + index.extras():
        first = "".join(json.loads(row.path.read_bytes())["cells"][0]["source"])
        assert f"<!-- minutes -->{store.told(row.path)}<!-- /minutes -->" in first, row.name


def test_seats_are_counted_from_memory():
    sys.path.append(str(ROOT / "hub"))
    import seats

    assert seats.seats(24, 900) == 22 and seats.seats(3, 900) == 1 and seats.seats(2.5, 900) == 0
    with pytest.raises(ValueError, match="kept for the system"):
        seats.seats(2, 900)
    assert seats.memory(30, 900) == 32 and seats.memory(30, 961) == 34  # 33.8 GB
    assert seats.seats(seats.memory(30, 961), 961) == 30
    with pytest.raises(ValueError, match="1 or more"):
        seats.memory(0, 900)
