"""``devices``: where can be computed. Imports torch, so a client that asks early makes the first click faster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from Med3DCore.worker.job import Job

if TYPE_CHECKING:
    from Med3DCore.inference.device import Device


@dataclass(frozen=True)
class Fields:
    """Nothing to say."""


def run(fields: Fields, job: Job) -> dict:  # noqa: ARG001 - one signature for all requests
    """List the devices.

    Returns:
        ``devices``: of each ``name`` for a request, ``title`` for people, ``reason``, and ``fast_way``: whether the
        field ``fast`` of ``segment`` makes imported models faster there; the first is "auto".
    """
    import torch

    from Med3DCore.inference.device import choose_device

    names = [f"cuda:{index}" for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)]
    names += ["mps"] if torch.backends.mps.is_available() else []
    chosen = {"auto": choose_device("auto")} | {name: choose_device(name) for name in (*names, "cpu")}
    return {"devices": [{"name": name, **_described(device)} for name, device in chosen.items()]}


def _described(device: Device) -> dict:
    return {"title": device.title, "reason": device.reason, "fast_way": device.has_fast_way}
