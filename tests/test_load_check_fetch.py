"""Where weights come from, and what is said when they are not there, damaged, or of another model."""

import concurrent.futures
import errno
import importlib
import json
import pathlib
import shutil
import socket
import time
import types

import fake_hub
import pytest
import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, EulerDiscreteScheduler, PNDMScheduler
from safetensors.torch import load_file, save_file
from small_pipeline import small_pipeline

from course import stable_diffusion, weights
from course.stable_diffusion import fetch
from course.stable_diffusion.check import FULL, MINI, check
from course.weights import FOLDER, WeightsError

load = importlib.import_module("course.stable_diffusion.load")  # the module; the package has a function of this name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "small"
    small_pipeline(folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_SD", raising=False)
    return shutil.copytree(whole, tmp_path / "small")


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_is_loaded_and_draws(folder):
    sd = stable_diffusion.load(folder, "cpu", quiet=True)
    assert isinstance(sd.vae, AutoencoderKL) and sd.vae_scale_factor == 8 and sd.safety_checker is None
    assert stable_diffusion.generate(sd, ["a dog"], steps=2).shape == (1, 3, 32, 32)


def test_it_says_what_it_took_and_why(folder, monkeypatch, capsys):
    stable_diffusion.load(device="cpu")
    assert "mini (64 x 64 pixels, float32 on cpu), because there is no GPU" in capsys.readouterr().out
    monkeypatch.setenv("COURSE_SD", str(folder))
    stable_diffusion.load(device="cpu")
    assert f"{folder} (32 x 32 pixels, float32 on cpu), because COURSE_SD says so" in capsys.readouterr().out
    stable_diffusion.load("mini", "cpu")
    assert "because you asked for it" in capsys.readouterr().out


def gpu_memory(monkeypatch, free, total=8e9, kept=0.0):
    """A GPU's memory in bytes: free, in all, and what PyTorch keeps for itself without using it."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _=None: (free, total))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _=None: kept)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _=None: 0.0)


def test_a_gpu_prefers_the_full_weights_if_a_whole_copy_is_here_and_fits(folder, monkeypatch):
    gpu = torch.device("cuda")
    gpu_memory(monkeypatch, 6e9)
    assert load.choose(None, gpu) == ("mini", "no copy of the full weights is here (`make full-weights` fetches them)")  # fmt: skip
    monkeypatch.setattr(load, "locate", lambda name: folder)
    assert load.choose(None, gpu)[0] == FULL
    gpu_memory(monkeypatch, 1e9)
    name, why = load.choose(None, gpu)
    assert name == "mini" and "the full weights cannot be used: the GPU has 1.0 of 8.0 GB free" in why
    gpu_memory(monkeypatch, 6e9)
    shutil.rmtree(folder / "vae")
    name, why = load.choose(None, gpu)
    assert name == "mini" and "half a download: the folder vae/ is missing" in why


def test_half_precision_on_a_gpu_is_asked_for_full_weights_alone(folder, monkeypatch):
    """The `meta` device stands in for a GPU: the same code path, no numbers."""
    monkeypatch.setattr(load, "check_memory", lambda *_: None)
    parts, line = load.read(folder, "meta")
    assert {parts[name].dtype for name in ("unet", "vae", "text_encoder")} == {torch.float16} and "float16" in line
    parts, _ = load.read("mini", "meta")
    assert parts["unet"].dtype == torch.float32


def test_the_number_format_can_be_chosen(folder, monkeypatch):
    """Some GPUs (GTX 16) draw black in float16, github.com/pytorch/pytorch issue 58123; bfloat16 halves a CPU's work."""
    monkeypatch.setattr(load, "check_memory", lambda *_: None)
    assert load.read(folder, "meta", torch.float32)[0]["vae"].dtype == torch.float32
    monkeypatch.setenv("COURSE_DTYPE", "bfloat16")
    sd = stable_diffusion.load(folder, "cpu", quiet=True)
    assert {sd.unet.dtype, sd.vae.dtype, sd.text_encoder.dtype} == {torch.bfloat16}
    monkeypatch.setenv("COURSE_DTYPE", "float12")
    with pytest.raises(WeightsError, match="COURSE_DTYPE is 'float12', but float16, bfloat16 or float32 is needed"):
        stable_diffusion.load(folder, "cpu")


@pytest.mark.parametrize("wished, steps", [(None, 25), ("", 25), ("2", 2), ("999", 999)])
def test_the_number_of_steps_can_be_chosen(wished, steps, monkeypatch):
    monkeypatch.delenv("COURSE_STEPS", raising=False)
    if wished is not None:
        monkeypatch.setenv("COURSE_STEPS", wished)
    assert stable_diffusion.wished_steps() == steps


@pytest.mark.parametrize("wished", ["1", "1000", "-5", "2.5", "many"])
def test_another_number_of_steps_is_refused(wished, monkeypatch):
    monkeypatch.setenv("COURSE_STEPS", wished)
    with pytest.raises(ValueError, match=f"COURSE_STEPS is '{wished}', but a whole number from 2 to 999"):
        stable_diffusion.wished_steps()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_pictures_in_half_precision_are_those_of_float32_but_for_rounding(dtype):
    wide, narrow = (stable_diffusion.load("mini", "cpu", quiet=True, dtype=kind) for kind in (torch.float32, dtype))
    a, b = (stable_diffusion.generate(sd, ["a dog"], steps=5) for sd in (wide, narrow))
    assert a.dtype == b.dtype == torch.float32 and 0 < (a - b).abs().mean() < 0.02


def test_what_is_not_here_is_said_within_a_second_and_without_network(monkeypatch):
    asked = []

    def no_network(*where, **_):
        asked.append(where)
        raise OSError("there is no network")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    began = time.monotonic()
    with pytest.raises(WeightsError, match="no copy of a hub repository of that name.*make full-weights"):
        stable_diffusion.load("nobody/no-such-model-at-all", "cpu")
    assert time.monotonic() - began < 1 and not asked
    with pytest.raises(WeightsError, match='there is no folder.*Allowed: "mini", a folder, or a hub id'):
        stable_diffusion.load("no/such/folder", "cpu")


@pytest.mark.parametrize(
    "file, words",
    [
        ("model_index.json", "model_index.json is missing or damaged"),
        ("unet", "half a download: the folder unet/ is missing"),
        ("unet/config.json", "unet/config.json is missing"),
        ("vae/diffusion_pytorch_model.safetensors", "vae has no .safetensors file"),
        ("scheduler/scheduler_config.json", "scheduler/scheduler_config.json is missing"),
        ("tokenizer/tokenizer.json", "tokenizer has neither tokenizer.json nor vocab.json"),
        ("tokenizer/tokenizer_config.json", "tokenizer_config.json is missing"),
    ],
)
def test_half_a_download_is_named(folder, file, words):
    path = folder / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(WeightsError, match=words):
        stable_diffusion.load(folder, "cpu")


@pytest.mark.parametrize("part, shape", [("text_encoder", "missing"), ("unet", "missing"), ("unet", "other")])
def test_weights_that_lack_a_tensor_or_have_it_in_another_shape_are_refused(folder, part, shape):
    """The libraries fill what is missing with random numbers and go on."""
    (path,) = (folder / part).glob("*.safetensors")
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("weight"))
    tensor = tensors.pop(name)
    save_file(tensors if shape == "missing" else tensors | {name: tensor[:1].clone()}, path, {"format": "pt"})
    with pytest.raises(WeightsError, match=f"{part} is (damaged or )?incomplete"):
        stable_diffusion.load(folder, "cpu")


def test_files_that_cannot_be_read_are_named(folder):
    (folder / "tokenizer" / "tokenizer.json").write_text('{"version": ')
    with pytest.raises(WeightsError, match="tokenizer is damaged or incomplete"):
        stable_diffusion.load(folder, "cpu")


def test_weights_before_averaging_neither_count_nor_serve(folder, monkeypatch):
    (path,) = (folder / "unet").glob("*.safetensors")
    gpu_memory(monkeypatch, 1.4e9)
    with pytest.raises(WeightsError) as alone:
        load.check_memory(folder, torch.float32)
    other = shutil.copy(path, path.with_suffix(".non_ema.safetensors"))
    with pytest.raises(WeightsError) as both:
        load.check_memory(folder, torch.float32)
    assert str(alone.value) == str(both.value) and other in list(path.parent.iterdir())
    path.unlink()
    with pytest.raises(WeightsError, match="unet has no .safetensors file"):
        check(folder)


@pytest.mark.parametrize("scheduler", [EulerDiscreteScheduler, DPMSolverMultistepScheduler, PNDMScheduler])
def test_a_model_kept_with_another_scheduler_gets_the_same_grid(folder, scheduler):
    same = stable_diffusion.load(folder, "cpu", quiet=True)
    file = folder / "scheduler" / "scheduler_config.json"
    file.unlink()
    betas = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    scheduler(**betas).save_pretrained(folder / "scheduler")
    other = stable_diffusion.load(folder, "cpu", quiet=True)
    for sd in (same, other):
        sd.scheduler.set_timesteps(50)
        assert sd.scheduler.timesteps[:2].tolist() == [981, 961] and not sd.scheduler.config.clip_sample
    assert torch.equal(same.scheduler.final_alpha_cumprod, other.scheduler.final_alpha_cumprod)


def test_a_relative_folder_is_found_from_the_notebooks_too(folder, monkeypatch):
    monkeypatch.setattr(load, "ROOT", folder.parent)
    monkeypatch.chdir(folder / "unet")
    assert load.locate("small") == folder


def test_a_file_cut_short_is_named(folder):
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="diffusion_pytorch_model.safetensors is damaged or cut short"):
        stable_diffusion.load(folder, "cpu")


@pytest.mark.parametrize(
    "file, changes, words",
    [
        ("model_index.json", {"_class_name": "FluxPipeline"}, "holds a FluxPipeline; this course opens Stable Diffusion v1"),
        ("model_index.json", {"text_encoder_2": ["transformers", "CLIPTextModel"]}, "this course opens Stable Diffusion v1"),
        ("scheduler/scheduler_config.json", {"prediction_type": "v_prediction"}, "prediction_type is v_prediction, but v1 has epsilon"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "linear"}, "beta_schedule is linear, but v1 has scaled_linear"),
        ("unet/config.json", {"in_channels": 7}, "in_channels is 7, but v1 has 4 or 9"),
        ("unet/config.json", {"cross_attention_dim": 1024}, "text states of width 1024, but the text encoder's have 16"),
        ("unet/config.json", {"use_linear_projection": True}, "use_linear_projection is True, but v1 has False"),
        ("vae/config.json", {"latent_channels": 16}, "latent_channels is 16, but v1 has 4"),
    ],
)  # fmt: skip
def test_other_models_are_refused(folder, file, changes, words):
    edit(folder / file, **changes)
    with pytest.raises(WeightsError, match=words):
        stable_diffusion.load(folder, "cpu")


def test_a_flipped_byte_of_the_mini_weights_is_named(tmp_path, monkeypatch):
    copy = shutil.copytree(FOLDER, tmp_path / "weights")
    monkeypatch.setattr(weights, "FOLDER", copy)
    path = copy / MINI / "text_encoder" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="mini-stable-diffusion/text_encoder/model.safetensors .* it is damaged"):
        stable_diffusion.load("mini", "cpu")


def test_too_little_gpu_memory_is_said_with_what_fits(folder, monkeypatch):
    gpu_memory(monkeypatch, 1.0e9, 4.0e9)
    with pytest.raises(WeightsError, match=r"has 1.0 of 4.0 GB free, but 1.5 GB are needed.*COURSE_SD=mini"):
        load.check_memory(folder, torch.float16)
    gpu_memory(monkeypatch, 1.0e9, 4.0e9, kept=1.0e9)
    load.check_memory(folder, torch.float16)
    with pytest.raises(WeightsError, match=r"has 2.0 of 4.0 GB free, but 3.0 GB are needed"):
        load.check_memory(folder, torch.float32)


def test_memory_is_asked_for_the_rows_that_really_run(monkeypatch):
    class OnGpu:
        device, dtype = torch.device("cuda"), torch.float16

    gpu_memory(monkeypatch, 0.9e9)
    load.check_rows(OnGpu, torch.zeros(3, 4, 64, 64))  # 0.75 GB
    load.check_rows(OnGpu, torch.zeros(12, 4, 32, 32))
    with pytest.raises(WeightsError, match=r"has 0.9 GB free, but 4 rows of 64 x 64 cells at once need about 1.0 GB"):
        load.check_rows(OnGpu, torch.zeros(4, 4, 64, 64))
    monkeypatch.setattr(OnGpu, "device", torch.device("cpu"))
    load.check_rows(OnGpu, torch.zeros(4, 4, 64, 64))

    asked = []
    monkeypatch.setattr(stable_diffusion, "check_rows", lambda _, z: asked.append(len(z)))
    stable_diffusion.generate(stable_diffusion.load_mini(), ["a dog"] * 3, steps=2)
    assert asked == [6]  # both halves of guidance, and once for the walk


# ---------------------------------------------------------------- fetching: the real client, and a hub on this machine

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def hub(whole, tmp_path, monkeypatch):
    with fake_hub.serve(whole, tmp_path / "hub", monkeypatch) as server:
        server.files |= {"README.md": b"a card", "v1.ckpt": b"a pickle", UNET.replace(".safe", ".non_ema.safe"): b"no"}
        yield server


def test_fetching_says_size_and_licence_first_and_takes_no_for_an_answer(hub, capsys):
    assert fetch.fetch("a/b", ask=lambda _: "n") is None
    said = capsys.readouterr().out
    assert "GB to fetch" in said and "Licence: openrail" in said and not hub.sent
    with pytest.raises(WeightsError, match="no copy"):
        load.locate("a/b")


def test_what_was_fetched_is_found_without_network_and_draws(hub, capsys, monkeypatch):
    folder = fetch.fetch("a/b", ask=lambda _: "y")
    assert "complete and checked" in capsys.readouterr().out
    assert not [*folder.rglob("*.ckpt"), *folder.rglob("*non_ema*")]  # pickles and a second copy stay away
    hub.shutdown()
    monkeypatch.setenv("COURSE_SD", "a/b")
    stable_diffusion.generate(stable_diffusion.load(device="cpu", quiet=True), ["a dog"], steps=1)


def unfinished(folder):
    return [path for path in folder.rglob("*") if path.suffix in (".part", ".incomplete")]


@pytest.mark.parametrize("waits, words", [(0.02, "less than 1,000,000,000 bytes a second"), (2, "broke off")])
def test_a_network_that_trickles_or_stands_still_is_left(hub, tmp_path, monkeypatch, waits, words):
    monkeypatch.setattr(fetch, "PATIENCE", 0.3)
    monkeypatch.setattr(fetch, "SLOWEST", 10**9 if waits < 1 else 0)
    hub.waits = waits
    with pytest.raises(WeightsError, match=f"{words}.*goes on from there"):
        fetch.fetch("a/b", agreed=True)
    left = unfinished(tmp_path)
    assert len(left) == 1 and left[0].stat().st_size  # what came is kept for the next try
    hub.waits = 0
    fetch.fetch("a/b", agreed=True)
    assert not unfinished(tmp_path)


def test_two_at_once_fetch_every_file_once(hub, tmp_path, capsys):
    hub.waits = 0.01
    with concurrent.futures.ThreadPoolExecutor() as pool:  # the lock is between open files, so threads are as processes
        first, second = pool.map(lambda _: fetch.fetch("a/b", agreed=True), range(2))
    assert first == second and not unfinished(tmp_path)
    assert len(hub.sent) == len(set(hub.sent)) and "another process is fetching the same" in capsys.readouterr().out


@pytest.mark.parametrize("by", ["us", "the hub's client, which makes links"])
def test_a_file_that_was_damaged_on_this_disk_is_fetched_anew(hub, by):
    folder = fetch.fetch("a/b", agreed=True) if by == "us" else fetch.huggingface_hub.snapshot_download("a/b")
    path = pathlib.Path(folder) / UNET
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(WeightsError, match=f"{UNET} does not have the hub's checksum and was deleted; run this again"):
        fetch.fetch("a/b", agreed=True)
    fetch.fetch("a/b", agreed=True)
    assert path.read_bytes() == whole


def test_another_model_is_refused_before_its_weights_are_fetched(hub):
    hub.files["model_index.json"] = b'{"_class_name": "FluxPipeline"}'
    with pytest.raises(WeightsError, match="holds a FluxPipeline"):
        fetch.fetch("a/b", agreed=True)
    assert max(size for _, size in hub.sent) < 20_000
    hub.files = {"v1.safetensors": b"a checkpoint in one file"}
    with pytest.raises(WeightsError, match="a/b holds no pipeline"):
        fetch.fetch("a/b", agreed=True)


def test_an_interrupted_download_goes_on(hub):
    hub.breaks_off = 20_000
    with pytest.raises(
        WeightsError, match="the connection broke off .*20000 bytes.*run this again, it goes on from there"
    ):
        fetch.fetch("a/b", agreed=True)
    hub.breaks_off, begun = None, hub.sent[-1]
    fetch.fetch("a/b", agreed=True)
    assert (20_000, begun[1]) in hub.sent and len(hub.sent) == len({size for _, size in hub.sent}) + 1  # nothing twice


def test_a_second_try_needs_room_only_for_the_rest(hub, monkeypatch):
    hub.breaks_off = 20_000
    with pytest.raises(WeightsError, match="broke off"):
        fetch.fetch("a/b", agreed=True)
    whole = sum(
        len(data) for name, data in hub.files.items() if name.endswith(".safetensors") and "non_ema" not in name
    )
    room = types.SimpleNamespace(free=1.1 * (whole - 20_000) + 1)
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: room)
    hub.breaks_off = None
    folder = fetch.fetch("a/b", agreed=True)
    room.free = 0
    assert fetch.fetch("a/b", agreed=True) == folder


def test_no_file_lies_twice_on_disks_without_links(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch.huggingface_hub.file_download, "are_symlinks_supported", lambda _: False)
    folder = fetch.fetch("a/b", agreed=True)
    for path in folder.rglob("*.safetensors"):
        twins = [twin for twin in (tmp_path / "hub").rglob("*") if twin.is_file() and twin.stat().st_size == path.stat().st_size]  # fmt: skip
        assert not path.is_symlink() and twins == [path]
    sent = len(hub.sent)
    assert fetch.fetch("a/b", agreed=True) == folder
    assert not [size for begin, size in hub.sent[sent:] if size > 10_000]


def test_half_size_files_are_taken_where_there_are_some(hub):
    slim = UNET.replace(".safetensors", ".fp16.safetensors")
    hub.files[slim] = hub.files[UNET]
    folder = fetch.fetch("a/b", agreed=True)
    assert (folder / slim).exists() and not (folder / UNET).exists() and list((folder / "vae").glob("*.safetensors"))


def test_a_full_disk_is_no_broken_connection(hub, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch, "fetch_file", full)
    with pytest.raises(WeightsError, match="the disk is full"):
        fetch.fetch("a/b", agreed=True)


def test_a_name_that_cannot_be_one_is_said(hub):
    with pytest.raises(WeightsError, match="the hub does not answer for 'a/b/c'"):
        fetch.fetch("a/b/c", agreed=True)


def test_a_wrong_checksum_is_refused_and_the_file_deleted(hub, tmp_path):
    hub.wrong[UNET] = "0" * 64
    with pytest.raises(WeightsError, match=f"{UNET} does not have the hub's checksum"):
        fetch.fetch("a/b", agreed=True)
    assert not [path for path in tmp_path.rglob(UNET) if path.exists()]


def test_no_room_and_no_network_are_said(hub, monkeypatch):
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=10))
    with pytest.raises(WeightsError, match="HF_HOME chooses another disk"):
        fetch.fetch("a/b", agreed=True)
    hub.shutdown()
    hub.server_close()
    with pytest.raises(WeightsError, match="the hub does not answer for 'a/b'"):
        fetch.fetch("a/b", agreed=True)
