"""Which Stable Diffusion to take, where it lies, and its parts ready to draw: "mini", a folder or a hub copy."""

import math
import os
import re
from pathlib import Path

import huggingface_hub
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from safetensors import safe_open
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer

from course import ROOT, settings, weights
from course.device import setup
from course.stable_diffusion.check import FULL, MINI, MODELS, NOISE, check, sample_size, weight_files
from course.weights import WeightsError

CLASSES = {"text_encoder": CLIPTextModel, "unet": UNet2DConditionModel, "vae": AutoencoderKL,
           "safety_checker": StableDiffusionSafetyChecker, "tokenizer": CLIPTokenizer,
           "feature_extractor": CLIPImageProcessor}  # fmt: skip
FORMATS = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.float16, torch.bfloat16, torch.float32)}
# bytes in float16 besides the weights, for 512 x 512, with a margin: 0.7e9 and 0.08e9 on an H100, which fuses attention
ROOM = 1.5e9  # to decode one picture, or to draw `ROOM / ROW` rows
ROW = 0.25e9  # to ask the U-Net about one row of latents; a guided picture is two rows


def read(name=None, device=None, dtype=None):
    """The parts of a pipeline as a dict, and one line that says what was taken and why. See `stable_diffusion.load`."""
    device = torch.device(device) if device else setup(quiet=True)
    dtype = dtype or setting("COURSE_DTYPE")
    name, why = choose(name, device, number_format(dtype or "float16"))
    dtype = number_format(dtype or ("float16" if device.type != "cpu" and name != "mini" else "float32"))
    if name == "mini":
        weights.verify_folder(MINI)
    folder = weights.FOLDER / MINI if name == "mini" else locate(name)
    names = check(folder)
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # convolutions in float32 that are as exact as those of a CPU
        check_memory(folder, dtype, 0.2e9 if name == "mini" else ROOM, device)

    weights.no_progress_bars()
    parts = {part: read_part(folder, part, dtype).to(device) if part in MODELS else read_part(folder, part, dtype)
             for part in names if part in CLASSES}  # fmt: skip
    try_out(folder, parts)
    if name != "mini":
        parts["vae"].enable_slicing()  # pictures are decoded one by one, which keeps the peak of memory low
    size = sample_size(folder, parts["unet"].config)
    parts["unet"].register_to_config(sample_size=size)
    pixels = size * 2 ** (len(parts["vae"].config.block_out_channels) - 1)
    numbers = f"{str(dtype).removeprefix('torch.')} on {device.type}"
    line = f"Stable Diffusion: {name} ({pixels} x {pixels} pixels, {numbers}), because {why}"
    return parts | {"scheduler": make_scheduler()}, line


def make_scheduler():
    """v1's noise levels and its grid of steps, the same for every folder: a kept one may be another sampler's."""
    grid = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "leading"}
    return DDIMScheduler(**NOISE, **grid)


def read_part(folder, part, dtype):
    """One part of a pipeline, a model in this format on the CPU. Raises WeightsError if anything of it is wrong."""
    how = {}
    if part in MODELS:
        variant, _ = weight_files(folder, part)
        how = {"use_safetensors": True, "variant": variant, "torch_dtype": dtype, "output_loading_info": True}
    try:
        found = CLASSES[part].from_pretrained(folder / part, local_files_only=True, **how)
    except Exception as error:  # what the libraries raise for a file that is not as they want it is of every kind
        raise WeightsError(f"{folder}/{part} is damaged or incomplete ({first_line(error)}); fetch it again") from None
    if part not in MODELS:
        return found
    model, keys = found
    check_tensors(f"{folder}/{part}", model, keys)
    return model.eval().requires_grad_(False)


def check_tensors(place, model, keys):
    """Every tensor was in the file, no other one was, and all numbers are finite in the model's format."""
    if keys["missing_keys"]:
        raise WeightsError(f"{place} is incomplete: it has no {min(keys['missing_keys'])}; fetch it again")
    if keys["unexpected_keys"]:
        raise WeightsError(f"{place} was made for another network: this one has no {min(keys['unexpected_keys'])}")
    for key, value in model.state_dict().items():
        if not torch.stack(value.aminmax()).isfinite().all():
            raise WeightsError(f"{place} has NaN or infinity in {key}, read as {value.dtype}; fetch it again")


@torch.no_grad()
def try_out(folder, parts):
    """Each part once without computing: a wrong setting of one, or two that do not fit, show only in use."""
    words, rows = len(parts["tokenizer"]), parts["text_encoder"].config.vocab_size
    if words > rows:
        raise WeightsError(f"{folder}: the tokenizer has {words} tokens, the text encoder knows {rows} of them")
    unet, dtype = parts["unet"], parts["unet"].dtype
    try:
        ids = parts["tokenizer"]("a", padding="max_length", truncation=True, return_tensors="pt").input_ids
        c = shapes_of(parts["text_encoder"], ids).last_hidden_state
        shapes_of(unet, torch.zeros(1, unet.config.in_channels, 8, 8, dtype=dtype), 1, c)
        shapes_of(parts["vae"], torch.zeros(1, 3, 64, 64, dtype=dtype))
        if "safety_checker" in parts:
            seen = parts["feature_extractor"](Image.new("RGB", (96, 64)), return_tensors="pt").pixel_values
            shapes_of(parts["safety_checker"].vision_model, seen.to(dtype))
    except Exception as error:
        raise WeightsError(f"{folder} cannot be used, its parts do not fit together ({first_line(error)})") from None


def shapes_of(model, *inputs):
    """What a model answers, in shape and type alone: on the device "meta", its own numbers untouched."""
    tensors = {name: tensor.to("meta") for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    inputs = [value.to("meta") if torch.is_tensor(value) else value for value in inputs]
    return torch.func.functional_call(model, tensors, tuple(inputs))


def first_line(error):
    """What went wrong, in short: libraries go on for many lines, or say nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def setting(name):
    """The value of an environment variable of the course. Raises WeightsError if it is none of the allowed ones."""
    try:
        return settings.read(name)
    except (ValueError, OSError) as error:  # OSError: no path can be as long
        raise WeightsError(str(error)) from None


def number_format(name):
    """The torch.dtype of that name. Raises WeightsError on another."""
    if (short := str(name).removeprefix("torch.")) not in FORMATS:
        raise WeightsError(f"the number format is {str(name)!r}, but {', '.join(FORMATS)} are possible")
    return FORMATS[short]


def choose(name, device, dtype=torch.float16):
    """The name to load, and why."""
    if name:
        return str(name), "you asked for it"
    if wished := setting("COURSE_SD"):
        return wished, "COURSE_SD says so"
    if device.type == "cpu":
        return "mini", "there is no GPU"
    if device.type == "mps" and torch.mps.recommended_max_memory() < 5e9:
        return "mini", "this GPU has little memory"
    try:
        folder = locate(FULL)
    except WeightsError:
        return "mini", "no copy of the full weights is here (`make full-weights` fetches them)"
    try:
        check(folder)
        if device.type == "cuda":
            check_memory(folder, dtype, device=device)
    except WeightsError as error:
        return "mini", f"the full weights cannot be used: {error}"
    return FULL, "a GPU and a copy of the full weights are here"


def locate(name):
    """The folder of that name, or the local copy of the hub repository of that name; asks no network."""
    paths = os.path.expanduser(name), os.path.join(ROOT, name)  # notebooks run in their own folder
    for path in filter(os.path.isdir, paths):
        return Path(path)
    for path in filter(os.path.isfile, paths):
        raise WeightsError(
            f"{path} is a file; this course opens folders in diffusers' layout. A checkpoint in one file becomes one "
            f"by StableDiffusionPipeline.from_single_file({path!r}).save_pretrained('another_folder')"
        )
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or name.endswith((".safetensors", ".ckpt")):
        raise WeightsError(f'there is no folder {name!r}. Allowed: "mini", a folder, or a hub id such as {FULL!r}')
    try:
        return Path(huggingface_hub.snapshot_download(name, local_files_only=True, allow_patterns=["model_index.json"]))
    except (OSError, ValueError):  # not here, or not to be read; no name that the hub allows
        raise WeightsError(
            f"there is no folder {name!r}, and no copy of a hub repository of that name on this machine. "
            f"`make full-weights NAME={name}` fetches it, if it exists."
        ) from None


def check_memory(folder, dtype, room=ROOM, device=None):
    """Raise WeightsError if the GPU has too little free memory for the weights in this format and one picture."""
    numbers = 0
    for part in set(MODELS).intersection(check(folder)):
        for file in weight_files(folder, part)[1]:
            with safe_open(file, "pt") as tensors:
                numbers += sum(math.prod(tensors.get_slice(key).get_shape()) for key in tensors.keys())  # noqa: SIM118
    need = numbers * dtype.itemsize + room * dtype.itemsize / 2
    free, total = free_memory(device)
    if need > free:
        raise WeightsError(
            f"the GPU has {free / 1e9:.1f} of {total / 1e9:.1f} GB free, but {need / 1e9:.1f} GB are needed. Restart "
            "this notebook's kernel if it holds a model already, close other programs and notebooks, "
            "set COURSE_SD=mini, or COURSE_DEVICE=cpu, which is slow."
        )


def check_rows(unet, z):
    """Raise WeightsError if the GPU has too little free memory to ask the U-Net about all rows of z `[N, ..., h, w]` at once.

    N counts what really runs: a guided picture is two rows.
    """
    if unet.device.type != "cuda":
        return
    need = len(z) * z.shape[-2] * z.shape[-1] / 64**2 * ROW * unet.dtype.itemsize / 2
    free, _ = free_memory(unet.device)
    if need > free:
        raise WeightsError(
            f"the GPU has {free / 1e9:.1f} GB free, but {len(z)} rows of {z.shape[-2]} x {z.shape[-1]} cells at once need "
            f"about {need / 1e9:.1f} GB (a guided picture is two rows). Draw fewer pictures at once, or smaller ones."
        )


def free_memory(device=None):
    """(free, total) bytes of a GPU; what PyTorch holds and does not use counts as free."""
    free, total = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device), total
