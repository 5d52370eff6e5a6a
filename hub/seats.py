"""How many students a computer's memory seats, or what memory a class needs, notebook by notebook.

    python hub/seats.py 24               # seats in 24 GB
    python hub/seats.py --students 30    # GB for 30 students

One open notebook costs what no other process can share, as `benchmarks/notebooks.py` measured it, and the student's server
besides. Two GB are kept for the system and the hub. The cores decide how long a class waits, not how many find a seat.
"""

import argparse
import math
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the repository's course, where none is installed
from course import index  # noqa: E402

KEPT = 2.0  # GB for the system, the hub and its proxy
SERVER = 0.1  # GB for each student's own Jupyter server, private


def seats(gigabytes, private_MB):
    """How many students with one such notebook open fit, a whole number. Raises ValueError on less memory than is kept."""
    if gigabytes <= KEPT:
        raise ValueError(f"{gigabytes} GB are not enough: {KEPT} are kept for the system alone")
    return int((gigabytes - KEPT) / (private_MB / 1000 + SERVER))


def memory(students, private_MB):
    """GB for so many students with one such notebook open, a whole number. Raises ValueError on fewer than one student."""
    if students < 1:
        raise ValueError(f"{students} students need no computer; give 1 or more")
    return math.ceil(students * (private_MB / 1000 + SERVER) + KEPT)


def main():
    parser = argparse.ArgumentParser(description="How many students a memory seats, or what memory so many need.")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("gigabytes", type=float, nargs="?", metavar="GB", help="of the computer: tells the seats")
    asked.add_argument("--students", type=int, metavar="N", help="who sit there: tells the GB")
    given = parser.parse_args()
    private = {name: row["private_MB"] for name, row in index.measured().items()}
    try:
        if given.students is None:
            table, unit, hardest = {name: seats(given.gigabytes, MB) for name, MB in private.items()}, "seats", min
        else:
            table, unit, hardest = {name: memory(given.students, MB) for name, MB in private.items()}, "GB", max
    except ValueError as error:
        parser.error(str(error))
    table["any of them"] = hardest(table.values())
    for name, many in table.items():
        print(f"{name:36} {many:4} {unit}")


if __name__ == "__main__":
    main()
