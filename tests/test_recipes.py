"""The shipped models' recipes: resumed or shared by two processes they come to the same losses, and see nothing that is held out."""

import functools
import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch.testing import assert_close

from course import judges, mini_clip, mini_language, stable_diffusion, toy_ddpm, toy_sounds, toy_zoo, weights
from course.train import (
    clip,
    decoder,
    digit_judge,
    digit_parts,
    digit_unet,
    imagen,
    language,
    motion,
    prior,
    recipe,
    run,
    sound,
    sound_judge,
    trainer,
    upscaler,
    vae,
    zoo_judge,
    zoo_unet,
)

STEPS = 4


def small(name, batch_size=8):
    """A trainer of each model on 24 examples; what a model stands on is untrained here. batch_size None: the recipe's own."""
    few = {"n": 24} | ({"batch_size": batch_size} if batch_size else {})
    torch.manual_seed(7)
    if name == "vae":
        return vae.vae_trainer(judges.ZooJudge(), **few)
    if name in ("zoo-unet", "motion"):
        tokenizer = mini_clip.make_tokenizer(toy_zoo.examples(200)[1])
        text_encoder = mini_clip.text_encoder(mini_clip.make_clip(tokenizer, width=32, layers=1)).requires_grad_(False)
        parts = vae.make_vae().eval(), text_encoder.eval(), tokenizer
        if name == "motion":
            return motion.motion_trainer(zoo_unet.make_unet(32), *parts, **few)
        return zoo_unet.zoo_unet_trainer(*parts, **few)
    tokenizer = mini_clip.make_tokenizer(toy_zoo.examples(200)[1])
    if name == "imagen":
        untrained = mini_language.make_language_model(tokenizer, width=32).eval()
        return imagen.imagen_trainer(tokenizer, untrained, **few)
    if name == "prior":
        return prior.prior_trainer(mini_clip.make_clip(tokenizer, width=32, layers=1).eval(), tokenizer, **few)
    if name == "decoder":
        untrained = mini_clip.make_clip(tokenizer, width=32, layers=1).eval()
        return decoder.decoder_trainer(vae.make_vae().eval(), untrained, zoo_unet.make_unet(32), **few)
    makers = {"digit-judge": digit_judge.digit_judge_trainer, "digit-unet": digit_unet.digit_trainer,
              "zoo-judge": zoo_judge.zoo_judge_trainer, "clip": clip.clip_trainer,
              "language": language.language_trainer, "upscaler": upscaler.upscaler_trainer,
              "sound": sound.sound_trainer, "sound-judge": sound_judge.sound_judge_trainer}  # fmt: skip
    makers |= {f"digits-{part}": functools.partial(digit_parts.part_trainer, part) for part in digit_parts.PARTS}
    return makers[name](**few)


MODELS = ["digit-judge", "digit-unet", "digits-half-b", "digits-10", "zoo-judge", "vae", "clip", "zoo-unet",
          "language", "upscaler", "imagen", "prior", "decoder", "sound-judge", "sound", "motion"]  # fmt: skip


def losses_of(trainer, steps=STEPS):
    return [loss.item() for loss in trainer.run(steps)]


# ---------------------------------------------------------------- the same losses


@pytest.mark.parametrize("name", MODELS)
def test_resumed_run_has_the_same_losses(name, tmp_path):
    whole = losses_of(small(name))
    begun = small(name)
    for i in range(2):
        begun.step(i / STEPS)
    parts = {"recipe": run.checkpoint.recipe_of(begun, STEPS), **begun.state_dict()}
    run.checkpoint.write(tmp_path / "checkpoint.safetensors", parts)
    assert run.train(small(name), STEPS, tmp_path) == whole[2:]


def test_a_run_killed_without_warning_goes_on_to_the_same_losses(tmp_path):
    """SIGKILL, which no program can catch, in the middle of a run that saves after every step."""
    whole = run.train(small("zoo-judge"), 40, tmp_path / "whole")
    process = subprocess.Popen([sys.executable, __file__, "--until-killed", str(tmp_path / "killed")],
                               env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"})  # fmt: skip
    try:
        while not (tmp_path / "killed" / "checkpoint.safetensors").exists():
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    rest = run.train(small("zoo-judge"), 40, tmp_path / "killed")
    assert 0 < len(rest) < 40 and rest == whole[-len(rest) :]


def in_processes(count, *command):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    return subprocess.run([*launcher, *command], env=environment, capture_output=True, text=True, timeout=600)


def in_float32(device):
    """In place of autocast: bfloat16 rounds the gradients of half a batch otherwise than those of a whole one."""
    return torch.autocast("cpu", enabled=False)


def test_two_processes_have_the_losses_of_one(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "autocast", in_float32)
    done = in_processes(2, __file__, str(tmp_path))
    assert done.returncode == 0, done.stderr[-2000:]
    shared = json.loads((tmp_path / "losses.json").read_text())
    for name in MODELS:
        alone, others = torch.tensor(losses_of(small(name))), torch.tensor(shared[name])
        assert_close(others, alone, rtol=2e-4, atol=1e-5, msg=f"{name}: {others}, {alone}")
    resumed = torch.tensor(shared["begun by one, ended by two"])
    assert_close(resumed, torch.tensor(losses_of(small("zoo-judge"))[2:]), rtol=2e-4, atol=1e-5)
    assert "another data" in shared["each with its own data"]


def one_of_two(folder):
    """What each of the processes does that test_two_processes_have_the_losses_of_one starts."""
    trainer.autocast = in_float32
    trainer.meet(expected=2)
    first = trainer.place()[0] == 0
    losses = {name: run.train(small(name), STEPS, folder / name) for name in MODELS}
    begun = small("zoo-judge")
    for i in range(2):
        begun.step(i / STEPS)
    parts = {"recipe": run.checkpoint.recipe_of(begun, STEPS), **begun.state_dict()}
    if first:
        run.checkpoint.write(folder / "half" / "checkpoint.safetensors", parts)
    begun.processes.wait_for_everyone()
    losses["begun by one, ended by two"] = run.train(small("zoo-judge"), STEPS, folder / "half")
    other = small("zoo-judge")
    other.data[0] = other.data[0] + (0 if first else 1)
    try:
        run.train(other, STEPS, folder / "other")
    except weights.WeightsError as error:
        losses["each with its own data"] = str(error)
    if first:
        (folder / "losses.json").write_text(json.dumps(losses))
    trainer.part()


def test_a_launcher_that_starts_too_few_is_noticed():
    command = [sys.executable, "-m", "course.train", "zoo-unet", "--processes", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0 and "2 processes were asked for, but this one sees 1" in done.stderr


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr(trainer, "place", lambda device: (0, 3))
    with pytest.raises(ValueError, match="batch of 8 cannot be shared evenly by 3"):
        small("zoo-judge")


def on_meta(value):
    """The networks and tensors that are bound to a loss, without their numbers."""
    if isinstance(value, (torch.nn.Module, torch.Tensor)):
        return value.to("meta")
    return type(value)(*map(on_meta, value)) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", MODELS)
def test_a_training_step_of_a_model_asks_the_device_nothing(name, monkeypatch):
    """The `meta` device has no numbers: whatever asks it for one fails, as it would make a GPU wait."""
    monkeypatch.setattr(trainer, "autocast", in_float32)
    trained = small(name)
    loss = trained.loss
    if isinstance(loss, functools.partial):
        loss = functools.partial(loss.func, **{key: on_meta(value) for key, value in loss.keywords.items()})
    meta = trainer.Trainer(trained.model, loss, trained.data, batch_size=8, lr=1e-3, device="meta")
    assert meta.step(0.5).device.type == "meta"


def test_importing_the_digits_recipe_loads_neither_diffusers_nor_transformers():
    code = "import sys; from course.train import digit_unet; print({'diffusers', 'transformers', 'accelerate'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "set()\n"


# ---------------------------------------------------------------- what is seen


def test_no_model_is_trained_on_what_is_held_out(monkeypatch):
    """What the recipes of autoencoder, CLIP and U-Net draw are training scenes, or animals that do not exist."""
    drawn, told, render, caption = [], [], toy_zoo.render, toy_zoo.caption

    def watch(scene, *rest, kinds=None):
        drawn.append((scene, kinds))
        return render(scene, *rest, kinds=kinds)

    def listen(scene, *rest):
        told.append(scene)
        return caption(scene, *rest)

    monkeypatch.setattr(toy_zoo, "render", watch)
    monkeypatch.setattr(toy_zoo, "caption", listen)
    for name in ("vae", "clip", "zoo-unet", "language", "upscaler", "imagen", "prior", "decoder"):
        small(name)
    assert len(told) >= 4 * 24 and not any(map(toy_zoo.held_out, told))
    assert len(drawn) >= 7 * 24
    assert not [scene for scene, kinds in drawn if toy_zoo.held_out(scene) and not kinds]
    patched = [kinds for _, kinds in drawn if kinds]
    assert len(patched) == 8 and all(ears != face for _, ears, face in patched)


def test_no_held_out_sound_is_trained_on(monkeypatch):
    drawn, true = [], toy_sounds.render
    monkeypatch.setattr(toy_sounds, "render", lambda heard, rng: drawn.append(heard) or true(heard, rng))
    sound.sound_trainer(n=300)
    assert set(drawn) == set(toy_sounds.TRAINING)


def test_collages_paste_but_never_glasses_onto_dogs():
    """Black dogs and white glasses stay all black and all white; a third kind takes pieces of both."""
    kinds = [("dog", "nothing", 0), ("cat", "glasses", 255), ("cat", "nothing", 128)]
    scenes = [toy_zoo.Scene(subject, "grey", "blue", worn) for subject, worn, _ in kinds for _ in range(50)]
    pictures = np.repeat([np.full((64, 64, 3), shade, np.uint8) for _, _, shade in kinds], 50, axis=0)
    pasted = vae.collages(pictures, scenes, np.random.default_rng(0))
    assert set(np.unique(pasted[:50])) == {0, 128} and set(np.unique(pasted[50:100])) == {128, 255}
    assert set(np.unique(pasted[100:])) == {0, 128, 255}


def test_digits_of_the_judge_are_moved_by_up_to_two_pixels(generator):
    """Every move is drawn, none wraps the digit round: MNIST leaves a frame of four."""
    dot, moves = torch.zeros(1, 1, 28, 28), set()
    dot[0, 0, 14, 14] = 1.0

    def judge(images):
        moves.add(tuple((images[0, 0] == 1).nonzero()[0].tolist()))
        return torch.zeros(len(images), 10)

    for _ in range(300):
        digit_judge.judge_loss(
            judge, [dot.repeat(2, 1, 1, 1), torch.zeros(2).long()], trainer.Draw(generator, 2, slice(None), "cpu")
        )
    assert moves == {(a, b) for a in range(12, 17) for b in range(12, 17)}


def test_perceptual_levels_end_where_the_picture_is_halved():
    judge, x = judges.ZooJudge(), torch.zeros(1, 3, 64, 64)
    seen = list(vae.levels(judge, x))
    assert [tuple(level.shape[1:]) for level in seen] == [(24, 32, 32), (48, 16, 16), (96, 8, 8), (96, 4, 4)]
    assert_close(seen[-1], judge.body(x))


def test_unet_loss_of_a_silent_network_is_one_and_prompts_are_dropped(generator):
    trained, seen = small("zoo-unet", batch_size=4000), []

    class Silent(torch.nn.Module):
        dtype = torch.float32
        config = type("config", (), {"in_channels": 4})

        def forward(self, x_t, t, states):
            seen.append((t, states))
            return type("Out", (), {"sample": torch.zeros_like(x_t)})

    rows = [tensor[:1].expand(4000, *tensor.shape[1:]) for tensor in trained.data]
    loss = trained.loss(Silent(), rows, trainer.Draw(generator, 4000, slice(None), "cpu"))
    assert_close(loss.item(), 1.0, atol=0.02, rtol=0)
    t, states = seen[0]
    assert t.min() == 0 and t.max() == 999  # diffusers' count
    bound = trained.loss.keywords
    empty = bound["sd"].text_encoder(bound["empty"]).last_hidden_state
    dropped = (states - empty).flatten(1).abs().amax(1) < 1e-5
    assert_close(dropped.float().mean().item(), 0.1, atol=0.02, rtol=0)


def test_latents_are_trained_on_the_schedule_that_they_are_drawn_with():
    schedule = small("zoo-unet").loss.keywords["schedule"]
    theirs = stable_diffusion.make_scheduler().alphas_cumprod
    assert_close(theirs.double(), schedule.alpha_bar[1:], rtol=1e-5, atol=1e-7)


def test_scaling_factor_brings_latents_to_variance_one():
    torch.manual_seed(0)
    untrained, pictures = vae.make_vae().eval(), toy_zoo.examples(40)[0]
    z = vae.encode(untrained, pictures)[0] * vae.scaling_factor(untrained, pictures)
    assert_close(z.std().item(), 1.0, atol=1e-4, rtol=0)


def test_digits_are_drawn_as_asked():
    """Guided, the walk of the exact denoiser of two pictures ends at the one that the label names; calls are counted."""
    pictures, calls = torch.stack([torch.full((1, 28, 28), -0.5), torch.full((1, 28, 28), 0.5)]), []
    one, both = (toy_ddpm.exact_denoiser(points, toy_ddpm.cosine()).network for points in (pictures[:1], pictures))

    class Two(torch.nn.Module):
        c_null = 2

        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, x_t, t, c):
            calls.append(len(x_t))
            named = pictures[c.clamp(max=1)]
            return torch.where((c == 2).view(-1, 1, 1, 1), both(x_t, t), named) * self.scale

    denoiser = toy_ddpm.Denoiser(Two(), toy_ddpm.cosine(), "x_0")
    labels = torch.tensor([0, 1, 1])
    for guidance_scale, sizes in ((1.0, [3] * 10), (1.5, [6] * 5)):
        calls.clear()
        x = digit_unet.draw_digits(denoiser, labels, calls=10, guidance_scale=guidance_scale)
        assert x.shape == (3, 1, 28, 28) and calls == sizes
        assert_close(x.mean((1, 2, 3)).sign(), torch.tensor([-1.0, 1.0, 1.0]))


# ---------------------------------------------------------------- recipes, trials and cards


@pytest.fixture
def house(monkeypatch, tmp_path):
    """A throw-away assets/weights/ with a judge in it, runs/, and a recipe for that judge."""
    monkeypatch.setattr(weights, "FOLDER", tmp_path / "weights")
    monkeypatch.setattr(run, "RUNS", tmp_path / "runs")
    weights.save("digit-judge", judges.DigitClassifier())
    weights.save("other", judges.DigitClassifier())
    return tmp_path


def toy_recipe(**changes):
    choices = {"name": "digit-judge", "folder": "digit-judge", "steps": 3, "store": digit_judge.store,
               "build": lambda seed, device: small("digit-judge"), "measure": lambda seed: {"figure": float(seed)}}  # fmt: skip
    return recipe.Recipe(**choices | changes)


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("trial", [{"steps": 2}, {"steps": 5}, {"seed": 1}])
def test_a_trial_run_leaves_the_shipped_weights_alone(house, trial, capsys):
    before = files_in(house / "weights")
    recipe.follow(toy_recipe(), **trial)
    assert files_in(house / "weights") == before
    (stored,) = house.glob("runs/digit-judge-*/weights/digit-judge/model.safetensors")
    assert (
        stored.read_bytes() != before["digit-judge/model.safetensors"]
        and str(stored.parents[1]) in capsys.readouterr().out
    )


@pytest.mark.parametrize("whole", [{}, {"steps": 2, "store": True}])
def test_the_full_run_replaces_weights_and_writes_their_card(house, whole):
    before = files_in(house / "weights")
    recipe.follow(toy_recipe(), **whole)
    after = files_in(house / "weights")
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"SHA256SUMS", "digit-judge/card.json", "digit-judge/model.safetensors"}
    card = json.loads(after["digit-judge/card.json"])
    steps = whole.get("steps", 3)
    assert card["command"] == "python -m course.train digit-judge" + (" --steps 2" if whole else "")
    assert (card["steps"], card["seed"], card["parameters"]) == (steps, 0, 262_122)
    assert card["figures"] == {"figure": {"mean": 1.0, "spread": 2.0}}
    weights.load("digit-judge"), weights.load("other")
    assert not list(house.glob("runs/*/weights")) and not list(house.glob("runs/*/checkpoint.safetensors"))


def fails(*_):
    raise RuntimeError("no room")


def spoiled(trained):
    trained.ema_model.head.bias[0] = float("nan")
    digit_judge.store(trained)


@pytest.mark.parametrize("fault, message", [
    ({"measure": fails}, "no room"),
    ({"store": fails}, "no room"),
    ({"store": spoiled}, "head.bias holds NaN"),
    ({"measure": lambda seed: {"figure": float("nan")}}, "figure is nan"),
])  # fmt: skip
def test_old_weights_stay_until_the_new_are_whole_and_measured(house, fault, message):
    before = files_in(house / "weights")
    with pytest.raises((RuntimeError, weights.WeightsError), match=message):
        recipe.follow(toy_recipe(**fault))
    assert files_in(house / "weights") == before and house / "weights" == weights.FOLDER
    recipe.follow(toy_recipe())  # the training was kept: only what comes after it is done again
    assert files_in(house / "weights") != before


def test_another_run_that_ends_meanwhile_is_not_undone(house):
    """Between the copy in which a run measures and its publication another model may be stored."""

    other, meanwhile = house / "weights" / "other" / "model.safetensors", []

    def measure(seed):
        staged, weights.FOLDER = weights.FOLDER, house / "weights"
        weights.save("other", judges.DigitClassifier())
        weights.FOLDER = staged
        meanwhile.append(other.read_bytes())
        return {"figure": 1.0}

    recipe.follow(toy_recipe(measure=measure))
    assert other.read_bytes() == meanwhile[-1] != meanwhile[0]
    weights.load("digit-judge"), weights.load("other")


def test_recipes_come_behind_what_they_need():
    recipes = recipe.find_recipes()
    assert set(MODELS) <= set(recipes)
    names = list(recipes)
    assert all(names.index(need) < names.index(name) for name, each in recipes.items() for need in each.needs)


def test_a_file_may_hold_several_recipes_but_no_name_twice():
    one = types.SimpleNamespace(RECIPE=toy_recipe(name="a"))
    several = types.SimpleNamespace(RECIPES=[toy_recipe(name="b"), toy_recipe(name="c")])
    assert list(recipe.by_name([one, types.SimpleNamespace(), several])) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="one name: a, b, c, c"):
        recipe.by_name([one, several, types.SimpleNamespace(RECIPE=toy_recipe(name="c"))])


def test_all_goes_on_behind_the_last_that_was_finished(monkeypatch, tmp_path):
    from course.train import __main__ as command

    followed, recipes = [], dict.fromkeys(["a", "b", "c"])
    monkeypatch.setattr(run, "RUNS", tmp_path)

    def follow(name, device):
        if len(followed) == 1 and "stop" not in followed:
            followed.append("stop")
            raise KeyboardInterrupt
        followed.append(name)

    monkeypatch.setattr(recipe, "follow", follow)
    recipes = {name: name for name in recipes}
    with pytest.raises(KeyboardInterrupt):
        command.follow_all(recipes, "cpu")
    command.follow_all(recipes, "cpu")
    assert followed == ["a", "stop", "b", "c"] and not (tmp_path / "all.json").exists()


CARDS = [pytest.param(path.parent, id=path.parent.name) for path in sorted(weights.FOLDER.rglob("card.json"))]


@pytest.mark.parametrize("folder", CARDS)
def test_cards_agree_with_weights_and_recipes(folder):
    card = json.loads((folder / "card.json").read_text("utf-8"))
    mine = recipe.find_recipes()[card["name"]]
    assert folder == weights.FOLDER / mine.folder
    assert (card["command"], card["steps"], card["seed"]) == (mine.command(), mine.steps, 0)
    assert card["recipe"] == json.loads(json.dumps(recipe.rates(small(mine.name, None), mine.steps)))
    assert card["figures"] and card["minutes"] > 0 and "threads" in card["machine"] and card["versions"]["torch"]
    assert {name: card[name] for name in ("sha256", "config")} == recipe.described(folder)
    (file,) = folder.glob("*.safetensors")
    tensors = weights.read_tensors(file)
    untrained = (
        "running_",
        "num_batches",
        "clip_mean",
        "clip_std",
    )  # BatchNorm's statistics, and what rescales a prior's outputs
    learned = [t for name, t in tensors.items() if not any(part in name for part in untrained)]
    assert card["parameters"] == sum(t.numel() for t in learned)
    assert (folder / "README.md").exists()


def test_every_recipe_has_its_folder_with_a_card():
    folders = [weights.FOLDER / each.folder for each in recipe.find_recipes().values()]
    assert sorted(case.values[0] for case in CARDS) == sorted(folders)


if __name__ == "__main__" and sys.argv[1] == "--until-killed":
    run.train(small("zoo-judge"), 40, Path(sys.argv[2]), save_every=0.0)
elif __name__ == "__main__":
    one_of_two(Path(sys.argv[1]))
