"""Pictures and masks as people have them: known values of every kind, diffusers' image processor, and refusals with their mend."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image, ImageDraw, ImageOps
from torch.testing import assert_close

from course import pictures, toy_zoo


@pytest.fixture(scope="module")
def photo():
    """uint8 [48, 64, 3], no two rows or columns alike."""
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def x(photo):
    return torch.from_numpy(photo).permute(2, 0, 1)[None] / 127.5 - 1


def reopened(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    file.seek(0)
    return Image.open(file)


# ---------------------------------------------------------------- pictures


def test_from_image_and_back_are_diffusers(photo, x):
    processor = VaeImageProcessor(do_resize=False, do_convert_rgb=True)
    assert_close(pictures.from_image(Image.fromarray(photo)), processor.preprocess(Image.fromarray(photo)))
    theirs = processor.postprocess(x, output_type="pil")
    assert [a.tobytes() for a in pictures.to_images(x)] == [a.tobytes() for a in theirs]
    assert_close(pictures.from_uint8(photo[None]), x)
    assert np.array_equal(np.array(pictures.to_images(x)[0]), photo)


def test_from_image_takes_files_and_arrays(photo, x, tmp_path):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    for image in (tmp_path / "photo.png", str(tmp_path / "photo.png"), photo, photo[:, ::-1][:, ::-1]):
        assert_close(pictures.from_image(image), x)
    grey = photo[..., 0]
    for image in (grey, grey[..., None], grey.astype(np.uint16) * 257):
        assert_close(pictures.from_image(image), x[:, :1].expand(-1, 3, -1, -1))
    assert_close(pictures.from_image(grey > 99).unique(), torch.tensor([-1.0, 1.0]))
    clear = np.dstack([photo, np.zeros_like(grey)])
    assert_close(pictures.from_image(clear), torch.ones_like(x))
    assert_close(pictures.from_image(clear[..., 2:]), torch.ones_like(x))


GREY = {
    "1": 255, "L": 200, "LA": (200, 255), "La": (200, 255), "P": 200, "PA": (200, 255), "RGB": (200,) * 3,
    "RGBA": (200, 200, 200, 255), "RGBa": (200, 200, 200, 255), "RGBX": (200, 200, 200, 7), "CMYK": (0, 0, 0, 55),
    "YCbCr": (200, 128, 128), "HSV": (0, 0, 200), "I;16": 200 * 257, "I;16L": 200 * 257, "I;16B": 200 * 257,
    "I;16N": 200 * 257, "LAB": (206, 128, 128),
}  # fmt: skip


@pytest.mark.parametrize("mode, colour", GREY.items(), ids=GREY)
def test_every_mode_of_pillow_shows_the_same_grey(mode, colour):
    image = Image.new(mode, (16, 8), colour)
    if mode in ("P", "PA"):
        image.putpalette([i // 3 for i in range(768)])
    grey = 255 if mode == "1" else 200
    slack = 2.5 / 127.5 if mode == "LAB" else 0  # its white is another one
    got = pictures.from_image(image)
    assert_close(got, torch.full((1, 3, 8, 16), grey / 127.5 - 1), atol=slack + 1e-6, rtol=0)
    mask = pictures.as_mask(image, got)
    assert_close(mask, torch.ones(1, 1, 8, 16))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_modes_without_a_white_are_refused(mode):
    for read in (pictures.from_image, lambda image: pictures.as_mask(image, torch.zeros(1, 3, 8, 8))):
        with pytest.raises(ValueError, match=f"mode {mode} has no fixed white; save it with 8 or 16 bits"):
            read(Image.new(mode, (8, 8)))


@pytest.mark.parametrize("mode, info, white", [
    ("LA", None, 0.0), ("La", None, 0.0), ("RGBa", None, 0.0), ("PA", None, 0.0), ("L", 0, 0.0), ("RGB", (0, 0, 0), 0.0),
    ("P", 0, 0.0), ("P", b"\x00", 0.0), ("1", 0, 0.0), ("I;16", 0, 0.0),
])  # fmt: skip
def test_what_is_transparent_lies_on_white(mode, info, white):
    """Black that is transparent, by a channel of its own or by a colour that counts as transparent."""
    image = Image.new(mode, (8, 8), 0)
    image.info |= {} if info is None else {"transparency": info}
    assert_close(pictures.from_image(image), torch.ones(1, 3, 8, 8))


def test_half_transparent_black_is_grey():
    got = pictures.from_image(Image.new("RGBA", (8, 8), (0, 0, 0, 128)))
    assert_close(got, torch.full((1, 3, 8, 8), 127 / 127.5 - 1))


def png(width, height, bits, colour, rows, transparent=b""):
    """A PNG by hand, of kinds that Pillow itself does not write."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    extra = chunk(b"tRNS", transparent) if transparent else b""
    file = b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return Image.open(io.BytesIO(file + chunk(b"IEND", b"")))


def test_png_of_16_bits_is_scaled_not_cut():
    """0, a third, two thirds, white; and the same with the third transparent."""
    row, wanted = struct.pack(">4H", 0, 21845, 43690, 65535), torch.tensor([-1, -1 / 3, 1 / 3, 1])
    assert_close(pictures.from_image(png(4, 1, 16, 0, [row]))[0, 0, 0], wanted)
    clear = pictures.from_image(png(4, 1, 16, 0, [row], struct.pack(">H", 21845)))
    assert_close(clear[0, 0, 0], torch.tensor([-1, 1, 1 / 3, 1]))
    mask = pictures.as_mask(png(4, 1, 16, 0, [row]), clear)
    assert_close(mask[0, 0, 0], torch.tensor([0.0, 0.0, 1.0, 1.0]))
    half = png(2, 1, 16, 0, [struct.pack(">2H", 32767, 32768)])
    assert_close(pictures.as_mask(half, torch.zeros(1, 3, 1, 2))[0, 0, 0], torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("form, options", [
    ("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("MPO", {"quality": 95}),
])  # fmt: skip
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_stand_upright(form, options, orientation):
    """Stored turned and with the note that says so, they come as they were seen; exif's table: which turn undoes it."""
    seen = np.zeros((48, 64, 3), np.uint8)
    seen[:16, :32], seen[32:, 40:] = 255, 128  # each corner another
    turns = [
        None,
        "FLIP_LEFT_RIGHT",
        "ROTATE_180",
        "FLIP_TOP_BOTTOM",
        "TRANSPOSE",
        "ROTATE_90",
        "TRANSVERSE",
        "ROTATE_270",
    ]
    stored, turn = Image.fromarray(seen), turns[orientation - 1]
    stored = stored.transpose(Image.Transpose[turn]) if turn else stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = reopened(stored, form, exif=exif, **options)
    got = pictures.from_image(image)
    assert got.shape == (1, 3, 48, 64)
    assert_close(got, pictures.from_image(seen), atol=0.1, rtol=0)
    mask = pictures.as_mask(reopened(stored.point(lambda v: 255 * (v > 200)), form, exif=exif, **options), got)
    assert_close(mask[0, 0, ::15, ::31], torch.tensor(seen[::15, ::31, 0] > 200).float())
    assert mask.sum() == 16 * 32
    assert pictures.fit(image, (24, 32)).size == (32, 24)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    "note", [b"garbage", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x09\0\0", b"II*\0\xff\xff\xff\xff"]
)
def test_notes_that_are_damaged_or_mean_nothing_are_passed_over(photo, note):
    image = reopened(Image.fromarray(photo), "JPEG", exif=b"Exif\0\0" + note)
    assert pictures.from_image(image).shape == (1, 3, 48, 64)


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("P", (8, 8), i) for i in range(2)]
    for frame in frames:
        frame.putpalette([0, 0, 0, 255, 255, 255])
    image = reopened(frames[1], "GIF", save_all=True, append_images=frames[:1])
    assert_close(pictures.from_image(image), torch.ones(1, 3, 8, 8))


def test_fit_covers_the_size_and_cuts_the_middle():
    """A photo of 96 x 64, grey with a white square of 32 in its middle: halved, and eight columns fall away on each side."""
    photo = Image.new("RGB", (96, 64), "grey")
    ImageDraw.Draw(photo).rectangle((32, 16, 63, 47), fill="white")
    got = pictures.from_image(photo, 32)
    assert got.shape == (1, 3, 32, 32)
    assert (got[..., 10:22, 10:22] > 0.99).all() and (got[..., :6, :] < 0.1).all() and (got[..., :6] < 0.1).all()
    assert pictures.from_image(photo, (64, 48)).shape == (1, 3, 64, 48)  # height, width
    theirs = ImageOps.fit(photo, (40, 24), Image.Resampling.LANCZOS)
    assert_close(pictures.from_image(photo, (24, 40)), pictures.from_image(theirs))
    mask = pictures.as_mask(pictures.fit(photo.point(lambda v: 255 * (v > 200)), 32), got)
    assert_close(mask[0, 0], ((torch.arange(32) >= 8) & (torch.arange(32) < 24)).float().outer(torch.ones(32)).mul(
        ((torch.arange(32) >= 8) & (torch.arange(32) < 24)).float()))  # fmt: skip


@pytest.mark.parametrize("image, message", [
    (np.zeros((8, 8, 3), np.float32), "must be uint8 .*255 . array"), (np.zeros((3, 8, 8), np.uint8), "channels first"),
    (np.zeros((8, 8, 3), np.int64), "must be uint8"), (np.zeros(8, np.uint8), "must be uint8"),
    (torch.zeros(1, 3, 8, 8), "got Tensor"), (None, "got NoneType"), ("nowhere.png", "nowhere.png cannot be read"),
    (Image.new("RGB", (0, 8)), "empty: 0 x 8"), (np.zeros((0, 8, 3), np.uint8), "empty|must be"),
])  # fmt: skip
def test_no_images(image, message):
    with pytest.raises(ValueError, match=message):
        pictures.from_image(image)


def test_files_that_are_cut_or_no_images(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "photo.png").read_bytes()[:2000])
    (tmp_path / "text.png").write_text("no image")
    for name in ("cut.png", "text.png"):
        with pytest.raises(ValueError, match=f"{name} cannot be read as an image"):
            pictures.from_image(tmp_path / name)


# ---------------------------------------------------------------- ranges


def test_good_pictures_pass(x):
    pictures.check(x)
    pictures.check(x.half())
    pictures.check(pictures.from_uint8(toy_zoo.examples(8, seed=0)[0]))
    pictures.check(torch.zeros(1, 1, 28, 28), channels=1)
    pictures.check(1.4 * x, limit=1.5)


@pytest.mark.parametrize("bright", [
    torch.ones(2, 3, 8, 8), torch.zeros(2, 3, 8, 8), torch.arange(128, 256).view(1, 1, 8, 16).expand(1, 3, 8, 16) / 127.5 - 1,
    0.05 + 0.95 * torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)),
], ids=["white", "middle grey", "every bright level of 8 bits", "bright floats"])  # fmt: skip
def test_bright_pictures_are_not_taken_for_others(bright):
    pictures.check(bright)
    pictures.check(bright.half())


@pytest.mark.parametrize("change, message", [
    (lambda x: (x + 1) / 2, r"nothing is darker than middle grey.* 2 \* photos - 1"),
    (lambda x: ((x + 1) / 2).half(), r"2 \* photos - 1"),
    (lambda x: torch.rand(x.shape, generator=torch.Generator().manual_seed(0)), r"2 \* photos - 1"),
    (lambda x: (x > 0).float(), r"2 \* photos - 1"),
    (lambda x: (x + 1) * 127.5, r"0\.\.255, .*photos / 127.5 - 1"),
    (lambda x: 3 * x, r"photos.clamp"),
    (lambda x: ((x + 1) * 127.5).byte(), r"got torch.uint8.* x.float\(\) / 127.5 - 1"),
    (lambda x: x > 0, "got torch.bool"), (lambda x: x.long(), "got torch.int64"), (lambda x: x.numpy(), "got float32"),
    (lambda x: [x], "got list"), (lambda x: pictures.to_images(x)[0], "got Image.*from_image"),
    (lambda x: x[0], r"got \[3, 48, 64\]: photos\[None\]"), (lambda x: x.movedim(1, 3), r"photos.movedim\(-1, 1\)"),
    (lambda x: x[:, :1], r"must be \[B, 3, H, W\]"), (lambda x: x[:0], "at least one"), (lambda x: x[..., :0], "at least one"),
    (lambda x: torch.cat([x, x * torch.nan]), r"NaN or infinity \(number 1\)"), (lambda x: x / 0, "NaN or infinity"),
])  # fmt: skip
def test_wrong_pictures_are_named_with_their_mend(x, change, message):
    with pytest.raises(ValueError, match=f"^photos .*{message}"):
        pictures.check(change(x), "photos")


def test_a_mend_mends(x):
    pictures.check(2 * ((x + 1) / 2) - 1)
    pictures.check((x + 1) * 127.5 / 127.5 - 1)
    pictures.check(x[0][None])


def test_nothing_but_pictures_becomes_an_image(x):
    for wrong, message in ((x * torch.nan, "NaN"), (x * 2, "clamp"), (x.byte(), "float"), (x[0], "None")):
        with pytest.raises(ValueError, match=message):
            pictures.to_images(wrong)
    nearly = torch.tensor([1.0005, -1.0005]).view(1, 1, 1, 2).expand(1, 3, 1, 2)
    assert np.array(pictures.to_images(nearly)[0]).tolist() == [[[255] * 3, [0] * 3]]  # rounding may overshoot a little


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 3, 8, 8), np.uint8), np.zeros((8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3))]
)
def test_from_uint8_takes_nothing_else(wrong):
    with pytest.raises(ValueError, match=r"uint8 \[B, H, W, 3\] is needed"):
        pictures.from_uint8(wrong)


# ---------------------------------------------------------------- masks


@pytest.fixture(scope="module")
def square():
    return torch.zeros(2, 3, 64, 64)


BELOW = torch.cat([torch.zeros(40, 64), torch.ones(24, 64)])[None, None]  # 24 rows of 64: 0.375


def layer(mode="RGBA", paint=(255, 255, 255, 255), ground=(255, 255, 255, 0)):
    """Paint below row 40 of 64 on a ground that is transparent."""
    pixels = np.empty((64, 64, 4), np.uint8)
    pixels[:40], pixels[40:] = ground, paint
    image = Image.fromarray(pixels)
    if mode == "P":
        return image.quantize(4)
    return image.convert("LA").convert(mode) if mode == "La" else image.convert(mode)


@pytest.mark.parametrize("ground", [(255, 255, 255, 0), (0, 0, 0, 0), (0, 0, 0, 100), (10, 200, 30, 0)])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA", "RGBa", "La"])
def test_white_paint_on_nothing_is_redrawn(square, mode, ground):
    mask = pictures.as_mask(layer(mode, ground=ground), square)
    assert_close(mask, BELOW)
    assert mask.mean() == 0.375


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "GIF"])
def test_white_paint_on_nothing_in_files(square, form):
    options = {"lossless": True} if form == "WEBP" else {}
    assert_close(pictures.as_mask(reopened(layer(), form, **options), square), BELOW)
    assert_close(pictures.as_mask(np.array(layer()), square), BELOW)
    assert_close(pictures.as_mask(np.array(layer("LA")), square), BELOW)


@pytest.mark.parametrize("mode, transparent", [("L", 0), ("RGB", (0, 0, 0)), ("1", 0), ("I;16", 0)])
def test_a_colour_that_counts_as_transparent(square, mode, transparent):
    grey = np.repeat(np.array([0, 255], np.uint8), [40, 24])[:, None].repeat(64, 1)
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    image.info["transparency"] = transparent
    assert_close(pictures.as_mask(image, square), BELOW)


def test_strokes_with_soft_edges(square):
    """Drawn four times as large and scaled down, as painting programs do; half covered counts."""
    large = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
    ImageDraw.Draw(large).ellipse((40, 40, 200, 200), fill="white")
    whole = Image.new("L", (256, 256))
    ImageDraw.Draw(whole).ellipse((40, 40, 200, 200), fill="white")
    small = [image.resize((64, 64), Image.Resampling.BOX) for image in (large, whole)]
    assert_close(pictures.as_mask(small[0], square), pictures.as_mask(small[1], square))


@pytest.mark.parametrize("opacity, redrawn", [(128, True), (127, False)])
def test_a_brush_that_covers_half(square, opacity, redrawn):
    image = layer(paint=(255, 255, 255, opacity))
    if redrawn:
        assert_close(pictures.as_mask(image, square), BELOW)
    else:
        with pytest.raises(ValueError, match="transparent everywhere"):
            pictures.as_mask(image, square)


def test_where_nothing_is_transparent_colours_alone_speak(square):
    for alpha in (255, 200):
        opaque = layer(paint=(255, 255, 255, 255), ground=(0, 0, 0, alpha))
        assert_close(pictures.as_mask(opaque, square), BELOW)
        assert_close(pictures.as_mask(layer(paint=(0, 0, 0, alpha), ground=(255,) * 4), square), 1 - BELOW)


def contradictory():
    hole = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    hole[..., 3] = 255
    hole[40:, :, 3] = 0
    return {
        "black paint, or a black sheet with a hole": layer(paint=(0, 0, 0, 255)),
        "grey paint": layer("LA", paint=(90, 90, 90, 255)),
        "red paint": layer(paint=(255, 0, 0, 255)),
        "a photo with an erased hole": Image.fromarray(hole),
        "black, white and nothing": Image.fromarray(np.array([[[0, 0, 0, 255], [255, 255, 255, 255], [255, 255, 255, 0], [0, 0, 0, 0]]],
                                                             np.uint8)).resize((64, 64), 0),
    }  # fmt: skip


@pytest.mark.parametrize("image", contradictory().values(), ids=contradictory())
def test_what_cannot_be_read_safely_is_refused_and_the_mends_mend(square, image):
    with pytest.raises(ValueError, match="transparent in places and dark in others.*getchannel"):
        pictures.as_mask(image, square)
    painted = pictures.as_mask(image.getchannel("A"), square)
    assert_close(pictures.as_mask(ImageOps.invert(image.getchannel("A")), square), 1 - painted)


def test_an_empty_layer_is_refused(square):
    for colour in ((255, 255, 255, 0), (0, 0, 0, 0)):
        with pytest.raises(ValueError, match="transparent everywhere"):
            pictures.as_mask(Image.new("RGBA", (64, 64), colour), square)


@pytest.mark.parametrize("grey, kept", [
    (np.uint8(128), np.uint8(127)), (0.5, 0.5 - 1e-12), (np.float32(0.5), np.float32(0.49999997)),
    (np.float16(0.5), np.float16(0.4998)), (np.uint16(32768), np.uint16(32767)), (128, 127), (True, False),
])  # fmt: skip
def test_grey_of_exactly_one_half_is_redrawn_and_less_is_kept(grey, kept):
    pair = np.array([[grey, kept]])
    assert_close(pictures.as_mask(pair, torch.zeros(1, 3, 1, 2)), torch.tensor([[[[1.0, 0.0]]]]))
    if pair.dtype in (np.uint8, np.float16, np.float32, np.float64, bool, np.int64):
        assert_close(pictures.as_mask(torch.from_numpy(pair), torch.zeros(1, 3, 1, 2)), torch.tensor([[[[1.0, 0.0]]]]))
    if pair.dtype == np.uint8:
        for mode in ("L", "RGB", "RGBA", "LA", "CMYK"):
            image = Image.fromarray(pair).convert(mode)
            assert_close(pictures.as_mask(image, torch.zeros(1, 3, 1, 2)), torch.tensor([[[[1.0, 0.0]]]]))


def test_binarised_as_diffusers_does():
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    theirs = VaeImageProcessor(do_resize=False, do_normalize=False, do_binarize=True, do_convert_grayscale=True)
    assert_close(pictures.as_mask(grey, torch.zeros(1, 3, 16, 16)), theirs.preprocess(grey))


def test_arrays_and_tensors_of_every_kind(square):
    bools = BELOW.bool().numpy()
    kinds = {f"{dtype} 0/{white}": bools.astype(dtype) * dtype(white) for dtype, whites in {
        np.uint8: (1, 255), np.int64: (1, 255), np.int32: (1, 255), np.int8: (1,), np.uint16: (1, 65535),
        np.float16: (1,), np.float32: (1,), np.float64: (1,)}.items() for white in whites} | {"bool": bools}  # fmt: skip
    for name, kind in kinds.items():
        for shape in ((64, 64), (1, 64, 64), (1, 1, 64, 64), (64, 64, 1)):
            assert_close(pictures.as_mask(kind.reshape(shape), square), BELOW, msg=f"{name} {shape}")
            assert_close(pictures.as_mask(torch.from_numpy(kind.reshape(shape)), square), BELOW, msg=f"{name} {shape}")
    assert_close(pictures.as_mask(BELOW.bfloat16().requires_grad_(), square), BELOW)
    assert_close(pictures.as_mask(bools[0, 0, ::-1], square), BELOW.flip(2))  # no copy, strides below 0
    assert_close(pictures.as_mask(layer(), square.half()), BELOW)


@pytest.mark.parametrize("change, message", [
    (lambda m: m * 255, r"got 0\.\.255; mask / 255"), (lambda m: m * 2 - 1, r"got -1\.\.1$"), (lambda m: m * 3e4, r"0\.\.30000$"),
    (lambda m: m / 0, "NaN or infinity"), (lambda m: m * torch.nan, "NaN"), (lambda m: m.cfloat(), "holds numbers"),
    (lambda m: m * 0, "black everywhere.* brightest spot is 0 of 1"), (lambda m: m * 0.49, "brightest spot is 0.49 of 1"),
    (lambda m: m[..., :63], "the mask is 1 x 1 x 64 x 63, the picture 64 x 64.*pictures.fit"),
    (lambda m: m.expand(1, 3, 64, 64), "a mask has one channel"), (lambda m: m.expand(2, 1, 64, 64), "one channel"),
    (lambda m: m[:, :, :0], "holds numbers"), (lambda m: Image.new("L", (32, 32), 255), "is 32 x 32, the picture 64 x 64"),
    (lambda m: Image.new("L", (64, 64), 1), "brightest spot is 0.00392 of 1"), (lambda m: "no-mask.png", "cannot be read"),
])  # fmt: skip
def test_wrong_masks_are_named_with_their_mend(square, change, message):
    with pytest.raises(ValueError, match=message):
        pictures.as_mask(change(BELOW), square)
