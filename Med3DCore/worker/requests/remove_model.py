"""``remove_model``: delete one of the user's own models."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.models.catalogue import Catalogue
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        model: Name if it has only one version, else name-version or the file's name; a broken file too.
    """

    model: str


def run(fields: Fields, job: Job) -> dict:
    """Delete its file. Without a check for cancelling: it is done at once.

    Returns:
        ``path``: the file that was deleted.

    Raises:
        ModelError: It came with Med3D, does not exist, or several versions have this name.
        OutputError: It cannot be deleted.
    """
    job.log(f"Remove the model {fields.model}.")
    return {"path": str(Catalogue().remove(fields.model))}
