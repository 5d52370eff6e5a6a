"""Where Stable Diffusion's weights come from: the course's own, a folder, or a copy of a hub repository.

    python -m course.sd_weights [--name ID] [--yes]      (or: make full-weights)

fetches the full weights: it says size, licence and disk first, goes on where it was interrupted, and compares every
large file with the SHA-256 that the hub states. Nothing else in the course downloads them.
"""

import argparse
import hashlib
import json
import math
import os
import re
import shutil
import urllib.request
from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from tqdm import tqdm
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer

from course import device, weights
from course.weights import WeightsError

MINI = "mini-stable-diffusion"  # in assets/weights/
FULL = "stable-diffusion-v1-5/stable-diffusion-v1-5"
MODELS = {"text_encoder": CLIPTextModel, "unet": UNet2DConditionModel, "vae": AutoencoderKL,
          "safety_checker": StableDiffusionSafetyChecker}  # fmt: skip
OTHERS = {"tokenizer": CLIPTokenizer, "scheduler": DDIMScheduler, "feature_extractor": CLIPImageProcessor}
SMALL_FILES = ["model_index.json", "*/*.json", "*/*.txt"]
NETWORK_ERRORS = HfHubHTTPError.__bases__  # OSError, and the base class of the hub's HTTP library, whichever that is
ROOM = 1.5e9  # bytes that drawing one picture of 512 x 512 in float16 needs besides the weights, with a margin


def read(name=None, where=None, dtype=None):
    """The parts of a pipeline as a dict, and one line that says what was taken and why. See `stable_diffusion.load`."""
    where = torch.device(where) if where else device.pick(quiet=True)
    name, why = choose(name, where)
    if name == "mini":
        weights.verify_folder(MINI)
    folder = weights.FOLDER / MINI if name == "mini" else locate(name)
    index = check(folder)
    half = where.type != "cpu" and name != "mini"
    dtype = number_format(dtype or os.environ.get("COURSE_DTYPE") or ("float16" if half else "float32"))
    if where.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # convolutions in float32 that are as exact as those of a CPU
        check_memory(folder, dtype, 0.2e9 if name == "mini" else ROOM)

    weights.quiet()
    parts = {}
    for part, cls in (MODELS | OTHERS).items():
        if index.get(part, [None])[0] is None:
            continue
        variant = "fp16" if list((folder / part).glob("*.fp16.safetensors")) else None
        safe = {"use_safetensors": True, "variant": variant, "torch_dtype": dtype} if part in MODELS else {}
        parts[part] = cls.from_pretrained(folder / part, local_files_only=True, **safe)
        if part in MODELS:
            parts[part] = parts[part].to(where).eval().requires_grad_(False)
    if name != "mini":
        parts["vae"].enable_slicing()  # pictures are decoded one by one, which keeps the peak of memory low
    pixels = parts["unet"].config.sample_size * 2 ** (len(parts["vae"].config.block_out_channels) - 1)
    numbers = f"{str(dtype).removeprefix('torch.')} on {where.type}"
    return parts, f"Stable Diffusion: {name} ({pixels} x {pixels} pixels, {numbers}), because {why}"


def number_format(name):
    """The torch.dtype of that name. Raises WeightsError on another."""
    formats = {str(dtype): dtype for dtype in (torch.float16, torch.bfloat16, torch.float32)}
    if (full := "torch." + str(name).removeprefix("torch.")) not in formats:
        raise WeightsError(f"the number format is {str(name)!r}, but float16, bfloat16 and float32 are possible")
    return formats[full]


def choose(name, where):
    """The name to load, and why."""
    if name:
        return str(name), "you asked for it"
    if os.environ.get("COURSE_SD"):
        return os.environ["COURSE_SD"], "COURSE_SD says so"
    room = {"cuda": lambda: 5e9, "mps": torch.mps.recommended_max_memory}.get(where.type, lambda: 0)()
    if room < 5e9:
        return "mini", "there is no GPU" if where.type == "cpu" else "this GPU has little memory"
    try:
        locate(FULL)
    except WeightsError:
        return "mini", "no copy of the full weights is here (`make full-weights` fetches them)"
    return FULL, "a GPU and a copy of the full weights are here"


def locate(name):
    """The folder of that name, or the local copy of the hub repository of that name; asks no network."""
    if Path(name).is_dir():
        return Path(name)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise WeightsError(f'there is no folder {name!r}. Allowed: "mini", a folder, or a hub id such as {FULL!r}')
    try:
        return Path(huggingface_hub.snapshot_download(name, local_files_only=True, allow_patterns=SMALL_FILES[:1]))
    except LocalEntryNotFoundError:
        raise WeightsError(
            f"there is no folder {name!r}, and no copy of a hub repository of that name on this machine. "
            f"`make full-weights NAME={name}` fetches it, if it exists."
        ) from None


def check(folder):
    """The folder's model_index as a dict. Raises WeightsError if a part is missing or cut short, or it is no Stable Diffusion v1."""

    def read_json(*path):
        try:
            return json.loads(folder.joinpath(*path).read_bytes())
        except (OSError, ValueError):
            raise WeightsError(f"{folder} is no complete pipeline: {'/'.join(path)} is missing or damaged") from None

    index = read_json("model_index.json")
    kind, more = index.get("_class_name", "?"), [part for part in ("text_encoder_2", "transformer") if part in index]
    if not kind.startswith("StableDiffusion") or more:
        raise WeightsError(f"{folder} holds a {kind}; this course opens Stable Diffusion v1, with one CLIP and a U-Net")
    for part in [part for part in MODELS | OTHERS if part in index and index[part][0]]:
        if not (folder / part).is_dir():
            raise WeightsError(f"{folder} is half a download: the folder {part}/ is missing")
        if part in MODELS:
            read_json(part, "config.json")
            files = list((folder / part).glob("*.safetensors"))
            if not files:
                raise WeightsError(
                    f"{folder}/{part} has no .safetensors file: half a download, or pickled weights only"
                )
            for file in files:
                try:
                    with safe_open(file, "pt"):
                        pass
                except (SafetensorError, OSError) as error:
                    raise WeightsError(f"{file} is damaged or cut short ({error}); fetch it again") from None
    if not any((folder / "tokenizer" / file).exists() for file in ("tokenizer.json", "vocab.json")):
        raise WeightsError(f"{folder} is half a download: tokenizer has neither tokenizer.json nor vocab.json")
    missing = [part for part in ("tokenizer", "text_encoder", "unet", "vae", "scheduler") if part not in index]
    if missing:
        raise WeightsError(f"{folder} lacks {', '.join(missing)}")

    unet, vae, text, steps = (
        read_json(part, "scheduler_config.json" if part == "scheduler" else "config.json")
        for part in ("unet", "vae", "text_encoder", "scheduler")
    )
    for what, got, wanted in (
        ("latent channels", vae.get("latent_channels", 4), (4,)),
        ("U-Net input channels", unet.get("in_channels"), (4, 9)),
        ("width of the text states that the U-Net wants", unet.get("cross_attention_dim"), (text.get("hidden_size"),)),
        ("linear projections (Stable Diffusion 2)", unet.get("use_linear_projection", False), (False,)),
        ("prediction", steps.get("prediction_type", "epsilon"), ("epsilon",)),
        ("noise schedule", steps.get("beta_schedule"), ("scaled_linear",)),
        ("first beta", steps.get("beta_start"), (0.00085,)),
        ("last beta", steps.get("beta_end"), (0.012,)),
    ):
        if got not in wanted:
            allowed = " or ".join(map(str, wanted))
            raise WeightsError(f"{folder} is no Stable Diffusion v1: {what} {got}, but v1 has {allowed}")
    return index


def check_memory(folder, dtype, room=ROOM):
    """Raise WeightsError if the GPU has too little free memory for the weights in this format and one picture."""
    numbers = 0
    for file in folder.glob("*/*.safetensors"):
        if ".fp16." in file.name or not file.with_suffix(".fp16.safetensors").exists():
            with safe_open(file, "pt") as tensors:
                numbers += sum(math.prod(tensors.get_slice(key).get_shape()) for key in tensors.keys())  # noqa: SIM118
    need, (free, total) = numbers * dtype.itemsize + room * dtype.itemsize / 2, torch.cuda.mem_get_info()
    if need > free:
        raise WeightsError(
            f"the GPU has {free / 1e9:.1f} of {total / 1e9:.1f} GB free, but {need / 1e9:.1f} GB are needed. "
            "Close other programs (or restart other notebooks), set COURSE_SD=mini, or COURSE_DEVICE=cpu, which is slow."
        )


# ---------------------------------------------------------------- fetching


def fetch(name=FULL, agreed=False, ask=input):
    """Fetch the full weights into the hub's own cache. Returns the folder, or None if the user says no.

    Raises WeightsError without network, without room, or if a file's checksum is wrong. A second try goes on.
    """
    try:
        info = huggingface_hub.HfApi().model_info(name, files_metadata=True)
    except NETWORK_ERRORS as error:
        raise WeightsError(f"the hub does not answer for {name!r}: {error}") from None
    large = [file for file in info.siblings if fnmatch(file.rfilename, "*/*.safetensors")]
    slim = [file for file in large if file.rfilename.endswith(".fp16.safetensors")]
    large = slim or [file for file in large if ".non_ema." not in file.rfilename]
    size = sum(file.size for file in large)
    cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    licence = getattr(info.card_data, "license", None) or "not stated"
    print(f"{name}: {size / 1e9:.2f} GB to fetch into {cache} ({free / 1e9:.0f} GB free). Licence: {licence};")
    print(f"read it at https://huggingface.co/{name} before you go on. A safety checker comes along and stays on.")
    if free < 1.1 * size:
        raise WeightsError(
            f"{size / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free; HF_HOME chooses another disk"
        )
    if not agreed and ask("Fetch? [y/N] ").strip().lower() not in ("y", "yes"):
        return None
    blobs = cache / ("models--" + name.replace("/", "--")) / "blobs"  # where the hub's client looks first
    try:
        for file in large:
            url = huggingface_hub.hf_hub_url(name, file.rfilename, revision=info.sha)
            fetch_file(url, blobs / file.lfs.sha256, file)
        wanted = SMALL_FILES + [file.rfilename for file in large]
        folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=wanted))
    except NETWORK_ERRORS as error:
        raise WeightsError(f"the connection broke off ({error}); run this again, it goes on from there") from None
    check(folder)
    print(f"complete and checked: {folder}")
    return folder


def fetch_file(url, to, file):
    """Fetch one file into `to`, going on where an earlier try stopped. It gets its name when its checksum is right."""
    if to.exists():
        return
    part = to.with_name(to.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with open(part, "ab") as out:
        if out.tell() < file.size:
            request = urllib.request.Request(url, headers={"Range": f"bytes={out.tell()}-"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                out.truncate(out.tell() if answer.status == 206 else 0)
                with tqdm(desc=file.rfilename, total=file.size, initial=out.tell(), unit="B", unit_scale=True) as bar:
                    while block := answer.read(1 << 20):
                        bar.update(out.write(block))
        if out.tell() < file.size:
            raise OSError(f"{out.tell():,} of {file.size:,} bytes of {file.rfilename} came")
    with open(part, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != file.lfs.sha256:
        part.unlink()
        raise WeightsError(f"{file.rfilename} does not have the hub's checksum and was deleted; run this again")
    part.replace(to)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default=FULL)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    args = parser.parse_args()
    try:
        fetch(args.name, args.yes)
    except WeightsError as error:
        raise SystemExit(f"error: {error}") from None
