"""Boxes around what a detector found, as ROIs in a folder beside the scan; those that somebody edited are theirs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import slicer
from slicer.i18n import tr as _

from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.regions import newBoxNode, placeBox
from Med3DSegmentationLib.scene.volume_nodes import LPS_RAS, toArray

_LESION, _VOLUME = "Med3D.lesion", "Med3D.volume"
_COLOUR = (1.0, 0.45, 0.1)
_SAME = 0.5  # overlap (IoU) with a box that somebody edited, so that it is the same lesion
_STILL_MM = 0.01


@dataclass(frozen=True)
class Lesion:
    """What a detector found.

    Args:
        score: How sure it is, 0..1.
        box: Lowest and highest mm, LPS in the world.
        keyZ: LPS z in mm of the slice where it is surest.
        model: name-version of the detector.
    """

    score: float
    box: list[list[float]]
    keyZ: float
    model: str


@dataclass(frozen=True)
class ShownLesion:
    """A lesion's ROI as it is now.

    Args:
        node: The ROI.
        lesion: What was found there.
        isEdited: Whether somebody renamed, moved, locked or described it since.
    """

    node: slicer.vtkMRMLMarkupsROINode
    lesion: Lesion
    isEdited: bool

    @property
    def centre(self) -> np.ndarray:
        """Middle of the box, RAS mm in the world."""
        return toArray(self.node.GetObjectToWorldMatrix())[:3, 3]

    @property
    def size(self) -> np.ndarray:
        """Sides of the box along its own axes, mm."""
        axes = toArray(self.node.GetObjectToWorldMatrix())[:3, :3]
        return np.array(self.node.GetSize()) * np.linalg.norm(axes, axis=0)

    @property
    def box(self) -> list[list[float]]:
        """Lowest and highest mm of what the box takes up, LPS in the world."""
        axes = toArray(self.node.GetObjectToWorldMatrix())[:3, :3]
        half = np.abs(axes) @ np.array(self.node.GetSize()) / 2
        centre = LPS_RAS[:3, :3] @ self.centre
        return [(centre - half).tolist(), (centre + half).tolist()]

    @property
    def place(self) -> np.ndarray:
        """Where to look, RAS mm: the box's middle, in the slice where the detector is surest if it lies within."""
        (*_, low), (*_, high) = self.box
        x, y, z = self.centre
        return np.array([x, y, self.lesion.keyZ if low <= self.lesion.keyZ <= high else z])


@dataclass
class LesionChanges:
    """What a result did to the scene.

    Args:
        volumeNode: The scan.
        made: ROIs that it made.
        removed: Names and lesions of an earlier result that it replaced.
    """

    volumeNode: slicer.vtkMRMLScalarVolumeNode
    made: list[slicer.vtkMRMLMarkupsROINode] = field(default_factory=list)
    removed: list[tuple[str, Lesion]] = field(default_factory=list)

    def undo(self) -> None:
        """Take back what was made, but for what somebody edited since, and show what was there before."""
        if self.volumeNode.GetScene() is None:
            return
        _removeUntouched(self.volumeNode, self.made)
        for name, lesion in self.removed:
            _show(self.volumeNode, lesion, name)


def shownLesions(volumeNode: slicer.vtkMRMLScalarVolumeNode | None) -> list[ShownLesion]:
    """The lesions of a scan, surest first."""
    if volumeNode is None or volumeNode.GetScene() is None:
        return []
    nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsROINode", volumeNode.GetScene())
    own = [node for node in nodes if node.GetAttribute(_LESION) and node.GetNodeReference(_VOLUME) is volumeNode]
    shown = [ShownLesion(node, Lesion(**_noted(node)["lesion"]), _isEdited(node)) for node in own]
    return sorted(shown, key=lambda each: -each.lesion.score)


def replaceLesions(volumeNode: slicer.vtkMRMLScalarVolumeNode, lesions: Sequence[Lesion]) -> Pieces[LesionChanges]:
    """Show lesions in place of those of an earlier result; what somebody edited stays, and is not shown twice.

    Args:
        volumeNode: The scan.
        lesions: Surest first.
    """
    changes = LesionChanges(volumeNode)
    try:
        before = shownLesions(volumeNode)
        edited = [each for each in before if each.isEdited]
        changes.removed = [(each.node.GetName(), each.lesion) for each in before if not each.isEdited]
        _removeUntouched(volumeNode, [each.node for each in before])
        for number, lesion in enumerate(lesions, start=1):
            if not any(_overlap(lesion.box, each.box) >= _SAME for each in edited):
                name = _("Lesion {number}, {score:.2f}").format(number=number, score=lesion.score)
                changes.made.append(_show(volumeNode, lesion, name))
            yield _("Showing the result")
    except BaseException:  # also where it is cancelled between two
        changes.undo()
        raise
    return changes


def chooseLesion(volumeNode: slicer.vtkMRMLScalarVolumeNode, chosen: ShownLesion) -> None:
    """Bring the slice views to a lesion, and let its box alone be dragged and resized."""
    for each in shownLesions(volumeNode):
        isChosen = each.node is chosen.node
        each.node.GetDisplayNode().SetHandlesInteractive(isChosen and not each.node.GetLocked())
        each.node.GetDisplayNode().SetLineThickness(0.5 if isChosen else 0.2)
    slicer.vtkMRMLSliceNode.JumpAllSlices(volumeNode.GetScene(), *chosen.place)


def _show(volumeNode: slicer.vtkMRMLScalarVolumeNode, lesion: Lesion, name: str) -> slicer.vtkMRMLMarkupsROINode:
    """Make a lesion's ROI."""
    node = newBoxNode(volumeNode.GetScene(), name, _COLOUR)
    placeBox(node, lesion.box)
    node.GetDisplayNode().SetRotationHandleVisibility(False)
    node.SetNodeReferenceID(_VOLUME, volumeNode.GetID())
    _putInFolder(node, volumeNode)
    node.SetAttribute(_LESION, json.dumps({"lesion": vars(lesion), "state": _state(node)}))
    return node


def _removeUntouched(volumeNode: slicer.vtkMRMLScalarVolumeNode, nodes: Sequence[slicer.vtkMRMLMarkupsROINode]) -> None:
    """Remove ROIs that are still in the scene and that nobody edited, and folders that hold nothing then."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volumeNode.GetScene())
    for node in nodes:
        if node.GetScene() is None or _isEdited(node):
            continue
        item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
        folder = hierarchy.GetItemParent(item) if item else 0
        node.GetScene().RemoveNode(node)
        if folder and _isOurs(hierarchy, folder) and hierarchy.GetNumberOfItemChildren(folder) == 0:
            hierarchy.RemoveItem(folder)


def _putInFolder(node: slicer.vtkMRMLMarkupsROINode, volumeNode: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Into the scan's folder of lesions in the subject hierarchy; nothing where the scan has no item there."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volumeNode.GetScene())
    scan = hierarchy.GetItemByDataNode(volumeNode) if hierarchy else 0
    if not scan:
        return
    name = _("Lesions of {volume}").format(volume=volumeNode.GetName())
    parent = hierarchy.GetItemParent(scan)
    folder = hierarchy.GetItemChildWithName(parent, name)
    if not folder or not _isOurs(hierarchy, folder):
        folder = hierarchy.CreateFolderItem(parent, name)
        hierarchy.SetItemAttribute(folder, _LESION, "1")
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, folder)
    else:
        hierarchy.CreateItem(folder, node)


def _isOurs(hierarchy: slicer.vtkMRMLSubjectHierarchyNode, folder: int) -> bool:
    return bool(hierarchy.GetItemAttribute(folder, _LESION))


def _isEdited(node: slicer.vtkMRMLMarkupsROINode) -> bool:
    before, now = _noted(node)["state"], _state(node)
    isStill = np.allclose(before.pop("place"), now.pop("place"), rtol=0, atol=_STILL_MM)
    return before != now or not isStill


def _noted(node: slicer.vtkMRMLMarkupsROINode) -> dict:
    return json.loads(node.GetAttribute(_LESION))


def _state(node: slicer.vtkMRMLMarkupsROINode) -> dict:
    """What somebody may edit, for JSON."""
    place = [*toArray(node.GetObjectToWorldMatrix()).ravel().tolist(), *node.GetSize()]
    about = {"name": node.GetName(), "description": node.GetDescription() or "", "locked": bool(node.GetLocked())}
    return {**about, "place": place}


def _overlap(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> float:
    """Intersection over union of two boxes."""
    (low, high), (otherLow, otherHigh) = np.array(one), np.array(other)
    common = np.prod(np.clip(np.minimum(high, otherHigh) - np.maximum(low, otherLow), 0, None))
    return float(common / (np.prod(high - low) + np.prod(otherHigh - otherLow) - common))
