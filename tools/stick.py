"""The program on the stick. It needs nothing but Python, of any version from 3.6 on.

python stick.py check               is this Python right for the packages, and was every file copied undamaged?
python stick.py unpack FILE.zip     unpack a zip here; refuses where its folder is already, for work may be in it
"""

import errno
import hashlib
import pathlib
import platform
import shutil
import sys
import zipfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "VERSION"  # what the wheels are for; `make bundle` writes it here
WHEELS = {  # a system: the folder with its wheels, and the processor that they are for
    "Windows": ("windows", "AMD64"),
    "Linux": ("linux", "x86_64"),
    "Darwin": ("macos", "arm64"),
}


def python_faults(version, system, machine, bits):
    """What is wrong with a Python, a list of sentences: version "3.11", and system, machine and bits as it says them."""
    processor, faults = WHEELS[system][1], []
    if version != PYTHON:
        faults.append(f"this is Python {version}, but the packages here fit Python {PYTHON} alone")
    if machine != processor:
        faults.append(f"this Python is for the processor {machine}, but the packages here need {processor}")
    elif bits != 64:
        faults.append(f"this Python has {bits} bits, but the packages here need one of 64")
    return faults


def where_python_is(system):
    """Where the right Python may be had, in words."""
    given = [path.name for path in sorted((HERE / "python").glob("*"))]
    there = f"from the folder python/ ({', '.join(given)})" if given else "from python.org, which needs a network"
    if system == "Linux":  # for which python.org has no installer
        there = "from your system's packages, which needs a network"
    return f"install Python {PYTHON} {there}, or ask your teacher; then type the lines again from the first"


def file_faults():
    """The files that are missing or damaged, a list of words, and how many there should be."""
    lines = (HERE / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    faults = []
    for line in lines:
        digest, name = line.split("  ", 1)
        if not (HERE / name).is_file():
            faults.append(f"missing: {name}")
        elif sha256(HERE / name) != digest:
            faults.append(f"damaged: {name}")
    return faults, len(lines)


def sha256(path):
    found = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(2**20), b""):
            found.update(block)
    return found.hexdigest()


def check():
    system, version = platform.system(), f"{sys.version_info[0]}.{sys.version_info[1]}"
    if system not in WHEELS or not (HERE / "wheels" / WHEELS[system][0]).is_dir():
        sys.exit(f"there are no packages for {system} on this stick: ask your teacher")
    bits = 64 if sys.maxsize > 2**32 else 32
    faults = python_faults(version, system, platform.machine(), bits)
    if faults:
        sys.exit("\n".join(faults + [where_python_is(system)]))
    print(f"Python {version} is right; looking at the files, which may take a minute", flush=True)
    faults, n = file_faults()
    if faults:
        sys.exit("\n".join(faults + ["copy these again"]))
    print(f"all {n} files are as they should be")


def unpack(name):
    """Unpack a zip, all of it or nothing. Ends with a sentence where it cannot, or where its folder is already."""
    if not (HERE / name).is_file():
        here = ", ".join(path.name for path in sorted(HERE.glob("*.zip")))
        sys.exit(f"{name} is not here; there is {here or 'no zip'}")
    half = HERE / ".unpacking"  # on the way it has another name, so that half a course never looks like a whole one
    try:
        with zipfile.ZipFile(str(HERE / name)) as packed:
            folders = sorted({inside.split("/")[0] for inside in packed.namelist()})
            refuse_to_write_over(folders)
            shutil.rmtree(str(half), ignore_errors=True)
            packed.extractall(str(half))
        for folder in folders:
            (half / folder).rename(HERE / folder)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        sys.exit(f"{name} is damaged, so nothing was unpacked: copy it again, then type this line again")
    except OSError as error:
        why = "no space is left: make room, then type this line again" if error.errno == errno.ENOSPC else error
        sys.exit(f"{name} was not unpacked; {why}")
    finally:
        shutil.rmtree(str(half), ignore_errors=True)
    print(f"{name} is unpacked")


def refuse_to_write_over(folders):
    for folder in folders:
        if (HERE / folder).exists():
            sys.exit(
                f"{folder}/ is here already and may hold your work, so nothing was unpacked. To go on working, "
                f"type the last line as you typed it before. To begin anew, first rename {folder}"
            )


if __name__ == "__main__":
    if sys.argv[1:] == ["check"]:
        check()
    elif len(sys.argv) == 3 and sys.argv[1] == "unpack":
        unpack(sys.argv[2])
    else:
        sys.exit(__doc__)
