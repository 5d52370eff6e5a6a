"""The student sheet and the map of misconceptions as PDF, one A4 page each, and the quizzes, in `dist/sheets/`: `make sheets`.

Markdown becomes a page, KaTeX sets its formulas from files on this disk, and Chromium prints it.
"""

import shutil
import tomllib
from pathlib import Path

import make_book
import own_course  # noqa: F401, before course
import sphinxcontrib.katex
from nbconvert.filters import markdown2html
from playwright.sync_api import sync_playwright

from course import ROOT

SOURCES = [ROOT / "teaching" / name for name in ("sheet.md", "misconceptions.md")]
QUIZZES = ROOT / "teaching" / "quizzes.toml"
OUT = ROOT / "dist" / "sheets"
KATEX = Path(sphinxcontrib.katex.__file__).parent  # katex.min.js and auto-render.min.js lie beside it

LOOK = """
@page { size: A4; margin: 0 }
body { font: 8.6pt/1.24 "DejaVu Sans", Arial, sans-serif; margin: 9mm 10mm; color: black }
main.sheet { columns: 2; column-gap: 7mm; font-size: 9.8pt }
main.sheet h2 { font-size: 12pt; margin-top: 4mm } main.sheet td { padding: .7mm 1mm }
main.sheet td code, main.sheet table:last-of-type td { white-space: nowrap }
main.sheet table:last-of-type { font-size: 9pt } p:has(+ ol) { break-after: avoid }
h1 { font-size: 14pt; margin: 0 0 1.5mm; column-span: all }
h2 { font-size: 10pt; margin: 2.5mm 0 1mm; break-after: avoid } ol, table { break-inside: avoid }
p, ol { margin: 1mm 0 } ol { padding-left: 5mm }
table { border-collapse: collapse; width: 100% }
th { text-align: left } td, th { border-bottom: .2mm solid #999; padding: .35mm 1mm; vertical-align: top }
code { font-family: "DejaVu Sans Mono", monospace; font-size: .95em; overflow-wrap: anywhere }
a.anchor-link { display: none }
.katex { font-size: 1.05em }
main.misconceptions { font-size: 8.5pt; line-height: 1.12 }
main.misconceptions td:nth-child(3) { white-space: nowrap }
main.quizzes, main.answers { font-size: 11pt } main.quizzes h2 { font-size: 14pt }
main.quizzes h2 ~ h2 { break-before: page; padding-top: 9mm } main.quizzes li { margin-bottom: 22mm }
main.answers li { margin-bottom: 2mm }
"""
SET_FORMULAS = """renderMathInElement(document.body, {throwOnError: true, delimiters: [
  {left: "$$", right: "$$", display: true}, {left: "$", right: "$", display: false}]})"""


def katex_files(folder):
    """KaTeX's style, fonts and scripts into a folder, from this disk (the style once from npm); the head that loads them."""
    make_book.fetch_style()
    shutil.copytree(make_book.STYLE, folder, dirs_exist_ok=True)
    for name in ("katex.min.js", "auto-render.min.js"):
        shutil.copy(KATEX / name, folder)
    where = folder.name
    return (
        f'<link rel="stylesheet" href="{where}/katex.min.css"><script src="{where}/katex.min.js"></script>'
        f'<script src="{where}/auto-render.min.js"></script>'
    )


def quizzes(answered):
    """All quizzes as Markdown, for the class or, `answered`, for the one who asks."""
    lines = []
    for quiz in tomllib.loads(QUIZZES.read_text("utf-8"))["quiz"]:
        lines += [f"## {quiz['title']}", ""]
        for question in quiz["question"]:
            number, cell = question["cell"].split()
            told = f" **{question['answer']}** {question['why']} ({number} `{cell}`)" if answered else ""
            lines.append(f"1. {question['ask']}{told}")
        lines.append("")
    return "\n".join(lines)


def page(name, markdown, head):
    """The HTML of one sheet."""
    text = markdown2html(markdown)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>{head}<style>{LOOK}</style>'
        f'<body><main class="{name}">{text}</main><script>{SET_FORMULAS}</script></body></html>'
    )


def chromium(playwright):
    """A browser: Playwright's own where it is installed, else the system's."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return playwright.chromium.launch(executable_path=found)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    head = katex_files(OUT / "katex")
    texts = {source.stem: source.read_text("utf-8") for source in SOURCES}
    texts |= {"quizzes": quizzes(answered=False), "answers": quizzes(answered=True)}
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        for name, text in texts.items():
            place = OUT / f"{name}.html"
            place.write_text(page(name, text, head), "utf-8")
            tab = browser.new_page()
            tab.goto(place.as_uri(), wait_until="networkidle")
            tab.pdf(path=OUT / f"{name}.pdf", format="A4", print_background=True)
            print(OUT / f"{name}.pdf")
        browser.close()


if __name__ == "__main__":
    main()
