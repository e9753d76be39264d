"""``model_card``: all about one model."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.models.catalogue import Catalogue
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        model: Name or file of a model.
    """

    model: str


def run(fields: Fields, job: Job) -> dict:  # noqa: ARG001 - one signature for all requests
    """Open its package.

    Returns:
        ``model``: its whole ``model.json``, with where it comes from and its metrics; ``card``: Markdown, may be empty.

    Raises:
        ModelError: There is no such model, or it is broken.
    """
    package = Catalogue().find(fields.model)
    return {"model": package.to_dict(), "card": package.card}
