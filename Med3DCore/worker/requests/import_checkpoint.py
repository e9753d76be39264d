"""``import_checkpoint``: add a pre-trained encoder, or a model of MONAI's Auto3DSeg, to the user's models."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.models.catalogue import Catalogue
from Med3DCore.models.checkpoints import encoder_package, import_checkpoint
from Med3DCore.models.monai.importing import import_monai, is_auto3dseg
from Med3DCore.models.package import ModelPackage
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        file: Such as ``resnet_50_23dataset.pth``, or the ``model.pt`` of Auto3DSeg.
        licence: Of the weights; the file does not say it.
        overwrite: Whether it may take the place of another model of the same name and version.
    """

    file: str
    licence: str = "not stated"
    overwrite: bool = False


def run(fields: Fields, job: Job) -> dict:
    """Read the file, which must hold a whole ResNet encoder or SegResNet, and write it as a package called like it.

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
        matched, ignored, package, weights = _read(fields)
    with progress.stage("write model", share=0.4):
        path = Catalogue().save(package, weights, half=False, overwrite=fields.overwrite)
    return {"reference": package.reference, "path": str(path), "matched": matched, "ignored": list(ignored)}


def _read(fields: Fields) -> tuple[int, tuple[str, ...], ModelPackage, dict]:
    """How many tensors were taken over, names of those that were not, the package, and its weights."""
    if is_auto3dseg(fields.file):
        package, weights = import_monai(fields.file, licence=fields.licence)
        return sum(map(len, weights.values())), (), package, weights
    encoder = import_checkpoint(fields.file)
    package = encoder_package(encoder, licence=fields.licence)
    return encoder.report.matched, encoder.report.ignored, package, {"encoder": encoder.state_dict}
