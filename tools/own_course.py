"""To be imported before `course`: a tool works with the course and the files that lie beside it.

Where the course was also installed without its repository, that copy would be found first, and `course.ROOT` would be a
folder among the installed packages.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
