"""What pyproject.toml cannot say: `pip install .` takes along what the notebooks read outside their own folder.

An editable install and a clone find it in the repository, so only a real build copies it, to course/shipped/.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

TAKEN = ("assets/weights", "benchmarks/results", "notebooks")


class BuildWithAssets(build_py):
    def run(self):
        super().run()
        if not self.editable_mode:
            for folder in TAKEN:
                place = Path(self.build_lib, "course", "shipped", folder)
                shutil.rmtree(place, ignore_errors=True)  # of an earlier build
                shutil.copytree(folder, place, ignore=shutil.ignore_patterns(".*", "__pycache__"))


setup(cmdclass={"build_py": BuildWithAssets})
