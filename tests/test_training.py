"""Algorithm 1: what is drawn, what is learned, and that an interrupted run goes on to the same losses."""

import math
import signal

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from course import device, train, weights
from course import toy_ddpm as td
from course.mini_unet import MiniUNet

LINEAR = td.linear()


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


def test_every_t_is_drawn_and_equally_often(generator):
    model, s = Recorder(), td.linear(20, 1e-3, 0.2)
    td.training_loss(model, torch.zeros(100_000, 1), s, generator)
    counts = torch.bincount(model.seen_t[0], minlength=21)
    assert counts[0] == 0 and len(counts) == 21
    assert_close(counts[1:].float() / 5000, torch.ones(20), atol=0.07, rtol=0)


def test_loss_of_a_silent_network_is_one(generator):
    assert_close(td.training_loss(Recorder(), torch.zeros(50_000, 4), LINEAR, generator).item(), 1.0, atol=0.02, rtol=0)


@pytest.mark.parametrize("s2, average", [(1.0, 0.275513), (0.25, 0.173053)])
def test_loss_of_the_exact_denoiser_is_the_bayes_floor(s2, average, generator):
    """Data N(0, s2), averaged over uniform t. The data are made to fit into [-1, 1] by scaling both sides."""
    x_0 = torch.randn(400_000, 1, generator=generator, dtype=torch.float64) * s2**0.5
    t = torch.randint(1, 1001, (len(x_0),), generator=generator)
    eps = torch.randn(x_0.shape, generator=generator, dtype=torch.float64)
    x_t = td.q_sample(x_0, t, eps, LINEAR)
    eps_hat = td.exact_denoiser(torch.zeros(1, 1), LINEAR, std=s2**0.5)(x_t, t)
    assert_close((eps - eps_hat).square().mean().item(), average, atol=0.003, rtol=0)


@pytest.mark.parametrize("predicts", td.PREDICTIONS[:3])
def test_a_model_that_knows_the_answer_has_no_loss(predicts, generator):
    x_0 = torch.rand(64, 3, generator=generator) * 2 - 1

    def model(x_t, t):
        return td.convert(x_0, x_t, t, LINEAR, "x_0", predicts)

    assert td.training_loss(model, x_0, LINEAR, generator, predicts=predicts) < 1e-4


@pytest.mark.parametrize("bad", [torch.full((2, 1), 1.5), torch.full((2, 1), 255.0), torch.tensor([[0.0], [math.nan]])])
def test_images_outside_the_range_are_refused(bad):
    with pytest.raises(ValueError, match=r"\[-1, 1\].*2 \* x - 1"):
        td.training_loss(Recorder(), bad, LINEAR)


def small_trainer(**changes):
    torch.manual_seed(0)
    images = torch.rand(256, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    labels = torch.arange(256) % 10
    model = MiniUNet(channels=(8, 16), num_classes=10)
    return td.Trainer(model, LINEAR, images, labels, batch_size=16, seed=3, **changes)


def test_labels_are_dropped_at_the_rate_asked_for():
    trainer = td.Trainer(Recorder(), LINEAR, torch.zeros(10, 1), torch.arange(10), batch_size=20_000, drop_label=0.1)
    trainer.step(0.0)
    c = trainer.model.seen_c[0]
    assert_close((c == 10).float().mean().item(), 0.1, atol=0.01, rtol=0)
    assert set(c.tolist()) == set(range(11))


def test_training_lowers_the_loss_and_the_average_follows():
    trainer = small_trainer(ema_decay=0.9)
    trainer.images[:] = torch.where(torch.arange(8) < 4, -1.0, 1.0)
    losses = [trainer.step(i / 150) for i in range(150)]
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])
    slow, fast = (torch.cat([p.flatten() for p in m.parameters()]) for m in (trainer.ema_model, trainer.model))
    assert 0 < (slow - fast).norm() < 0.1 * fast.norm()


def test_average_follows_its_recursion():
    """Warm-up n / (n + 10) until ema_decay; slow <- decay * slow + (1 - decay) * fast, by hand."""
    trainer = small_trainer(ema_decay=0.2)
    slow = trainer.model.first.weight.detach().clone()
    for n in range(1, 6):
        trainer.step(0.1)
        decay = min(0.2, n / (n + 10))
        slow = decay * slow + (1 - decay) * trainer.model.first.weight.detach()
    assert_close(trainer.ema_model.first.weight, slow)


def test_autocast_around_training_still_learns():
    """A cache of low-precision weights that outlives a step would make every step see the first weights."""
    model = nn.Linear(4, 4)
    with device.autocast():
        before = model(torch.ones(1, 4))
        with torch.no_grad():
            model.weight.add_(1.0)
        assert_close((model(torch.ones(1, 4)) - before).float().detach(), torch.full((1, 4), 4.0), atol=0.1, rtol=0)


def test_resumed_run_has_the_same_losses(tmp_path):
    whole = train.train(small_trainer(), 12, tmp_path / "whole")
    parts = small_trainer()
    with device.autocast():
        losses = [parts.step(i / 12) for i in range(5)]
    weights.write_tensors(tmp_path / "again" / "checkpoint.safetensors", parts.state_dict())
    losses += train.train(small_trainer(), 12, tmp_path / "again")
    assert losses == whole


def test_another_seed_does_not_go_on_from_the_first_ones_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "RUNS", tmp_path)
    train.train(small_trainer(), 4, train.run_folder("digits", 0))
    assert (tmp_path / "digits" / "checkpoint.safetensors").exists()
    assert not train.run_folder("digits", 1).exists()


def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path, capsys):
    whole = train.train(small_trainer(), 12, tmp_path / "whole")
    trainer, losses, step = small_trainer(), [], td.Trainer.step

    def interrupted(progress):
        if trainer.steps_done == 4:
            signal.raise_signal(signal.SIGINT)
        losses.append(step(trainer, progress))
        return losses[-1]

    trainer.step = interrupted
    with pytest.raises(SystemExit) as stopped:
        train.train(trainer, 12, tmp_path / "run")
    assert stopped.value.code == 130 and trainer.steps_done == 5
    losses += train.train(small_trainer(), 12, tmp_path / "run")
    assert losses == whole
    assert "goes on from here" in capsys.readouterr().out


def test_damaged_checkpoint_is_named(tmp_path):
    train.train(small_trainer(), 2, tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(weights.WeightsError, match="checkpoint.safetensors is damaged"):
        train.train(small_trainer(), 4, tmp_path)


def test_checkpoint_of_another_network_is_refused(tmp_path):
    train.train(small_trainer(), 2, tmp_path)
    other = td.Trainer(MiniUNet(channels=(16, 16), num_classes=10), LINEAR, torch.zeros(4, 1, 8, 8), torch.arange(4))
    with pytest.raises(weights.WeightsError, match="another network"):
        train.train(other, 4, tmp_path)
