"""``import_checkpoint``: add the encoder of a MedicalNet or Kinetics ``.pth`` file to the user's models."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.models.catalogue import Catalogue
from Med3DCore.models.checkpoints import encoder_package, import_checkpoint
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        file: Such as ``resnet_50_23dataset.pth``.
        licence: Of the weights; the file does not say it.
        overwrite: Whether it may take the place of another model of the same name and version.
    """

    file: str
    licence: str = "not stated"
    overwrite: bool = False


def run(fields: Fields, job: Job) -> dict:
    """Read the file, which must hold a whole ResNet encoder, and write it as a package called like the file.

    Returns:
        ``reference``: name-version of the model; ``path``: where it is now; ``matched``: tensors taken over;
        ``ignored``: names of those that belong to a head and were left out.

    Raises:
        ModelError: It is damaged, holds code, or is no such encoder; with the code ``model-exists``, overwriting would
            do.
        OutputError: The package cannot be written.
    """
    progress = job.progress
    with progress.stage("read weights", share=0.6):
        encoder = import_checkpoint(fields.file)
        package = encoder_package(encoder, licence=fields.licence)
    with progress.stage("write model", share=0.4):
        path = Catalogue().save(package, {"encoder": encoder.state_dict}, half=False, overwrite=fields.overwrite)
    report = encoder.report
    return {
        "reference": package.reference,
        "path": str(path),
        "matched": report.matched,
        "ignored": list(report.ignored),
    }
