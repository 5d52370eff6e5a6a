"""Algorithm 1: what is drawn, what is learned, and that an interrupted run goes on to the same losses or says why not."""

import dataclasses
import functools
import json
import math
import signal
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from course import toy_ddpm as td
from course import weights
from course.mini_unet import MiniUNet
from course.train import checkpoint, run
from course.train import trainer as trainers
from course.train.digit_judge import one_cycle
from course.train.trainer import DenoisingLoss, Draw, Trainer

LINEAR = td.linear()
LOSS = DenoisingLoss(LINEAR)


class Recorder(nn.Module):
    """Returns zeros, like an untrained network, and remembers every t and c it was given."""

    c_null = 10

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))
        self.seen_t, self.seen_c = [], []

    def forward(self, x_t, t, c=None):
        self.seen_t.append(t)
        self.seen_c.append(c)
        return self.scale * x_t


def loss_of(network, x_0, generator, loss=LOSS):
    """The loss of a whole data set as one batch."""
    return loss(network, [x_0], Draw(generator, len(x_0), slice(None), "cpu"))


def test_every_t_is_drawn_and_equally_often(generator):
    model, s = Recorder(), td.linear(20, 1e-3, 0.2)
    loss_of(model, torch.zeros(100_000, 1), generator, DenoisingLoss(s))
    counts = torch.bincount(model.seen_t[0], minlength=21)
    assert counts[0] == 0 and len(counts) == 21
    assert_close(counts[1:].float() / 5000, torch.ones(20), atol=0.07, rtol=0)


def test_loss_of_a_silent_network_is_one(generator):
    assert_close(loss_of(Recorder(), torch.zeros(50_000, 4), generator).item(), 1.0, atol=0.02, rtol=0)


@pytest.mark.parametrize("s2, average", [(1.0, 0.275513), (0.25, 0.173053)])
def test_loss_of_the_exact_denoiser_is_the_bayes_floor(s2, average, generator):
    """Data N(0, s2), averaged over uniform t."""
    x_0 = torch.randn(400_000, 1, generator=generator, dtype=torch.float64) * s2**0.5
    t = torch.randint(1, 1001, (len(x_0),), generator=generator)
    eps = torch.randn(x_0.shape, generator=generator, dtype=torch.float64)
    exact = td.exact_denoiser(torch.zeros(1, 1), LINEAR, std=s2**0.5)
    loss = td.training_loss(lambda x_t, t: exact(x_t, t)[1], x_0, t, eps, LINEAR)
    assert_close(loss.item(), average, atol=0.003, rtol=0)


@pytest.mark.parametrize("prediction", ["eps", "x_0", "v"])
def test_a_model_that_knows_the_answer_has_no_loss(prediction, generator):
    x_0 = torch.rand(64, 3, generator=generator) * 2 - 1

    def model(x_t, t):
        signal_t, std_t = LINEAR.at(t, x_t)
        return td.target(x_0, (x_t - signal_t * x_0) / std_t, t, LINEAR, prediction)

    assert loss_of(model, x_0, generator, DenoisingLoss(LINEAR, prediction)) < 1e-4


@pytest.mark.parametrize("bad", [torch.full((2, 1), 1.5), torch.full((2, 1), 255.0)])
def test_images_outside_the_range_are_refused(bad):
    with pytest.raises(ValueError, match=r"\[-1, 1\].*2 \* x - 1"):
        Trainer(Recorder(), LOSS, (bad,), batch_size=2, lr=1e-3)


@pytest.mark.parametrize("data, message", [
    ((torch.tensor([[0.0], [math.nan]]),), "NaN"),
    ((torch.zeros(3, 1), torch.zeros(2).long()), r"equally many.*\[3, 2\]"),
    ((torch.zeros(0, 1),), "equally many"),
    ((torch.zeros(2, 1), torch.tensor([3, 10])), r"labels 0..9; got 3..10"),
])  # fmt: skip
def test_data_that_do_not_fit_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        Trainer(Recorder(), LOSS, data, batch_size=2, lr=1e-3)


def small_trainer(model=None, images=None, loss=LOSS, **changes):
    torch.manual_seed(0)
    model = model or MiniUNet(channels=(8, 16), num_classes=10)
    if images is None:
        images = torch.rand(256, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return Trainer(model, loss, (images, torch.arange(256) % 10), **{"batch_size": 16, "lr": 2e-3, "seed": 3} | changes)


def losses_of(trainer, steps):
    return [loss.item() for loss in trainer.run(steps)]


def test_labels_are_dropped_at_the_rate_asked_for():
    data = torch.zeros(10, 1), torch.arange(10)
    trainer = Trainer(Recorder(), DenoisingLoss(LINEAR, drop_label=0.1), data, batch_size=20_000, lr=1e-3)
    trainer.step(0.0)
    c = trainer.model.seen_c[0]
    assert_close((c == 10).float().mean().item(), 0.1, atol=0.01, rtol=0)
    assert set(c.tolist()) == set(range(11))


def test_training_lowers_the_loss_and_the_average_follows():
    halves = torch.where(torch.arange(8) < 4, -1.0, 1.0).expand(256, 1, 8, 8)
    trainer = small_trainer(images=halves, ema_decay=0.9)
    losses = losses_of(trainer, 150)
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])
    slow, fast = (torch.cat([p.flatten() for p in m.parameters()]) for m in (trainer.ema_model, trainer.model))
    assert 0 < (slow - fast).norm() < 0.1 * fast.norm()


def test_average_follows_its_recursion():
    """Warm-up n / (n + 10) until ema_decay; slow <- decay * slow + (1 - decay) * fast, by hand."""
    trainer = small_trainer(ema_decay=0.2)
    slow = trainer.model.conv_in.weight.detach().clone()
    for n in range(1, 6):
        trainer.step(0.1)
        decay = min(0.2, n / (n + 10))
        slow = decay * slow + (1 - decay) * trainer.model.conv_in.weight.detach()
    assert_close(trainer.ema_model.conv_in.weight, slow)


def test_average_carries_the_statistics_of_batchnorm():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    trainer = Trainer(model, lambda net, rows, draw: net(rows[0]).square().mean(), (torch.randn(64, 3) * 5 + 2,),
                      batch_size=64, lr=0.0, ema_decay=0.5)  # fmt: skip
    losses_of(trainer, 30)
    kept = trainer.ema_model[1]
    assert_close(kept.running_mean, model[1].running_mean, rtol=0.1, atol=0.1)
    assert kept.running_mean.abs().max() > 0.5 and kept.num_batches_tracked == 30


def test_parameters_train_alone():
    """An adapter: all else is frozen, and neither averaged nor written."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    before = [p.clone() for p in model.parameters()]
    trainer = Trainer(model, lambda net, rows, draw: (net(rows[0]) - 1).square().mean(), (torch.randn(8, 3),),
                      batch_size=8, lr=1e-2, parameters=model[1].parameters())  # fmt: skip
    losses_of(trainer, 5)
    for net in (model, trainer.ema_model):
        changed = [not p.equal(q) for p, q in zip(net.parameters(), before)]
        assert changed == [False, False, True, True]
    state = trainer.state_dict()
    assert list(state["model"]) == list(state["ema_model"]) == ["1.weight", "1.bias"]
    with pytest.raises(ValueError, match="tensors of the model"):
        Trainer(model, None, (torch.zeros(1),), batch_size=1, lr=1, parameters=nn.Linear(3, 3).parameters())


def test_one_cycle_is_pytorchs():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=1001, cycle_momentum=False)
    for step in range(1000):
        assert_close(one_cycle(step / 1000, step), theirs.get_last_lr()[0], atol=5e-3, rtol=0)
        optimizer.step()
        theirs.step()


def test_autocast_around_training_still_learns():
    """A cache of low-precision weights that outlives a step makes every step see the first weights: ours keeps none."""

    def moved(cached):
        model = nn.Linear(4, 4)
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=cached):
            before = model(torch.ones(1, 4))
            with torch.no_grad():
                model.weight.add_(1.0)
            return (model(torch.ones(1, 4)) - before).float().detach()

    assert_close(moved(cached=True), torch.zeros(1, 4))
    assert_close(moved(cached=False), torch.full((1, 4), 4.0), atol=0.1, rtol=0)
    with trainers.autocast("cpu"):
        assert not torch.is_autocast_cache_enabled()


def test_a_training_step_asks_the_device_nothing(monkeypatch):
    """The `meta` device has no numbers: whatever asks it for one fails, as it would make a GPU wait."""
    monkeypatch.setattr(trainers, "autocast", lambda device: torch.autocast("cpu", enabled=False))
    trainer = small_trainer(device="meta")
    assert {loss.device.type for loss in trainer.run(3)} == {"meta"} and trainer.steps_done == 3
    with pytest.raises((RuntimeError, NotImplementedError)):
        trainer.step(0.5).item()


# ---------------------------------------------------------------- runs


def test_resumed_run_has_the_same_losses(tmp_path):
    whole = run.train(small_trainer(), 12, tmp_path / "whole")
    parts = small_trainer()
    losses = [parts.step(i / 12).item() for i in range(5)]
    save(parts, 12, tmp_path / "again")
    again = run.train(small_trainer(), 12, tmp_path / "again")
    assert losses + again == whole


def save(trainer, steps, folder):
    parts = {"recipe": checkpoint.recipe_of(trainer, steps), **trainer.state_dict()}
    checkpoint.write(folder / "checkpoint.safetensors", parts)


OPTIMIZERS = {
    "SGD": functools.partial(torch.optim.SGD, momentum=0.9),
    "ASGD": torch.optim.ASGD,
    "Adagrad": torch.optim.Adagrad,
    "NAdam": torch.optim.NAdam,
    "two groups": lambda named, lr: torch.optim.AdamW([
        {"params": [p for _, p in named if p.dim() > 1], "lr": 10 * lr}, {"params": [p for _, p in named if p.dim() < 2]}
    ], lr=lr),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer_goes_on_to_the_same_losses(name, tmp_path):
    trainer = small_trainer(optimizer=OPTIMIZERS[name])
    for i in range(3):
        trainer.step(i / 6)
    save(trainer, 6, tmp_path)
    rest = run.train(small_trainer(optimizer=OPTIMIZERS[name]), 6, tmp_path)
    assert rest == losses_of(trainer, 6) and len(rest) == 3


def test_each_group_has_its_own_rate():
    trainer = small_trainer(optimizer=OPTIMIZERS["two groups"])
    for progress, share in {0.0: 0.01, 0.025: 0.509214, 0.05: 0.993844, 0.5: 0.5, 1.0: 0.0}.items():
        trainer.step(progress)
        first, second = (group["lr"] for group in trainer.optimizer.param_groups)
        assert_close([first, second], [2e-2 * share, 2e-3 * share], rtol=1e-5, atol=1e-12)


def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path, capsys):
    whole = run.train(small_trainer(), 12, tmp_path / "whole")
    trainer, losses, step = small_trainer(), [], Trainer.step

    def interrupted(progress):
        if trainer.steps_done == 4:
            signal.raise_signal(signal.SIGINT)
        losses.append(step(trainer, progress))
        return losses[-1]

    trainer.step = interrupted
    with pytest.raises(SystemExit) as stopped:
        run.train(trainer, 12, tmp_path / "run")
    assert stopped.value.code == 130 and trainer.steps_done == 5
    losses = [loss.item() for loss in losses] + run.train(small_trainer(), 12, tmp_path / "run")
    assert losses == whole
    assert "goes on from here" in capsys.readouterr().out


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """The checkpoint of a run of 4 steps that stopped after 2."""
    trainer, folder = small_trainer(), tmp_path_factory.mktemp("half")
    trainer.step(0.0), trainer.step(0.25)
    save(trainer, 4, folder)
    return (folder / "checkpoint.safetensors").read_bytes()


@pytest.fixture
def begun(half, tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    file.write_bytes(half)
    return file


@pytest.mark.parametrize("other, named", [
    ({"model": "wider"}, "another network"),
    ({"loss": dataclasses.replace(LOSS, prediction="v")}, "another loss.prediction.*'eps'.*'v'"),
    ({"loss": dataclasses.replace(LOSS, schedule=td.cosine())}, "another loss.schedule"),
    ({"loss": dataclasses.replace(LOSS, drop_label=0.2)}, "another loss.drop_label"),
    ({"images": torch.zeros(256, 1, 8, 8)}, "another data"),
    ({"lr": 1e-3}, "another optimizer.*initial_lr"),
    ({"batch_size": 32}, "another batch size"),
    ({"ema_decay": 0.9}, "another average"),
    ({"seed": 4}, "another seed"),
    ({"rate": one_cycle}, "another rate.*one_cycle"),
    ({"optimizer": torch.optim.SGD}, "another optimizer.*AdamW.*SGD"),
    ({"steps": 8}, "another steps"),
    ({"parameters": "conv_in"}, "another .*part"),
])  # fmt: skip
def test_a_checkpoint_knows_its_recipe(begun, other, named):
    before, steps = begun.read_bytes(), other.pop("steps", 4)
    if other.pop("model", None):
        other["model"] = MiniUNet(channels=(16, 16), num_classes=10)
    if other.pop("parameters", None):
        torch.manual_seed(0)
        other["model"] = MiniUNet(channels=(8, 16), num_classes=10)
        other["parameters"] = other["model"].conv_in.parameters()
    with pytest.raises(weights.WeightsError, match=named):
        run.train(small_trainer(**other), steps, begun.parent)
    assert begun.read_bytes() == before


def test_a_recipe_is_described_to_the_last_network():
    """What is bound to a loss, or caught in it, belongs to the recipe: tensors, networks, functions and plain values."""

    def loss_with(caught):
        return lambda model, rows, draw: caught

    torch.manual_seed(0)
    values = [
        1,
        2.5,
        "v",
        None,
        torch.zeros(2),
        torch.ones(2),
        nn.Linear(2, 2),
        nn.Linear(2, 2),
        math.sin,
        LINEAR,
        td.cosine(),
    ]
    for make in (
        lambda value: functools.partial(print, value),
        lambda value: functools.partial(print, end=value),
        loss_with,
    ):
        described = [json.dumps(checkpoint.describe(make(value))) for value in values]
        assert len(set(described)) == len(values)
        assert described == [json.dumps(checkpoint.describe(make(value))) for value in values]


def test_damaged_checkpoint_is_named(begun):
    begun.write_bytes(begun.read_bytes()[:2000])
    with pytest.raises(weights.WeightsError, match="checkpoint.safetensors is damaged"):
        run.train(small_trainer(), 4, begun.parent)


@pytest.mark.parametrize("part", ["model", "ema_model", "optimizer", "generator"])
def test_a_flipped_bit_is_found_and_its_part_is_named(begun, part):
    content = bytearray(begun.read_bytes())
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    start, end = next(v["data_offsets"] for k, v in reversed(header.items()) if k.split("/")[0] == part)
    content[8 + size + (start + end) // 2] ^= 1
    begun.write_bytes(content)
    with pytest.raises(weights.WeightsError, match=f"its {part} cannot be used"):
        run.train(small_trainer(), 4, begun.parent)


def test_every_flipped_byte_of_the_description_is_a_weights_error(begun):
    """Wherever the header is hit: structure, names, shapes, recipe, counts."""
    content, trainer = begun.read_bytes(), small_trainer()
    recipe = checkpoint.recipe_of(trainer, 4)
    for place in range(0, 8 + int.from_bytes(content[:8], "little"), 211):
        damaged = bytearray(content)
        damaged[place] ^= 4
        begun.write_bytes(damaged)
        with pytest.raises(weights.WeightsError):
            run.resume(trainer, recipe, begun)


def test_checkpoints_without_a_recipe_are_refused(begun):
    weights.write_tensors(begun, weights.read_tensors(begun))
    with pytest.raises(weights.WeightsError, match="of an earlier version"):
        run.train(small_trainer(), 4, begun.parent)


@pytest.mark.parametrize("log_every, said", [(1, "the loss is nan"), (100, "model/.* holds NaN")])
def test_a_training_that_diverges_keeps_the_last_good_checkpoint(begun, log_every, said, monkeypatch):
    """It is noticed when the loss is read for the log, or before anything is saved."""
    monkeypatch.setattr(run, "LOG_EVERY", log_every)
    before, trainer = begun.read_bytes(), small_trainer()
    step = trainer.step

    def diverging(progress):
        with torch.no_grad():
            trainer.model.conv_in.weight[0] = math.nan
        return step(progress)

    trainer.step = diverging
    with pytest.raises(
        weights.WeightsError, match=f"diverged before step . .*{said}.*last good one is kept.*Lower the rate"
    ):
        run.train(trainer, 4, begun.parent)
    assert begun.read_bytes() == before


def test_infinity_in_the_average_is_not_saved(tmp_path):
    """The loss does not show this one."""
    trainer = small_trainer()
    trainer.ema_model.conv_in.weight[0] = math.inf
    with pytest.raises(weights.WeightsError, match="ema_model/conv_in.weight.*nothing was saved yet"):
        run.train(trainer, 4, tmp_path, save_every=0.0)
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_two_trainings_in_one_folder_are_kept_apart(tmp_path):
    with (
        run.lock(tmp_path),
        pytest.raises(weights.WeightsError, match=r"another training works in.*process \d+ on .*since"),
    ):
        run.train(small_trainer(), 2, tmp_path)
    run.train(small_trainer(), 2, tmp_path)


def test_the_lock_of_a_killed_process_is_none(tmp_path):
    code = f"import os, pathlib\nfrom course.train import run\nwith run.lock(pathlib.Path({str(tmp_path)!r})): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code]).returncode != 0
    assert (tmp_path / "lock.txt").exists()
    assert len(run.train(small_trainer(), 2, tmp_path)) == 2


@pytest.mark.parametrize("wrong", [
    {"batch_size": 0}, {"batch_size": -1}, {"batch_size": 2.5}, {"batch_size": True}, {"ema_decay": 1.5}, {"ema_decay": float("nan")},
])  # fmt: skip
def test_sizes_and_averages_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="batch_size is a whole number"):
        small_trainer(**wrong)


@pytest.mark.parametrize("progress", [-0.5, 1.2, float("nan")])
def test_progress_is_a_share(progress):
    """Beyond 1 the cosine would rise again, below 0 the rate would be negative: uphill."""
    with pytest.raises(ValueError, match="0..1"):
        small_trainer().step(progress)


@pytest.mark.parametrize("share", [10, -1, float("nan")])
def test_a_share_of_labels_lies_in_0_to_1(share):
    with pytest.raises(ValueError, match="drop_label"):
        trainers.DenoisingLoss(td.linear(), drop_label=share)


@pytest.mark.parametrize("data", [
    (torch.zeros(8, 2).double(),), (torch.zeros(8, 2).bool(),), (torch.zeros(8, 2), torch.zeros(8)),
    (torch.zeros(8, 2), torch.zeros(8, 1).long()), (torch.zeros(8, 2), torch.zeros(8).long(), torch.zeros(8)), torch.zeros(8, 2),
])  # fmt: skip
def test_data_of_the_wrong_kind_are_refused_before_the_first_step(data):
    with pytest.raises(ValueError, match="data"):
        trainers.Trainer(torch.nn.Linear(2, 2), trainers.DenoisingLoss(td.linear()), data, batch_size=4, lr=1e-3)


def test_a_refused_trainer_leaves_the_model_as_it_was_and_a_frozen_one_can_be_trained():
    model, loss, data = (
        torch.nn.Linear(2, 2),
        lambda model, rows, draw: model(rows[0]).square().mean(),
        (torch.ones(8, 2),),
    )
    with pytest.raises(ValueError, match="tensors of the model"):
        trainers.Trainer(model, loss, data, batch_size=4, lr=1e-3, parameters=torch.nn.Linear(2, 2).parameters())
    assert all(p.requires_grad for p in model.parameters())
    trainer = trainers.Trainer(model.requires_grad_(False).eval(), loss, data, batch_size=4, lr=1e-3)
    assert trainer.model.training and len(trainer.trained) == 2


def test_mixed_levels_are_a_quarter_even_and_else_logit_normal():
    """Shares of the fifths of 1..T, by the normal distribution function of logit(t / T) - 0.6."""
    draw = Draw(torch.Generator().manual_seed(0), 400_000, slice(None), "cpu")
    t = draw.mixed_levels(1000)
    assert t.dtype == torch.long and t.min() == 1 and t.max() == 1000
    edges = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    below = 0.25 * edges + 0.75 * torch.special.ndtr(edges.logit() - 0.6)
    found = torch.histc(t.float(), 5, 0.5, 1000.5) / len(t)
    assert_close(found, below.diff(), atol=3e-3, rtol=0)
