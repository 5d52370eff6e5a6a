"""The one place that chooses the device, the number of threads and where numbers may be shorter."""

import torch

from course import settings


def setup(threads=None, quiet=False):
    """The best device here (CUDA, then MPS, then CPU), reported in one line. Returns a `torch.device`.

    threads: CPU threads, default the environment variable COURSE_THREADS, else PyTorch's own choice.
    COURSE_DEVICE overrides the device. Raises ValueError on a device that is not here or threads < 1.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    here = [name for name, found in present.items() if found]
    name = settings.read("COURSE_DEVICE") or here[0]
    if name not in here:
        raise ValueError(f"COURSE_DEVICE is {name!r}; here there is {', '.join(here)}")
    threads = settings.read("COURSE_THREADS") or torch.get_num_threads() if threads is None else threads
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads is {threads!r}, but a whole number from 1 on is needed")
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
