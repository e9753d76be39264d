"""What the result table shows of the scene by now, measured little by little, and as text for other programs."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import qt
import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import VolumeError
from Med3DSegmentationLib.engine.results import SequenceResult
from Med3DSegmentationLib.scene.own_segments import wasEditedInPieces
from Med3DSegmentationLib.scene.segment_arrays import holdsVoxels
from Med3DSegmentationLib.scene.segment_measures import Measures, measureSegment

Pair: TypeAlias = tuple[slicer.vtkMRMLScalarVolumeNode, slicer.vtkMRMLSegmentationNode]
_PIECE_SECONDS = 0.02
_AFTER_EDIT_MS = 200  # a stroke of the brush is many changes


@dataclass(frozen=True)
class ResultRow:
    """A segment.

    Args:
        title: Of what, such as the volume's name.
        name: Of the segment, with "(edited)" if it is no longer what Med3D wrote.
        colour: RGB, 0 to 1, or None.
        measures: None if it cannot be measured.
        volumeNode: The volume.
        segmentationNode: The segmentation.
    """

    title: str
    name: str
    colour: tuple[float, float, float] | None
    measures: Measures | None
    volumeNode: slicer.vtkMRMLScalarVolumeNode
    segmentationNode: slicer.vtkMRMLSegmentationNode


class LiveRows:
    """Measures the segments of some segmentations, and again after each change of them.

    Args:
        onRows: Gets the rows when all are measured.
    """

    def __init__(self, onRows: Callable[[list[ResultRow]], None]) -> None:
        self._onRows = onRows
        self._pairs: list[Pair] = []
        self._tags: list[tuple[Any, int]] = []
        self._work: Generator[None, None, None] | None = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._go)

    def follow(self, pairs: Sequence[Pair]) -> None:
        """Show other segmentations."""
        if list(pairs) == self._pairs:
            return
        self.close()
        self._pairs = list(pairs)
        kind = slicer.vtkSegmentation
        changes = (kind.SourceRepresentationModified, kind.SegmentAdded, kind.SegmentRemoved, kind.SegmentModified)
        for volume, segmentation in pairs:
            events = [(segmentation, change) for change in changes]
            for node in (segmentation, volume):
                events.append((node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent))
            events.append((volume, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent))
            self._tags += [(node, node.AddObserver(event, self._onChange)) for node, event in events]
        self.measure()

    def measure(self) -> None:
        """Measure anew at once: a result came, or was undone."""
        self._work = None
        self._timer.start(0)

    def close(self) -> None:
        """Follow nothing."""
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags, self._pairs, self._work = [], [], None
        self._timer.stop()

    def _onChange(self, caller: Any, event: str) -> None:  # noqa: ARG002 - an observer's signature
        self._work = None
        self._timer.start(_AFTER_EDIT_MS)

    def _go(self) -> None:
        """Measure for a while."""
        work = self._work or self._measure()
        self._work, end = work, time.monotonic() + _PIECE_SECONDS
        for _piece in work:
            if self._work is not work:
                return
            if time.monotonic() > end:
                self._timer.start(0)
                return

    def _measure(self) -> Generator[None, None, None]:
        rows = []
        for volume, segmentation in self._pairs:
            if segmentation.GetScene() is not None and volume.GetScene() is not None:
                yield from self._measureOne(volume, segmentation, rows)
        self._work = None
        self._onRows(rows)

    def _measureOne(
        self, volume: slicer.vtkMRMLScalarVolumeNode, node: slicer.vtkMRMLSegmentationNode, rows: list[ResultRow]
    ) -> Generator[None, None, None]:
        segmentation = node.GetSegmentation()
        for segmentId in segmentation.GetSegmentIDs():
            segment, measures = segmentation.GetSegment(segmentId), None
            if holdsVoxels(node):
                try:
                    measures = yield from measureSegment(node, segmentId, volume)
                except VolumeError:  # under a transform that bends, there is no single volume of a voxel
                    measures = None
            name = segment.GetName()
            if (yield from wasEditedInPieces(segment)):
                name = _("{name} (edited)").format(name=name)
            rows.append(ResultRow(volume.GetName(), name, segment.GetColor(), measures, volume, node))
            yield


def titleOfFrame(index: int) -> str:
    """For people, who count from one."""
    return _("Frame {number}").format(number=index + 1)


def rowsOfFrames(result: SequenceResult) -> list[list[ResultRow]]:
    """Rows of each frame, as they were when they were segmented: the proxy shows one of them at a time."""
    segmentation, rows = result.segmentationNode.GetSegmentation(), []
    for index, frame in enumerate(result.frames):
        rows.append([])
        for organ in frame.organs:
            segment = segmentation.GetSegment(organ.segmentId)
            colour, measures = segment and segment.GetColor(), Measures(organ.volumeMl, organ.mean)
            nodes = frame.volumeNode, frame.segmentationNode
            rows[-1].append(ResultRow(titleOfFrame(index), organ.title, colour, measures, *nodes))
    return rows


def rowsAsText(rows: Sequence[ResultRow], delimiter: str) -> str:
    """The rows with a header, in full precision, for a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow([_("Volume"), _("Segment"), _("mL"), _("Mean")])
    for row in rows:
        ml = f"{row.measures.volumeMl:.3f}" if row.measures else ""
        mean = f"{row.measures.mean:.2f}" if row.measures and row.measures.mean is not None else ""
        writer.writerow([row.title, row.name, ml, mean])
    return text.getvalue()
