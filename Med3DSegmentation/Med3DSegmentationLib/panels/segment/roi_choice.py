"""The ROI that was chosen: looked at again when it is drawn, and laid around the volume when it is new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from Med3DCore.errors import Med3DError
from Med3DSegmentationLib.scene.regions import boxToRoiNode
from Med3DSegmentationLib.scene.tilted_volumes import scanGeometry


class RoiChoice:
    """Follows the ROI of a selector.

    Args:
        selector: A qMRMLNodeComboBox of ROIs that can make one.
        volume: Gives the chosen volume, or None.
        onChanged: Called when the chosen ROI was drawn or moved.
    """

    def __init__(
        self, selector: Any, volume: Callable[[], slicer.vtkMRMLScalarVolumeNode | None], onChanged: Callable[[], None]
    ) -> None:
        self._volume, self._onChanged = volume, onChanged
        self._followed: tuple[slicer.vtkMRMLMarkupsROINode, int] | None = None
        selector.connect("nodeAddedByUserAction(vtkMRMLNode*)", self._onMade)

    def follow(self, roi: slicer.vtkMRMLMarkupsROINode | None) -> None:
        """Look again whenever this ROI is drawn or changed: it may have been empty when it was chosen."""
        if self._followed is not None and self._followed[0] is not roi:
            self._followed[0].RemoveObserver(self._followed[1])
            self._followed = None
        if roi is not None and self._followed is None:
            event = slicer.vtkMRMLMarkupsNode.PointModifiedEvent
            self._followed = roi, roi.AddObserver(event, lambda *_: self._onChanged())

    def _onMade(self, roi: slicer.vtkMRMLMarkupsROINode) -> None:
        """Lay it around the volume, with handles to drag it smaller."""
        volume = self._volume()
        if volume is None:
            return
        try:
            geometry = scanGeometry(volume)
        except Med3DError:  # the hint says what is wrong with the volume
            return
        low, high = geometry.bounds_of_box((0, 0, 0), geometry.size)
        roi.CreateDefaultDisplayNodes()
        boxToRoiNode(roi.GetScene(), [low.tolist(), high.tolist()], "", roi)
        roi.GetDisplayNode().SetHandlesInteractive(True)
