"""How many students a computer's memory seats, notebook by notebook: python hub/seats.py GB

One open notebook costs what no other process can share, as `benchmarks/notebooks.py` measured it, and the student's server
besides. Two GB are kept for the system and the hub. The cores decide how long a class waits, not how many find a seat.
"""

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


def main():
    try:
        (gigabytes,) = map(float, sys.argv[1:])
        table = {name: seats(gigabytes, row["private_MB"]) for name, row in index.measured().items()}
    except ValueError as error:
        raise SystemExit(f"error: {error}. Needed is the memory in GB, one number: python hub/seats.py 24") from None
    for name, many in table.items():
        print(f"{name:36} {many:4} seats")
    print(f"any of them {min(table.values()):29} seats")


if __name__ == "__main__":
    main()
