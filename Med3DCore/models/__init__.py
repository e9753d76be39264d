"""Models: the package format, where models live, checkpoints of MedicalNet. torch is imported only to read weights."""

from Med3DCore.models.catalogue import Catalogue, ModelEntry
from Med3DCore.models.package import ModelPackage, Stage, load_package, save_package

__all__ = ["Catalogue", "ModelEntry", "ModelPackage", "Stage", "load_package", "save_package"]
