"""Choose where to compute, and in which precision, with a reason that can be shown."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, replace

import torch
from torch import nn

from Med3DCore.errors import ResourceError

CHOICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Device:
    """A place to compute.

    Args:
        name: Torch's name: ``"cpu"``, ``"cuda:0"``, ``"mps"``.
        title: What to call it in front of people.
        dtype: Precision of convolutions; probabilities are always float32.
        reason: Why it was chosen, one sentence.
    """

    name: str
    title: str
    dtype: torch.dtype
    reason: str

    @property
    def torch_device(self) -> torch.device:
        """For ``tensor.to``."""
        return torch.device(self.name)

    @property
    def exact(self) -> Device:
        """The same place, a CPU in float32: imported models lose a Dice of up to 0.013 by its half precision."""
        return replace(self, dtype=torch.float32) if self.torch_device.type == "cpu" else self

    @property
    def has_fast_way(self) -> bool:
        """Whether imported models can run in half precision here, and do so only when they are asked to."""
        return self.dtype != self.exact.dtype

    def place(self, network: nn.Module) -> None:
        """Move a network there, its kernels in the order in which convolutions of volumes are fast."""
        network.to(self.torch_device)
        for parameter in network.parameters():  # torch would want the same of kernels of pictures, and refuse
            if parameter.ndim == 5:
                parameter.data = parameter.data.to(memory_format=torch.channels_last_3d)

    def autocast(self) -> contextlib.AbstractContextManager:
        """Context in which convolutions run in ``dtype``."""
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.torch_device.type, dtype=self.dtype)


def choose_device(wanted: str = "auto") -> Device:
    """The best device of this computer, or the one asked for.

    Args:
        wanted: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Raises:
        ResourceError: The wanted device is not there.
    """
    kind = wanted.split(":")[0]
    if kind not in CHOICES or not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", wanted):
        raise ResourceError(f"Unknown device '{wanted}'; use one of {', '.join(CHOICES)}, or a GPU such as cuda:1.")
    if kind in ("auto", "cuda") and torch.cuda.is_available():
        return _cuda(wanted if ":" in wanted else "cuda:0", wanted)
    if kind in ("auto", "mps") and torch.backends.mps.is_available():
        return Device("mps", "Apple GPU", torch.float32, "An Apple GPU was found.")
    if kind in ("cuda", "mps"):
        raise ResourceError(f"This computer has no usable {kind.upper()} device; leave the device on auto, or use cpu.")
    reason = "The CPU was asked for." if kind == "cpu" else "No usable GPU was found, so the CPU is used."
    return cpu(reason)


def cpu(reason: str) -> Device:
    """The CPU, in bf16 where its instructions make that faster."""
    fast = _cpu_has_fast_bf16()
    threads = torch.get_num_threads()
    title = f"CPU ({threads} thread{'s' if threads > 1 else ''})"
    return Device("cpu", title, torch.bfloat16 if fast else torch.float32, reason)


def _cuda(name: str, wanted: str) -> Device:
    index = int(name.split(":")[1])
    if index >= torch.cuda.device_count():
        raise ResourceError(f"There is no device '{name}'; this computer has {torch.cuda.device_count()} CUDA GPU(s).")
    dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    title = torch.cuda.get_device_name(index)
    reason = f"{title} was {'found' if wanted == 'auto' else 'asked for'}."
    return Device(name, title, dtype, reason)


def _cpu_has_fast_bf16() -> bool:
    """Whether the CPU multiplies bf16 natively; emulated bf16 is slower than float32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
