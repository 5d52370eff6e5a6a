"""The one place that chooses the device, the number of threads and the number format."""

import os

import torch
import torch.distributed as dist


def pick(threads=None, quiet=False):
    """The best device here (CUDA, then MPS, then CPU), reported in one line. Returns a `torch.device`.

    threads: CPU threads, default the environment variable COURSE_THREADS, else PyTorch's own choice.
    COURSE_DEVICE overrides the device. Raises ValueError on a device that is not here or threads < 1.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = os.environ.get("COURSE_DEVICE") or next(name for name, here in present.items() if here)
    if not present.get(name):
        raise ValueError(
            f"COURSE_DEVICE is {name!r}; here there is {', '.join(n for n, here in present.items() if here)}"
        )
    wished = os.environ.get("COURSE_THREADS") or torch.get_num_threads() if threads is None else threads
    if not str(wished).isdecimal() or int(wished) < 1:
        raise ValueError(f"threads (or COURSE_THREADS) is {wished!r}, but a whole number from 1 on is needed")
    threads = int(wished)
    torch.set_num_threads(threads)
    if not quiet:
        card = [torch.cuda.get_device_name()] if name == "cuda" else []
        what = [*card, f"{threads} CPU thread{'s' * (threads > 1)}", f"PyTorch {torch.__version__.split('+')[0]}"]
        print(f"device: {name} ({', '.join(what)})")
    return torch.device(name)


def autocast(device="cpu"):
    """A context in which layers compute in bfloat16 where the hardware multiplies it, else in float32.

    On a CPU without such instructions bfloat16 is slower than float32, so nothing changes there.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        fast = any(getattr(torch.cpu, f"_is_{unit}_supported", lambda: False)() for unit in ("avx512_bf16", "amx_tile"))
    else:
        fast = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    # without the cache: it keeps the weights' bfloat16 copies until the context ends, so training inside would stand still
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=fast, cache_enabled=False)


def join(expected=None):
    """Meet the other processes that torchrun or accelerate started, if there are any. Returns (rank, how many).

    expected: how many there must be. Raises ValueError if there are others: launchers have been seen to start
    single processes, each of which trains alone and says nothing.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if expected and processes()[1] != expected:
        raise ValueError(
            f"{expected} processes were asked for, but this one sees {processes()[1]}. Start them with "
            f"torchrun --nproc-per-node {expected} -m course.train ..."
        )
    return processes()


def processes():
    """(rank, how many) of the processes that train together; (0, 1) for one alone."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def leave():
    """Part from the other processes, once all have arrived here."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def any_process(flag):
    """Whether `flag` is true in any of the processes, so that all stop after the same step."""
    if not dist.is_initialized():
        return bool(flag)
    votes = torch.tensor(float(bool(flag)), device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(votes, dist.ReduceOp.MAX)
    return votes.item() > 0
