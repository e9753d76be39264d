"""A segmentation as DICOM SEG: written by the engine, and put into Slicer's DICOM database beside its scan."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import OutputError
from Med3DCore.io.label_names import distinct
from Med3DCore.volume import LabelMap
from Med3DSegmentationLib.engine.handing_over import handOver
from Med3DSegmentationLib.engine.jobs import Pieces
from Med3DSegmentationLib.scene.dicom_database import addToDatabase, filesOf, hasSeries, nextResult, requireDatabase
from Med3DSegmentationLib.scene.label_maps import labelMapFromSegmentation
from Med3DSegmentationLib.scene.own_segments import (
    ALGORITHM_TYPE_TAG,
    DIGEST_TAG,
    MODEL_TAG,
    noteEdits,
    sourceVolume,
)
from Med3DSegmentationLib.scene.segment_arrays import maskOfSegment
from Med3DSegmentationLib.scene.terminology import describedSegment, tagOfSegment

_SAVED = "Med3D.savedAsDicom"


class AlreadySaved(OutputError):
    """There is nothing to do."""


@dataclass(eq=False)
class SaveDicomStep:
    """Save all segments that hold something.

    Args:
        segmentationNode: The segmentation, of a volume from DICOM.
    """

    segmentationNode: slicer.vtkMRMLSegmentationNode
    type: str = field(default="write_dicom", init=False)
    _content: str = field(default="", init=False)

    @property
    def title(self) -> str:
        """The segmentation's name by now."""
        return self.segmentationNode.GetName()

    def prepare(self, folder: str) -> Pieces[dict[str, Any]]:
        """Send the segments on the grid of the volume as its slices say it, whatever transform it lies under."""
        requireDatabase(self.segmentationNode)
        volume, segmentation = sourceVolume(self.segmentationNode), self.segmentationNode.GetSegmentation()
        files = filesOf(volume)
        for _piece in noteEdits(segmentation):
            yield _("Looking for edits")
        yield _("Looking for edits")
        shown = [segmentId for segmentId in segmentation.GetSegmentIDs() if _holdsSomething(segmentation, segmentId)]
        segments = [segmentation.GetSegment(segmentId) for segmentId in shown]
        labels = distinct(describedSegment(segment, place) for place, segment in enumerate(segments))
        yield _("Handing over the segments")
        labelMap = labelMapFromSegmentation(self.segmentationNode, volume, dict(zip(shown, labels, strict=True)), True)
        makers = [_maker(segment) for segment in segments]
        self._content = yield from _contentOf(labelMap, [makers, files])
        self._requireNew()
        description = yield from handOver(labelMap, folder, "labels", _("Handing over the segments"))
        number, edition = nextResult(files)
        return {
            "labels": description,
            "files": files,
            "path": str(Path(folder, "result.seg.dcm")),
            "makers": makers,
            "series_number": number,
            "edition": edition,
        }

    def place(self, answer: dict[str, Any]) -> str:
        """Put the file into the database; returns the UID of its series."""
        addToDatabase(answer["path"], answer["instance_uid"])
        self.segmentationNode.SetAttribute(_SAVED, f"{self._content} {answer['series_uid']}")
        return answer["series_uid"]

    def _requireNew(self) -> None:
        """Two clicks are one series; who changed something in between gets another one, with the next number."""
        content, _blank, series = (self.segmentationNode.GetAttribute(_SAVED) or "").partition(" ")
        if content == self._content and hasSeries(series):
            sentence = _(
                "{segmentation} is in Slicer's DICOM database already, and nothing was changed since it was saved."
            )
            raise AlreadySaved(sentence.format(segmentation=self.title))

    def needs(self, node: slicer.vtkMRMLNode) -> bool:
        """The segmentation, and the volume while it is its source."""
        return node is self.segmentationNode or node is sourceVolume(self.segmentationNode)


def _contentOf(labelMap: LabelMap, others: list) -> Pieces[str]:
    """Hash of all that would be written."""
    said = json.dumps([others, [vars(label) for label in labelMap.labels], labelMap.overlaps])
    found = hashlib.blake2b(said.encode(), digest_size=16)
    for plane in labelMap.array:
        found.update(plane.tobytes())
        yield _("Handing over the segments")
    return found.hexdigest()


def _holdsSomething(segmentation: slicer.vtkSegmentation, segmentId: str) -> bool:
    found = maskOfSegment(segmentation.GetSegment(segmentId))
    return found is not None and bool(found[0].any())


def _maker(segment: slicer.vtkSegment) -> dict[str, str]:
    """Who made a segment: what is not of an algorithm is by hand."""
    return {
        "kind": tagOfSegment(segment, ALGORITHM_TYPE_TAG) or "MANUAL",
        "model": tagOfSegment(segment, MODEL_TAG) or "",
        "model_sha256": tagOfSegment(segment, DIGEST_TAG) or "",
    }
