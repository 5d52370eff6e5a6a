"""Weights in and out of files: safetensors, checked by SHA-256, written in one piece or not at all."""

import copy
import hashlib
import importlib
import json
import os
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save_file

from course import ROOT, toy_ddpm

FOLDER = ROOT / "assets" / "weights"
MINI = "mini-stable-diffusion"  # the folder in it that holds Toy Zoo's models in diffusers' layout
UNSUMMED = ("README.md", "card.json", "SHA256SUMS")  # prose, and what is told of the weights


class WeightsError(Exception):
    """A file of weights that is missing, damaged, or made for another network or recipe."""


# ---------------------------------------------------------------- tensors


def write_tensors(path, tensors, metadata=None):
    """Save a dict of tensors as safetensors; the file appears whole or not at all. Raises OSError if there is no room."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=path.parent, suffix=".unfinished")
    os.close(handle)
    try:
        apart = {
            name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()
        }  # T5 has one table twice
        save_file(apart, unfinished, metadata)
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
    check_finite(tensors, name)
    model.load_state_dict({key: value.to(wanted[key].dtype) for key, value in tensors.items()})
    return model


def check_finite(tensors, name):
    """Raise a WeightsError that names the first of these tensors (a dict) with NaN or infinity in it."""
    for key, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise WeightsError(
                f"{name}: {key} holds NaN or infinity. The training diverged (lower its rate), or a number was too "
                "large for float16."
            )


def parameters(model):
    """How many numbers the model learns."""
    return sum(p.numel() for p in model.parameters())


# ---------------------------------------------------------------- models written by hand


def save(name, model, **config):
    """Store a model of the course as `assets/weights/<name>/`: model.safetensors in float16, config.json, and checksums.

    config: what else is to be known of it; of a denoiser's network schedule="cosine" and prediction="v". Its class must
    take `model.config` as arguments. Raises WeightsError on NaN, infinity, or a class that `load` would not find.
    """
    _plain(name)
    cls = f"{type(model).__module__}.{type(model).__qualname__}"
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    check_finite(tensors, name)
    try:  # all that can be wrong is looked at before the first file is replaced
        text = json.dumps({"class": cls, "arguments": getattr(model, "config", {}), **config}, indent=2)
        _build(json.loads(text))
    except (KeyError, TypeError, ValueError, ImportError) as error:
        raise WeightsError(f"{name} would not be found again, so it is not stored: {error!r}") from None
    write_tensors(FOLDER / name / "model.safetensors", tensors)
    write(FOLDER / name / "config.json", text + "\n")
    note_sums([f"{name}/config.json", f"{name}/model.safetensors"])


def load(name):
    """What `save` stored, in float32 and evaluation mode: a `Denoiser` where schedule and prediction are known, else the model.

    Raises WeightsError if a file is missing, its checksum is wrong, or it fits no class of the course.
    """
    path = FOLDER / _plain(name) / "model.safetensors"
    if not path.exists():
        raise _unknown(name)
    for file in (f"{name}/config.json", f"{name}/model.safetensors"):
        _verify(file)
    try:
        built = _build(json.loads((FOLDER / name / "config.json").read_text()))
    except (KeyError, TypeError, ValueError, ImportError) as error:
        raise WeightsError(f"{name}/config.json is nothing that the course can build: {error!r}") from None
    model = built.network if isinstance(built, toy_ddpm.Denoiser) else built
    load_into(model, read_tensors(path), f"{name}/model.safetensors").eval().requires_grad_(False)
    return built


def _build(config):
    """The network that a config.json describes, or its denoiser. Raises KeyError, TypeError, ValueError, ImportError, WeightsError."""
    model = _find(str(config["class"]))(**config["arguments"])
    if not {"schedule", "prediction"} & set(config):
        return model
    return toy_ddpm.Denoiser(model, toy_ddpm.make_schedule(config["schedule"]), config["prediction"])


def _plain(name):
    """The name of a folder in assets/weights/, or of one inside it, such as "digit-parts/half-a". Raises WeightsError on others."""
    parts = str(name).split("/")
    if any(part in ("", ".", "..") or Path(part).name != part for part in parts):
        raise WeightsError(f"{name!r} is no plain name of a folder in assets/weights/")
    return name


def _unknown(name):
    """The error of weights that are not here."""
    if not FOLDER.is_dir():
        return WeightsError(
            f"{FOLDER} is missing: the weights lie in the course's repository. Install the course from a clone of it, "
            "with `make setup` or `pip install -e .`"
        )
    known = ", ".join(sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())) or "none"
    return WeightsError(f"there are no weights called {name!r}; here: {known}. `make weights` trains them.")


def _find(name):
    """The network class of that full name. Raises WeightsError unless it is one of this package."""
    module, _, cls = name.rpartition(".")
    found = getattr(importlib.import_module(module), cls, None) if module.startswith("course.") else None
    if not (isinstance(found, type) and issubclass(found, torch.nn.Module)):
        raise WeightsError(f"{name} is no network of this package: its class must be found as course.<module>.<class>")
    return found


# ---------------------------------------------------------------- library objects


def save_pretrained(name, *parts):
    """Store library objects (models as float16, tokenizers, schedulers) in their own layout as `assets/weights/<name>/`."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    no_progress_bars()
    with tempfile.TemporaryDirectory(dir=FOLDER) as new:
        for part in parts:
            if isinstance(part, torch.nn.Module):
                part = copy.deepcopy(part).half()
                check_finite(part.state_dict(), name)
            part.save_pretrained(new)
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
    note_sums(f"{name}/{file}" for file in files)


def save_index(name, pipeline):
    """Store the `model_index.json` that makes `assets/weights/<name>/` a folder which `from_pretrained` opens."""
    pipeline.save_config(FOLDER / name)
    note_sums([f"{name}/model_index.json"])


def save_changes(name, tensors, of):
    """Store what a training has changed in a stored library model, or added to it, a dict of tensors, as `assets/weights/<name>/`.

    of: the name of that model, whose checksum is noted. Raises WeightsError on NaN or infinity.
    """
    tensors = {key: value.half() for key, value in tensors.items()}
    check_finite(tensors, name)
    write_tensors(FOLDER / name / "model.safetensors", tensors)
    config = {"changes": of, "sha256": _tensors_sum(of)}
    write(FOLDER / name / "config.json", json.dumps(config, indent=2) + "\n")
    note_sums([f"{name}/config.json", f"{name}/model.safetensors"])


def load_changes(name, model):
    """Put what `save_changes` stored into a model that is otherwise as the one that was changed; in evaluation mode.

    Raises WeightsError if a file is missing, its checksum is wrong, that model is another by now, or a tensor fits nowhere.
    """
    verify_folder(name)
    config = json.loads((FOLDER / name / "config.json").read_text())
    if config["sha256"] != _tensors_sum(config["changes"]):
        raise WeightsError(f"{name} changes another {config['changes']} than the one that is here: train {name} anew")
    tensors = read_tensors(FOLDER / name / "model.safetensors")
    return load_into(model, model.state_dict() | tensors, name).eval().requires_grad_(False)


def _tensors_sum(name):
    """The checksum of the tensors of a stored library model."""
    verify_folder(name)
    (file,) = (FOLDER / name).glob("*.safetensors")
    return sha256(file)


def load_pretrained(name, cls):
    """What `save_pretrained` stored, read by the library's `cls`; models come in float32 and evaluation mode.

    Raises WeightsError if a file is missing, its checksum is wrong, or it holds NaN.
    """
    verify_folder(name)
    no_progress_bars()
    part = cls.from_pretrained(FOLDER / name, local_files_only=True)
    if not isinstance(part, torch.nn.Module):
        return part
    check_finite(part.state_dict(), name)
    return part.float().eval().requires_grad_(False)


def no_progress_bars():
    """None for files of a few megabytes."""
    import diffusers  # here, because both take seconds to import and most notebooks need neither
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()


# ---------------------------------------------------------------- checksums


def verify_folder(name):
    """Compare all files of `assets/weights/<name>/` with their checksums. Raises WeightsError naming the first that differs."""
    files = [file for file in _sums() if file.startswith(f"{name}/")]
    if not files:
        raise _unknown(name)
    for file in files:
        _verify(file)


def sha256(path):
    """The checksum of a file, 64 hexadecimal digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _sums():
    lines = (FOLDER / "SHA256SUMS").read_text().splitlines() if (FOLDER / "SHA256SUMS").exists() else []
    return {file: digest for digest, _, file in (line.partition("  ") for line in lines)}


def note_sums(files):
    """Write the checksums of these files of `assets/weights/` into SHA256SUMS."""
    sums = _sums() | {file: sha256(FOLDER / file) for file in files}
    write(FOLDER / "SHA256SUMS", "".join(f"{sums[file]}  {file}\n" for file in sorted(sums)))


def _verify(file):
    if not (FOLDER / file).exists():
        raise WeightsError(f"{file} is missing. Restore it with git, or train it again with `make weights`.")
    if _sums().get(file) != sha256(FOLDER / file):
        raise WeightsError(f"{file} does not have the checksum in SHA256SUMS: it is damaged. Restore it with git.")


def write(path, content):
    """Text or bytes into a file, whole or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(unfinished, path)
