"""What a job takes of the computer, as FLARE 2022 reports it: time, work of the CPU, memory.

The challenge samples a container ten times a second. The area under the curve of CPU utilisation is computed without
samples here: utilisation in per cent over seconds is the CPU's seconds times 100. Of the GPU's memory what torch holds
is sampled.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import TracebackType

_EVERY_SECONDS = 0.1
_MIB = 1 << 20


class Usage:
    """Measures between entering and leaving; for ``with``.

    Attributes:
        seconds: Time on the wall.
        cpu_percent_seconds: Area under the curve of CPU utilisation: 100 for a second of one core.
        memory_mb: Most memory that the process held, MiB; None where the system does not tell it.
        gpu_memory_mb_seconds: Area under the curve of the GPU's memory, MiB times s; None without a GPU.
    """

    def __init__(self, gpu: str | None = None) -> None:
        self._gpu = gpu
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seconds = self.cpu_percent_seconds = 0.0
        self.memory_mb: float | None = None
        self.gpu_memory_mb_seconds = None if gpu is None else 0.0

    def __enter__(self) -> Usage:
        self._began, self._cpu = time.perf_counter(), time.process_time()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._began
        self.cpu_percent_seconds = 100 * (time.process_time() - self._cpu)
        self._done.set()
        self._thread.join()

    def to_dict(self) -> dict[str, float | None]:
        """The four figures, rounded."""
        return {
            "seconds": round(self.seconds, 3),
            "cpu_percent_seconds": round(self.cpu_percent_seconds, 1),
            "memory_mb": self.memory_mb,
            "gpu_memory_mb_seconds": None if self._gpu is None else round(self.gpu_memory_mb_seconds or 0.0, 1),
        }

    def _watch(self) -> None:
        last = time.perf_counter()
        while True:
            resident = _resident_mb()
            if resident is not None:
                self.memory_mb = max(self.memory_mb or 0.0, resident)
            now = time.perf_counter()
            if self._gpu is not None:
                self.gpu_memory_mb_seconds = (self.gpu_memory_mb_seconds or 0.0) + (now - last) * _gpu_mb(self._gpu)
            last = now
            if self._done.wait(_EVERY_SECONDS):
                return


def _resident_mb() -> float | None:
    """Memory that this process holds, MiB."""
    if sys.platform != "linux":
        return None
    with Path("/proc/self/status").open(encoding="ascii") as status:
        kib = next((line.split()[1] for line in status if line.startswith("VmRSS:")), None)
    return None if kib is None else round(int(kib) / 1024, 1)


def _gpu_mb(gpu: str) -> float:
    import torch

    return torch.cuda.memory_reserved(gpu) / _MIB
