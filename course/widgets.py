"""Explorers: a slider for each choice, and a picture that was drawn before the slider is moved. And a painter of masks.

Every picture of an explorer is precomputed, so a tick of a slider only swaps the bytes of an image, and the page stays
calm; the painter draws when its button is pressed. Works with ipywidgets 7.7 (Colab) and 8. A static figure
always stands beside an explorer. What fails is said on the page, in the sentence under the picture.
"""

import html
import itertools

import ipywidgets
import numpy as np
import torch
from IPython.display import display

from course import pictures, viz
from course.figures import gallery

_OWN_SIZE = {"align_self": "flex-start", "max_width": "100%"}  # a box would stretch the picture to its own width


def _status(text):
    """The sentence as HTML that a screen reader speaks when it changes; `<` and `&` stay what they are."""
    return f"<p role='status'>{html.escape(text, quote=False)}</p>"


def _failure(error):
    return f"that did not work: {error} ({type(error).__name__})"


def _put(picture, data):
    """Show the bytes of a figure in an image widget, at the size at which a cell would show them."""
    if data:
        picture.format, picture.width = viz.form(data), str(viz.width(data))
    picture.value = data


class Explorer:
    """Sliders over `choices` and the figure that `draw` makes of them.

    draw: called once for each combination as `draw(name=value, ...)`, returns axes. choices: name -> list of
    values. say: called likewise, returns the sentence under the picture. Raises ValueError on an empty choice
    or more than 200 combinations. Where draw or say fails, the sentence says so; `select` and `show` raise that error.
    """

    def __init__(self, draw, say, **choices):
        combinations = list(itertools.product(*choices.values()))
        if not combinations or len(combinations) > 200:
            raise ValueError(
                f"{len(combinations)} pictures to draw; give 1 to 200 combinations, each choice at least one value"
            )
        self.choices = {name: list(values) for name, values in choices.items()}
        self.pictures, self.sentences, self.errors = {}, {}, {}
        for values in combinations:
            self._precompute(values, draw, say)
        self.sliders = {
            name: ipywidgets.SelectionSlider(
                options=[(str(v), v) for v in values], description=name.replace("_", " "), continuous_update=True,
                style={"description_width": "initial"}, layout={"width": "420px"},
            )
            for name, values in self.choices.items()
        }  # fmt: skip
        self.picture = ipywidgets.Image(format="png", layout=_OWN_SIZE)
        self.sentence = ipywidgets.HTML()
        for slider in self.sliders.values():
            slider.observe(self._update, names="value")
        self.box = ipywidgets.VBox([*self.sliders.values(), self.picture, self.sentence])
        self._update()

    @classmethod
    def of_images(cls, album, names, say, **layout):
        """An explorer of pictures that are there already: no `draw` is needed.

        album: dict of sheets `[N, C, H, W]`, one for every combination of choices; its keys are tuples with a value for
        each of `names`, or with one name the values themselves. say: as above, or a dict of sentences with the album's
        keys. layout: keywords of `viz.images`, such as columns. Raises ValueError where a combination is missing.
        """
        names = (names,) if isinstance(names, str) else tuple(names)
        keys = {key if len(names) > 1 else (key,): key for key in album}
        if wrong := [key for key in keys if not isinstance(key, tuple) or len(key) != len(names)]:
            raise ValueError(f"a key holds {len(names)} values, one for each of {', '.join(names)}; got {wrong[0]!r}")
        choices = {name: list(dict.fromkeys(key[i] for key in keys)) for i, name in enumerate(names)}
        if missing := [key for key in itertools.product(*choices.values()) if key not in keys]:
            raise ValueError(f"the album lacks {len(missing)} combinations of {', '.join(names)}, such as {missing[0]}")

        def draw(**chosen):
            return viz.images(album[keys[tuple(chosen.values())]], **layout)

        def sentence(**chosen):
            return say[keys[tuple(chosen.values())]] if isinstance(say, dict) else say(**chosen)

        return cls(draw, sentence, **choices)

    def _precompute(self, values, draw, say):
        """Picture and sentence of one combination."""
        chosen = dict(zip(self.choices, values))
        self.pictures[values] = b""
        try:
            axes, text = draw(**chosen), say(**chosen)
            if not isinstance(text, str) or not hasattr(np.ravel(axes)[0], "figure"):
                got = f"{type(axes).__name__} and {type(text).__name__}"
                raise TypeError(f"draw returns axes and say a text; got {got}. Is there a `return`?")
            self.pictures[values], self.sentences[values] = viz.encoded(np.ravel(axes)[0].figure, small=False), text
        except Exception as error:  # said on the page, and raised by `show`
            self.sentences[values], self.errors[values] = _failure(error), error

    def _update(self, _change=None):
        values = self._values()
        _put(self.picture, self.pictures[values])
        self.sentence.value = _status(self.sentences[values])

    def _values(self):
        return tuple(slider.value for slider in self.sliders.values())

    def select(self, **chosen):
        """Move sliders from code, for readers without a mouse. Returns the sentence. Other values raise ValueError."""
        for name, value in chosen.items():
            if value not in self.choices.get(name, []):
                raise ValueError(f"{name} = {value!r} is no choice here; the choices are {self.choices}")
            self.sliders[name].value = value
        if self._values() in self.errors:
            raise self.errors[self._values()]
        return self.sentences[self._values()]

    def show(self):
        """Put the explorer under the cell, and raise the first error of draw or say, so that it is not overlooked."""
        display(self.box)
        if self.errors:
            raise next(iter(self.errors.values()))


class MaskPainter:
    """A picture cut into cells that one paints by clicking, and a button that draws anew what is painted.

    picture: `[1, 3, H, W]` in [-1, 1]; cells: how many a side, 1 to 16. draw: called with the mask `[1, 1, H, W]`, 1
    where painted, when the button is pressed; returns a picture `[1, 3, H, W]`. say: called with the mask and that
    picture, returns the sentence under it. Painted cells turn white and bear a cross. `rectangle`, `clear` and `draw`
    do all of it from code. Where draw or say fails, the sentence says so, and from code the error is raised.
    Raises ValueError on other pictures and numbers of cells.
    """

    def __init__(self, picture, draw, say=None, cells=8):
        pictures.check(picture, "the picture")
        height, width = picture.shape[2:]
        if len(picture) != 1 or not 1 <= cells <= 16 or height % cells or width % cells:
            raise ValueError(
                f"{cells} cells per side do not divide {height} x {width} pixels; give 1 to 16 that do, and one picture"
            )
        self._given, self._draw, self.cells, self.drawn = picture, draw, cells, None
        self._say = say or (lambda mask, drawn: f"{mask.mean():.0%} of the picture was drawn anew.")
        means = torch.nn.functional.adaptive_avg_pool2d(picture, cells)
        self.colors = np.asarray(pictures.to_images(means)[0]).tolist()
        self.painted = torch.zeros(cells, cells, dtype=torch.bool)
        small = ipywidgets.Layout(width="34px", height="34px", margin="1px", padding="0", border="1px solid #808080")
        self.buttons = [[self._button(small, row, column) for column in range(cells)]
                        for row in range(cells)]  # fmt: skip
        self.edges = {
            name: ipywidgets.BoundedIntText(1 if name in ("top", "left") else cells, 1, cells, description=name,
                                            layout={"width": "150px"})
            for name in ("top", "bottom", "left", "right")
        }  # fmt: skip
        names = {"paint rectangle": self._from_edges, "clear": self.clear, "draw it": self.draw}
        self.commands = {name: ipywidgets.Button(description=name, layout={"width": "130px"}) for name in names}
        for name, command in names.items():
            self.commands[name].on_click(lambda _, command=command: command())
        self.picture, self.sentence = ipywidgets.Image(format="png", layout=_OWN_SIZE), ipywidgets.HTML()
        grid = ipywidgets.VBox([ipywidgets.HBox(row) for row in self.buttons])
        texts = ipywidgets.VBox([*self.edges.values(), *self.commands.values()])
        self.box = ipywidgets.VBox([ipywidgets.HBox([grid, texts]), self.picture, self.sentence])
        self._update()

    def _button(self, layout, row, column):
        button = ipywidgets.Button(layout=layout)
        button.style.text_color = "black"  # on white, in dark themes too; ipywidgets 7 ignores it
        button.on_click(lambda _: self.toggle(row + 1, column + 1))
        return button

    def _from_edges(self):
        self.rectangle(*(edge.value for edge in self.edges.values()))

    @property
    def mask(self):
        """The mask of pixels `[1, 1, H, W]`: 1 where painted, so to be drawn anew."""
        wide = [side // self.cells for side in self._given.shape[2:]]
        return torch.kron(self.painted.float(), torch.ones(wide))[None, None].to(self._given.device)

    def toggle(self, row, column):
        """Paint a cell or wipe it; rows and columns count from 1, from the upper left."""
        self.rectangle(row, row, column, column, not self.painted[row - 1, column - 1])

    def rectangle(self, top, bottom, left, right, paint=True):
        """Paint (or wipe) all cells from row `top` to `bottom` and from column `left` to `right`, counted from 1."""
        if not (1 <= top <= bottom <= self.cells and 1 <= left <= right <= self.cells):
            self._tell(
                f"rows {top} to {bottom} and columns {left} to {right} are no rectangle inside 1 to {self.cells}"
            )
        else:
            self.painted[top - 1 : bottom, left - 1 : right] = paint
            self._update()

    def clear(self):
        """Wipe every cell."""
        self.rectangle(1, self.cells, 1, self.cells, False)

    def draw(self):
        """Draw the painted part anew, keep the result as `drawn` and show it. Returns the sentence under it."""
        if not self.painted.any():
            return self._tell("nothing is painted, so nothing would be drawn anew")
        self._tell("drawing ...")
        mask = self.mask
        try:
            drawn = self._draw(mask)
            if getattr(drawn, "shape", None) != self._given.shape or not drawn.isfinite().all():
                raise ValueError(f"draw returns a picture {list(self._given.shape)} without NaN")
            self._show([*self._painted(), drawn], ["before", "painted", "drawn"])
            text = str(self._say(mask, drawn))
        except Exception as error:  # pressed on the page, where nobody would see it
            self._tell(_failure(error))
            raise
        self.drawn = drawn
        return self._tell(text)

    def _painted(self):
        return [self._given, self._given * (1 - self.mask)]

    def _update(self):
        for row, line in enumerate(self.buttons):
            for column, button in enumerate(line):
                on = bool(self.painted[row, column])
                button.description = "×" if on else " "  # an empty text would leave the cross on the page
                button.style.button_color = "white" if on else "#{:02x}{:02x}{:02x}".format(*self.colors[row][column])
                button.tooltip = f"row {row + 1}, column {column + 1}: {'draw anew' if on else 'keep'}"
        self._show(self._painted(), ["before", "painted"])
        self._tell(f"{int(self.painted.sum())} of {self.cells**2} cells are painted")

    def _show(self, sheet, titles):
        axes = gallery.sheet(torch.cat(sheet), column_titles=titles, scale=1.7)
        _put(self.picture, viz.encoded(axes.figure, small=False))

    def _tell(self, text):
        self.sentence.value = _status(text)
        return text

    def show(self):
        """Put the painter under the cell."""
        display(self.box)
