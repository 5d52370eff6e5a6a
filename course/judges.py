"""The judges of the course's pictures and sounds: small classifiers, which read digits, Toy Zoo pictures and toy sounds."""

import torch
from torch import nn

from course import pictures, sounds, toy_sounds, toy_zoo, weights


def beside(judge, x):
    """x on the judge's own device: what was drawn on a GPU is read where the judge is."""
    return x.to(next(judge.parameters()).device)


class Judge(nn.Module):
    """A classifier that knows what it reads. takes: channels, height and width of one picture."""

    takes: tuple

    def check(self, x, what="pictures"):
        """Raise ValueError unless x holds pictures that this judge reads, in [-1, 1]; drawn ones may overshoot."""
        pictures.check(x, what, self.takes[0], limit=10)
        if x.shape[1:] != self.takes:
            raise ValueError(f"this judge reads {what} [N, {', '.join(map(str, self.takes))}]; got {list(x.shape)}")


class DigitClassifier(Judge):
    """Digits in [-1, 1] `[B, 1, 28, 28]` to logits `[B, 10]`; `features` gives the 64 numbers before them."""

    takes = (1, 28, 28)

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Flatten(), nn.Linear(64 * 7 * 7, 64), nn.BatchNorm1d(64), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(64, 10)

    def features(self, x):
        return self.body(beside(self, x))

    def forward(self, x):
        return self.head(self.features(x))


class ZooJudge(Judge):
    """Toy Zoo pictures in [-1, 1] `[B, 3, 64, 64]` to one row of logits for each attribute; `features` gives 128 numbers."""

    takes = (3, toy_zoo.SIZE, toy_zoo.SIZE)

    def __init__(self):
        super().__init__()
        widths, layers = (3, 24, 48, 96, 96), []
        for before, after in zip(widths, widths[1:]):
            for stride, wide in ((2, before), (1, after)):
                layers += [nn.Conv2d(wide, after, 3, stride, 1), nn.GroupNorm(8, after), nn.ReLU()]
        self.body = nn.Sequential(*layers)  # [B, 96, 4, 4]
        self.narrow = nn.Sequential(nn.Flatten(), nn.Linear(96 * 16, 128), nn.LayerNorm(128), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(128, len(values)) for name, values in toy_zoo.ATTRIBUTES.items()})

    def features(self, x):
        return self.narrow(self.body(beside(self, x)))

    def forward(self, x):
        h = self.features(x)
        return {name: head(h) for name, head in self.heads.items()}

    @torch.no_grad()
    def read(self, x):
        """The scenes that the judge sees in the pictures, as a list of `Scene`. Raises ValueError on other pictures."""
        self.check(x)
        rows = torch.cat(
            [torch.stack([logits.argmax(1) for logits in self(part).values()], 1) for part in x.split(250)]
        )
        seen = [[values[i] for values, i in zip(toy_zoo.ATTRIBUTES.values(), row)] for row in rows.tolist()]
        return [toy_zoo.Scene(s, None if s == "pizza" else c, b, w) for s, c, b, w in seen]


class SoundJudge(nn.Module):
    """Waves `[B, 1, 2048]` to one row of logits each for length, movement and kind, from their spectrograms.

    The pitch needs no training: `sounds.pitch` tells it.
    """

    reads = ("length", "movement", "kind")

    def __init__(self):
        super().__init__()
        widths, layers = (1, 16, 32, 64, 64), []
        for before, after in zip(widths, widths[1:]):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 9 * 3, 64), nn.ReLU())  # of 129 x 33 decibels
        self.heads = nn.ModuleDict({name: nn.Linear(64, len(toy_sounds.ATTRIBUTES[name])) for name in self.reads})

    def forward(self, x):
        decibels = sounds.spectrogram(beside(self, x))[:, None]  # [B, 1, 129, 33]
        h = self.body(1 - decibels / (sounds.QUIETEST / 2))
        return {name: head(h) for name, head in self.heads.items()}

    @torch.no_grad()
    def read(self, x):
        """What is heard, as a list of `Sound`. Raises ValueError unless x are waves `[B, 1, 2048]`; drawn ones may overshoot."""
        sounds.check(x, samples=toy_sounds.SAMPLES, limit=10)
        heard = {name: logits.argmax(1).tolist() for name, logits in self(x).items()}
        heard["pitch"] = (sounds.pitch(x) > toy_sounds.BETWEEN).long().tolist()
        rows = [[values[i] for i in heard[name]] for name, values in toy_sounds.ATTRIBUTES.items()]
        return [toy_sounds.Sound(*words) for words in zip(*rows)]


def load_digit_judge():
    """The shipped classifier, which reads 99.5 % of MNIST's test digits right (its card.json has the exact figure)."""
    return weights.load("digit-judge")


def load_zoo_judge():
    """The shipped reader of Toy Zoo pictures (its card.json has its figures)."""
    return weights.load("zoo-judge")


def load_sound_judge():
    """The shipped reader of toy sounds (its card.json has its figures)."""
    return weights.load("sound-judge")
