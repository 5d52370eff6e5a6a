"""Distances between sets of pictures, and shares of them that a judge reads right.

The Fréchet distance here is taken on the features of the course's own judges (`judges.py`), so it must not be put
beside published FID values, which use another network (Heusel et al. 2017, arXiv 1706.08500).
"""

import torch

from course import pictures, toy_sounds, toy_zoo


@torch.no_grad()
def in_batches(function, x, size=250):
    """`function(x)`, `size` rows at a time, so that memory stays small."""
    return torch.cat([function(part) for part in x.split(size)])


def _check(judge, x, what="pictures"):
    """Raise ValueError if the judge cannot read x, or, where it does not know what it reads, if x is not finite."""
    if hasattr(judge, "check"):
        judge.check(x, what)
    elif not x.isfinite().all():
        raise ValueError(f"{what} hold NaN or infinity: look at what made them")


def judged_distance(judge, a, b):
    """Fréchet distance between two sets of pictures in [-1, 1] on the features of their judge; 0 is equal.

    a, b: `[N, C, H, W]`, `[M, C, H, W]`. Raises ValueError if the judge cannot read them, or on fewer than two.
    """
    _check(judge, a, "the first pictures")
    _check(judge, b, "the second pictures")
    return frechet_distance(in_batches(judge.features, a), in_batches(judge.features, b))


def frechet_distance(a, b):
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of two feature sets `[N, D]`, `[M, D]`, in float64.

    Biased upward for few samples, so compare only sets of equal size. Raises ValueError on other
    shapes, fewer than two rows, or values that are not finite.
    """
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"needs [N, D] and [M, D] with N, M >= 2; got {tuple(a.shape)} and {tuple(b.shape)}")
    if not (a.isfinite().all() and b.isfinite().all()):
        raise ValueError("the features hold NaN or infinity: look at the pictures that they were taken from")
    a, b = a.double(), b.double()
    mean = (a.mean(0) - b.mean(0)).square().sum()
    cov_a, cov_b = torch.atleast_2d(torch.cov(a.T)), torch.atleast_2d(torch.cov(b.T))
    # the eigenvalues of C_a C_b are real and not negative, so their roots sum to the trace of its root
    roots = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt()
    return (mean + cov_a.trace() + cov_b.trace() - 2 * roots.sum()).item()


def rows_like(labels, digits, generator):
    """Rows of `digits` drawn by chance, as many of each label as in `labels`. Raises ValueError where one has too few."""
    order, rows = torch.randperm(len(digits.labels), generator=generator), []
    for label, count in enumerate(labels.cpu().bincount()):
        rows.append(order[digits.labels[order] == label][:count])
        if (found := len(rows[-1])) < count:
            raise ValueError(f"{count} digits {label} are wanted, but there are {found}: ask for fewer labels")
    return torch.cat(rows)


def real_distance(judge, digits, labels, test_images, draws=10, seed=0):
    """What real digits would get: the Fréchet distance of as many of the same labels. Returns the mean of the draws and their std.

    The same labels, because a chance draw of real digits lies farther from the test digits than one with ten equal classes,
    and would flatter drawn digits whose labels were asked for in turn. digits: `data.Digits` to draw from; labels: long
    `[N]`, those asked for; test_images: what the distance is taken to. Raises ValueError where a label has too few digits.
    """
    _check(judge, digits.images, "the digits")
    _check(judge, test_images, "the test digits")
    test, generator, distances = in_batches(judge.features, test_images), torch.Generator().manual_seed(seed), []
    for _ in range(draws):
        rows = rows_like(labels, digits, generator)
        distances.append(frechet_distance(in_batches(judge.features, digits.images[rows]), test))
    distances = torch.tensor(distances)
    return distances.mean().item(), distances.std().item()


def accuracy(judge, x, labels):
    """Share of the digits `[N, 1, 28, 28]` in [-1, 1] that the judge reads as their label, long `[N]`, in 0..1.

    Raises ValueError if the judge cannot read them, or if they are not as many as the labels.
    """
    _check(judge, x, "digits")
    if labels.shape != x.shape[:1]:
        raise ValueError(f"one label a digit is needed; got labels {tuple(labels.shape)} for {len(x)} digits")
    return (in_batches(judge, x).argmax(dim=1) == labels).float().mean().item()


def prompt_accuracy(judge, x, prompts):
    """Share of the pictures `[N, 3, 64, 64]` in [-1, 1] that show everything their prompt names, in 0..1.

    Raises ValueError if the judge cannot read them, or if a prompt names nothing of Toy Zoo, for then every picture
    would be right.
    """
    prompts = [prompts] if isinstance(prompts, str) else prompts
    wanted = [toy_zoo.parse(prompt) for prompt in prompts]
    if not all(wanted) or len(wanted) != len(x):
        empty = next((prompt for prompt, names in zip(prompts, wanted) if not names), f"{len(wanted)} prompts")
        raise ValueError(
            f"one prompt a picture that names something of Toy Zoo is needed; got {empty!r} for {len(x)} pictures"
        )
    seen = judge.read(x)
    return sum(all(getattr(s, k) == v for k, v in names.items()) for s, names in zip(seen, wanted)) / len(wanted)


def caption_accuracy(judge, waves, captions):
    """Share of the waves `[N, 1, 2048]` in [-1, 1] in which every word of their caption is heard, in 0..1.

    Raises ValueError if the judge cannot read them, or if a caption names nothing of toy sounds.
    """
    wanted = [toy_sounds.parse(caption) for caption in captions]
    if not all(wanted) or len(wanted) != len(waves):
        raise ValueError(
            f"one caption a wave that names something of toy sounds is needed; got {captions[:3]}... for {len(waves)} waves"
        )
    heard = judge.read(waves)
    return sum(named.items() <= sound._asdict().items() for sound, named in zip(heard, wanted)) / len(wanted)


def diversity(judge, x, groups):
    """Mean distance of two pictures `[N, C, H, W]` of one group (say, of one prompt) on the judge's features. groups: `[N]`.

    Put it beside the same of true renderings. Raises ValueError if the judge cannot read them, or if no group has two.
    """
    _check(judge, x)
    if groups.shape != x.shape[:1]:
        raise ValueError(f"one group a picture is needed; got groups {tuple(groups.shape)} for {len(x)} pictures")
    features = in_batches(judge.features, x)
    sets = [features[groups == group] for group in groups.unique()]
    distances = [torch.pdist(same) for same in sets if len(same) > 1]
    if not distances:
        raise ValueError("every group holds a single picture; draw at least two of each")
    return torch.cat(distances).mean().item()


def psnr(a, b):
    """Peak signal-to-noise ratio of pictures `[N, C, H, W]` in [-1, 1], in dB, the mean over the pictures; equal ones: infinity.

    Raises ValueError on other pictures, and on two sets of different shape.
    """
    for x, what in ((a, "the first pictures"), (b, "the second pictures")):
        pictures.check(x, what, x.shape[1] if x.dim() == 4 else 3, limit=10)
    if a.shape != b.shape:
        raise ValueError(f"both sets must have one shape; got {tuple(a.shape)} and {tuple(b.shape)}")
    return (10 * torch.log10(4 / (a - b).square().flatten(1).mean(1))).mean().item()


# ---------------------------------------------------------------- films


def flicker(films):
    """Mean size of the difference of two consecutive frames of films `[B, F, 3, H, W]`, a number; a still picture has 0.

    Raises ValueError on other shapes and on a single frame.
    """
    check_films(films)
    return films.diff(dim=1).abs().mean().item()


def centres(films):
    """Where the figure is in each frame: its centre from the left edge in pixels, `[B, F]`, from films `[B, F, 3, H, W]`.

    The centre of all that differs from the background, which is the median colour of the picture's rim.
    Raises ValueError on other shapes and on a single frame.
    """
    across = torch.arange(films.shape[-1]) + 0.5
    return _middle(_figure(films).sum(2), across)


def headings(films):
    """Where an animal of Toy Zoo looks to, `[B]`: -1 left, 1 right. Its head is above its legs, so the upper half leads."""
    figure, across = _figure(films), torch.arange(films.shape[-1]) + 0.5
    upper, lower = (_middle(half.sum((1, 2)), across) for half in figure.chunk(2, dim=2))
    return torch.where(upper > lower, 1.0, -1.0)


def paths(films):
    """How far each frame's figure is from the middle of its way, `[B, F]` in pixels, counted in the direction of its head."""
    centre = centres(films)
    return (centre - centre.mean(1, keepdim=True)) * headings(films)[:, None]


def _figure(films):
    """How much each pixel differs from the background, `[B, F, H, W]`; little differences are none."""
    check_films(films)
    rim = torch.cat(
        [films[..., 0, :], films[..., -1, :], films[..., 0], films[..., -1]], dim=-1
    )  # [B, F, 3, 2 (H + W)]
    background = rim.median(dim=-1).values[..., None, None]
    return ((films - background).abs().mean(2) - 0.1).clamp(min=0)


def _middle(weight, across):
    """The mean of `across` `[W]` with these weights `[..., W]`."""
    return (weight * across).sum(-1) / weight.sum(-1).clamp(min=1e-6)


def check_films(films):
    """Raise ValueError unless these are films `[B, F, 3, H, W]` of two frames or more, without NaN."""
    if films.dim() != 5 or films.shape[1] < 2 or films.shape[2] != 3 or not films.isfinite().all():
        raise ValueError(f"films are finite, [B, F, 3, H, W] with F at least 2; got {list(films.shape)}")


def films_as_asked(judge, films, prompts):
    """Two shares in 0..1: of frames that show all that their film's prompt names, and of films with no other frame.

    films: `[B, F, 3, 64, 64]` in [-1, 1]. Raises ValueError where `prompt_accuracy` does.
    """
    check_films(films)
    if len(prompts) != len(films):
        raise ValueError(f"one prompt a film is needed; got {len(prompts)} prompts for {len(films)} films")
    right = torch.tensor([
        [prompt_accuracy(judge, frame[None], [prompt]) for frame in film] for film, prompt in zip(films, prompts)
    ])  # fmt: skip
    return right.mean().item(), right.amin(1).mean().item()
