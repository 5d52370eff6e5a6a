"""The helper package of the course: one idea a module, each readable top to bottom in one sitting."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
SHIPPED = _HERE / "shipped"  # only where `pip install` without -e made it: what setup.py copies
# of the repository: notebooks/, assets/, benchmarks/, data/; where the package was installed without it, its own copy of them
ROOT = SHIPPED if SHIPPED.is_dir() else _HERE.parent


def belonging(*parts):
    """The path of a file or folder of the repository, such as `belonging("benchmarks", "results")`.

    Raises FileNotFoundError, with what to do, where course/ was copied without what belongs to it.
    """
    path = ROOT.joinpath(*parts)
    if not path.exists():
        raise FileNotFoundError(
            f"course was found in {_HERE}, but not {'/'.join(parts)}, which belongs to it. Install the course from its "
            "repository: `pip install FOLDER_OF_THE_COURSE`, or with -e to work on it there"
        )
    return path
