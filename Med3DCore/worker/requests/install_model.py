"""``install_model``: add a model package to the user's models."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.models.catalogue import Catalogue
from Med3DCore.models.package_file import load_package
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        file: The package; its own name does not matter.
        overwrite: Whether it may take the place of another file of the same name and version.
    """

    file: str
    overwrite: bool = False


def run(fields: Fields, job: Job) -> dict:
    """Verify the package and copy it.

    Returns:
        ``reference``: name-version of the model; ``path``: where it is now.

    Raises:
        ModelError: It is damaged, unsafe or does not fit; with the code ``model-exists``, overwriting would do.
        OutputError: It cannot be written.
    """
    with job.progress.stage("check and copy", share=1.0):
        path = Catalogue().install(fields.file, fields.overwrite)
    return {"reference": load_package(path).reference, "path": str(path)}
