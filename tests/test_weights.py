"""Weights in and out: every damage is refused by name, nothing is half written."""

import json
import os

import pytest
import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.testing import assert_close

from course import weights
from course.metrics import load_judge
from course.mini_unet import MiniUNet
from course.train_zoo import make_vae


class Small(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.config = {"width": width}
        self.layer = nn.Linear(width, 2)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    return tmp_path


def test_round_trip(folder):
    model = Small(5)
    weights.save("small", model)
    back = weights.load("small", Small)
    assert_close(back.layer.weight, model.layer.weight, rtol=1e-3, atol=1e-4)  # stored in half precision
    assert not back.training and not back.layer.weight.requires_grad and back.layer.weight.dtype == torch.float32


def test_flipped_byte_is_refused_by_name(folder):
    weights.save("small", Small())
    path = folder / "small" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(weights.WeightsError, match="small/model.safetensors.*checksum"):
        weights.load("small", Small)


def test_truncated_file_is_refused_by_name(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    weights.write_tensors(path, {"a": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(weights.WeightsError, match="checkpoint.safetensors is damaged"):
        weights.read_tensors(path)


def test_missing_weights_say_what_there_is(folder):
    weights.save("small", Small())
    with pytest.raises(weights.WeightsError, match="'large'; here: small"):
        weights.load("large", Small)
    with pytest.raises(weights.WeightsError, match="no file"):
        weights.read_tensors(folder / "nothing.safetensors")


@pytest.mark.parametrize("tensors, message", [
    ({"layer.weight": torch.zeros(2, 4), "layer.bias": torch.zeros(2)}, r"layer.weight \(2, 3\), the file \(2, 4\)"),
    ({"layer.weight": torch.zeros(2, 3)}, "layer.bias"),
    ({"layer.weight": torch.zeros(2, 3), "layer.bias": torch.zeros(2), "extra": torch.zeros(1)}, "extra"),
])  # fmt: skip
def test_other_networks_are_refused(tensors, message):
    with pytest.raises(weights.WeightsError, match=message):
        weights.load_into(Small(), tensors)


def test_interrupted_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    weights.write_tensors(path, {"a": torch.ones(3)})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        weights.write_tensors(path, {"a": torch.zeros(3)})
    assert_close(weights.read_tensors(path)["a"], torch.ones(3))
    assert os.listdir(tmp_path) == ["x.safetensors"]


@pytest.mark.parametrize("name", ["digit-unet", "digit-judge"])
def test_shipped_weights_are_small_checked_and_described(name):
    path = weights.FOLDER / name / "model.safetensors"
    assert path.stat().st_size <= 3_000_000
    assert f"{name}/model.safetensors" in (weights.FOLDER / "SHA256SUMS").read_text()
    card = (weights.FOLDER / name / "README.md").read_text()
    assert all(word in card for word in ("data", "command", "minutes", "machine", "MNIST"))
    assert json.loads((weights.FOLDER / name / "config.json").read_text()) is not None


def test_shipped_models_load():
    assert weights.load("digit-unet", MiniUNet)(torch.zeros(1, 1, 28, 28), torch.tensor([1])).shape == (1, 1, 28, 28)
    assert load_judge()(torch.zeros(1, 1, 28, 28)).shape == (1, 10)


def test_configurations_name_no_folder_and_ask_for_float32():
    for path in weights.FOLDER.rglob("config.json"):
        config = json.loads(path.read_text())
        assert "_name_or_path" not in config and config.get("dtype", "float32") == "float32"


def test_nothing_is_pickled():
    files = [p for p in weights.FOLDER.rglob("*") if p.is_file()]
    assert files and {p.suffix for p in files} <= {".safetensors", ".json", ".md", ""}


@pytest.fixture
def vae_folder(folder):
    weights.save_pretrained("world/vae", make_vae())
    return folder / "world" / "vae"


def test_library_models_come_back_in_float32(vae_folder):
    torch.manual_seed(0)
    vae = make_vae()
    weights.save_pretrained("world/vae", vae)
    back = weights.load_pretrained("world/vae", AutoencoderKL)
    assert back.dtype == torch.float32 and not back.training and vae.dtype == torch.float32
    assert_close(back.decoder.conv_in.weight.data, vae.decoder.conv_in.weight.data, rtol=1e-3, atol=1e-4)
    assert sorted(path.name for path in vae_folder.iterdir()) == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]


@pytest.mark.parametrize("file", ["config.json", "diffusion_pytorch_model.safetensors"])
def test_flipped_byte_of_a_library_model_is_refused_by_name(vae_folder, file):
    content = bytearray((vae_folder / file).read_bytes())
    content[-3] ^= 1
    (vae_folder / file).write_bytes(content)
    with pytest.raises(weights.WeightsError, match=f"world/vae/{file}.*checksum"):
        weights.load_pretrained("world/vae", AutoencoderKL)


def test_missing_files_of_a_library_model_are_named(vae_folder):
    (vae_folder / "config.json").unlink()
    with pytest.raises(weights.WeightsError, match="world/vae/config.json is missing"):
        weights.load_pretrained("world/vae", AutoencoderKL)
    with pytest.raises(weights.WeightsError, match="'world/unet'"):
        weights.load_pretrained("world/unet", AutoencoderKL)
