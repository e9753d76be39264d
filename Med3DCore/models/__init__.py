"""Models: the package format, where models live, checkpoints of MedicalNet. torch is imported only to read weights."""

from Med3DCore.models.catalogue import Catalogue
from Med3DCore.models.entry import ModelEntry
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import load_package, save_package
from Med3DCore.models.stage import Stage

__all__ = ["Catalogue", "ModelEntry", "ModelPackage", "Stage", "load_package", "save_package"]
