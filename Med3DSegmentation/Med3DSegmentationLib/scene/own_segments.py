"""Which segments Med3D wrote, and whether somebody edited them since."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from Med3DSegmentationLib.scene.pieces import Pieces, atOnce
from Med3DSegmentationLib.scene.segment_arrays import fingerprint, voxelTime
from Med3DSegmentationLib.scene.terminology import LABEL_TAG, tagOfSegment

FINGERPRINT_TAG = "Med3D.fingerprint"
MODEL_TAG, DIGEST_TAG = "Med3D.model", "Med3D.modelDigest"
OWN_TAGS = (LABEL_TAG, FINGERPRINT_TAG, MODEL_TAG, DIGEST_TAG)
"""What makes a segment Med3D's own, which a later result may replace."""

# As Slicer's DICOM segmentation exporter reads them; a segment without them is exported as MANUAL.
ALGORITHM_TYPE_TAG, ALGORITHM_NAME_TAG = "DICOM.SegmentAlgorithmType", "DICOM.SegmentAlgorithmName"
ALGORITHM_TAGS = (ALGORITHM_TYPE_TAG, ALGORITHM_NAME_TAG)
AUTOMATIC, SEMIAUTOMATIC = "AUTOMATIC", "SEMIAUTOMATIC"

_DIVIDED = {"lungs": ("left_lung", "right_lung")}


def otherDivision(labelName: str) -> tuple[str, ...]:
    """Labels of the same tissue, divided otherwise: both lungs for the left one and the right one, and the reverse."""
    return _DIVIDED.get(labelName) or tuple(whole for whole, parts in _DIVIDED.items() if labelName in parts)


def mark(segment: slicer.vtkSegment, model: str, digest: str, written: str) -> None:
    """Remember that Med3D wrote a segment as it is now.

    Args:
        segment: The segment; its label's name is in a tag already.
        model: name-version of the model.
        digest: SHA-256 of its file.
        written: Fingerprint of its voxels, see :func:`.segment_arrays.fingerprint`.
    """
    segment.SetTag(FINGERPRINT_TAG, written)
    segment.SetTag(MODEL_TAG, model)
    segment.SetTag(DIGEST_TAG, digest)
    segment.SetTag(ALGORITHM_TYPE_TAG, AUTOMATIC)
    segment.SetTag(ALGORITHM_NAME_TAG, f"Med3D {model}".strip())


def wasEdited(segment: slicer.vtkSegment) -> bool:
    """Whether the voxels of a segment that Med3D wrote have changed since; False for any other segment."""
    return atOnce(wasEditedInPieces(segment))


def wasEditedInPieces(segment: slicer.vtkSegment) -> Pieces[bool]:
    """The same, yielding often; true of the segment as it is when this ends."""
    written = tagOfSegment(segment, FINGERPRINT_TAG)
    found, looked = written, None
    while written is not None and looked != voxelTime(segment):  # again, if somebody edited it meanwhile
        looked = voxelTime(segment)
        found = yield from fingerprint(segment)
    return found != written


def isUntouched(segment: slicer.vtkSegment) -> bool:
    """Whether it is a model's result that nobody has changed; exact labels of a made-up scan are none."""
    return bool(tagOfSegment(segment, MODEL_TAG)) and not wasEdited(segment)


def noteEdits(segmentation: slicer.vtkSegmentation) -> Pieces[None]:
    """Tag the segments that Med3D wrote as made by it alone, or as edited since; yields often."""
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        if segment is None or tagOfSegment(segment, FINGERPRINT_TAG) is None:
            continue
        kind = SEMIAUTOMATIC if (yield from wasEditedInPieces(segment)) else AUTOMATIC
        if tagOfSegment(segment, ALGORITHM_TYPE_TAG) != kind:
            segment.SetTag(ALGORITHM_TYPE_TAG, kind)


def findOwnSegment(segmentation: slicer.vtkSegmentation, labelName: str) -> str:
    """ID of the segment that Med3D wrote for a label, or ""."""
    for i in range(segmentation.GetNumberOfSegments()):
        if tagOfSegment(segmentation.GetNthSegment(i), LABEL_TAG) == labelName:
            return segmentation.GetNthSegmentID(i)
    return ""


def giveToUser(segmentation: slicer.vtkSegmentation, segment: slicer.vtkSegment) -> str:
    """Make an edited segment the user's own, which no later result replaces; returns its new name."""
    names = {segmentation.GetNthSegment(i).GetName() for i in range(segmentation.GetNumberOfSegments())}
    old, number = segment.GetName(), 2
    name = _("{name} (edited)").format(name=old)
    while name in names:
        name, number = _("{name} (edited {number})").format(name=old, number=number), number + 1
    segment.SetName(name)
    for tag in OWN_TAGS:
        segment.RemoveTag(tag)
    segment.SetTag(ALGORITHM_TYPE_TAG, SEMIAUTOMATIC)
    return name


def sourceVolume(segmentationNode: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The volume that a segmentation is of, or None if it is not known or not there any more."""
    return segmentationNode.GetNodeReference(slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole())


def findSegmentation(
    scene: slicer.vtkMRMLScene, volumeNode: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkMRMLSegmentationNode | None:
    """The newest segmentation of a volume with a segment that Med3D wrote, or None."""
    found = scene.GetNodesByClass("vtkMRMLSegmentationNode")
    found.UnRegister(None)
    nodes = [found.GetItemAsObject(i) for i in range(found.GetNumberOfItems())]
    return next((node for node in reversed(nodes) if sourceVolume(node) is volumeNode and _isOwn(node)), None)


def _isOwn(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    segmentation = segmentationNode.GetSegmentation()
    tags = (tagOfSegment(segmentation.GetNthSegment(i), LABEL_TAG) for i in range(segmentation.GetNumberOfSegments()))
    return any(tags)
