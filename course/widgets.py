"""Explorers: a slider for each choice, and a picture that was drawn before the slider is moved.

Every picture is precomputed, so a tick of a slider only swaps PNG bytes, and the page stays
calm. Works with ipywidgets 7.7 (Colab) and 8. A static figure always stands beside an explorer.
"""

import itertools

import ipywidgets
from IPython.display import display

from course import viz


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
        self.picture = ipywidgets.Image(format="png")
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
