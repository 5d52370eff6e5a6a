"""Weights in and out: every damage is refused by name, nothing is half written."""

import json
import math
import os

import pytest
import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.testing import assert_close

from course import toy_ddpm, weights
from course.judges import DigitClassifier
from course.mini_unet import MiniUNet
from course.mini_vae import MiniVAE
from course.train.vae import make_vae


class Small(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.layer = nn.Linear(width, 2)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    return tmp_path


def test_round_trip(folder):
    model = MiniVAE(latent=3, width=8)
    weights.save("small", model)
    back = weights.load("small")
    assert_close(back.encode(torch.zeros(1, 1, 28, 28)), model.encode(torch.zeros(1, 1, 28, 28)), rtol=1e-2, atol=1e-3)
    weight = back.encoder[1].weight
    assert type(back) is MiniVAE and not back.training and not weight.requires_grad and weight.dtype == torch.float32
    assert_close(weight, model.encoder[1].weight, rtol=1e-3, atol=1e-4)  # stored in half precision


@pytest.mark.parametrize("schedule, prediction", [("cosine", "v"), ("flow", "flow")])
def test_a_network_knows_what_it_was_trained_for(folder, schedule, prediction):
    weights.save("small", MiniUNet(channels=(8,)), schedule=schedule, prediction=prediction)
    denoiser = weights.load("small")
    assert isinstance(denoiser, toy_ddpm.Denoiser) and denoiser.prediction == prediction
    assert_close(denoiser.schedule.std, toy_ddpm.make_schedule(schedule).std)
    x_t = torch.zeros(1, 1, 28, 28)
    value = denoiser.network(x_t, torch.tensor([7]))
    assert_close(denoiser(x_t, 7), toy_ddpm.split(value, x_t, 7, denoiser.schedule, prediction))


def write_config(folder, **changes):
    """A config.json with a right checksum that says something else."""
    path = folder / "small" / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    weights.note_sums(["small/config.json"])


@pytest.mark.parametrize("changes", [
    {"class": "os.system"}, {"class": "course.weights.WeightsError"}, {"class": "course.nothing.Net"}, {"class": "MiniVAE"},
    {"class": None}, {"class": 7}, {"arguments": {"depth": 3}}, {"arguments": None}, {"schedule": "sine", "prediction": "v"},
    {"schedule": "cosine"}, {"schedule": "cosine", "prediction": "w"},
])  # fmt: skip
def test_configurations_that_name_nothing_of_the_course_are_refused(folder, changes):
    weights.save("small", MiniVAE(latent=3, width=8))
    write_config(folder, **changes)
    with pytest.raises(weights.WeightsError, match="small/config.json|no network of this package"):
        weights.load("small")


def test_only_classes_that_can_be_found_again_are_saved(folder):
    with pytest.raises(weights.WeightsError, match="Small is no network of this package"):
        weights.save("small", Small())
    assert not (folder / "small").exists()


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_flipped_byte_is_refused_by_name(folder, file):
    weights.save("small", MiniVAE(width=8))
    path = folder / "small" / file
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(weights.WeightsError, match=f"small/{file}.*checksum"):
        weights.load("small")


def test_truncated_file_is_refused_by_name(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    weights.write_tensors(path, {"a": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(weights.WeightsError, match="checkpoint.safetensors is damaged"):
        weights.read_tensors(path)


def test_missing_weights_say_what_there_is(folder):
    weights.save("small", MiniVAE(width=8))
    with pytest.raises(weights.WeightsError, match="'large'; here: small"):
        weights.load("large")
    with pytest.raises(weights.WeightsError, match="no file"):
        weights.read_tensors(folder / "nothing.safetensors")
    (folder / "small" / "config.json").unlink()
    with pytest.raises(weights.WeightsError, match="small/config.json is missing"):
        weights.load("small")


@pytest.mark.parametrize("tensors, message", [
    ({"layer.weight": torch.zeros(2, 4), "layer.bias": torch.zeros(2)}, r"layer.weight \(2, 3\), the file \(2, 4\)"),
    ({"layer.weight": torch.zeros(2, 3)}, "layer.bias"),
    ({"layer.weight": torch.zeros(2, 3), "layer.bias": torch.zeros(2), "extra": torch.zeros(1)}, "extra"),
])  # fmt: skip
def test_other_networks_are_refused(tensors, message):
    with pytest.raises(weights.WeightsError, match=message):
        weights.load_into(Small(), tensors)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e5])
def test_numbers_that_are_none_are_named_before_saving(folder, value):
    """1e5 is a number, but float16 ends at 65,504."""
    model = MiniVAE(width=8)
    weights.save("small", model)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with torch.no_grad():
        model.decoder[2].bias[1] = value
    with pytest.raises(weights.WeightsError, match="small: decoder.2.bias holds NaN or infinity"):
        weights.save("small", model)
    vae = make_vae((8, 8))
    with torch.no_grad():
        vae.decoder.conv_in.bias[1] = value
    with pytest.raises(weights.WeightsError, match="world/vae: decoder.conv_in.bias holds NaN or infinity"):
        weights.save_pretrained("world/vae", vae)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_numbers_that_are_none_are_named_on_reading(folder):
    weights.save("small", MiniVAE(width=8))
    path = folder / "small" / "model.safetensors"
    tensors = weights.read_tensors(path)
    tensors["encoder.1.weight"][2, 3] = math.nan
    weights.write_tensors(path, tensors)
    weights.note_sums(["small/model.safetensors"])
    with pytest.raises(weights.WeightsError, match="small/model.safetensors: encoder.1.weight holds NaN"):
        weights.load("small")


def test_numbers_that_are_none_are_named_on_reading_a_library_model(vae_folder):
    path = vae_folder / "diffusion_pytorch_model.safetensors"
    tensors = weights.read_tensors(path)
    tensors["decoder.conv_in.bias"][0] = math.inf
    weights.write_tensors(path, tensors, {"format": "pt"})
    weights.note_sums(["world/vae/diffusion_pytorch_model.safetensors"])
    with pytest.raises(weights.WeightsError, match="world/vae: decoder.conv_in.bias holds NaN or infinity"):
        weights.load_pretrained("world/vae", AutoencoderKL)


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


@pytest.mark.parametrize("name", ["digit-unet", "digit-judge", "zoo-judge", "sound", "sound-judge"])
def test_shipped_weights_are_small_and_checked(name):
    assert (weights.FOLDER / name / "model.safetensors").stat().st_size <= 3_000_000
    sums = (weights.FOLDER / "SHA256SUMS").read_text()
    assert f"{name}/model.safetensors" in sums and f"{name}/config.json" in sums


def test_every_shipped_file_has_its_checksum():
    files = {path.relative_to(weights.FOLDER).as_posix() for path in weights.FOLDER.rglob("*") if path.is_file()}
    assert {file for file in files if file.rpartition("/")[2] not in weights.UNSUMMED} == set(weights._sums())
    for file in weights._sums():
        weights._verify(file)


def test_shipped_models_load():
    denoiser = weights.load("digit-unet")
    assert (type(denoiser.network), denoiser.prediction) == (MiniUNet, "v")
    assert_close(denoiser.schedule.signal, toy_ddpm.cosine().signal)
    assert denoiser.network(torch.zeros(1, 1, 28, 28), torch.tensor([1])).shape == (1, 1, 28, 28)
    judge = weights.load("digit-judge")
    assert type(judge) is DigitClassifier and judge(torch.zeros(1, 1, 28, 28)).shape == (1, 10)


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


def test_changes_of_a_library_model_come_back_in_the_same_model_alone(vae_folder):
    base, changed = weights.load_pretrained("world/vae", AutoencoderKL), make_vae()
    part = {name: p for name, p in changed.named_parameters() if "quant_conv" in name}
    weights.save_changes("world/other", part, of="world/vae")
    back = weights.load_changes("world/other", make_vae().requires_grad_(True))
    assert not back.training and not any(p.requires_grad for p in back.parameters())
    for name, p in back.named_parameters():
        if name in part:
            assert_close(p, part[name].half().float())

    weights.save_changes("world/wrong", {"nowhere": torch.zeros(2)}, of="world/vae")
    with pytest.raises(weights.WeightsError, match="the model has nowhere nothing"):
        weights.load_changes("world/wrong", base)
    with pytest.raises(weights.WeightsError, match="NaN"):
        weights.save_changes("world/wrong", {"nowhere": torch.tensor(math.nan)}, of="world/vae")
    weights.save_pretrained("world/vae", changed)
    with pytest.raises(weights.WeightsError, match="another world/vae than the one that is here"):
        weights.load_changes("world/other", base)


@pytest.mark.parametrize("read", [weights.load, weights.verify_folder])
def test_without_the_repository_it_is_said_where_weights_lie(read, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path / "assets" / "weights")
    with pytest.raises(weights.WeightsError, match="clone of it"):
        read("digit-unet")
    weights.FOLDER.mkdir(parents=True)
    with pytest.raises(weights.WeightsError, match="no weights called 'digit-unet'; here: none"):
        read("digit-unet")


@pytest.mark.parametrize("config, said", [
    ({"schedule": toy_ddpm.cosine(), "prediction": "v"}, "not JSON"), ({"schedule": "cosin", "prediction": "v"}, "cosin"),
    ({"prediction": "v"}, "schedule"), ({"schedule": "cosine"}, "prediction"), ({"schedule": "cosine", "prediction": "noise"}, "noise"),
])  # fmt: skip
def test_what_could_not_be_loaded_again_replaces_nothing(config, said, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    network = MiniUNet(channels=(8,), num_classes=10)
    weights.save("a", network, schedule="cosine", prediction="v")
    with pytest.raises(weights.WeightsError, match=said):
        weights.save("a", network, **config)
    assert weights.load("a").prediction == "v"


@pytest.mark.parametrize(
    "name", ["../a", "digit-unet/", "../weights/digit-unet", "/a", "", ".", "a//b", "a/../b", "a/./b"]
)
def test_a_path_is_no_name(name):
    for call in (lambda: weights.save(name, DigitClassifier()), lambda: weights.load(name)):
        with pytest.raises(weights.WeightsError, match="plain name"):
            call()


def test_a_folder_may_hold_several_models(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    one, two = MiniUNet(channels=(8,), num_classes=10), MiniUNet(channels=(8,), num_classes=10)
    weights.save("parts/one", one, schedule="cosine", prediction="v")
    weights.save("parts/two", two, schedule="linear", prediction="eps")
    assert weights.load("parts/one").prediction == "v" and weights.load("parts/two").prediction == "eps"
    (tmp_path / "parts" / "one" / "model.safetensors").write_bytes(b"")
    with pytest.raises(weights.WeightsError, match="parts/one/model.safetensors"):
        weights.load("parts/one")
    weights.load("parts/two")
