"""The pages of the built book as a reader's browser gets them, for the tests of the book."""

import re
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
LOADED = {"script": "src", "img": "src", "audio": "src", "video": "src", "source": "src", "iframe": "src", "embed": "src",
          "object": "data", "track": "src", "use": "href"}  # fmt: skip


class Page(HTMLParser):
    """One page: `tags`, a list of (tag, attributes); `text`, what is read outside of code and formulas; `heading`, the h1."""

    def __init__(self, path):
        super().__init__()
        self.path, self.tags, self.texts, self.open = path, [], [], []
        self.feed(path.read_text("utf-8"))
        self.text = "".join(
            text for text, around in self.texts if not around & {"script", "style", "pre", "code", "math"}
        )
        self.heading = "".join(text for text, around in self.texts if {"h1", "article"} <= around).strip("# \n")

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        self.texts.append((data, set(self.open)))

    def loads(self):
        """The addresses from which the page fetches something by itself: scripts, pictures, sounds, styles."""
        for tag, attributes in self.tags:
            if tag in LOADED:
                yield attributes.get(LOADED[tag])
            if tag == "link" and attributes.get("rel") not in (
                "next",
                "prev",
                "search",
                "index",
                "canonical",
                "author",
            ):
                yield attributes.get("href")
            yield from re.findall(r"url\(([^)]*)\)", attributes.get("style") or "")

    def count(self, tag, **wanted):
        """How many elements have these attributes."""
        return sum(t == tag and all(a.get(k) == v for k, v in wanted.items()) for t, a in self.tags)

    def beside(self, address):
        """The file at an address on this page."""
        return (self.path.parent / re.sub(r"[?#].*", "", address)).resolve()

    def link(self, kind):
        """Where `previous` or `next` leads, a path; None at the end."""
        side = {"previous": "left-prev", "next": "right-next"}[kind]
        found = [a["href"] for tag, a in self.tags if tag == "a" and a.get("class") == side]
        return self.beside(found[0]) if found else None
