"""``models``: what the user can choose from."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.models.catalogue import Catalogue, ModelEntry
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """Nothing to say."""


def run(fields: Fields, job: Job) -> dict:  # noqa: ARG001 - one signature for all requests
    """List the models.

    Returns:
        ``models``: of each ``reference``, ``path``, ``shipped``, ``bytes`` and ``problem``: why it is broken, or None;
        then also ``model``: all of its ``model.json``, with the labels' titles, colours and codes, and ``card``.
    """
    return {"models": [_values(entry) for entry in Catalogue().list()]}


def _values(entry: ModelEntry) -> dict:
    return {
        "reference": entry.reference,
        "path": str(entry.path),
        "shipped": entry.shipped,
        "bytes": entry.size,
        "problem": entry.problem,
        "model": entry.package and entry.package.to_dict(),
        "card": entry.package and entry.package.card,
    }
