"""Weights in and out of files: safetensors, checked by SHA-256, written in one piece or not at all."""

import copy
import hashlib
import json
import os
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save_file

from course.data import ROOT

FOLDER = ROOT / "assets" / "weights"


class WeightsError(Exception):
    """A file of weights that is missing, damaged, or made for another network."""


def write_tensors(path, tensors, metadata=None):
    """Save a dict of tensors as safetensors; the file appears whole or not at all. Raises OSError if there is no room."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=path.parent, suffix=".unfinished")
    os.close(handle)
    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, unfinished, metadata)
        os.chmod(unfinished, 0o644)
        os.replace(unfinished, path)
    finally:
        Path(unfinished).unlink(missing_ok=True)


def read_tensors(path):
    """The dict of tensors in a safetensors file. Raises WeightsError if it is missing or cut short."""
    try:
        return parse(Path(path).read_bytes())  # not mapped into memory: Windows cannot replace a mapped file
    except FileNotFoundError:
        raise WeightsError(f"there is no file {Path(path).name} in {Path(path).parent}") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{Path(path).name} is damaged or cut short ({error}). Delete it and fetch or train it again."
        ) from None


def load_into(model, tensors, name="the file"):
    """Copy tensors into the model, every name and shape matching. Raises WeightsError naming the first that does not."""
    wanted = model.state_dict()
    for key in [*wanted, *tensors]:
        here, there = (tuple(d[key].shape) if key in d else "nothing" for d in (wanted, tensors))
        if here != there:
            raise WeightsError(f"{name} was made for another network: the model has {key} {here}, the file {there}")
    model.load_state_dict({key: value.to(wanted[key].dtype) for key, value in tensors.items()})
    return model


def save(name, model, half=True):
    """Store a model as `assets/weights/<name>/`: model.safetensors, config.json where it has a config, and its checksum."""
    tensors = {k: v.half() if half and v.is_floating_point() else v for k, v in model.state_dict().items()}
    write_tensors(FOLDER / name / "model.safetensors", tensors)
    (FOLDER / name / "config.json").write_text(json.dumps(getattr(model, "config", {})) + "\n")
    _note_sums([f"{name}/model.safetensors"])


def save_pretrained(name, *parts):
    """Store library objects (models as float16, tokenizers, schedulers) in their own layout as `assets/weights/<name>/`."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    quiet()
    with tempfile.TemporaryDirectory(dir=FOLDER) as new:
        for part in parts:
            (copy.deepcopy(part).half() if isinstance(part, torch.nn.Module) else part).save_pretrained(new)
        files = sorted(path.name for path in Path(new).iterdir())
        for file in files:
            if file == "config.json":
                config = json.loads((Path(new) / file).read_text())
                config.pop("_name_or_path", None)  # a folder of this machine
                if "dtype" in config:
                    config["dtype"] = "float32"  # stored as float16, but to be computed with in float32
                (Path(new) / file).write_text(json.dumps(config, indent=2) + "\n")
            os.chmod(Path(new) / file, 0o644)
            os.replace(Path(new) / file, folder / file)
    _note_sums(f"{name}/{file}" for file in files)


def save_index(name, pipeline):
    """Store the `model_index.json` that makes `assets/weights/<name>/` a folder which `from_pretrained` opens."""
    pipeline.save_config(FOLDER / name)
    _note_sums([f"{name}/model_index.json"])


def load_pretrained(name, cls):
    """What `save_pretrained` stored, read by the library's `cls`; models come in float32 and evaluation mode.

    Raises WeightsError if a file is missing or its checksum is wrong.
    """
    verify_folder(name)
    quiet()
    part = cls.from_pretrained(FOLDER / name, local_files_only=True)
    return part.float().eval().requires_grad_(False) if isinstance(part, torch.nn.Module) else part


def verify_folder(name):
    """Compare all files of `assets/weights/<name>/` with their checksums. Raises WeightsError naming the first that differs."""
    files = [file for file in _sums() if file.startswith(f"{name}/")]
    if not files:
        raise WeightsError(f"there are no weights called {name!r} in {FOLDER.name}/. `make weights` trains them.")
    for file in files:
        _verify(file)


def load(name, cls):
    """The model that `save` stored, an instance of `cls` in float32 and evaluation mode.

    Raises WeightsError if a file is missing, its checksum is wrong, or its shapes are another network's.
    """
    path = FOLDER / name / "model.safetensors"
    if not path.exists():
        known = ", ".join(sorted(file.parent.name for file in FOLDER.glob("*/model.safetensors"))) or "none"
        raise WeightsError(f"there are no weights called {name!r}; here: {known}. `make weights` trains them.")
    _verify(f"{name}/model.safetensors")
    model = cls(**json.loads((FOLDER / name / "config.json").read_text()))
    return load_into(model, read_tensors(path), f"{name}/model.safetensors").eval().requires_grad_(False)


def _sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _sums():
    lines = (FOLDER / "SHA256SUMS").read_text().splitlines() if (FOLDER / "SHA256SUMS").exists() else []
    return {file: digest for digest, file in (line.split(maxsplit=1) for line in lines)}


def quiet():
    """No progress bars for files of a few megabytes."""
    import diffusers  # here, because both take seconds to import and most notebooks need neither
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()


def _note_sums(files):
    sums = _sums() | {file: _sha256(FOLDER / file) for file in files}
    (FOLDER / "SHA256SUMS").write_text("".join(f"{sums[file]}  {file}\n" for file in sorted(sums)))


def _verify(file):
    if not (FOLDER / file).exists():
        raise WeightsError(f"{file} is missing. Restore it with git, or train it again with `make weights`.")
    if _sums().get(file) != _sha256(FOLDER / file):
        raise WeightsError(f"{file} does not have the checksum in SHA256SUMS: it is damaged. Restore it with git.")


def parameters(model):
    """How many numbers the model learns."""
    return sum(p.numel() for p in model.parameters())
