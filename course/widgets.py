"""Explorers: a slider for each choice, and a picture that was drawn before the slider is moved. And a painter of masks.

Every picture of an explorer is precomputed, so a tick of a slider only swaps PNG bytes, and the page stays
calm; the painter draws when its button is pressed. Works with ipywidgets 7.7 (Colab) and 8. A static figure
always stands beside an explorer.
"""

import itertools

import ipywidgets
import torch
from IPython.display import display

from course import viz

_OWN_SIZE = {"align_self": "flex-start", "max_width": "100%"}  # a box would stretch the picture to its own width


class Explorer:
    """Sliders over `choices` and the figure that `draw` makes of them.

    draw: called once for each combination as `draw(name=value, ...)`, returns axes. choices: name -> list of
    values. say: called likewise, returns the sentence under the picture. Raises ValueError on an empty choice
    or more than 200 combinations.
    """

    def __init__(self, draw, say, **choices):
        combinations = list(itertools.product(*choices.values()))
        if not combinations or len(combinations) > 200:
            raise ValueError(
                f"{len(combinations)} pictures to draw; give 1 to 200 combinations, each choice at least one value"
            )
        self.choices = {name: list(values) for name, values in choices.items()}
        self.pictures, self.sentences = {}, {}
        for values in combinations:
            chosen = dict(zip(choices, values))
            axes = draw(**chosen)
            self.pictures[values] = viz.png((axes.flat[0] if hasattr(axes, "flat") else axes).figure)
            self.sentences[values] = say(**chosen)
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

    def _update(self, _change=None):
        values = tuple(slider.value for slider in self.sliders.values())
        self.picture.value = self.pictures[values]
        self.sentence.value = f"<p role='status'>{self.sentences[values]}</p>"

    def select(self, **chosen):
        """Move sliders from code, for readers without a mouse. Returns the sentence. Raises ValueError on what is no choice."""
        for name, value in chosen.items():
            if value not in self.choices.get(name, []):
                raise ValueError(f"{name} = {value!r} is no choice here; the choices are {self.choices}")
            self.sliders[name].value = value
        return self.sentences[tuple(slider.value for slider in self.sliders.values())]

    def show(self):
        """Put the explorer under the cell."""
        display(self.box)


class MaskPainter:
    """A picture cut into cells that one paints by clicking, and a button that draws anew what is painted.

    picture: `[1, 3, H, W]` in [-1, 1]; cells: how many a side, 1 to 16. draw: called with the mask `[1, 1, H, W]`, 1 where
    painted, when the button is pressed; returns a picture `[1, 3, H, W]`. say: called with the mask and that picture,
    returns the sentence under it. Painted cells turn white and bear a cross. `rectangle`, `clear` and `draw` do all of
    it from code.
    Raises ValueError on other numbers of cells.
    """

    def __init__(self, picture, draw, say=None, cells=8):
        height, width = picture.shape[2:]
        if not 1 <= cells <= 16 or height % cells or width % cells:
            raise ValueError(f"{cells} cells a side do not divide {height} x {width} pixels; give 1 to 16 that do")
        self.image, self.make, self.cells, self.drawn = picture, draw, cells, None
        self.say = say or (lambda mask, drawn: f"{mask.mean():.0%} of the picture was drawn anew.")
        means = (torch.nn.functional.adaptive_avg_pool2d(picture, cells)[0] + 1) * 127.5
        self.colors = means.round().int().clamp(0, 255).permute(1, 2, 0).tolist()
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
        wide = [side // self.cells for side in self.image.shape[2:]]
        return torch.kron(self.painted.float(), torch.ones(wide))[None, None].to(self.image.device)

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
        """Draw the painted part anew, keep the result as `drawn` and show it. Returns the sentence under the picture."""
        if not self.painted.any():
            return self._tell("nothing is painted, so nothing would be drawn anew")
        self._tell("drawing ...")
        mask = self.mask
        try:
            self.drawn = self.make(mask)
        except Exception as error:  # pressed on the page, where nobody would see it
            self._tell(f"that did not work: {error}")
            raise
        self._show(torch.cat([self.image, self.image * (1 - mask), self.drawn]), ["before", "painted", "drawn"])
        return self._tell(self.say(mask, self.drawn))

    def _update(self):
        for row, line in enumerate(self.buttons):
            for column, button in enumerate(line):
                on = bool(self.painted[row, column])
                button.description = "×" if on else " "  # an empty text would leave the cross on the page
                button.style.button_color = "white" if on else "#{:02x}{:02x}{:02x}".format(*self.colors[row][column])
                button.tooltip = f"row {row + 1}, column {column + 1}: {'draw anew' if on else 'keep'}"
        self._show(torch.cat([self.image, self.image * (1 - self.mask)]), ["before", "painted"])
        self._tell(f"{int(self.painted.sum())} of {self.cells**2} cells are painted")

    def _show(self, pictures, titles):
        axes = viz.images(pictures, column_titles=titles, scale=1.7)
        self.picture.value = viz.png(axes.figure)

    def _tell(self, text):
        self.sentence.value = f"<p role='status'>{text}</p>"
        return text

    def show(self):
        """Put the painter under the cell."""
        display(self.box)
