"""Organs of a volume or of a sequence's frame, asked of the engine, and what the answer does to the scene."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from Med3DCore.errors import VolumeError
from Med3DCore.volume import LabelMap, Volume
from Med3DSegmentationLib.engine.choices import Choices
from Med3DSegmentationLib.engine.results import OrganResult, SegmentationResult
from Med3DSegmentationLib.scene.dicom_database import knownFilesInPieces
from Med3DSegmentationLib.scene.dicom_series import seriesOf
from Med3DSegmentationLib.scene.frames import frameOf
from Med3DSegmentationLib.scene.pieces import Pieces, atOnce
from Med3DSegmentationLib.scene.segment_arrays import LabelPart, partsOfLabels
from Med3DSegmentationLib.scene.segment_writing import WrittenSegments, writeSegments
from Med3DSegmentationLib.scene.segmentation_history import Changes, SegmentationHistory
from Med3DSegmentationLib.scene.segmentation_nodes import labelMapInPieces, newSegmentationNode, requireWritable
from Med3DSegmentationLib.scene.sequence_nodes import SegmentationSequence
from Med3DSegmentationLib.scene.surfaces import Surfaces, removeSurfaces
from Med3DSegmentationLib.scene.tilted_volumes import scanGeometry, scanInPieces, tiltOfVolume
from Med3DSegmentationLib.scene.volume_nodes import arrayFromVolumeNode, geometryFromNode


@dataclass(eq=False)
class SegmentStep:
    """Segment a volume.

    Args:
        scene: The scene of the nodes.
        volumeNode: The volume.
        choices: What the user chose.
        segmentationNode: Where to; None, or one that is removed meanwhile, for a new one.
        keepEdits: Whether segments that were edited by hand stay under another name.
        history: Remembers what the result replaces.
        surfaces: Shows it in 3D.
    """

    scene: slicer.vtkMRMLScene
    volumeNode: slicer.vtkMRMLScalarVolumeNode
    choices: Choices
    segmentationNode: slicer.vtkMRMLSegmentationNode | None
    keepEdits: bool
    history: SegmentationHistory
    surfaces: Surfaces
    type: str = field(default="segment", init=False)
    _sent: tuple = field(default=(), init=False)
    _sentTimes: list[int] = field(default_factory=list, init=False)
    _frame: str = field(default="", init=False)

    @property
    def title(self) -> str:
        """The volume's name by now."""
        return self.volumeNode.GetName()

    def prepare(self, folder: str) -> Pieces[dict[str, Any]]:
        """Send the volume as it lies in the world."""
        if self.segmentationNode is not None:
            requireWritable(self.segmentationNode)
            self._frame = frameOf(self.segmentationNode)
        self._sent, self._sentTimes = _grid(self.volumeNode), list(map(_voxelTime, self._images))  # as it is now
        return self._handOver(scanInPieces(self.volumeNode), folder)

    def _handOver(self, pieces: Pieces[Volume], folder: str) -> Pieces[dict[str, Any]]:
        scan = yield from pieces
        series, files = seriesOf(self.volumeNode), (yield from knownFilesInPieces(self.volumeNode))
        return (yield from self.choices.toFields(scan, folder, series and {**series, "files": files}))

    def place(self, answer: dict[str, Any]) -> Pieces[SegmentationResult]:
        """Write the segments; all of them, or none if it is cancelled meanwhile.

        The volume may have been moved meanwhile, with its transform, and the result goes along.

        Raises:
            VolumeError: The volume has another grid than it had, or the segmentation shows another frame.
            SettingError: See :func:`.segmentation_nodes.requireWritable`.
        """
        yield _("Showing the result")
        labels = yield from self.choices.readLabels(answer)
        parts = yield from partsOfLabels(labels)
        self._requireGrid()
        scan = yield from scanInPieces(self.volumeNode)
        means = yield from _means(scan.array, parts)
        self._requireGrid()
        labelMap = replace(labels, geometry=scanGeometry(self.volumeNode), name=self.title)
        written = yield from self._write(labelMap, parts, answer)
        return self._checked(_segmentationResult(answer, labelMap, self.volumeNode, written, means))

    def _write(self, labelMap: LabelMap, parts: list[LabelPart], answer: dict[str, Any]) -> Pieces[WrittenSegments]:
        """Into the segmentation, or into a new one if there is none (any more); for nothing, no node is made."""
        node = self.segmentationNode
        if node is not None and node.GetScene() is not None:
            requireWritable(node)
            self._requireFrame(node)
            shown = removeSurfaces(node)
        elif any(part.mask.size for part in parts):
            node, shown = None, True
        else:
            return WrittenSegments(None, {}, {part.label.name: 0 for part in parts}, ())
        target = node or newSegmentationNode(self.scene, self.volumeNode)
        with self.history.noting(target, madeNode=node is None) as changes:
            made = (answer["report"]["model"], parts, answer["model_sha256"])
            pieces = labelMapInPieces(changes, labelMap, self.volumeNode, self.keepEdits, *made)
            # The user may show another frame whenever this yields: what is written to one is written at once.
            written = atOnce(pieces) if self._frame else (yield from self._whileItFits(pieces))
        if target.GetScene() is None:  # somebody removed it just now
            return (yield from self._write(labelMap, parts, answer))
        if shown:
            self.surfaces.showLater(target)
        return written

    def _whileItFits(self, pieces: Pieces[WrittenSegments]) -> Pieces[WrittenSegments]:
        """The same pieces, as long as nobody gives the volume another grid."""
        while True:
            self._requireGrid()
            try:
                yield next(pieces)
            except StopIteration as end:
                return end.value

    def _checked(self, result: SegmentationResult) -> SegmentationResult:
        """The result; with a warning if the gantry was tilted, or the scan was changed meanwhile."""
        tilted = tiltOfVolume(self.volumeNode)
        if tilted is not None:
            sentence = _("{volume} was taken with a gantry tilt of {degrees} degrees; its slices were shifted back.")
            told = sentence.format(volume=self.title, degrees=f"{tilted.tilt.degrees:.1f}")
            result = replace(result, warnings=(*result.warnings, told))
        sentence = _("The voxels of {volume} were changed while it was being segmented; segment it again.")
        for image, sent in zip(self._images, self._sentTimes, strict=True):
            if _voxelTime(image) != sent:
                told = sentence.format(volume=image.GetName())
                result = replace(result, warnings=(*result.warnings, told))
        return result

    def needs(self, node: slicer.vtkMRMLNode) -> bool:
        """The volume, and the further images of the patient."""
        return node in self._images

    @property
    def _images(self) -> tuple[slicer.vtkMRMLScalarVolumeNode, ...]:
        return (self.volumeNode, *self.choices.channels)

    def _requireFrame(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        if frameOf(node) != self._frame:
            sentence = _(
                "{segmentation} shows another frame than when it began, and nothing was written;"
                " show the frame again and segment it."
            )
            raise VolumeError(sentence.format(segmentation=node.GetName()))

    def _requireGrid(self) -> None:
        if _grid(self.volumeNode) != self._sent:
            sentence = _("{volume} was changed while it was being segmented; segment it again.")
            raise VolumeError(sentence.format(volume=self.title))


@dataclass(eq=False)
class FrameStep:
    """Segment a frame of a sequence.

    Args:
        sequenceNode: The volumes.
        index: Which of them.
        volumeNode: Their proxy, whose transform they lie under.
        choices: What the user chose.
        results: Gets the segmentation.
    """

    sequenceNode: slicer.vtkMRMLSequenceNode
    index: int
    volumeNode: slicer.vtkMRMLScalarVolumeNode
    choices: Choices
    results: SegmentationSequence
    type: str = field(default="segment", init=False)

    @property
    def title(self) -> str:
        """The proxy's name and the frame's index value."""
        return f"{self.volumeNode.GetName()}, {self.sequenceNode.GetNthIndexValue(self.index)}"

    @property
    def _frame(self) -> slicer.vtkMRMLScalarVolumeNode:
        node = self.sequenceNode.GetNthDataNode(self.index)
        if node is None:
            sentence = _("{sequence} has lost frames meanwhile; segment it again.")
            raise VolumeError(sentence.format(sequence=self.sequenceNode.GetName()))
        return node

    def prepare(self, folder: str) -> Pieces[dict[str, Any]]:
        """Send the frame as it lies in the world when its proxy shows it."""
        geometry = geometryFromNode(self._frame, self.volumeNode.GetParentTransformNode())
        frame = Volume(arrayFromVolumeNode(self._frame), geometry, self.title)
        return self.choices.toFields(frame, folder, seriesOf(self.volumeNode))

    def place(self, answer: dict[str, Any]) -> Pieces[SegmentationResult]:
        """Keep the frame's segmentation for the sequence."""
        yield _("Showing the result")
        labelMap = yield from self.choices.readLabels(answer)
        parts = yield from partsOfLabels(labelMap)
        means = yield from _means(arrayFromVolumeNode(self._frame), parts)
        frame = self._frame
        node = slicer.vtkMRMLSegmentationNode()
        node.SetName(_("{volume} segmentation").format(volume=self.volumeNode.GetName()))
        ijkToNode = vtk.vtkMatrix4x4()
        frame.GetIJKToRASMatrix(ijkToNode)
        written = yield from writeSegments(
            Changes(node), parts, ijkToNode, model=answer["report"]["model"], digest=answer["model_sha256"]
        )
        self.results.add(self.sequenceNode.GetNthIndexValue(self.index), node)
        return _segmentationResult(answer, labelMap, self.volumeNode, written, means)

    def needs(self, node: slicer.vtkMRMLNode) -> bool:
        """The sequence and its proxy."""
        return node is self.sequenceNode or node is self.volumeNode


def _means(array: np.ndarray, parts: list[LabelPart]) -> Pieces[dict[str, float | None]]:
    """Mean of the scan in each label, by its name, a slice at a time."""
    means: dict[str, float | None] = {}
    for part in parts:
        voxels, total = 0, 0.0
        z, y, x = (slice(at, at + n) for at, n in zip(part.start, part.mask.shape, strict=True))
        for values, mask in zip(array[z, y, x], part.mask, strict=True):
            voxels += int(np.count_nonzero(mask))
            total += float(values[mask].sum(dtype=np.float64))
            yield
        means[part.label.name] = total / voxels if voxels else None
    return means


def _grid(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> tuple:
    """The node's own grid, without its transforms, to compare with ``==``."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    image = volumeNode.GetImageData()
    values = tuple(matrix.GetElement(row, column) for row in range(4) for column in range(4))
    return (image and image.GetDimensions(), values)


def _voxelTime(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> int:
    """Grows with each change of the node's voxels."""
    image = volumeNode.GetImageData()
    return image.GetMTime() if image else 0


def _segmentationResult(
    answer: dict[str, Any],
    labelMap: LabelMap,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    written: WrittenSegments,
    means: dict[str, float | None],
) -> SegmentationResult:
    """The result; volumes in mL are of what was written, which a region may have cut."""
    voxelMl = labelMap.geometry.voxel_volume_ml
    return SegmentationResult(
        volumeNode=volumeNode,
        segmentationNode=written.segmentationNode,
        organs=tuple(
            OrganResult(
                name, label.title, written.segmentIds.get(name, ""), written.voxels[name] * voxelMl, means[name]
            )
            for name, label in ((label.name, label) for label in labelMap.labels)
        ),
        model=answer["report"]["model"],
        device=answer["report"]["device"],
        seconds=answer["seconds"],
        totalSeconds=answer["total_seconds"],
        warnings=tuple(answer["report"]["warnings"]),
        keptEdits=written.kept,
        series=answer["report"].get("series", ""),
        fast=answer["report"]["fast"],
        labelOf={flag["sentence"]: flag["label"] for flag in answer["report"]["flags"]},
    )
