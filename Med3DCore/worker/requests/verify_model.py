"""``verify_model``: whether a model is whole and unchanged."""

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


def run(fields: Fields, job: Job) -> dict:
    """Check every hash, and that all weights fit their networks.

    Returns:
        ``reference``: name-version of the model, which is sound.

    Raises:
        ModelError: It does not exist, is damaged, unsafe or does not fit.
    """
    with job.progress.stage("check model", share=1.0):
        return {"reference": Catalogue().verify(fields.model).reference}
