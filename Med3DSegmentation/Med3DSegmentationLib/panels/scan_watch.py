"""The chosen volume while it changes: its voxels may come after the node, and it may be moved or sheared later."""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk

from Med3DSegmentationLib.scene.tilted_volumes import whyNotScan

_EVENTS = (
    vtk.vtkCommand.ModifiedEvent,
    slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
    slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
)


class ScanWatch:
    """Tells when the engine can get a volume that it could not get before, or the other way round, and nothing else.

    Args:
        onChanged: Called then.

    Attributes:
        reason: Why the engine cannot get the volume, or "", see :func:`.whyNotScan`.
    """

    def __init__(self, onChanged: Callable[[], None]) -> None:
        self._onChanged = onChanged
        self._volume: slicer.vtkMRMLScalarVolumeNode | None = None
        self._tags: list[int] = []
        self.reason = ""

    def follow(self, volume: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Watch this volume instead of the one before; None for none."""
        if volume is not self._volume:
            for tag in self._tags:
                self._volume.RemoveObserver(tag)
            self._tags = [volume.AddObserver(event, self._look) for event in _EVENTS] if volume is not None else []
            self._volume, self.reason = volume, whyNotScan(volume) if volume is not None else ""

    def _look(self, caller: slicer.vtkMRMLNode, event: str) -> None:  # noqa: ARG002 - an observer's signature
        reason = whyNotScan(self._volume)
        if reason != self.reason:
            self.reason = reason
            self._onChanged()
