"""One way to train every model: a loss, rows of data, and all chance from one generator.

So a run that was interrupted goes on to the same losses, and several processes come to the losses of one: each draws the
chance of the whole batch and takes its share of the rows. torchrun starts them, accelerate connects them.

Left out: chance inside a network (dropout), several batches a step, models that fit on no single device.
"""

import copy
import datetime
import functools
import math
import numbers
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from course import toy_ddpm
from course.device import autocast

WARM_UP = 0.05  # the share of a training in which the learning rate rises
LARGEST_GRADIENT = 1.0  # a longer gradient is shortened to this
PATIENCE = datetime.timedelta(hours=12)  # for which the processes wait while the first one measures
VOTE_EVERY = 10  # steps between two questions of several processes whether all go on


def cosine_with_warm_up(progress, steps_done):
    """The share of the learning rate: up over `WARM_UP`, down along half a cosine. progress: share done, in 0..1."""
    return min(1.0, 0.01 + progress / WARM_UP) * 0.5 * (1 + math.cos(math.pi * progress))


@functools.cache
def processes(device="cpu"):
    """accelerate's connection between the processes that a launcher started; None where this one is alone."""
    if int(os.environ.get("WORLD_SIZE", 1)) < 2:
        return None
    from accelerate import Accelerator, InitProcessGroupKwargs  # here, because a process alone needs none of it

    patience = InitProcessGroupKwargs(timeout=PATIENCE)
    return Accelerator(cpu=torch.device(device).type == "cpu", kwargs_handlers=[patience])


def place(device="cpu"):
    """(rank, how many) of this process among those that train together; (0, 1) for one alone."""
    others = processes(torch.device(device))
    return (others.process_index, others.num_processes) if others else (0, 1)


def meet(expected=None, device="cpu"):
    """Meet the other processes. Raises ValueError if they are not so many as expected.

    Launchers have been seen to start single processes, each of which trains alone and says nothing.
    """
    _, world = place(device)
    if expected not in (None, world):
        raise ValueError(
            f"{expected} processes were asked for, but this one sees {world}. Start them with "
            f"torchrun --nproc-per-node {expected} -m course.train ..."
        )


def part(device="cpu"):
    """Part from the other processes, once all have come here."""
    if others := processes(torch.device(device)):
        others.end_training()


class Draw:
    """The chance of one step: drawn on the CPU for the whole batch, of which a process keeps its `share` of the rows."""

    def __init__(self, generator, batch_size, share, device):
        self.generator, self.batch_size, self.share, self.device = generator, batch_size, share, device

    def normal(self, *shape):
        """Standard normal numbers `[rows, *shape]`, on the device."""
        return self._mine(torch.randn(self.batch_size, *shape, generator=self.generator))

    def uniform(self, *shape):
        """Uniform numbers in [0, 1), `[rows, *shape]`, on the device."""
        return self._mine(torch.rand(self.batch_size, *shape, generator=self.generator))

    def _mine(self, drawn):
        return drawn[self.share].to(self.device, non_blocking=True)

    def levels(self, T):
        """Whole numbers in 1..T, long `[rows]`: they stay on the CPU, where the schedule is."""
        return torch.randint(1, T + 1, (self.batch_size,), generator=self.generator)[self.share]

    def mixed_levels(self, T):
        """Levels in 1..T: a quarter even, the others logit-normal, oftenest around 2/3 T, where a picture takes its shape.

        Logit-normal ones alone (Esser et al. 2024, arXiv 2403.03206, Sec. 3.1) are hardly ever low, and strokes stay rough.
        """
        even = torch.rand(self.batch_size, generator=self.generator)
        bent = torch.sigmoid(0.6 + torch.randn(self.batch_size, generator=self.generator))
        share = torch.where(torch.rand(self.batch_size, generator=self.generator) < 0.25, even, bent)
        return (1 + (T * share).long()).clamp(max=T)[self.share]

    def rows(self, n):
        """Which of n rows of the data: whole numbers in 0..n - 1, long `[rows]`, on the CPU."""
        return self.levels(n) - 1


@dataclass(frozen=True)
class DenoisingLoss:
    """The loss of DDPM's Algorithm 1 for `Trainer`, whose data are x_0 `[N, ...]` in [-1, 1], and labels `[N]` if there are any.

    drop_label: the share of labels that become the network's `c_null`, for guidance: Ho & Salimans 2022, Algorithm 1.
    levels: how the levels are drawn: `Draw.levels`, all alike, or another method of `Draw`.
    """

    schedule: toy_ddpm.Schedule
    prediction: str = "eps"
    drop_label: float = 0.1
    levels: Callable = Draw.levels

    def __post_init__(self):
        if not 0 <= self.drop_label <= 1:
            raise ValueError(f"drop_label is {self.drop_label}, but a share of the labels lies in 0..1")

    def __call__(self, network, rows, draw):
        x_0, *labels = rows
        t, eps = self.levels(draw, self.schedule.T), draw.normal(*x_0.shape[1:])
        c = torch.where(draw.uniform() < self.drop_label, network.c_null, labels[0]) if labels else None
        return toy_ddpm.training_loss(network, x_0, t, eps, self.schedule, self.prediction, c)

    def check(self, network, data):
        """Look at the data once, before the first step. Raises ValueError on values outside [-1, 1] or labels out of range."""
        x_0, *labels = data
        if (
            x_0.dtype != torch.float32
            or len(labels) > 1
            or labels
            and (labels[0].dtype, labels[0].dim()) != (torch.long, 1)
        ):
            got = ", ".join(f"{tensor.dtype} {list(tensor.shape)}" for tensor in data)
            raise ValueError(
                f"data are x_0 [N, ...], float32, and labels [N], long, if any: x_0.float(), c.long(); got {got}"
            )
        if not (x_0.abs().max() <= 1.0001):  # also catches NaN
            got = f"{x_0.min():.3g}..{x_0.max():.3g}"
            raise ValueError(f"x_0 must lie in [-1, 1]; got {got}. Scale pixels in [0, 1] by 2 * x - 1.")
        classes = getattr(network, "c_null", None) or 0
        if labels and (labels[0].min() < 0 or labels[0].max() >= classes):
            got = f"{labels[0].min()}..{labels[0].max()}"
            raise ValueError(f"the network knows {classes} classes, labels 0..{classes - 1}; got {got}")


class LossModule(nn.Module):
    """A network and its loss as one module, so that a wrapper for several processes sees the whole of a step's forward pass."""

    def __init__(self, model, loss):
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, rows, draw):
        return self.loss(self.model, rows, draw)


class Trainer:
    """Trains `model` by `loss(model, rows, draw)`, every step on `batch_size` rows of the tensors in `data`, drawn at random.

    data: tensors `[N, ...]`; rows: this process's share of the batch, a tensor of each; draw: see `Draw`. A loss that has a
    method `check(model, data)` is asked once. ema_decay: of the moving average `ema_model` of weights and buffers, the one to
    use in the end. parameters: those that are trained and averaged, all others stay frozen; None: all.
    optimizer(named_parameters, lr=lr) makes any torch optimizer; each of its groups' rates is multiplied by
    rate(progress, steps_done). source: one line that says where the data come from.
    Raises ValueError on data that do not fit together or hold NaN, and where the processes cannot share the batch evenly.
    """

    def __init__(
        self, model, loss, data, *, batch_size, lr, ema_decay=0.999, seed=0, device="cpu", parameters=None,
        optimizer=torch.optim.AdamW, rate=cosine_with_warm_up, source="",
    ):  # fmt: skip
        check_data(data)
        if hasattr(loss, "check"):
            loss.check(model, data)
        whole = isinstance(batch_size, numbers.Integral) and not isinstance(batch_size, bool)
        if not whole or batch_size < 1 or not 0 <= ema_decay <= 1:
            raise ValueError(
                f"batch_size is a whole number from 1 on, ema_decay lies in 0..1; got {batch_size!r} and {ema_decay!r}"
            )
        own = list(model.parameters())
        chosen = own if parameters is None else list(parameters)
        if not chosen or not {id(p) for p in chosen} <= {id(p) for p in own}:
            raise ValueError("parameters are tensors of the model, at least one; of those given not all are")
        model.train().requires_grad_(False)
        for parameter in chosen:
            parameter.requires_grad_(True)
        self.model, self.loss, self.data = model.to(device), loss, [tensor.to(device) for tensor in data]
        self.batch_size, self.lr, self.ema_decay, self.seed, self.rate = batch_size, lr, ema_decay, seed, rate
        self.device, self.source, self.steps_done, self.seconds = torch.device(device), source, 0, 0.0
        self.trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.ema_model = copy.deepcopy(model).requires_grad_(False).eval()
        averaged, newest = self.carried(self.ema_model), self.carried(self.model)
        self.pairs = [(averaged[name], newest[name]) for name in averaged]
        self.optimizer = optimizer(list(self.trained.items()), lr=lr)
        for group in self.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.generator = torch.Generator().manual_seed(seed)
        self.join()

    def join(self):
        """Find this process's place among those that train together."""
        self.processes = processes(self.device)
        rank, world = place(self.device)
        if self.batch_size % world:
            raise ValueError(f"a batch of {self.batch_size} cannot be shared evenly by {world} processes")
        # the statistics of a BatchNorm are those of a whole batch, so there each process takes all of it
        whole = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in self.model.modules())
        self.first, self.share = rank == 0, slice(None) if whole else slice(rank, None, world)
        forward = LossModule(self.model, self.loss)
        self.forward = self.processes.prepare_model(forward) if self.processes else forward

    @property
    def denoiser(self):
        """The averaged network as a `Denoiser`, with the schedule and the prediction of its `DenoisingLoss`."""
        return toy_ddpm.Denoiser(self.ema_model, self.loss.schedule, self.loss.prediction)

    def step(self, progress):
        """One gradient step; progress in [0, 1]: the share of the training that is over. Returns the loss, a tensor.

        A device is asked nothing here: reading the loss, which makes a GPU wait, is left to whoever wants to know it.
        """
        if not 0 <= progress <= 1:
            raise ValueError(f"progress is {progress}, but the share of a training that is over lies in 0..1")
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self.rate(progress, self.steps_done)
        draw = Draw(self.generator, self.batch_size, self.share, self.device)
        rows = draw.rows(len(self.data[0])).to(self.device, non_blocking=True)
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.device):
            loss = self.forward([tensor[rows] for tensor in self.data], draw)
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained.values(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.steps_done += 1
        self.average()
        return self.processes.reduce(loss.detach(), "mean") if self.processes else loss.detach()

    @torch.no_grad()
    def average(self):
        """Let the averaged weights and buffers follow, the quicker the younger the training is."""
        decay = min(self.ema_decay, self.steps_done / (self.steps_done + 10))
        for slow, fast in self.pairs:
            if slow.is_floating_point():
                slow.lerp_(fast, 1 - decay)
            else:
                slow.copy_(fast)  # a count, such as BatchNorm's of its batches

    def carried(self, model):
        """What training changes in a network: the trained parameters and the buffers, by name."""
        frozen = {name for name, _ in model.named_parameters()} - set(self.trained)
        return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}

    def run(self, steps):
        """Train up to `steps`: a generator of the loss after each step, a tensor."""
        before = time.monotonic()
        while self.steps_done < steps:
            loss = self.step(self.steps_done / steps)
            now = time.monotonic()
            self.seconds, before = self.seconds + now - before, now
            yield loss

    def agreed(self, stop):
        """Whether to stop: any of the processes may wish it, but all must after the same step."""
        if not self.processes:
            return bool(stop)
        if self.steps_done % VOTE_EVERY:
            return False
        return self.processes.reduce(torch.tensor(float(bool(stop)), device=self.processes.device)).item() > 0

    def wait(self):
        """Until all processes have come here, for a launcher that sees one of them end may end the others."""
        if self.processes:
            self.processes.wait_for_everyone()

    def state_dict(self):
        """Everything that a resumed run needs, by part."""
        return {
            "model": self.carried(self.model),
            "ema_model": self.carried(self.ema_model),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "steps_done": self.steps_done,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave. Raises KeyError, RuntimeError, TypeError or ValueError if it is none of this model."""
        for part, model in (("model", self.model), ("ema_model", self.ema_model)):
            frozen = {name: value for name, value in model.state_dict().items() if name not in self.carried(model)}
            model.load_state_dict(frozen | state[part])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.steps_done, self.seconds = state["steps_done"], state["seconds"]


def check_data(data):
    """Raise a ValueError unless the tensors have equally many rows, at least one, and no NaN or infinity."""
    if isinstance(data, torch.Tensor):
        raise ValueError("data is a tuple of tensors, such as (x_0,) or (x_0, labels); got one tensor")
    lengths = [len(tensor) for tensor in data]
    if not lengths or min(lengths) < 1 or min(lengths) != max(lengths):
        raise ValueError(f"data are tensors with one row an example, equally many in each; got {lengths}")
    for i, tensor in enumerate(data):
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"tensor {i} of the data holds NaN or infinity; look where it comes from")
