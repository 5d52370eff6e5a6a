"""Put together what a release hands out: `make release`, which first runs all tests and makes the parts anew.

    python tools/release.py --faults     # only says what is in the way, before an hour of tests

dist/ then holds diffusion-course-VERSION.zip (the repository as committed, weights included), the editions and the book
as zips of the same version, and SHA256SUMS over them. Refuses where something is not committed, where CHANGELOG.md has
no dated heading for the version, or where the version was released before, and says how to mend it.
"""

import datetime
import hashlib
import re
import shutil
import subprocess
import sys
import tomllib

import own_course  # noqa: F401, before course

from course import ROOT

DIST = ROOT / "dist"
NAME = "diffusion-course"


def version(root=ROOT):
    """The version, which stands in pyproject.toml and nowhere else."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def git(*arguments, root=ROOT):
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def faults(number, root=ROOT):
    """What is in the way of a release, as a list of sentences."""
    found = []
    if changed := git("status", "--porcelain", root=root).splitlines():
        found.append(f"these are not committed: {', '.join(line[3:] for line in changed)}")
    dated = re.search(rf"^## {re.escape(number)} \((.+)\)$", (root / "CHANGELOG.md").read_text("utf-8"), re.M)
    try:
        datetime.datetime.strptime(dated[1] if dated else "", "%d %B %Y")
    except ValueError:
        found.append(f"CHANGELOG.md has no heading '## {number} (28 November 2026)' with the day of the release")
    if number in git("tag", root=root).split():
        found.append(f"{number} was released already; a release never changes. Raise version in pyproject.toml")
    return found


def main(words):
    number = version()
    if found := faults(number):
        raise SystemExit("no release:\n" + "\n".join(f"- {fault}" for fault in found))
    if words == ["--faults"]:
        return
    whole = f"{NAME}-{number}"
    git("archive", "--format=zip", f"--prefix={whole}/", f"--output={DIST / whole}.zip", "HEAD")
    shutil.make_archive(str(DIST / f"{whole}-book"), "zip", ROOT / "build" / "book", "html")
    zips = [DIST / f"{whole}{part}.zip" for part in ("", "-book", "-instructor", "-student")]
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in zips]
    (DIST / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    print(*sums, f"`git tag {number}` names this state for good", sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
