"""Is a folder a whole Stable Diffusion v1? Answered from its small files and the heads of its large ones.

The layout is diffusers': model_index.json names the parts, each lies in a folder of its own. What this course would use
wrongly, or leave out without a word, is refused with the reason, before a picture is drawn.
"""

import json
import re
from pathlib import Path

from diffusers.schedulers import KarrasDiffusionSchedulers
from safetensors import SafetensorError, safe_open

from course.weights import WeightsError

MINI = "mini-stable-diffusion"  # in assets/weights/
FULL = "stable-diffusion-v1-5/stable-diffusion-v1-5"
V1 = "this course opens Stable Diffusion v1"

PIPELINES = "StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"
LIBRARIES = "transformers", "diffusers", "stable_diffusion"
MODELS = {  # parts with weights: the class they must have, and the name of their files
    "text_encoder": ("CLIPTextModel", "model"),
    "unet": ("UNet2DConditionModel", "diffusion_pytorch_model"),
    "vae": ("AutoencoderKL", "diffusion_pytorch_model"),
    "safety_checker": ("StableDiffusionSafetyChecker", "model"),
}
PARTS = {part: (cls,) for part, (cls, _) in MODELS.items()} | {  # the classes that a part may have
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "scheduler": tuple(KarrasDiffusionSchedulers.__members__),  # those that diffusers takes for v1
    "feature_extractor": ("CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil",
                          "CLIPFeatureExtractor"),
}  # fmt: skip
OPTIONAL = "safety_checker", "feature_extractor"
CONFIGS = {"tokenizer": "tokenizer_config", "scheduler": "scheduler_config", "feature_extractor": "preprocessor_config"}

NOISE = {  # what the U-Net was trained with
    "num_train_timesteps": 1000, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
    "trained_betas": None, "rescale_betas_zero_snr": False, "prediction_type": "epsilon",
}  # fmt: skip
ALLOWED = {  # settings of v1; those that a file does not name have their first value
    "scheduler": {name: (value,) for name, value in NOISE.items()},
    "vae": {"latent_channels": (4,), "in_channels": (3,), "out_channels": (3,)},
    "unet": {
        "in_channels": (4, 9),
        "out_channels": (4,),
        "use_linear_projection": (False,),  # true in Stable Diffusion 2
        "time_cond_proj_dim": (None,),  # a consistency model's guidance
        "attention_type": ("default",),  # another one sees GLIGEN's boxes
        "class_embed_type": (None,),  # from here on: more to be told than a text, as in unCLIP, SDXL and IP-Adapter
        "num_class_embeds": (None,),
        "addition_embed_type": (None,),
        "encoder_hid_dim": (None,),
        "encoder_hid_dim_type": (None,),
    },
}
# what diffusers takes where a file says nothing of these
SILENT = {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02}


def check(folder, large=True):
    """The names of its parts. Raises WeightsError if one is missing, unreadable or cut short, or it is no v1.

    large: ask the weights too, not only what the small files say.
    """
    try:
        parts = check_index(folder)
        configs = {part: read_json(folder, part, CONFIGS.get(part, "config") + ".json") for part in parts}
        check_tokenizer(folder / "tokenizer")
        check_is_v1(folder, configs)
        check_numbers(folder, configs)
        for part in MODELS if large else ():
            if part in parts:
                check_files(folder, part)
    except (OSError, TypeError, ValueError, LookupError) as error:  # the last three: JSON of other types than expected
        raise WeightsError(f"{folder} cannot be read ({error})") from None
    return parts


def check_index(folder):
    """The parts named in model_index.json, all of a class that is used here and in a folder of their own."""
    index = read_json(folder, "model_index.json")
    kind = index.get("_class_name")
    if kind not in PIPELINES:
        raise WeightsError(f"{folder} holds a {kind}; {V1}")
    parts = []
    for part, entry in index.items():
        if part not in PARTS and not isinstance(entry, list):
            continue  # a setting of the pipeline
        library, cls = entry or (None, None)
        if library is None:
            continue
        if library not in LIBRARIES or cls not in PARTS.get(part, ()):
            allowed = " or ".join(PARTS.get(part, ["not there"]))
            raise WeightsError(f"{folder}: {part} is {library}'s {cls}; {V1}, where it is {allowed}")
        if not (folder / part).is_dir():
            raise WeightsError(f"{folder} is half a download: the folder {part}/ is missing")
        parts.append(part)
    if missing := [part for part in PARTS if part not in parts and part not in OPTIONAL]:
        raise WeightsError(f"{folder} lacks {', '.join(missing)}")
    if "safety_checker" in parts and "feature_extractor" not in parts:
        raise WeightsError(
            f"{folder} has a safety checker, but not the feature_extractor that makes its input. Fetch it again, "
            'or write "safety_checker": [null, null] into its model_index.json to draw without one'
        )
    return parts


def check_tokenizer(folder):
    """Its vocabulary is there. Cut short, merges.txt would still be read, and prompts then fall into letters."""
    names = {path.name for path in folder.iterdir()}
    if "tokenizer.json" in names:
        return
    if not {"vocab.json", "merges.txt"} <= names:
        raise WeightsError(
            f"{folder.parent} is half a download: tokenizer has neither tokenizer.json nor vocab.json, merges.txt"
        )
    merges = [line for line in folder.joinpath("merges.txt").read_text("utf-8").splitlines() if line[:8] != "#version"]
    if len(merges) < len(read_json(folder, "vocab.json")) - 514:  # 256 bytes, each also at a word's end, start and end
        raise WeightsError(f"{folder}/merges.txt is cut short; fetch it again")


def check_is_v1(folder, configs):
    """Every setting that v1 fixes has v1's value."""
    for part, config in configs.items():
        kind = config.get("_class_name") or (config.get("architectures") or [None])[0]
        if kind and kind not in PARTS[part]:
            raise WeightsError(f"{folder}/{part} holds a {kind}; {V1}, where it is {' or '.join(PARTS[part])}")
        for name, allowed in ({"quantization_config": (None,)} | ALLOWED.get(part, {})).items():
            got = config.get(name, SILENT.get(name, allowed[0]))
            if got not in allowed:
                words = " or ".join(map(str, allowed))
                raise WeightsError(
                    f"{folder} is no Stable Diffusion v1: {part}'s {name} is {str(got)[:50]}, but v1 has {words}"
                )


def check_numbers(folder, configs):
    """Settings that differ from model to model, but must fit one another and be possible at all."""
    unet, text = configs["unet"], configs["text_encoder"]
    width, wanted = text.get("hidden_size", 512), unet.get("cross_attention_dim", 1280)
    longest, length = text.get("max_position_embeddings", 77), configs["tokenizer"].get("model_max_length")
    scale = configs["vae"].get("scaling_factor", 0.18215)
    for wrong, words in (
        (wanted != width and wanted != [width] * len(unet.get("block_out_channels") or ()),
         f"the U-Net wants text states of width {wanted}, but the text encoder's have {width}"),
        (not (isinstance(length, int) and 3 <= length <= longest),
         f"the tokenizer's model_max_length is {length}, but 3 to {longest} tokens can be a prompt"),
        (not (isinstance(scale, int | float) and 0 < scale < float("inf")),
         f"the autoencoder's scaling_factor is {scale}, but a number above 0 is needed"),
    ):  # fmt: skip
        if wrong:
            raise WeightsError(f"{folder}: {words}")
    sample_size(folder, unet)


def sample_size(folder, unet):
    """Cells a side of the U-Net's own latents. Where its configuration is silent, v1's 64.

    diffusers versions below 0.9 wrote 32 into v1's configuration; as in diffusers' pipeline that means 64.
    """
    size = unet.get("sample_size")
    if isinstance(size, list | tuple) and len(size) == 2 and size[0] == size[1]:
        size = size[0]
    if size is None:
        return 64
    if type(size) is not int or size < 1:
        raise WeightsError(f"{folder}: the U-Net's sample_size is {size}, but one whole number from 1 on is needed")
    old = re.match(r"0\.[0-8]\.", str(unet.get("_diffusers_version")))
    return max(size, 64) if old else size


def check_files(folder, part):
    """The weights of a part are there, and each file has the length that its head announces."""
    for file in weight_files(folder, part)[1]:
        try:
            with safe_open(file, "pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{file} is damaged or cut short ({error}); fetch it again") from None


def weight_files(folder, part):
    """(variant, files) of the weights that diffusers would open: in one file or in shards, else in the variant fp16."""
    stem = folder / part / MODELS[part][1]
    for variant in (None, "fp16"):
        dot = f".{variant}" if variant else ""
        single = stem.with_name(f"{stem.name}{dot}.safetensors")
        older = f"{stem.name}.safetensors{dot}.index.json"  # as diffusers wrote it before 0.31
        indices = {stem.with_name(f"{stem.name}.safetensors.index{dot}.json"), stem.with_name(older)}
        found = [path for path in (single, *sorted(indices)) if path.exists()]
        if len(found) > 1:
            names = " and ".join(path.name for path in found)
            raise WeightsError(f"{folder}/{part} was saved twice, as {names}; delete the older of the two")
        if found:
            return variant, found if found == [single] else shards(found[0])
    others = ", ".join(sorted(path.name for path in stem.parent.iterdir()))
    raise WeightsError(
        f"{folder}/{part} has no .safetensors file called {stem.name} (there is {others}): half a download, or weights "
        "that this course does not open, pickled or of another variant. diffusers' from_pretrained and save_pretrained "
        "bring those into another folder"
    )


def shards(index):
    """The files that an index of shards names."""
    names = read_json(index.parent, index.name).get("weight_map")
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        raise WeightsError(f"{index} names no files; fetch it again")
    files = [index.with_name(name) for name in sorted(set(names.values()))]
    for file in files:
        if not file.exists():
            raise WeightsError(f"{index.parent} is half a download: {file.name} is missing")
    return files


def read_json(folder, *path):
    """The JSON object in that file."""
    try:
        found = json.loads(Path(folder, *path).read_bytes())
        if isinstance(found, dict):
            return found
        reason = f"a {type(found).__name__} in place of an object"
    except (OSError, ValueError) as error:
        reason = error
    raise WeightsError(f"{folder} is no complete pipeline: {'/'.join(path)} is missing or damaged ({reason})")
