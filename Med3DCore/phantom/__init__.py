"""Procedural torso scans with exact labels: an example without any download, for tests and for training."""

from Med3DCore.phantom.contrast import CONTRASTS, Contrast, Tissue
from Med3DCore.phantom.make import Phantom, make_phantom, merge_lungs, write_phantom
from Med3DCore.phantom.settings import PhantomSettings

__all__ = [
    "CONTRASTS",
    "Contrast",
    "Phantom",
    "PhantomSettings",
    "Tissue",
    "make_phantom",
    "merge_lungs",
    "write_phantom",
]
