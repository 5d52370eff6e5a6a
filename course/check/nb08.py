"""Answers and usual mistakes of notebook 08, CLIP and conditioning."""

import math

import torch
import torch.nn.functional as F

from course.check.engine import FunctionExercise, ValueExercise

_generator = torch.Generator().manual_seed(0)
_pictures, _texts = (torch.randn(n, 6, generator=_generator, dtype=torch.float64) for n in (3, 4))
_q, _k = torch.randn(2, 5, 4, generator=_generator, dtype=torch.float64)

loss_without_scale = ValueExercise(
    math.log(math.e + 31) - 1,
    mistakes=[
        (0.0, "all choices are right, but how sure can a softmax be whose scores differ by 1?"),
        (math.log(32), "that is guessing, with 32 equal scores; here the right score is larger than the others by 1"),
        (
            math.log(math.e + 32) - 1,
            "nearly: one text of the 32 is the right one; how many wrong ones does that leave in the sum?",
        ),
        (math.log(32) - 1, "in the sum below the fraction line, which of the 32 terms is not e^0?"),
        (math.log(1 + 31 * math.exp(-1 / 0.07)), "that is the loss with CLIP's scale of 14.3; here it is 1"),
        (
            math.e / (math.e + 31),
            "that is the probability of the right choice; what does the cross-entropy make of it?",
        ),
        (
            2 * math.log(math.e + 31) - 2,
            "rows and columns cost the same here, and the loss is their mean, not their sum",
        ),
        (math.log(math.e + 31), "that is the logarithm of the sum; the score of the right text is still to come off"),
        (1 - math.log(math.e + 31), "a probability lies below 1; which sign has minus its logarithm?"),
        ((math.log(math.e + 31) - 1) / math.log(2), "right in bits; the loss is made with natural logarithms"),
        (
            (math.log(math.e + 31) - 1) / math.log(10),
            "that is the logarithm to the base 10; the loss is made with natural ones",
        ),
        (1.0, "31 wrong texts have the score 0; what is e to the power of 0?"),
    ],
    tolerance=2e-3,
)


def _cosines(pictures, texts):
    return F.normalize(pictures, dim=1) @ F.normalize(texts, dim=1).T


read_pictures = FunctionExercise(
    lambda pictures, texts, scale: (scale * _cosines(pictures, texts)).softmax(dim=1),
    mistakes=[
        (
            lambda pictures, texts, scale: (scale * pictures @ texts.T).softmax(dim=1),
            "these are dot products; what has to be done first so that they are cosines?",
        ),
        (
            lambda pictures, texts, scale: (scale * _cosines(pictures, texts)).softmax(dim=0),
            "your columns sum to 1: texts choose among pictures. Who is to choose here?",
        ),
        (
            lambda pictures, texts, scale: _cosines(pictures, texts).softmax(dim=1),
            "cosines differ by 2 at most, so the reader is never sure; one argument is still unused",
        ),
        (
            lambda pictures, texts, scale: (_cosines(pictures, texts) / scale).softmax(dim=1),
            "you divide by the scale; it is one over the temperature",
        ),
        (
            lambda pictures, texts, scale: scale * _cosines(pictures, texts).softmax(dim=1),
            "your rows sum to `scale`: the cosines are to be scaled before the softmax, not the probabilities after it",
        ),
        (
            lambda pictures, texts, scale: (math.exp(scale) * _cosines(pictures, texts)).softmax(dim=1),
            "`scale` is the number itself, such as 14.3; only where a network stores its logarithm is an `exp` needed",
        ),
        (
            lambda pictures, texts, scale: scale * _cosines(pictures, texts),
            "these scores are right; how do they become probabilities?",
        ),
        (
            lambda pictures, texts, scale: (scale * _cosines(pictures, texts)).log_softmax(dim=1),
            "these are logarithms of probabilities, good for a loss; asked are the probabilities",
        ),
        (
            lambda pictures, texts, scale: (scale * F.normalize(pictures, dim=1) @ texts.T).softmax(dim=1),
            "the pictures have length 1 now; a cosine needs that of both sides",
        ),
        (
            lambda pictures, texts, scale: (scale * pictures @ F.normalize(texts, dim=1).T).softmax(dim=1),
            "the texts have length 1 now; a cosine needs that of both sides",
        ),
        (
            lambda pictures, texts, scale: (scale * F.normalize(pictures, dim=0) @ F.normalize(texts, dim=0).T).softmax(
                dim=1
            ),
            "every column has length 1 now; what is a vector here, a row or a column?",
        ),
        (
            lambda pictures, texts, scale: (scale * (pictures / pictures.norm()) @ (texts / texts.norm()).T).softmax(
                dim=1
            ),
            "you divide by the length of the whole matrix; each row has a length of its own",
        ),
    ],
    cases=[
        (F.normalize(_pictures, dim=1), F.normalize(_texts, dim=1), 5.0),
        (_pictures, _texts, 5.0),
        (_pictures, _texts, 14.2857),
    ],
    names=["vectors of length 1", "vectors of other lengths", "a larger scale"],
)


def _scores(q, k):
    return q @ k.T / q.shape[1] ** 0.5


def _later(q):
    return torch.ones(len(q), len(q)).triu(1).bool()


look_back = FunctionExercise(
    lambda q, k: _scores(q, k).masked_fill(_later(q), -torch.inf).softmax(dim=1),
    mistakes=[
        (lambda q, k: _scores(q, k).softmax(dim=1), "every place looks everywhere; nothing is masked yet"),
        (
            lambda q, k: _scores(q, k).masked_fill(_later(q).T, -torch.inf).softmax(dim=1),
            "your places look ahead: the other triangle has to go",
        ),
        (
            lambda q, k: _scores(q, k).softmax(dim=1).masked_fill(_later(q), 0),
            "the right places are 0, but what is the sum of a row now? Mask before the softmax",
        ),
        (
            lambda q, k: _scores(q, k).masked_fill(_later(q), 0).softmax(dim=1),
            "a score of 0 is not a weight of 0; which score does the softmax turn into 0?",
        ),
        (
            lambda q, k: (q @ k.T).masked_fill(_later(q), -torch.inf).softmax(dim=1),
            "the mask is right; the scores grow with d, and something under the fraction line keeps them in check",
        ),
        (
            lambda q, k: (q @ k.T / q.shape[1]).masked_fill(_later(q), -torch.inf).softmax(dim=1),
            "the mask is right; a sum of d products has a spread of the root of d, so divide by that",
        ),
        (
            lambda q, k: _scores(q, k).masked_fill(_later(q), -torch.inf).softmax(dim=0),
            "your columns sum to 1; it is the place that looks, a row, whose weights do",
        ),
        (
            lambda q, k: _scores(q, k).masked_fill(torch.ones(len(q), len(q)).triu(0).bool(), -1e9).softmax(dim=1),
            "your mask covers the diagonal too; may a place look at itself?",
        ),
        (
            lambda q, k: (
                _scores(q, k).masked_fill(torch.ones(len(q), len(q)).triu(0).bool(), -torch.inf).softmax(dim=1)
            ),
            "the first place has nowhere left to look, so its row is NaN; may a place look at itself?",
        ),
        (
            lambda q, k: _scores(q, k).masked_fill(torch.ones(len(q), len(q)).tril().bool(), -torch.inf).softmax(dim=1),
            "you hide what a place may see: the last one has nowhere left to look, so its row is NaN. Hide the later places",
        ),
        (
            lambda q, k: _scores(q, k).masked_fill(_later(q), -torch.inf),
            "there is minus infinity in your weights: these are still scores; what makes weights of them?",
        ),
        (
            lambda q, k: (q @ k.T / len(q) ** 0.5).masked_fill(_later(q), -torch.inf).softmax(dim=1),
            "the mask is right; d under the root is the number of entries of a query, not the number of tokens",
        ),
        (
            lambda q, k: _scores(k, q).masked_fill(_later(q), -torch.inf).softmax(dim=1),
            "the mask is right; but whose query belongs to row i, and whose key to column j?",
        ),
    ],
    cases=[(0 * _q, _k), (_q, _k)],
    names=["the mask, where all scores are equal", "the weights, where they differ"],
)

shuffled_rows = ValueExercise(
    "same",
    mistakes=[
        ("different", "follow one place: its weights go along with the rows that they belong to. Try it in a cell"),
        ("a little", "compare the two answers in a cell: is the difference larger than rounding?"),
    ],
)
