"""Cases to train with: pairs of volume and segmentation in the scene, or of files in a folder.

A pair in the scene is kept as a reference from the segmentation to its volume, so it is saved with the scene, follows
renamed nodes, and goes when one of the two is removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

import slicer
import slicer.util
from slicer.i18n import tr as _

from Med3DCore.errors import DataError, Med3DError
from Med3DCore.labels import LABELS, Label
from Med3DSegmentationLib.engine.handing_over import handOver
from Med3DSegmentationLib.scene.frames import frameOf
from Med3DSegmentationLib.scene.label_maps import labelMapFromSegmentation
from Med3DSegmentationLib.scene.own_segments import isUntouched
from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.volume_nodes import arrayFromVolumeNode, geometryFromNode, volumeFromNode, worldMatrix
from Med3DSegmentationLib.training.labels import labelsOfSegmentation, unlearnedSegments

_VOLUME_ROLE = "Med3D.trainingVolume"
_USE_ATTRIBUTE = "Med3D.trainingUse"
_FRAME_ATTRIBUTE = "Med3D.trainingFrame"


class Use(Enum):
    """What a case is for; the value is that of ``held_out`` in the request ``train``."""

    AUTOMATIC = None
    TRAINING = False
    CHECK = True


class TrainingCase(Protocol):
    """A case, wherever its voxels are.

    Attributes:
        name: For people, and for the engine once :func:`uniqueNames` made it so.
        use: What it is for.
    """

    name: str
    use: Use

    def titles(self, modelLabels: Mapping[str, Label]) -> list[str]:
        """Titles of the labels that it teaches."""

    def problem(self, modelLabels: Mapping[str, Label]) -> str:
        """Why it cannot be used and what to do, or nothing; quick."""

    def unlearned(self, modelLabels: Mapping[str, Label]) -> list[str]:
        """What is drawn but teaches nothing, although nobody said so."""

    def fields(self, name: str, folder: str, modelLabels: Mapping[str, Label]) -> Pieces[dict[str, Any]]:
        """What the request ``train`` says of it; writes its voxels to the folder if the engine cannot read them."""


@dataclass(frozen=True)
class SceneCase:
    """A volume and a segmentation of it.

    Args:
        volumeNode: The volume.
        segmentationNode: Its segmentation; it may lie on another grid and under another linear transform.
    """

    volumeNode: slicer.vtkMRMLScalarVolumeNode
    segmentationNode: slicer.vtkMRMLSegmentationNode

    @property
    def name(self) -> str:
        """That of the volume by now."""
        return self.volumeNode.GetName()

    @property
    def use(self) -> Use:
        """Kept with the segmentation."""
        return Use.__members__.get(self.segmentationNode.GetAttribute(_USE_ATTRIBUTE) or "", Use.AUTOMATIC)

    def setUse(self, use: Use) -> None:
        """Say what it is for."""
        self.segmentationNode.SetAttribute(_USE_ATTRIBUTE, use.name)

    def titles(self, modelLabels: Mapping[str, Label]) -> list[str]:
        """See TrainingCase."""
        labels = labelsOfSegmentation(self.segmentationNode, modelLabels).values()
        return list(dict.fromkeys(label.title for label in labels))

    def problem(self, modelLabels: Mapping[str, Label]) -> str:
        """See TrainingCase."""
        segments = labelsOfSegmentation(self.segmentationNode, modelLabels)
        if not segments:
            return _(
                "No segment of {segmentation} means an organ yet; select the case and choose what its segments mean."
            ).format(segmentation=self.segmentationNode.GetName())
        try:
            arrayFromVolumeNode(self.volumeNode)
            geometryFromNode(self.volumeNode)
            worldMatrix(self.segmentationNode.GetParentTransformNode(), self.segmentationNode)
        except Med3DError as error:
            return str(error)
        return self._otherFrame() or self._surfaceOnly(segments) or self._outside()

    def unlearned(self, modelLabels: Mapping[str, Label]) -> list[str]:
        """See TrainingCase."""
        return unlearnedSegments(self.segmentationNode, modelLabels)

    def _otherFrame(self) -> str:
        if frameOf(self.segmentationNode) == (self.segmentationNode.GetAttribute(_FRAME_ATTRIBUTE) or ""):
            return ""
        return _(
            "{segmentation} shows another frame of its sequence than the one that was added; show that one, or add it"
            " again to learn from this one."
        ).format(segmentation=self.segmentationNode.GetName())

    def _surfaceOnly(self, segments: Mapping[str, Label]) -> str:
        name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
        segmentation = self.segmentationNode.GetSegmentation()
        if all(segmentation.GetSegment(segmentId).GetRepresentation(name) for segmentId in segments):
            return ""
        return _(
            "{segmentation} has surfaces but no voxels; create its binary labelmap in the module Segmentations,"
            " under Representations."
        ).format(segmentation=self.segmentationNode.GetName())

    def _outside(self) -> str:
        ours, theirs = [0.0] * 6, [0.0] * 6
        self.volumeNode.GetRASBounds(ours)
        self.segmentationNode.GetRASBounds(theirs)
        empty = theirs[0] > theirs[1]
        if empty or all(ours[i] < theirs[i + 1] and theirs[i] < ours[i + 1] for i in (0, 2, 4)):
            return ""
        return _("{segmentation} does not lie on {volume}; choose the volume that it was drawn on.").format(
            segmentation=self.segmentationNode.GetName(), volume=self.name
        )

    def _isUntouched(self, segments: Mapping[str, Label]) -> bool:
        """Whether nobody has changed anything of what it teaches; who corrected one organ has seen the others."""
        segmentation = self.segmentationNode.GetSegmentation()
        return all(isUntouched(segmentation.GetSegment(segmentId)) for segmentId in segments)

    def fields(self, name: str, folder: str, modelLabels: Mapping[str, Label]) -> Pieces[dict[str, Any]]:
        """See TrainingCase.

        Raises:
            DataError: One of the nodes has left the scene, or shows another frame.
            VolumeError: The volume cannot be used.
            OutputError: The disk is full.
        """
        reading = _("Reading {case}").format(case=name)
        yield reading
        if self.volumeNode.GetScene() is None or self.segmentationNode.GetScene() is None:
            raise DataError(_("{name} was removed from the scene; start again without it.").format(name=name))
        segments = labelsOfSegmentation(self.segmentationNode, modelLabels)
        labelMap = labelMapFromSegmentation(self.segmentationNode, self.volumeNode, segments)
        values = {
            "name": name,
            "annotated": [label.name for label in labelMap.labels],
            "patient": _patientOf(self.volumeNode) or name,
            "held_out": self.use.value,
            "untouched": self._isUntouched(segments),
        }
        yield reading
        for key, volume in (("volume", volumeFromNode(self.volumeNode)), ("labels", labelMap)):
            values[key] = yield from handOver(volume, folder, key, reading)
        if problem := self._otherFrame():  # by now, or halfway
            raise DataError(problem)
        return values


@dataclass(frozen=True)
class FileCase:
    """An image and its label file, which the engine reads by itself.

    Args:
        values: As the request ``train`` takes it: ``name``, ``image``, ``label``, ``values``, ...
        use: What it is for.
        meanings: Names in the label file to those of the labels that the user chose for them; empty for none.
    """

    values: dict[str, Any]
    use: Use = Use.AUTOMATIC
    meanings: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As its folder calls it."""
        return self.values["name"]

    def titles(self, modelLabels: Mapping[str, Label]) -> list[str]:
        """See TrainingCase."""
        known = {**LABELS, **modelLabels}
        return [known[name].title if name in known else name for name in self._meant()["annotated"]]

    def problem(self, modelLabels: Mapping[str, Label]) -> str:  # noqa: ARG002 - one signature for all cases
        """See TrainingCase: the engine has looked at all else when it listed the folder."""
        if self._meant()["annotated"] or self.values.get("absent"):
            return ""
        return _(
            "No structure in the labels of {case} means an organ yet; select the case and choose what they mean."
        ).format(case=self.name)

    def unlearned(self, modelLabels: Mapping[str, Label]) -> list[str]:  # noqa: ARG002 - one signature for all cases
        """See TrainingCase."""
        return [name for name in self.named() if not self.meaningOf(name) and name not in self.meanings]

    def meaningOf(self, name: str) -> str:
        """Which label a name in the label file means, or nothing."""
        return self.meanings.get(name, name if name in self.values["annotated"] else "")

    def named(self) -> list[str]:
        """The names in the label file."""
        return list(self.values.get("values") or ())

    def withMeaning(self, name: str, label: Label | None) -> FileCase:
        """The same case, with a name in the label file that means a label from now on, or nothing."""
        return replace(self, meanings={**self.meanings, name: label.name if label else ""})

    def _meant(self) -> dict[str, Any]:
        """``values`` and ``annotated`` as the user understands them; names that mean the same are one label."""
        if not self.meanings:
            return {name: self.values[name] for name in ("values", "annotated") if name in self.values}
        values: dict[str, list[int]] = {}
        for name in self.named():
            numbers = self.values["values"][name]
            several = [numbers] if isinstance(numbers, int) else numbers
            values.setdefault(self.meaningOf(name) or name, []).extend(several)
        said = [name for name in self.values["annotated"] if name not in self.named()]
        meant = [self.meaningOf(name) for name in self.named() if self.meaningOf(name)]
        return {"values": values, "annotated": list(dict.fromkeys([*said, *meant]))}

    def fields(self, name: str, folder: str, modelLabels: Mapping[str, Label]) -> Pieces[dict[str, Any]]:  # noqa: ARG002
        """See TrainingCase; there is nothing to write."""
        yield from ()
        return {**self.values, **self._meant(), "name": name, "held_out": self.use.value}

    @classmethod
    def fromAnswer(cls, values: dict[str, Any]) -> FileCase:
        """A case of an answer to the request ``data_set``."""
        return cls(values, Use(values["held_out"]))

    def toText(self) -> str:
        """One line, for the scene's parameters."""
        return json.dumps({**self.values, "use": self.use.name, "meanings": self.meanings})

    @classmethod
    def fromText(cls, text: str) -> FileCase:
        """The inverse of :meth:`toText`.

        Raises:
            ValueError: It is no such text.
        """
        values = json.loads(text)
        if not isinstance(values, dict) or not {"name", "image", "annotated"} <= values.keys():
            raise ValueError(f"{text[:80]!r} describes no case.")
        use, meanings = values.pop("use", ""), values.pop("meanings", {})
        use = Use.__members__.get(use, Use.AUTOMATIC) if isinstance(use, str) else Use.AUTOMATIC
        return cls(values, use, meanings if isinstance(meanings, dict) else {})


def casesOfScene(scene: slicer.vtkMRMLScene) -> list[SceneCase]:
    """The pairs in a scene, in its order."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene)
    pairs = ((node.GetNodeReference(_VOLUME_ROLE), node) for node in nodes)
    return [SceneCase(volumeNode, node) for volumeNode, node in pairs if volumeNode is not None]


def addCase(volumeNode: slicer.vtkMRMLScalarVolumeNode, segmentationNode: slicer.vtkMRMLSegmentationNode) -> SceneCase:
    """Make a pair a case; a segmentation belongs to one volume at a time, and of a sequence, one frame to the case."""
    segmentationNode.SetAttribute(_FRAME_ATTRIBUTE, frameOf(segmentationNode) or None)
    segmentationNode.SetNodeReferenceID(_VOLUME_ROLE, volumeNode.GetID())
    return SceneCase(volumeNode, segmentationNode)


def removeCase(case: SceneCase) -> None:
    """Make a pair a case no longer; its nodes stay."""
    case.segmentationNode.SetNodeReferenceID(_VOLUME_ROLE, None)


def uniqueNames(cases: Sequence[TrainingCase]) -> list[str]:
    """Their names, numbered where several have one."""
    names: list[str] = []
    for case in cases:
        name, number = case.name, 2
        while name in names:
            name, number = f"{case.name} ({number})", number + 1
        names.append(name)
    return names


def _patientOf(node: slicer.vtkMRMLNode) -> str:
    """The patient under whom a node lies in the subject hierarchy, or nothing."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
    level = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelPatient()
    patient = hierarchy.GetItemAncestorAtLevel(item, level) if item else 0
    return (hierarchy.GetItemUID(patient, "DICOM") or hierarchy.GetItemName(patient)) if patient else ""
