"""The further images of a patient beside a scan, for models of several; the scan remembers them by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence

import slicer

_ROLE = "Med3D.channel."


def furtherVolumes(
    volumeNode: slicer.vtkMRMLScalarVolumeNode | None, names: Sequence[str]
) -> list[slicer.vtkMRMLScalarVolumeNode | None]:
    """The volume that was chosen for each image beside a scan, or None.

    Args:
        volumeNode: The scan, or None.
        names: What the images are called.
    """
    return [volumeNode and volumeNode.GetNodeReference(_role(name)) for name in names]


def rememberFurther(
    volumeNode: slicer.vtkMRMLScalarVolumeNode, name: str, chosen: slicer.vtkMRMLScalarVolumeNode | None
) -> None:
    """Keep the choice with the scan, so that no other patient's image is ever taken for it; scenes save it.

    Args:
        volumeNode: The scan.
        name: What the image is called, as in the model.
        chosen: The volume, or None for none.
    """
    volumeNode.SetNodeReferenceID(_role(name), chosen and chosen.GetID())


def _role(name: str) -> str:
    """A reference's name, of characters that a scene's file does not take for its own."""
    return _ROLE + re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):x}_", name)
