"""Toy Zoo's training: resumed or shared by two processes it comes to the same losses, and it never sees what is held out."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch.testing import assert_close

from course import device, metrics, mini_clip, toy_ddpm, toy_zoo, train, train_zoo, weights

STEPS = 4


def recipe(name, batch_size=8):
    """A trainer of each model on 24 pictures; what a model stands on is untrained here."""
    small = {"n": 24, "batch_size": batch_size}
    torch.manual_seed(7)
    if name == "judge":
        return train_zoo.judge_trainer(**small)
    if name == "vae":
        return train_zoo.vae_trainer(metrics.ZooJudge(), **small)
    if name == "decoder":
        return train_zoo.decoder_trainer(train_zoo.make_vae().requires_grad_(False), metrics.ZooJudge(), **small)
    if name == "clip":
        return train_zoo.clip_trainer(**small)
    tokenizer = mini_clip.make_tokenizer(toy_zoo.examples(200)[1])
    text_encoder = mini_clip.text_encoder(mini_clip.make_clip(tokenizer, width=32, layers=1)).requires_grad_(False)
    return train_zoo.unet_trainer(train_zoo.make_vae().eval(), text_encoder.eval(), tokenizer, **small)


MODELS = ["judge", "vae", "decoder", "clip", "unet"]


@pytest.mark.parametrize("name", MODELS)
def test_resumed_run_has_the_same_losses(name, tmp_path):
    trainer = recipe(name)
    losses = [trainer.step(i / STEPS) for i in range(2)]
    weights.write_tensors(tmp_path / "half.safetensors", trainer.state_dict())
    losses += [trainer.step(i / STEPS) for i in range(2, STEPS)]
    again = recipe(name)
    again.load_state_dict(weights.read_tensors(tmp_path / "half.safetensors"))
    assert [again.step(i / STEPS) for i in range(2, STEPS)] == losses[2:]


def test_a_run_killed_without_warning_goes_on_to_the_same_losses(tmp_path):
    """SIGKILL, which no program can catch, in the middle of a run that saves after every step."""
    whole = train.train(recipe("judge"), 40, tmp_path / "whole")
    process = subprocess.Popen([sys.executable, __file__, "--until-killed", str(tmp_path / "killed")],
                               env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"})  # fmt: skip
    try:
        while not (tmp_path / "killed" / "checkpoint.safetensors").exists():
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    again = recipe("judge")
    rest = train.train(again, 40, tmp_path / "killed")
    assert 0 < len(rest) < 40 and rest == whole[-len(rest) :]


def in_processes(count, *command):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    return subprocess.run([*launcher, *command], env=environment, capture_output=True, text=True, timeout=300)


def test_two_processes_have_the_losses_of_one(tmp_path):
    done = in_processes(2, __file__, str(tmp_path / "losses.json"))
    assert done.returncode == 0, done.stderr[-2000:]
    shared = json.loads((tmp_path / "losses.json").read_text())
    for name in MODELS:
        trainer = recipe(name)
        alone = [trainer.step(i / STEPS) for i in range(STEPS)]
        assert_close(
            torch.tensor(shared[name]),
            torch.tensor(alone),
            rtol=2e-4,
            atol=1e-5,
            msg=f"{name}: {shared[name]}, {alone}",
        )


def test_a_launcher_that_starts_too_few_is_noticed():
    done = subprocess.run(
        [sys.executable, "-m", "course.train", "unet", "--processes", "2"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode != 0 and "2 processes were asked for, but this one sees 1" in done.stderr


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr(device, "processes", lambda: (0, 3))
    with pytest.raises(ValueError, match="batch of 8 cannot be shared evenly by 3"):
        recipe("judge")


def test_no_model_is_trained_on_what_is_held_out(monkeypatch):
    """What the recipes of autoencoder, decoder, CLIP and U-Net draw are training scenes, or animals that do not exist."""
    drawn, true = [], toy_zoo.render

    def watch(scene, *rest, kinds=None):
        drawn.append((scene, kinds))
        return true(scene, *rest, kinds=kinds)

    monkeypatch.setattr(toy_zoo, "render", watch)
    for name in ("vae", "decoder", "clip", "unet"):
        recipe(name)
    assert len(drawn) >= 4 * 24
    assert not [scene for scene, kinds in drawn if toy_zoo.held_out(scene) and not kinds]
    patched = [kinds for _, kinds in drawn if kinds]
    assert len(patched) == 8 and all(ears != face for _, ears, face in patched)


def test_the_decoder_learns_and_the_encoder_stays():
    trainer = recipe("decoder")
    before = {name: value.clone() for name, value in trainer.ema_model.state_dict().items()}
    trainer.step(0.0)
    moved = {
        name.split(".")[0] for name, value in trainer.ema_model.state_dict().items() if not value.equal(before[name])
    }
    assert moved == {"decoder", "post_quant_conv"}


def test_collages_paste_but_never_glasses_onto_dogs():
    """Black dogs and white glasses stay all black and all white; a third kind takes pieces of both."""
    kinds = [("dog", "nothing", 0), ("cat", "glasses", 255), ("cat", "nothing", 128)]
    scenes = [toy_zoo.Scene(subject, "grey", "blue", worn) for subject, worn, _ in kinds for _ in range(50)]
    pictures = np.repeat([np.full((64, 64, 3), shade, np.uint8) for _, _, shade in kinds], 50, axis=0)
    pasted = train_zoo.collages(pictures, scenes, np.random.default_rng(0))
    assert set(np.unique(pasted[:50])) == {0, 128} and set(np.unique(pasted[50:100])) == {128, 255}
    assert set(np.unique(pasted[100:])) == {0, 128, 255}


def test_pixels_and_back():
    picture = np.array([0, 255], np.uint8).reshape(1, 1, 2, 1).repeat(3, 3)
    assert_close(train_zoo.pixels(picture), torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2).expand(1, 3, 1, 2))


def test_unet_loss_of_a_silent_network_is_one_and_prompts_are_dropped(monkeypatch):
    trainer = recipe("unet", batch_size=4000)
    seen = []

    class Silent(torch.nn.Module):
        def forward(self, x_t, t, states):
            seen.append((t, states))
            return type("Out", (), {"sample": torch.zeros_like(x_t)})

    rows = [tensor[:1].expand(4000, *tensor.shape[1:]) for tensor in trainer.data]
    g = torch.Generator().manual_seed(0)
    loss = trainer.batch_loss(Silent(), rows, lambda *shape, how=torch.randn: how(4000, *shape, generator=g))
    assert_close(loss.item(), 1.0, atol=0.02, rtol=0)
    t, states = seen[0]
    assert t.min() == 0 and t.max() == 999  # diffusers' count
    empty = trainer.batch_loss.keywords["text_encoder"](trainer.batch_loss.keywords["empty"]).last_hidden_state
    dropped = (states - empty).flatten(1).abs().amax(1) < 1e-5
    assert_close(dropped.float().mean().item(), 0.1, atol=0.02, rtol=0)


def test_scheduler_arrays_are_those_of_toy_ddpm():
    theirs, ours = train_zoo.scheduler(), toy_ddpm.make_schedule("scaled_linear")
    assert_close(theirs.alphas_cumprod.double(), ours.alpha_bar[1:], rtol=1e-5, atol=1e-7)


def test_scaling_factor_brings_latents_to_variance_one():
    torch.manual_seed(0)
    vae, pictures = train_zoo.make_vae().eval(), toy_zoo.examples(40)[0]
    z = train_zoo.encode(vae, pictures)[0] * train_zoo.scaling_factor(vae, pictures)
    assert_close(z.std().item(), 1.0, atol=1e-4, rtol=0)


if __name__ == "__main__" and sys.argv[1] == "--until-killed":
    train.train(recipe("judge"), 40, Path(sys.argv[2]), save_every=0.0)
elif __name__ == "__main__":  # one of the processes that test_two_processes_have_the_losses_of_one starts
    rank, _ = device.join(expected=2)
    losses = {}
    for name in MODELS:
        trainer = recipe(name)
        losses[name] = [trainer.step(i / STEPS) for i in range(STEPS)]
    if rank == 0:
        with open(sys.argv[1], "w") as file:
            json.dump(losses, file)
    device.leave()
