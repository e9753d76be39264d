"""``devices``: where can be computed. Imports torch, so a client that asks early makes the first click faster."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """Nothing to say."""


def run(fields: Fields, job: Job) -> dict:  # noqa: ARG001 - one signature for all requests
    """List the devices.

    Returns:
        ``devices``: of each ``name`` for a request, ``title`` for people and ``reason``; the first is "auto".
    """
    import torch

    from Med3DCore.inference.device import choose_device

    names = [f"cuda:{index}" for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)]
    names += ["mps"] if torch.backends.mps.is_available() else []
    chosen = {"auto": choose_device("auto")} | {name: choose_device(name) for name in (*names, "cpu")}
    return {
        "devices": [{"name": name, "title": device.title, "reason": device.reason} for name, device in chosen.items()]
    }
