"""Pictures in and out: uint8, image files, PIL and masks to and from `[B, 3, H, W]` in [-1, 1].

diffusers' `VaeImageProcessor` does the last line of each of these functions, and the tests hold them to it. What comes
before is not its business: it neither turns photographs upright nor sees what is transparent nor refuses anything.
"""

import os

import numpy as np
import torch
from PIL import Image, ImageOps

# ---------------------------------------------------------------- tensors


def from_uint8(pictures):
    """uint8 pictures `[B, H, W, 3]`, array or tensor, as float `[B, 3, H, W]` in [-1, 1]. Raises ValueError on others."""
    pictures = torch.as_tensor(pictures)
    if pictures.dtype != torch.uint8 or pictures.dim() != 4 or pictures.shape[3] != 3:
        raise ValueError(f"uint8 [B, H, W, 3] is needed; got {pictures.dtype} {tuple(pictures.shape)}")
    return pictures.movedim(-1, 1).float() / 127.5 - 1


def to_images(pictures):
    """Pictures `[B, 3, H, W]` in [-1, 1] as a list of PIL images. Raises ValueError on NaN, and on other numbers or shapes."""
    _check_numbers(pictures, "pictures", 3, 1)
    levels = ((pictures.detach().float() + 1) * 127.5).round().byte()
    return [Image.fromarray(x) for x in levels.permute(0, 2, 3, 1).cpu().numpy()]


def check(pictures, what="pictures", channels=3, limit=1):
    """Raise ValueError, saying what is wrong and how to mend it, unless these are float pictures in [-1, 1].

    pictures: `[B, channels, H, W]`; what: their name in the sentence; limit: how far from 0 values may reach, more than 1
    where pictures may overshoot. Pictures in [0, 1] are told from bright ones, see `_spans_0_to_1`.
    """
    _check_numbers(pictures, what, channels, limit)
    if _spans_0_to_1(pictures):
        raise ValueError(
            f"{what} lie in {_span(pictures)}: nothing is darker than middle grey, so they seem to be in 0..1. "
            f"Pictures lie in -1..1: 2 * {what} - 1"
        )


def _check_numbers(pictures, what, channels, limit):
    """The part of `check` that leaves no doubt: type, shape, NaN, range."""
    if not isinstance(pictures, torch.Tensor) or not pictures.is_floating_point():
        got = pictures.dtype if isinstance(pictures, torch.Tensor | np.ndarray) else type(pictures).__name__
        raise ValueError(
            f"{what} must be a float tensor [B, {channels}, H, W] in -1..1; got {got}. pictures.from_image makes one of "
            "an image, pictures.from_uint8 of uint8 [B, H, W, 3]; other tensors of 0..255: x.float() / 127.5 - 1"
        )
    shape = tuple(pictures.shape)
    if len(shape) != 4 or shape[1] != channels or 0 in shape:
        last = len(shape) == 4 and shape[3] == channels
        mend = {3: f": {what}[None]?", 4: f": {what}.movedim(-1, 1)?" if last else ""}.get(len(shape), "")
        raise ValueError(f"{what} must be [B, {channels}, H, W] with at least one picture; got {list(shape)}{mend}")
    if not pictures.isfinite().all():
        bad = (~pictures.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()
        raise ValueError(f"{what} hold NaN or infinity (number {', '.join(map(str, bad[:5]))}): look at what made them")
    if pictures.abs().max() > limit + 1e-3:
        eight_bits = pictures.min() >= 0 and 1.5 < pictures.max() <= 255
        mend = f"{what} / 127.5 - 1" if eight_bits else f"{what}.clamp(-1, 1), if so much is meant"
        raise ValueError(f"{what} lie in {_span(pictures)}, but pictures lie in -1..1: {mend}")


def _span(pictures):
    return f"{pictures.min().item():.4g}..{pictures.max().item():.4g}"


def _spans_0_to_1(pictures):
    """Whether pictures without a value below 0 are meant in 0..1, where 0 is black, and not just bright.

    Those of 8 bits tell: they are odd multiples of 1/255 in [-1, 1], and even ones too in [0, 1]. Of others so much is
    taken for black: less than 0.02, for few true pictures have their darkest spot exactly at middle grey.
    """
    low, high = pictures.aminmax()
    if low < 0 or low == high:
        return False
    levels = pictures.float() * 255
    if (levels - levels.round()).abs().max() < 0.1:
        return bool((levels.round() % 2 == 0).any())
    return bool(low < 0.02)


# ---------------------------------------------------------------- images


def from_image(image, size=None):
    """An image as `[1, 3, H, W]` in [-1, 1]: from a file, from PIL, or from an array uint8 `[H, W]`, `[H, W, 3]`, `[H, W, 4]`.

    It is turned upright as its camera noted; grey becomes colour, what is transparent lies on white, of an animation the
    frame shown is taken. size: see `fit`; None keeps the image's own. Raises ValueError on what is no such image.
    """
    image = _rgba(image) if size is None else fit(image, size)
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1


def fit(image, size):
    """The image as PIL, upright, scaled until it covers `size` and cut to its middle. size: a square's side, or (height, width).

    Takes what `from_image` takes. A mask painted on a photograph is fitted likewise: `as_mask(fit(mask, 512), x)`.
    """
    height, width = (size, size) if isinstance(size, int) else size
    return ImageOps.fit(_rgba(image), (width, height), Image.Resampling.LANCZOS)


def _rgba(image):
    """A file, PIL image or array as PIL, upright, RGBA of 8 bits a channel. Raises ValueError on others."""
    if isinstance(image, np.ndarray):
        image = _from_array(image)
    elif isinstance(image, str | os.PathLike):
        file = image
        try:
            image = Image.open(file)
            image.load()
        except OSError as error:
            raise ValueError(f"{file} cannot be read as an image ({error})") from None
    elif not isinstance(image, Image.Image):
        raise ValueError(
            f"an image is a file's name, a PIL image or a uint8 array [H, W, 3]; got {type(image).__name__}"
        )
    image = ImageOps.exif_transpose(image)
    if 0 in image.size:
        raise ValueError(f"the image is empty: {image.width} x {image.height} pixels")
    if image.mode in ("I", "F"):
        raise ValueError(f"an image of mode {image.mode} has no fixed white; save it with 8 or 16 bits a channel")
    if image.mode.startswith("I;16"):  # Pillow's own conversion cuts off at 255 and forgets what is transparent
        levels = np.array(image)
        seen = levels != image.info.get("transparency", -1)
        image = Image.merge("LA", [Image.fromarray(x.astype(np.uint8)) for x in (levels >> 8, seen * 255)])
    if image.mode == "La":  # premultiplied; Pillow leads from here to LA alone
        image = image.convert("LA")
    return image.convert("RGBA")


def _from_array(array):
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    if array.dtype == bool:
        array = array * np.uint8(255)
    if array.dtype != np.uint8 or not (array.ndim == 2 or array.ndim == 3 and array.shape[2] in (2, 3, 4)):
        raise ValueError(
            f"an array must be uint8 [H, W], [H, W, 3] or [H, W, 4]; got {array.dtype} {array.shape}. "
            "Floats in 0..1: (255 * array).round().astype('uint8'); channels first: np.moveaxis(array, 0, -1)"
        )
    return Image.fromarray(np.ascontiguousarray(array))


# ---------------------------------------------------------------- masks


def as_mask(image, pictures):
    """A mask `[1, 1, H, W]` of 0 (keep) and 1 (redraw) for pictures `[B, 3, H, W]`; grey counts from one half on.

    image: what `from_image` takes, or a tensor or array of one channel, `[H, W]` or with more axes of length 1: bool, floats
    in 0..1, or whole numbers in 0..1 or 0..255. White is redrawn, as in diffusers. What is transparent was not painted and is
    kept, if all that was painted is bright.
    Raises ValueError on another size, on values outside, on an image whose colours and transparency disagree, and on
    a mask in which nothing is to be redrawn.
    """
    height, width = pictures.shape[-2:]
    if isinstance(image, torch.Tensor):
        image = (image.float() if image.dtype == torch.bfloat16 else image).detach().cpu().numpy()
    one_channel = isinstance(image, np.ndarray) and not (image.ndim == 3 and image.shape[2] in (2, 3, 4))
    white = _whiteness(image) if one_channel else _painted(_rgba(image)) / 255
    if white.shape not in {(height, width), (1, height, width), (1, 1, height, width), (height, width, 1)}:
        raise ValueError(
            f"the mask is {' x '.join(map(str, white.shape))}, the picture {height} x {width}; both need the same height "
            "and width, and a mask has one channel. pictures.fit(mask, size) scales it as from_image(photo, size) the photo"
        )
    mask = torch.from_numpy((white >= 0.5).astype(np.float32)).view(1, 1, height, width)
    if not mask.any():
        raise ValueError(
            "the mask is black everywhere: nothing would be redrawn. White is redrawn, black is kept; "
            f"the brightest spot is {white.max():.3g} of 1, and grey counts from one half on"
        )
    return mask.to(pictures.device)


def _whiteness(array):
    """An array of one channel as shares of white, 0..1."""
    if array.dtype.kind not in "buif" or array.size == 0:
        raise ValueError(f"a mask holds numbers; got {array.dtype} {array.shape}")
    if array.dtype.kind in "ui" and array.max() > 1:
        array = array / (65535 if array.dtype == np.uint16 else 255)
    array = array.astype(float)
    if not np.isfinite(array).all():
        raise ValueError("the mask holds NaN or infinity: look at what made it")
    if array.min() < 0 or array.max() > 1.001:
        mend = "; mask / 255, if 255 is white" if array.min() >= 0 and array.max() <= 255 else ""
        raise ValueError(f"a mask lies between 0 (keep) and 1 (redraw); got {array.min():g}..{array.max():g}{mend}")
    return array


def _painted(image):
    """How white a PIL image in RGBA is, uint8 `[H, W]`; where something is transparent, all that is seen must be bright."""
    grey, alpha = np.array(image.convert("L")), np.array(image.getchannel("A"))
    if alpha.min() >= 128:
        return grey
    seen = grey[alpha >= 128]
    if len(seen) == 0:
        raise ValueError("the mask is transparent everywhere: nothing is painted on it. White is redrawn")
    if seen.min() < 128:
        raise ValueError(
            "the mask is transparent in places and dark in others, so it does not say what is to be redrawn: paint white "
            "on black, or give the transparency alone: image.getchannel('A') redraws what is painted, "
            "PIL.ImageOps.invert(image.getchannel('A')) what is erased"
        )
    return (grey * (alpha / 255)).round().astype(np.uint8)
