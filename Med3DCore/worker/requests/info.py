"""``info``: facts for the about box and for reports of problems."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

from Med3DCore.io.memory import free_memory
from Med3DCore.models.catalogue import Catalogue
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """Nothing to say."""


def run(fields: Fields, job: Job) -> dict:  # noqa: ARG001 - one signature for all requests
    """Tell about the worker.

    Returns:
        ``platform``, ``python`` (the program), ``free_memory`` in bytes or None, ``models`` (the user's folder) and
        ``shipped_models``, and ``warm``: whether torch is loaded.
    """
    catalogue = Catalogue()
    return {
        "platform": platform.platform(),
        "python": sys.executable,
        "free_memory": free_memory(),
        "models": str(catalogue.user),
        "shipped_models": str(catalogue.shipped),
        "warm": "torch" in sys.modules,
    }
