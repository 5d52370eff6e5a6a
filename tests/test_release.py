"""A release is refused for what is wrong with it, and a translation knows what has changed in its original."""

import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebook_files import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import release  # noqa: E402
import translation  # noqa: E402


@pytest.fixture
def repository(tmp_path):
    """A committed repository of version 1.2.0, which could be released."""
    root = tmp_path / "course"
    root.mkdir()
    (root / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    (root / "CHANGELOG.md").write_text("# Changes\n\n## 1.2.0 (28 November 2026)\n")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=b", *command], cwd=root, check=True)
    return root


def faults(root):
    return " ".join(release.faults(release.version(root), root))


def test_a_release_is_refused_for_each_fault_by_its_name(repository):
    assert faults(repository) == ""
    subprocess.run(["git", "tag", "1.2.0"], cwd=repository, check=True)
    assert "was released already" in faults(repository)
    (repository / "CHANGELOG.md").write_text("# Changes\n\n## 1.2.0 (in work)\n")
    assert "not committed: CHANGELOG.md" in faults(repository) and "has no heading '## 1.2.0 (" in faults(repository)


def test_the_version_has_its_place_in_the_changes():
    assert f"## {release.version()} (" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_a_translation_knows_what_changed(tmp_path):
    source, copy = tmp_path / "05_toy.ipynb", tmp_path / "de" / "05_toy.ipynb"
    cells = [new_markdown_cell("noise", id="a"), new_code_cell("x = 1", id="b"), new_markdown_cell("end", id="c")]
    nbformat.write(new_notebook(cells=cells), source)
    translation.start(translation.original("05", tmp_path), copy)
    assert translation.differences(source, copy) == []
    with pytest.raises(SystemExit, match="is there already"):
        translation.start(source, copy)
    theirs = nbformat.read(copy, as_version=4)
    theirs.cells[0].source = "Rauschen"
    nbformat.write(theirs, copy)
    assert translation.differences(source, copy) == []  # the translator's own words are no difference
    cells[0].source = "more noise"
    nbformat.write(new_notebook(cells=[*cells[:2], new_markdown_cell("new", id="d")]), source)
    assert translation.differences(source, copy) == [("a", "changed"), ("d", "new"), ("c", "gone")]
    translation.done(source, copy, ["a"])
    assert translation.differences(source, copy) == [("d", "new"), ("c", "gone")]
    with pytest.raises(SystemExit, match="both files need these cells: d"):
        translation.done(source, copy, ["d"])
    with pytest.raises(SystemExit, match="'06' names 0 notebooks"):
        translation.original("06", tmp_path)
