"""``import_nnunet``: add a trained model of nnU-Net v2 to the user's models."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.models.catalogue import Catalogue
from Med3DCore.models.nnunet.importing import import_nnunet
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        path: A results folder, one above it, or a zip of nnU-Net's export command.
        folder: Of the model inside ``path``, if there are several; see ``nnunet_models``.
        licence: Of the weights; the files do not say it.
        overwrite: Whether it may take the place of another model of the same name and version.
    """

    path: str
    folder: str | None = None
    licence: str = "not stated"
    overwrite: bool = False


def run(fields: Fields, job: Job) -> dict:
    """Read all folds that were trained, running nothing of them, and write them as one package.

    Returns:
        ``reference``: name-version of the model; ``path``: where it is now; ``labels``: names of what it finds;
        ``channels``: names of the images that it needs; ``folds``: those that answer together.

    Raises:
        ModelError: Something is missing, damaged, of another version, or does not fit; with the code ``model-exists``,
            overwriting would do.
        OutputError: The package cannot be written.
    """
    progress = job.progress
    with progress.stage("read weights", share=0.6):
        package, weights = import_nnunet(fields.path, licence=fields.licence, folder=fields.folder, progress=progress)
    with progress.stage("write model", share=0.4):
        path = Catalogue().save(package, weights, half=False, overwrite=fields.overwrite)
    imported = package.provenance["imported"]
    return {
        "reference": package.reference,
        "path": str(path),
        "labels": list(package.label_names),
        "channels": imported["channels"],
        "folds": imported["folds"],
    }
