"""Folders of Stable Diffusion v1 as others write them: used as diffusers uses them, or refused with the reason."""

import json
import re
import shutil

import diffusers
import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.schedulers import KarrasDiffusionSchedulers
from safetensors.torch import load_file, save_file
from small_pipeline import small_pipeline

from course import stable_diffusion
from course.stable_diffusion.check import check
from course.weights import WeightsError

UNET, VAE, TEXT = "unet/config.json", "vae/config.json", "text_encoder/config.json"
SCHEDULER, INDEX, TOKENIZER = "scheduler/scheduler_config.json", "model_index.json", "tokenizer/tokenizer_config.json"
EXTRACTOR = "feature_extractor/preprocessor_config.json"
NETWORKS = "unet", "vae", "text_encoder"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A function that gives a folder as diffusers saves it with these choices, written once."""
    home = tmp_path_factory.mktemp("v1")

    def folder(**how):
        path = home / ("-".join(f"{key}={value}" for key, value in how.items()) or "plain")
        if not path.exists():
            small_pipeline(path, **how)
        return path

    return folder


@pytest.fixture
def copy(written, tmp_path):
    return lambda **how: shutil.copytree(written(**how), tmp_path / "copy", dirs_exist_ok=True)


def edit(path, drop=(), **changes):
    settings = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in settings.items() if key not in drop}))


def rewrite(path, **changes):
    """Tensors of a file changed by name, None to leave one out; the first key may be meant by `first`."""
    tensors = load_file(path)
    changes = {next(iter(tensors)) if key == "first" else key: value for key, value in changes.items()}
    save_file({key: value for key, value in (tensors | changes).items() if value is not None}, path, {"format": "pt"})


def open_it(folder):
    return stable_diffusion.load(folder, "cpu", quiet=True)


def refused(folder, words):
    with pytest.raises(WeightsError, match=words):
        open_it(folder)


def same_weights(a, b):
    for network in NETWORKS:
        torch.testing.assert_close(getattr(a, network).state_dict(), getattr(b, network).state_dict(), atol=0, rtol=0)


# ---------------------------------------------------------------- used as diffusers uses them


@pytest.mark.parametrize(
    "how",
    [{"max_shard_size": "20KB"}, {"variant": "fp16"}, {"variant": "fp16", "max_shard_size": "20KB"}],
    ids=["shards", "variant", "shards of a variant"],
)
@pytest.mark.parametrize("part", [None, *NETWORKS])
def test_shards_and_the_variant_fp16_are_opened_for_all_parts_or_one(written, copy, how, part):
    folder = copy(**({} if part else how))
    if part:
        shutil.rmtree(folder / part)
        shutil.copytree(written(**how) / part, folder / part)
    same_weights(open_it(folder), open_it(written()))


def test_shards_of_a_variant_by_their_older_names_are_opened(written, copy):
    folder = copy(variant="fp16", max_shard_size="20KB")
    index = folder / "unet" / "diffusion_pytorch_model.safetensors.index.fp16.json"

    def older(name):
        return re.sub(r"\.fp16(-\d+-of-\d+)", r"\1.fp16", name)

    for path in (folder / "unet").glob("*.fp16-*"):
        path.rename(path.with_name(older(path.name)))
    index.with_name("diffusion_pytorch_model.safetensors.fp16.index.json").write_text(older(index.read_text()))
    index.unlink()
    same_weights(open_it(folder), open_it(written()))


def test_the_published_names_of_tensors_are_understood(written, copy):
    """v1.5's own files: a prefix and positions in the text encoder, four old names in the autoencoder's attention."""
    folder = copy()
    path = folder / "text_encoder" / "model.safetensors"
    tensors = {f"text_model.{key}": value for key, value in load_file(path).items()}
    save_file(tensors | {"text_model.embeddings.position_ids": torch.arange(77)[None]}, path, {"format": "pt"})
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(path)
    for new, old in names.items():
        tensors = {re.sub(rf"(attentions\.0\.){new}", rf"\g<1>{old}", key): value for key, value in tensors.items()}
    save_file(tensors, path, {"format": "pt"})
    same_weights(open_it(folder), open_it(written()))


def test_the_published_names_in_the_safety_checker_are_understood(written, copy):
    """v1.5's own file: its picture tower stands in a tower of the same name, with positions."""
    folder = copy(safety_checker=True)
    path = folder / "safety_checker" / "model.safetensors"
    tensors = {re.sub("^vision_model", "vision_model.vision_model", key): x for key, x in load_file(path).items()}
    positions = torch.arange(len(tensors["vision_model.vision_model.embeddings.position_embedding.weight"]))[None]
    save_file(tensors | {"vision_model.vision_model.embeddings.position_ids": positions}, path, {"format": "pt"})
    a, b = (open_it(place).safety_checker.state_dict() for place in (folder, written(safety_checker=True)))
    torch.testing.assert_close(a, b, atol=0, rtol=0)


@pytest.mark.parametrize("size, is_64", [(None, True), ("missing", True), ([4, 4], False), (4, False)])
def test_a_size_that_is_not_said_is_v1s(copy, size, is_64):
    folder = copy()
    edit(folder / UNET, drop=["sample_size"] if size == "missing" else [], sample_size=size)
    sd = open_it(folder)
    assert sd.unet.config.sample_size == (64 if is_64 else 4)
    shape = stable_diffusion.starting_noise(sd, [0]).shape
    assert shape == ((1, 4, 64, 64) if is_64 else (1, 4, 4, 4))


def test_the_wrong_size_of_old_configurations_is_mended_as_in_diffusers(copy):
    folder = copy()
    edit(folder / UNET, sample_size=32, _diffusers_version="0.6.0")
    stock = StableDiffusionPipeline.from_pretrained(folder)
    assert open_it(folder).unet.config.sample_size == stock.unet.config.sample_size == 64


@pytest.mark.parametrize(
    "file, changes",
    [
        (INDEX, {"safety_checker": None, "feature_extractor": None, "image_encoder": None}),
        (INDEX, {"drop": ["safety_checker", "feature_extractor", "image_encoder", "requires_safety_checker"]}),
        (INDEX, {"_class_name": "StableDiffusionInpaintPipeline"}),
        (UNET, {"cross_attention_dim": [16, 16]}),
        (UNET, {"drop": ["encoder_hid_dim", "time_cond_proj_dim", "attention_type", "out_channels", "_class_name"]}),
        (VAE, {"drop": ["scaling_factor", "latent_channels", "_class_name"]}),
        (TEXT, {"drop": ["max_position_embeddings", "architectures", "hidden_act"]}),
        (SCHEDULER, {"drop": ["num_train_timesteps", "prediction_type", "trained_betas"]}),
        (SCHEDULER, {"clip_sample": True, "thresholding": True, "timestep_spacing": "trailing", "steps_offset": 0}),
    ],
)
def test_what_is_not_said_or_does_not_matter_changes_no_picture(written, copy, file, changes):
    folder = copy()
    edit(folder / file, **changes)
    a, b = (stable_diffusion.generate(open_it(place), ["a dog"], [0], steps=2) for place in (folder, written()))
    torch.testing.assert_close(a, b, atol=0, rtol=0)


def test_a_tokenizer_in_two_files_reads_the_same_tokens(written, copy):
    folder = copy()
    model = json.loads((folder / "tokenizer" / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (folder / "tokenizer" / "merges.txt").write_text("\n".join(merges) + "\n")
    (folder / "tokenizer" / "tokenizer.json").unlink()
    token = {"__type": "AddedToken", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    start, end = (token | {"content": f"<|{name}text|>"} for name in ("startof", "endof"))  # as v1.5's file spells them
    edit(folder / TOKENIZER, bos_token=start, eos_token=end, unk_token=end)
    a, b = (open_it(place).tokenizer(["a brown dog wears glasses"]).input_ids for place in (folder, written()))
    assert a == b
    (folder / "tokenizer" / "merges.txt").write_text("\n".join(merges[:50]) + "\n")
    refused(folder, "merges.txt is cut short")


# one of the two others has no betas, one needs another library
@pytest.mark.parametrize(
    "name", sorted(KarrasDiffusionSchedulers.__members__.keys() - {"EDMEulerScheduler", "DPMSolverSDEScheduler"})
)
def test_any_scheduler_that_diffusers_takes_for_v1_leaves_the_grid_as_it_is(copy, name):
    folder = copy()
    betas = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    getattr(diffusers, name)(**betas).save_pretrained(folder / "scheduler")
    edit(folder / INDEX, scheduler=["diffusers", name])
    assert "scheduler" in check(folder)
    scheduler = stable_diffusion.load(folder, "meta", quiet=True).scheduler
    scheduler.set_timesteps(50)
    assert scheduler.timesteps[:2].tolist() == [981, 961] and scheduler.timesteps[-1] == 1


def test_a_safety_checker_comes_with_what_it_needs(written):
    sd = open_it(written(safety_checker=True))
    assert sd.safety_checker is not None
    stock = StableDiffusionPipeline.from_pretrained(written(safety_checker=True))
    stock.scheduler = sd.scheduler
    theirs = stock(
        ["a dog"], num_inference_steps=2, generator=stable_diffusion.generators([0]), output_type="pt"
    ).images
    torch.testing.assert_close(
        stable_diffusion.generate(sd, ["a dog"], [0], steps=2), theirs * 2 - 1, atol=1e-5, rtol=0
    )


# ---------------------------------------------------------------- refused, with the reason


@pytest.mark.parametrize("changes", [{"feature_extractor": None}, {"feature_extractor": [None, None]}, {"drop": ["feature_extractor"]}])  # fmt: skip
def test_a_safety_checker_without_its_extractor_is_refused_as_in_diffusers(copy, changes):
    folder = copy(safety_checker=True)
    edit(folder / INDEX, **changes)
    refused(folder, r'has a safety checker, but not the feature_extractor.*write "safety_checker": \[null, null\]')
    edit(folder / INDEX, safety_checker=[None, None])
    assert open_it(folder).safety_checker is None


@pytest.mark.parametrize(
    "file, changes, words",
    [
        (INDEX, {"_class_name": "StableDiffusionControlNetPipeline"}, "holds a StableDiffusionControlNetPipeline"),
        (INDEX, {"drop": ["_class_name"]}, "holds a None; this course opens Stable Diffusion v1"),
        (INDEX, {"controlnet": ["diffusers", "ControlNetModel"]}, "controlnet is diffusers's ControlNetModel"),
        (INDEX, {"image_encoder": ["transformers", "CLIPVisionModelWithProjection"]}, "image_encoder is .* not there"),
        (INDEX, {"vae": ["diffusers", "AutoencoderTiny"]}, "vae is diffusers's AutoencoderTiny; .* AutoencoderKL"),
        (INDEX, {"text_encoder": ["transformers", "CLIPTextModelWithProjection"]}, "text_encoder is .* CLIPTextModel"),
        (INDEX, {"unet": ["my_code", "UNet2DConditionModel"]}, "unet is my_code's UNet2DConditionModel"),
        (INDEX, {"scheduler": ["diffusers", "LCMScheduler"]}, "scheduler is diffusers's LCMScheduler"),
        (INDEX, {"unet": [None, None]}, "lacks unet"),
        (INDEX, {"vae": None}, "lacks vae"),
        (INDEX, {"drop": ["tokenizer"]}, "lacks tokenizer"),
        (INDEX, {"unet": 5}, "cannot be read"),
        (INDEX, {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]}, "safety_checker/ is missing"),
        (SCHEDULER, {"drop": ["beta_schedule"]}, "beta_schedule is linear, but v1 has scaled_linear"),
        (SCHEDULER, {"beta_end": 0.02}, "beta_end is 0.02, but v1 has 0.012"),
        (SCHEDULER, {"trained_betas": [0.1] * 1000}, r"trained_betas is \[0.1, .*, but v1 has None"),
        (SCHEDULER, {"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr is True"),
        (SCHEDULER, {"num_train_timesteps": 500}, "num_train_timesteps is 500, but v1 has 1000"),
        (UNET, {"sample_size": [4, 8]}, r"sample_size is \[4, 8\]"),
        (UNET, {"sample_size": 0}, "sample_size is 0"),
        (UNET, {"sample_size": "64"}, "sample_size is 64, but one whole number"),
        (UNET, {"time_cond_proj_dim": 256}, "time_cond_proj_dim is 256"),
        (UNET, {"addition_embed_type": "text_time"}, "addition_embed_type is text_time"),
        (UNET, {"encoder_hid_dim_type": "ip_image_proj"}, "encoder_hid_dim_type is ip_image_proj"),
        (UNET, {"attention_type": "gated"}, "attention_type is gated"),
        (UNET, {"quantization_config": {"quant_method": "torchao"}}, "quantization_config is"),
        (UNET, {"cross_attention_dim": [16, 8]}, r"text states of width \[16, 8\]"),
        (UNET, {"drop": ["cross_attention_dim"]}, "text states of width 1280"),
        (UNET, {"block_out_channels": None}, "unet is damaged or incomplete"),
        (UNET, {"down_block_types": ["Unheard", "DownBlock2D"]}, "Unheard does not exist"),
        (UNET, {"layers_per_block": 2}, "unet is damaged or incomplete"),
        (UNET, {"norm_eps": None}, "do not fit together .group_norm"),
        (VAE, {"_class_name": "AutoencoderTiny"}, "vae holds a AutoencoderTiny"),
        (VAE, {"scaling_factor": None}, "scaling_factor is None, but a number above 0"),
        (VAE, {"scaling_factor": 0}, "scaling_factor is 0"),
        (VAE, {"out_channels": 6}, "out_channels is 6, but v1 has 3"),
        (VAE, {"layers_per_block": 2}, "vae is incomplete: it has no decoder"),
        (TEXT, {"num_hidden_layers": 1}, "text_encoder was made for another network"),
        (TEXT, {"architectures": ["CLIPModel"]}, "text_encoder holds a CLIPModel"),
        (TEXT, {"max_position_embeddings": None}, "cannot be read"),
        (TOKENIZER, {"drop": ["model_max_length"]}, "model_max_length is None, but 3 to 77"),
        (TOKENIZER, {"model_max_length": 78}, "model_max_length is 78, but 3 to 77"),
        (TOKENIZER, {"pad_token": None}, "do not fit together .Asking to pad"),
    ],
)
def test_what_would_be_used_wrongly_is_refused(copy, file, changes, words):
    folder = copy()
    edit(folder / file, **changes)
    refused(folder, words)


@pytest.mark.parametrize(
    "changes", [{"crop_size": 16}, {"do_center_crop": False}, {"size": None}, {"image_mean": None}]
)
def test_an_extractor_that_does_not_fit_its_checker_is_refused(copy, changes):
    folder = copy(safety_checker=True)
    edit(folder / EXTRACTOR, **changes)
    refused(folder, "do not fit together|damaged")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", '"text"', "{}", "\x00\xff"])
@pytest.mark.parametrize("file", [INDEX, UNET, VAE, TEXT, SCHEDULER, TOKENIZER, "tokenizer/tokenizer.json"])
def test_a_small_file_that_holds_no_settings_is_refused(copy, file, text):
    folder = copy()
    (folder / file).write_text(text)
    refused(
        folder, "missing or damaged|damaged or incomplete|holds a None|but v1 has|wants text states|model_max_length"
    )


@pytest.mark.parametrize("part, file", [("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model"), ("text_encoder", "model")])  # fmt: skip
def test_tensors_that_are_no_numbers_or_of_another_network_are_named(written, copy, part, file):
    path = copy() / part / f"{file}.safetensors"
    name, tensor = next(iter(load_file(path).items()))
    for number in (float("nan"), float("inf"), -float("inf")):
        spoilt = tensor.clone()
        spoilt.view(-1)[-1] = number
        rewrite(path, first=spoilt)
        refused(path.parents[1], f"{part} has NaN or infinity in {re.escape(name)}")
    rewrite(path, first=torch.full_like(tensor, 1e5))
    open_it(path.parents[1])
    with pytest.raises(WeightsError, match="NaN or infinity .*float16"):  # above the largest number of this format
        stable_diffusion.load(path.parents[1], "cpu", dtype="float16")
    rewrite(path, first=tensor, another=torch.zeros(2))
    refused(path.parents[1], f"{part} was made for another network: this one has no another")


@pytest.mark.parametrize("variant", [None, "fp16"])
def test_half_a_set_of_shards_is_refused(copy, variant):
    folder = copy(max_shard_size="20KB", **({"variant": variant} if variant else {}))
    (shard,) = (folder / "unet").glob("*-00003-of-*")
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-9])
    refused(folder, f"{shard.name} is damaged or cut short")
    shard.unlink()
    refused(folder, f"unet is half a download: {shard.name} is missing")
    (index,) = (folder / "unet").glob("*.index.*")
    for text in ("{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 5}}', '{"weight_map": {"a": "../b"}}'):
        index.write_text(text)
        refused(folder, "missing or damaged|names no files|cannot be read")
    index.unlink()
    refused(folder, "has no .safetensors file called diffusion_pytorch_model")


@pytest.mark.parametrize("first, then", [({}, {"max_shard_size": "20KB"}), ({"max_shard_size": "20KB"}, {})])
def test_weights_saved_over_others_are_not_guessed_at(copy, first, then):
    """diffusers leaves the older index or file, and its own loader then takes the one, transformers' the other."""
    folder = copy(**first)
    small_pipeline(folder, **then)
    refused(folder, "was saved twice, as model.safetensors and model.safetensors.index.json; delete the older")


@pytest.mark.parametrize("how", [{"safe_serialization": False}, {"variant": "bf16"}])
def test_pickled_weights_and_other_variants_are_refused_with_a_way_out(written, how):
    refused(written(**how), "weights that this course does not open, pickled or of another variant.*save_pretrained")


@pytest.mark.parametrize("name", ["unet/diffusion_pytorch_model.safetensors", "model_index.json"])
def test_a_file_in_place_of_a_folder_is_named(written, name):
    path = written() / name
    refused(path, rf"{path.name} is a file; .*StableDiffusionPipeline.from_single_file\('{path}'\)")


@pytest.mark.parametrize("name", ["nowhere/v1.safetensors", "v1.ckpt", "a/b/c", "https://huggingface.co/a/b", "x\0y", "a" * 5000, "~nobody/x", " "])  # fmt: skip
def test_what_can_be_no_hub_id_is_no_folder(name):
    refused(name, 'there is no folder .*Allowed: "mini", a folder, or a hub id')


def test_a_variable_that_names_nothing_is_refused_alike(monkeypatch):
    for name in ("nowhere/v1.safetensors", "~nobody/x", "a" * 5000):
        monkeypatch.setenv("COURSE_SD", name)
        refused(None, "there is no folder|too long")


@pytest.mark.parametrize("name", ["a/b..c", "-a/b", "a/" + "b" * 200])
def test_what_the_hub_would_not_allow_is_not_here(name):
    refused(name, "no copy of a hub repository of that name")


def test_a_folder_that_may_not_be_read_is_refused(copy, monkeypatch):
    """A superuser may read all, so the system's answer is put in its place."""
    folder = copy()

    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.iterdir", denied)
    refused(folder, "cannot be read .*Permission denied")
