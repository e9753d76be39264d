"""Cut-out labels to the segments of a segmentation, one after the other, so that the window may breathe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import slicer
import vtk

from Med3DCore.labels import Label
from Med3DSegmentationLib.scene.own_segments import (
    findOwnSegment,
    giveToUser,
    mark,
    otherDivision,
    wasEditedInPieces,
)
from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.segment_arrays import LabelPart, fingerprintOfPart, orientedImage
from Med3DSegmentationLib.scene.segmentation_history import Changes
from Med3DSegmentationLib.scene.terminology import LABEL_TAG, serializeLabel


@dataclass(frozen=True)
class WrittenSegments:
    """What a result did to a segmentation.

    Args:
        segmentationNode: The node; None if there was nothing to write, and no node for it.
        segmentIds: Label name to segment ID, of the labels that have voxels.
        voxels: Label name to its number of voxels.
        kept: Names under which segments that were edited by hand stay.
        removed: IDs of segments of labels without voxels, and of those whose tissue is now divided otherwise, such as
            the lungs into left and right.
    """

    segmentationNode: slicer.vtkMRMLSegmentationNode | None
    segmentIds: dict[str, str]
    voxels: dict[str, int]
    kept: tuple[str, ...]
    removed: tuple[str, ...] = ()


def writeSegments(
    changes: Changes,
    parts: Iterable[LabelPart],
    ijkToNode: vtk.vtkMatrix4x4,
    keepEdits: bool = True,
    model: str = "",
    digest: str = "",
) -> Pieces[WrittenSegments]:
    """Write each label to its segment; see :func:`.segmentation_nodes.labelMapToSegmentation`.

    Each segment is either what it was or what it becomes, with all that is known of it, whenever this yields.

    Args:
        changes: Of the segmentation node, which may be in no scene; remembers what is replaced.
        parts: Of a label map.
        ijkToNode: From its voxel index to mm in the node.
        keepEdits: As there.
        model: As there.
        digest: SHA-256 of the model's file, kept in a tag.
    """
    segmentIds: dict[str, str] = {}
    voxels: dict[str, int] = {}
    kept: list[str] = []
    removed: list[str] = []
    segmentation = changes.segmentationNode.GetSegmentation()
    for part in parts:
        name = part.label.name
        voxels[name] = int(np.count_nonzero(part.mask))
        for other in (*otherDivision(name), *(() if voxels[name] else (name,))):  # nothing is there any more
            yield from _giveUp(changes, other, keepEdits, kept, removed)
        if not voxels[name]:
            continue
        image = orientedImage(part.mask, part.start, ijkToNode)
        yield
        fingerprint = yield from fingerprintOfPart(part, ijkToNode)
        former = segmentation.GetSegment(findOwnSegment(segmentation, name))
        edited = former is not None and keepEdits and (yield from wasEditedInPieces(former))
        segmentId = findOwnSegment(segmentation, name)
        if segmentId and edited:
            kept.append(_leaveToUser(changes, segmentId))
            segmentId = ""
        segmentId = _replace(changes, segmentId, image) if segmentId else _add(changes, part.label, image)
        mark(segmentation.GetSegment(segmentId), model, digest, fingerprint)
        segmentIds[name] = segmentId
        yield
    return WrittenSegments(changes.segmentationNode, segmentIds, voxels, tuple(kept), tuple(removed))


def _giveUp(changes: Changes, labelName: str, keepEdits: bool, kept: list[str], removed: list[str]) -> Pieces[None]:
    """Remove a label's segment, or leave it to the user who edited it."""
    segmentation = changes.segmentationNode.GetSegmentation()
    segment = segmentation.GetSegment(findOwnSegment(segmentation, labelName))
    if segment is None:
        return
    edited = keepEdits and (yield from wasEditedInPieces(segment))
    segmentId = findOwnSegment(segmentation, labelName)
    if segmentId and edited:
        kept.append(_leaveToUser(changes, segmentId))
    elif segmentId:
        changes.keep(segmentId)
        segmentation.RemoveSegment(segmentId)
        changes.written.add(segmentId)
        removed.append(segmentId)


def _leaveToUser(changes: Changes, segmentId: str) -> str:
    segmentation = changes.segmentationNode.GetSegmentation()
    changes.keep(segmentId)
    return giveToUser(segmentation, segmentation.GetSegment(segmentId))


def _replace(changes: Changes, segmentId: str, image: slicer.vtkOrientedImageData) -> str:
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    changes.keep(segmentId)
    changes.written.add(segmentId)
    logic.SetBinaryLabelmapToSegment(image, changes.segmentationNode, segmentId, logic.MODE_REPLACE)
    return segmentId


def _add(changes: Changes, label: Label, image: slicer.vtkOrientedImageData) -> str:
    segmentation, segment = changes.segmentationNode.GetSegmentation(), slicer.vtkSegment()
    segment.AddRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName(), image)
    segment.SetName(label.title)
    segment.SetColor(*(channel / 255 for channel in label.colour))
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), serializeLabel(label))
    segment.SetTag(LABEL_TAG, label.name)
    segmentId = segmentation.GenerateUniqueSegmentID(label.name)
    changes.written.add(segmentId)
    segmentation.AddSegment(segment, segmentId)
    return segmentId
