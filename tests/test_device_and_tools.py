"""The choice of device, and the tool that stores notebooks."""

import sys

import nbformat
import pytest
import torch

from course import device
from course.data import ROOT

sys.path.append(str(ROOT / "tools"))
import store_notebooks as store  # noqa: E402


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_device_is_reported_in_one_line(monkeypatch, capsys, threads):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    assert device.pick(threads=1) == torch.device("cpu")
    assert capsys.readouterr().out == f"device: cpu (1 CPU thread, PyTorch {torch.__version__.split('+')[0]})\n"
    monkeypatch.setenv("COURSE_THREADS", "2")
    device.pick(quiet=True)
    assert torch.get_num_threads() == 2 and capsys.readouterr().out == ""


@pytest.mark.parametrize("variable, value, said", [("COURSE_DEVICE", "tpu", "'tpu'; here there is .*cpu"), ("COURSE_THREADS", "-1", "from 1 on"), ("COURSE_THREADS", "two", "from 1 on")])  # fmt: skip
def test_impossible_devices_are_refused(monkeypatch, variable, value, said, threads):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=said):
        device.pick()


def test_badges_come_from_the_address_and_only_from_it():
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("1", id="setup")]
    )
    for _ in range(2):
        store.place_badges(notebook, "https://github.com/someone/course", "01_x.ipynb")
    assert [c.id for c in notebook.cells[1:]] == ["fetch-course", "setup"]
    assert (
        notebook.cells[0].source.count("colab.research.google.com/github/someone/course/blob/main/notebooks/01_x.ipynb")
        == 1
    )
    assert "mybinder.org/v2/gh/someone/course" in notebook.cells[0].source
    store.place_badges(notebook, "", "01_x.ipynb")
    assert [c.source for c in notebook.cells] == ["# Title", "1"]
    assert store.badges("", "x") == "<!-- badges --><!-- /badges -->"


def widget(contents):
    return nbformat.v4.new_output("display_data", {store.WIDGET: {"model_id": "ab"}, "text/plain": f"VBox({contents})"})


def test_tidy_drops_what_depends_on_machine_and_moment():
    view, painter = widget("children=(SelectionSlider(...),)"), widget("children=(HBox(...),)")
    bar = nbformat.v4.new_output("stream", text="step 1\r  0%|\r 50%|\r100%| done\nend\n")
    cell = nbformat.v4.new_code_cell(
        "x", outputs=[view, bar, painter], metadata={"execution": {"iopub.execute_input": "now"}, "tags": ["a"]}
    )
    notebook = nbformat.v4.new_notebook(
        cells=[cell], metadata={"widgets": {}, "language_info": {"name": "python", "version": "3.11.7"}}
    )
    store.tidy(notebook)
    assert "widgets" not in notebook.metadata and notebook.metadata["language_info"] == {"name": "python"}
    assert cell.metadata == {"tags": ["a"]}
    assert cell.outputs[0]["data"] == {"text/plain": "[explorer] run this cell to move the sliders"}
    assert cell.outputs[2]["data"] == {"text/plain": "[painter] run this cell to paint"}
    assert cell.outputs[1].text == "100%| done\nend\n"
