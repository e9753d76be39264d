"""``export_model``: copy a model to a file, to give it to somebody."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.models.catalogue import Catalogue
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        model: Name or file of a model.
        path: A folder, or a file name that ends with ``.med3d.zip``.
        overwrite: Whether it may take the place of another file.
    """

    model: str
    path: str
    overwrite: bool = False


def run(fields: Fields, job: Job) -> dict:
    """Copy it.

    Returns:
        ``path``: the file that was written.

    Raises:
        ModelError: There is no such model; with the code ``model-exists``, another file is in the way.
        OutputError: It cannot be written.
    """
    with job.progress.stage("copy", share=1.0):
        return {"path": str(Catalogue().export(fields.model, fields.path, fields.overwrite))}
