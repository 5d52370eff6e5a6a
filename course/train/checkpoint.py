"""A run's checkpoint: all that a resumed training needs, and the recipe that it belongs to, each part with its checksum."""

import dataclasses
import functools
import hashlib
import json
from pathlib import Path

import torch
from torch import nn

from course import weights
from course.weights import WeightsError


def write(path, parts):
    """Save parts, a dict of nested dicts and lists of tensors, numbers and strings. Raises WeightsError on NaN, naming it."""
    tensors = {}
    plain = {part: _pack(value, part, tensors) for part, value in parts.items()}
    weights.check_finite(tensors, Path(path).name)
    sums = {part: _part_sum(part, plain, tensors) for part in parts}
    weights.write_tensors(path, tensors, {"plain": json.dumps(plain), "sums": json.dumps(sums)})


def read(path):
    """The parts that `write` saved. Raises WeightsError naming the part that is damaged."""
    tensors, part = weights.read_tensors(path), "description"
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        plain, sums = (json.loads(header["__metadata__"][name]) for name in ("plain", "sums"))
        for part in {*plain, *sums, *(name.split("/")[0] for name in tensors)}:
            if sums[part] != _part_sum(part, plain, tensors):
                raise ValueError("its checksum is another")
        parts = {part: _unpack(plain[part], tensors) for part in plain}
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path} is damaged, or of an earlier version: its {part} cannot be used ({error}). Move it away to start anew."
        ) from None
    weights.check_finite(tensors, str(path))
    return parts


def _pack(value, path, tensors):
    """What JSON can hold of a value; its tensors go into `tensors` under their path."""
    if isinstance(value, torch.Tensor):
        tensors[path] = value
        return {"tensor": path}
    if isinstance(value, dict):  # as pairs, because an optimizer's keys are numbers
        return {"dict": [[key, _pack(item, f"{path}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_pack(item, f"{path}/{i}", tensors) for i, item in enumerate(value)]
    return value


def _unpack(value, tensors):
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    return tensors[value["tensor"]] if "tensor" in value else {key: _unpack(v, tensors) for key, v in value["dict"]}


def _part_sum(part, plain, tensors):
    mine = {name: tensor for name, tensor in tensors.items() if name.split("/")[0] == part}
    return checksum(mine, json.dumps(plain[part]))


def checksum(tensors, text=""):
    """A fingerprint of a dict of tensors, 16 hexadecimal digits: names, types, shapes and values."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


# ---------------------------------------------------------------- recipes


def recipe_of(trainer, steps):
    """What makes the losses of a run what they are, as plain values: checkpoints of another recipe are not gone on from."""
    layout = {name: torch.tensor(tensor.shape) for name, tensor in trainer.model.state_dict().items()}
    frozen = {name: tensor for name, tensor in trainer.model.named_parameters() if name not in trainer.trained}
    changing = ("params", "param_names", "lr")
    groups = [{k: v for k, v in group.items() if k not in changing} for group in trainer.optimizer.param_groups]
    return {
        "network": f"{type(trainer.model).__name__} {checksum(layout)}",
        "frozen part": checksum(frozen),
        "trained part": sorted(trainer.trained),
        "loss": describe(trainer.loss),
        "data": describe(trainer.data),
        "batch size": trainer.batch_size,
        "optimizer": [type(trainer.optimizer).__name__, describe(groups)],
        "rate": describe(trainer.rate),
        "average": trainer.ema_decay,
        "seed": trainer.seed,
        "steps": steps,
    }


def describe(value):
    """Plain values as they are, tensors and networks by their checksum, functions by name with what is bound to them."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, torch.Tensor):
        return checksum({"": value})
    if isinstance(value, nn.Module):
        return checksum(value.state_dict())
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [describe(item) for item in value]
    if isinstance(value, functools.partial):
        return describe({"function": value.func, "arguments": value.args, **value.keywords})
    if dataclasses.is_dataclass(value):
        return describe({"kind": type(value).__name__, **vars(value)})
    caught = [
        cell.cell_contents for cell in getattr(value, "__closure__", None) or () if cell.cell_contents is not value
    ]
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return {"function": name, "caught": describe(caught)} if caught else name


def difference(there, here):
    """The first thing in which two descriptions differ, in words, or None."""
    there, here = dict(_flat(there)), dict(_flat(here))
    for key in [*there, *here]:
        if there.get(key) != here.get(key):
            return f"{key} (there {there.get(key)!r}, here {here.get(key)!r})"
    return None


def _flat(value, path=""):
    if not isinstance(value, (dict, list)):
        yield path, value
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _flat(item, f"{path}.{key}" if path else str(key))
