"""Translate a notebook and keep it in step with the original: `python tools/translation.py start 05 de`, `... check de`.

`start` copies the notebook to notebooks/LANGUAGE/, where every cell keeps its id and remembers the original text by a
checksum. `check` lists the cells whose original has changed since, is new or is gone; `done 05 de` says that the named
cells (or all) have been brought up to date. See TRANSLATING.md.
"""

import argparse
import hashlib

import nbformat
import own_course  # noqa: F401, before course

from course import ROOT

NOTEBOOKS = ROOT / "notebooks"
MARK = "translation_of"  # in a cell's metadata: the checksum of the original's source


def checksum(cell):
    return hashlib.sha256(cell.source.encode()).hexdigest()[:16]


def original(number, folder=NOTEBOOKS):
    """The file of that number. Raises SystemExit where there is none or more than one."""
    found = sorted(folder.glob(f"{number}_*.ipynb"))
    if len(found) != 1:
        raise SystemExit(f"{number!r} names {len(found)} notebooks; 05 names notebooks/05_toy_ddpm.ipynb")
    return found[0]


def start(source, target):
    """A copy to translate, without outputs. Raises SystemExit if it is there already."""
    if target.exists():
        raise SystemExit(f"{target} is there already; `check` says what has changed in its original")
    notebook = nbformat.read(source, as_version=4)
    for cell in notebook.cells:
        cell.metadata[MARK] = checksum(cell)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


def differences(source, target):
    """What of the original has changed since it was translated: (cell id, what), in the original's order, then what is gone."""
    now = {cell.id: checksum(cell) for cell in nbformat.read(source, as_version=4).cells}
    then = {cell.id: cell.metadata.get(MARK) for cell in nbformat.read(target, as_version=4).cells}
    found = [(name, "new" if name not in then else "changed") for name in now if then.get(name) != now[name]]
    return found + [(name, "gone") for name in then if name not in now]


def done(source, target, names):
    """These cells of the translation, or all, are up to date. Raises SystemExit on cells that one of the two lacks."""
    now = {cell.id: checksum(cell) for cell in nbformat.read(source, as_version=4).cells}
    notebook = nbformat.read(target, as_version=4)
    cells = {cell.id: cell for cell in notebook.cells}
    if missing := [name for name in names or cells if name not in now or name not in cells]:
        raise SystemExit(f"both files need these cells: {', '.join(missing)}. `check` says which are new or gone")
    for name in names or cells:
        cells[name].metadata[MARK] = now[name]
    nbformat.write(notebook, target)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("start", "done", "check"):
        command = commands.add_parser(name)
        if name != "check":
            command.add_argument("number", help="05")
        command.add_argument("language", help="de")
        if name == "done":
            command.add_argument("cells", nargs="*", help="ids of cells; none: all")
    args = parser.parse_args()
    folder = NOTEBOOKS / args.language
    if args.command == "check":
        found = [(file.name, *each) for file in sorted(folder.glob("*.ipynb"))
                 for each in differences(NOTEBOOKS / file.name, file)]  # fmt: skip
        print(*(f"{file}: {name} is {what}" for file, name, what in found), sep="\n")
        raise SystemExit(bool(found))
    source = original(args.number)
    if args.command == "start":
        start(source, folder / source.name)
    else:
        done(source, folder / source.name, args.cells)


if __name__ == "__main__":
    main()
