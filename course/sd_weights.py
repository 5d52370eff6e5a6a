"""Where Stable Diffusion's weights come from: the course's own, a folder, or a copy of a hub repository.

    python -m course.sd_weights [--name ID] [--yes]      (or: make full-weights)

fetches the full weights: it says size, licence and disk first, goes on where it was interrupted, and compares every
large file with the SHA-256 that the hub states. Nothing else in the course downloads them.
"""

import argparse
import errno
import hashlib
import json
import math
import os
import re
import shutil
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
from course.data import ROOT
from course.weights import WeightsError

MINI = "mini-stable-diffusion"  # in assets/weights/
FULL = "stable-diffusion-v1-5/stable-diffusion-v1-5"
MODELS = {"text_encoder": CLIPTextModel, "unet": UNet2DConditionModel, "vae": AutoencoderKL,
          "safety_checker": StableDiffusionSafetyChecker}  # fmt: skip
OTHERS = {"tokenizer": CLIPTokenizer, "scheduler": DDIMScheduler, "feature_extractor": CLIPImageProcessor}
# v1's sampling settings: kept configurations may be another scheduler's, which does not name them
GRID = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "leading"}
SMALL_FILES = ["model_index.json", "*/*.json", "*/*.txt"]
NETWORK_ERRORS = HfHubHTTPError.__bases__  # OSError, and the base class of the hub's HTTP library, whichever that is
ROOM = 1.5e9  # bytes that drawing one picture of 512 x 512 in float16 needs besides the weights, with a margin


def read(name=None, where=None, dtype=None):
    """The parts of a pipeline as a dict, and one line that says what was taken and why. See `stable_diffusion.load`."""
    where = torch.device(where) if where else device.pick(quiet=True)
    dtype = dtype or os.environ.get("COURSE_DTYPE")
    name, why = choose(name, where, number_format(dtype or "float16"))
    dtype = number_format(dtype or ("float16" if where.type != "cpu" and name != "mini" else "float32"))
    if name == "mini":
        weights.verify_folder(MINI)
    folder = weights.FOLDER / MINI if name == "mini" else locate(name)
    index = check(folder)
    if where.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # convolutions in float32 that are as exact as those of a CPU
        check_memory(folder, dtype, 0.2e9 if name == "mini" else ROOM, where)

    weights.quiet()
    parts = {part: read_part(folder / part, cls, dtype, where)
             for part, cls in (MODELS | OTHERS).items() if index.get(part, [None])[0]}  # fmt: skip
    if name != "mini":
        parts["vae"].enable_slicing()  # pictures are decoded one by one, which keeps the peak of memory low
    pixels = parts["unet"].config.sample_size * 2 ** (len(parts["vae"].config.block_out_channels) - 1)
    numbers = f"{str(dtype).removeprefix('torch.')} on {where.type}"
    return parts, f"Stable Diffusion: {name} ({pixels} x {pixels} pixels, {numbers}), because {why}"


def read_part(folder, cls, dtype, where):
    """One part of a pipeline, a model in this format on this device. Raises WeightsError if anything of it is missing."""
    how = GRID if cls is DDIMScheduler else {}
    if cls in MODELS.values():
        variant = "fp16" if list(folder.glob("*.fp16.safetensors")) else None
        how = {"use_safetensors": True, "variant": variant, "torch_dtype": dtype, "output_loading_info": True}
    try:
        part = cls.from_pretrained(folder, local_files_only=True, **how)
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{folder} is damaged or incomplete ({str(error).splitlines()[0]}); fetch it again"
        ) from None
    if cls not in MODELS.values():
        return part
    part, found = part
    if found["missing_keys"]:
        raise WeightsError(f"{folder} is incomplete: it has no {min(found['missing_keys'])}; fetch it again")
    return part.to(where).eval().requires_grad_(False)


def number_format(name):
    """The torch.dtype of that name. Raises WeightsError on another."""
    formats = {str(dtype): dtype for dtype in (torch.float16, torch.bfloat16, torch.float32)}
    if (full := "torch." + str(name).removeprefix("torch.")) not in formats:
        raise WeightsError(f"the number format is {str(name)!r}, but float16, bfloat16 and float32 are possible")
    return formats[full]


def choose(name, where, dtype=torch.float16):
    """The name to load, and why."""
    if name:
        return str(name), "you asked for it"
    if os.environ.get("COURSE_SD"):
        return os.environ["COURSE_SD"], "COURSE_SD says so"
    if where.type == "cpu":
        return "mini", "there is no GPU"
    if where.type == "mps" and torch.mps.recommended_max_memory() < 5e9:
        return "mini", "this GPU has little memory"
    try:
        folder = locate(FULL)
    except WeightsError:
        return "mini", "no copy of the full weights is here (`make full-weights` fetches them)"
    try:
        check(folder)
        if where.type == "cuda":
            check_memory(folder, dtype, where=where)
    except WeightsError as error:
        return "mini", f"the full weights cannot be used: {error}"
    return FULL, "a GPU and a copy of the full weights are here"


def locate(name):
    """The folder of that name, or the local copy of the hub repository of that name; asks no network."""
    for folder in (Path(name).expanduser(), ROOT / name):  # notebooks run in their own folder
        if folder.is_dir():
            return folder
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
            files = weight_files(folder, part)
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
    files = {path.name for path in (folder / "tokenizer").glob("*")}
    if not ("tokenizer.json" in files or {"vocab.json", "merges.txt"} <= files):
        raise WeightsError(
            f"{folder} is half a download: tokenizer has neither tokenizer.json nor vocab.json, merges.txt"
        )
    read_json("tokenizer", "tokenizer_config.json")  # says after how many tokens a prompt ends
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


def weight_files(folder, part="*"):
    """The .safetensors files of a part that may be read: not those of the weights before averaging."""
    return [file for file in folder.glob(f"{part}/*.safetensors") if ".non_ema." not in file.name]


def check_memory(folder, dtype, room=ROOM, where=None):
    """Raise WeightsError if the GPU has too little free memory for the weights in this format and one picture."""
    numbers = 0
    for file in weight_files(folder):
        if ".fp16." in file.name or not file.with_suffix(".fp16.safetensors").exists():
            with safe_open(file, "pt") as tensors:
                numbers += sum(math.prod(tensors.get_slice(key).get_shape()) for key in tensors.keys())  # noqa: SIM118
    need, (free, total) = numbers * dtype.itemsize + room * dtype.itemsize / 2, torch.cuda.mem_get_info(where)
    free += torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where)  # PyTorch's own, to be used again
    if need > free:
        raise WeightsError(
            f"the GPU has {free / 1e9:.1f} of {total / 1e9:.1f} GB free, but {need / 1e9:.1f} GB are needed. Restart "
            "this notebook's kernel if it holds a model already, close other programs and notebooks, "
            "set COURSE_SD=mini, or COURSE_DEVICE=cpu, which is slow."
        )


# ---------------------------------------------------------------- fetching


def fetch(name=FULL, agreed=False, ask=input):
    """Fetch the full weights into the hub's own cache. Returns the folder, or None if the user says no.

    Raises WeightsError without network, without room, or if a file's checksum is wrong. A second try goes on.
    """
    try:
        info = huggingface_hub.HfApi().model_info(name, files_metadata=True)
    except (*NETWORK_ERRORS, ValueError) as error:
        raise WeightsError(f"the hub does not answer for {name!r}: {error}") from None
    large = [file for file in info.siblings if fnmatch(file.rfilename, "*/*.safetensors")]
    slim = {Path(file.rfilename).parent for file in large if ".fp16." in file.rfilename}  # parts with half the bytes
    large = [file for file in large if ".non_ema." not in file.rfilename
             and (".fp16." in file.rfilename) == (Path(file.rfilename).parent in slim)]  # fmt: skip
    cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
    blobs = cache / ("models--" + name.replace("/", "--")) / "blobs"  # where the hub's client looks first
    large = [file for file in large if not _placed(name, file.rfilename, info.sha)]
    size = sum(file.size - _fetched(blobs / file.lfs.sha256) for file in large)
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
    try:
        for file in large:
            blob = blobs / file.lfs.sha256
            fetch_file(huggingface_hub.hf_hub_url(name, file.rfilename, revision=info.sha), blob, file)
            placed = Path(huggingface_hub.hf_hub_download(name, file.rfilename, revision=info.sha))
            if not placed.is_symlink():  # Windows: the client has made a copy
                blob.unlink()
        allowed = SMALL_FILES + [file.rfilename for file in large]
        folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=allowed))
    except NETWORK_ERRORS as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise WeightsError(
                "the disk is full; make room or choose another with HF_HOME, then run this again"
            ) from None
        raise WeightsError(f"the connection broke off ({error}); run this again, it goes on from there") from None
    check(folder)
    print(f"complete and checked: {folder}")
    return folder


def _placed(name, file, revision):
    """Whether a file of that revision lies in the hub's cache, whole: the client gives it its name last."""
    return isinstance(huggingface_hub.try_to_load_from_cache(name, file, revision=revision), str)


def _fetched(blob):
    """How many bytes of a file are here already."""
    return next((path.stat().st_size for path in (blob, blob.with_name(blob.name + ".part")) if path.exists()), 0)


def fetch_file(url, to, file):
    """Fetch one file into `to`, going on where an earlier try stopped. It gets its name when its checksum is right."""
    if to.exists():
        return
    part = to.with_name(to.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with open(part, "ab") as out:
        if out.tell() < file.size:
            headers = huggingface_hub.utils.build_hf_headers() | {
                "Range": f"bytes={out.tell()}-", "Accept-Encoding": "identity",
            }  # fmt: skip
            with huggingface_hub.get_session().stream("GET", url, headers=headers, timeout=30) as answer:
                answer.raise_for_status()
                out.truncate(out.tell() if answer.status_code == 206 else 0)
                with tqdm(desc=file.rfilename, total=file.size, initial=out.tell(), unit="B", unit_scale=True) as bar:
                    for block in answer.iter_raw():
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
