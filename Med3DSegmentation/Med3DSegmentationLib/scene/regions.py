"""Markups ROIs: the part of a scan to work on, and the box that a model looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import SettingError
from Med3DCore.volume import LabelMap
from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.volume_nodes import LPS_RAS, toArray

_BOX_COLOUR = (1.0, 0.8, 0.2)


@dataclass(frozen=True)
class Region:
    """A box in the world, turned as the user turned it; what the ROI was when the job began.

    Args:
        lpsToBox: 4x4 float64 from world LPS mm to the box's own axes, its centre at 0.
        halfSize: Half its size along them, mm.
    """

    lpsToBox: np.ndarray
    halfSize: np.ndarray

    @classmethod
    def fromNode(cls, roiNode: slicer.vtkMRMLMarkupsROINode) -> Region:
        """Take it from a ROI, which may be rotated and lie under linear transforms.

        Raises:
            SettingError: It is not drawn yet, or flat.
        """
        size = np.array(roiNode.GetSize())
        # Under a non-linear transform too, ROIs stay boxes: their corners are not bent.
        boxToLps = LPS_RAS @ toArray(roiNode.GetObjectToWorldMatrix())
        if roiNode.GetNumberOfDefinedControlPoints() == 0 or size.min() <= 0 or abs(np.linalg.det(boxToLps)) < 1e-9:
            sentence = _("The ROI {name} is empty; draw it over the organ, or choose none.")
            raise SettingError(sentence.format(name=roiNode.GetName()))
        return cls(np.linalg.inv(boxToLps), size / 2)

    @property
    def bounds(self) -> list[list[float]]:
        """Lowest and highest LPS mm, as a request says it."""
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        matrix = np.linalg.inv(self.lpsToBox)
        corners = signs * self.halfSize @ matrix[:3, :3].T + matrix[:3, 3]
        return [corners.min(axis=0).tolist(), corners.max(axis=0).tolist()]

    def cut(self, labelMap: LabelMap) -> Pieces[LabelMap]:
        """The labels whose voxel centres lie inside: of a turned box, the engine labels all of its bounds."""
        matrix = self.lpsToBox @ labelMap.geometry.index_to_physical
        array = np.zeros_like(labelMap.array)
        y, x = np.ogrid[: array.shape[1], : array.shape[2]]
        for z, labels in enumerate(labelMap.array):  # a slice at a time: coordinates of a whole scan take gigabytes
            if labels.any():
                inside = np.ones(labels.shape, bool)
                for row, half in zip(matrix[:3], self.halfSize, strict=True):
                    inside &= np.abs(row[0] * x + row[1] * y + (row[2] * z + row[3])) <= half + 1e-6
                array[z] = labels * inside
            yield
        return replace(labelMap, array=array)


def boxToRoiNode(
    scene: slicer.vtkMRMLScene,
    box: list[list[float]],
    name: str,
    roiNode: slicer.vtkMRMLMarkupsROINode | None = None,
) -> slicer.vtkMRMLMarkupsROINode:
    """Show a box as a ROI that cannot be dragged: an outline, nothing over the image.

    Args:
        scene: Where to.
        box: Lowest and highest LPS mm.
        name: Name of a new node.
        roiNode: Write to this one, which keeps its name; None makes one.
    """
    if roiNode is None:
        roiNode = newBoxNode(scene, scene.GenerateUniqueName(name), _BOX_COLOUR)
        roiNode.SetLocked(True)
    placeBox(roiNode, box)
    return roiNode


def newBoxNode(
    scene: slicer.vtkMRMLScene, name: str, colour: tuple[float, float, float]
) -> slicer.vtkMRMLMarkupsROINode:
    """A ROI that is an outline without handles, and nothing over the image."""
    roiNode = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
    roiNode.CreateDefaultDisplayNodes()
    display = roiNode.GetDisplayNode()
    display.SetHandlesInteractive(False)
    display.SetFillVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(False)
    display.SetSelectedColor(*colour)
    return roiNode


def placeBox(roiNode: slicer.vtkMRMLMarkupsROINode, box: list[list[float]]) -> None:
    """Put a ROI around a box of lowest and highest LPS mm, under no transform."""
    low, high = np.array(box)
    roiNode.SetAndObserveTransformNodeID(None)
    roiNode.GetObjectToNodeMatrix().Identity()
    roiNode.SetCenterWorld(*(LPS_RAS[:3, :3] @ (low + high) / 2))
    roiNode.SetSizeWorld(*(high - low))
    roiNode.SetNthControlPointVisibility(0, False)
