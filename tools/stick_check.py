"""Whether every file of this folder was copied undamaged: python check.py"""

import hashlib
import pathlib
import sys

here = pathlib.Path(__file__).resolve().parent
wrong = []
lines = (here / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
for line in lines:
    digest, name = line.split("  ", 1)
    path = here / name
    if not path.is_file():
        wrong.append("missing: " + name)
    else:
        found = hashlib.sha256()
        with path.open("rb") as file:
            for block in iter(lambda: file.read(2**20), b""):
                found.update(block)
        if found.hexdigest() != digest:
            wrong.append("damaged: " + name)
print("\n".join(wrong) if wrong else f"all {len(lines)} files are as they should be")
sys.exit("copy these again" if wrong else 0)
