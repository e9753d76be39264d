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
    instances = (volumeNode.GetAttribute(_INSTANCES) or "").split()
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    modality = _noted(volumeNode, constants.GetDICOMSeriesModalityAttributeName())
    number = _noted(volumeNode, constants.GetDICOMSeriesNumberAttributeName())
    if not (instances or modality or number):
        return None
    return {
        "title": " ".join(filter(None, (modality, f"'{volumeNode.GetName()}'"))),
        "modality": modality,
        "series_number": int(number) if number.isdecimal() else None,
        "slices": volumeNode.GetImageData().GetDimensions()[2],
    }


def _noted(node: slicer.vtkMRMLNode, attribute: str) -> str:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
    return (hierarchy.GetItemAttribute(item, attribute) or "").strip() if item else ""
