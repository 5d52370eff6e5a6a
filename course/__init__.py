"""The helper package of the course: one idea a module, each readable top to bottom in one sitting."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # of the repository: notebooks/, assets/, data/
