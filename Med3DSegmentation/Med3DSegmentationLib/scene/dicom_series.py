"""Which DICOM series a volume was loaded from, as Slicer's DICOM module notes it in the scene."""

from __future__ import annotations

from typing import Any

import slicer

_INSTANCES = "DICOM.instanceUIDs"


def seriesOf(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> dict[str, Any] | None:
    """What the engine's request ``segment`` takes as ``series``, or None if it is from no DICOM series.

    Returns:
        ``title``, for people; ``modality``, empty if not noted; ``series_number``, or None; ``slices``.
    """
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    modality = _noted(volumeNode, constants.GetDICOMSeriesModalityAttributeName())
    number = _noted(volumeNode, constants.GetDICOMSeriesNumberAttributeName())
    if not (instancesOf(volumeNode) or modality or number):
        return None
    return {
        "title": " ".join(filter(None, (modality, f"'{volumeNode.GetName()}'"))),
        "modality": modality,
        "series_number": int(number) if number.isdecimal() else None,
        "slices": volumeNode.GetImageData().GetDimensions()[2],
    }


def instancesOf(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> list[str]:
    """SOP instance UIDs of the slices that a volume was loaded from; empty if it is from no DICOM series."""
    noted = volumeNode.GetAttribute(_INSTANCES)
    if not noted:
        hierarchy, item = _item(volumeNode)
        name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMInstanceUIDName()
        noted = hierarchy.GetItemUID(item, name) if item else ""
    return (noted or "").split()


def _noted(node: slicer.vtkMRMLNode, attribute: str) -> str:
    hierarchy, item = _item(node)
    return (hierarchy.GetItemAttribute(item, attribute) or "").strip() if item else ""


def _item(node: slicer.vtkMRMLNode) -> tuple[slicer.vtkMRMLSubjectHierarchyNode | None, int]:
    """The subject hierarchy and the node's item in it, or 0."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    return hierarchy, hierarchy.GetItemByDataNode(node) if hierarchy else 0
