"""What the segments of a segmentation mean to a training: by what the user chose, by terminology, then by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import slicer

from Med3DCore.io.label_names import label_for, our_name, slug
from Med3DCore.labels import LABELS, Label
from Med3DSegmentationLib.scene.own_segments import FINGERPRINT_TAG, wasEdited
from Med3DSegmentationLib.scene.terminology import LABEL_TAG, labelOfSegment, tagOfSegment

CHOICE_TAG = "Med3D.trainingLabel"
_UNUSED = "-"  # no label has this name
_PARTS = {"lungs": {"left_lung", "right_lung"}}


def labelsOfSegmentation(
    segmentationNode: slicer.vtkMRMLSegmentationNode, modelLabels: Mapping[str, Label]
) -> dict[str, Label]:
    """Which segments teach which label.

    A segment that the user gave a meaning to has it. Of the others, those count whose terminology or name is that of a
    label which the model knows or, where there is none, which Med3D knows: so a new organ is not learned by accident.
    Where several mean the same, a person's work beats an untouched result of Med3D. Both lungs drawn apart teach a
    model that knows only lungs.

    Args:
        segmentationNode: The segmentation.
        modelLabels: Labels of the model to start from, by name.

    Returns:
        Segment ID to label, in the order of the segments.
    """
    segmentation = segmentationNode.GetSegmentation()
    found: dict[str, Label] = {}
    for segmentId in segmentation.GetSegmentIDs():
        label = labelOf(segmentation.GetSegment(segmentId), modelLabels)
        if label is not None:
            found[segmentId] = label
    _dropResults(found, segmentation)
    _mergeParts(found, segmentation, modelLabels)
    _dropNewOrgans(found, segmentation, modelLabels)
    return found


def unlearnedSegments(segmentationNode: slicer.vtkMRMLSegmentationNode, modelLabels: Mapping[str, Label]) -> list[str]:
    """Names of the segments that teach nothing, which nobody said that they shall."""
    segmentation = segmentationNode.GetSegmentation()
    meanings = labelsOfSegmentation(segmentationNode, modelLabels)
    taught = {label.name for label in meanings.values()}
    names = []
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        label = labelOf(segment, modelLabels)
        isLeftOut = segmentId not in meanings and not _isChosen(segmentation, segmentId)
        if isLeftOut and (label is None or label.name not in taught):
            names.append(segment.GetName())
    return names


def labelOf(segment: slicer.vtkSegment, modelLabels: Mapping[str, Label]) -> Label | None:
    """The label that one segment means by itself, or None."""
    known = {**LABELS, **modelLabels}
    chosen = tagOfSegment(segment, CHOICE_TAG)
    if chosen:
        return None if chosen == _UNUSED else known.get(chosen) or ownLabel(segment, chosen)
    marked = modelLabels.get(tagOfSegment(segment, LABEL_TAG) or "")
    return marked or labelOfSegment(segment) or known.get(our_name(_plainName(segment)))


def ownLabel(segment: slicer.vtkSegment, name: str = "") -> Label:
    """A new label for a segment that means nothing Med3D knows: with its own name and colour.

    Args:
        segment: The segment.
        name: Name of the label; by default that of the segment.
    """
    title = _plainName(segment)
    colour = tuple(round(255 * channel) for channel in segment.GetColor())
    return replace(label_for(title, 0), name=name or slug(title), title=title, colour=colour)


def labelChoices(segment: slicer.vtkSegment, modelLabels: Mapping[str, Label]) -> list[Label]:
    """What the user may let a segment mean: the model's labels first, then a new one, then the others of Med3D."""
    return choicesBeside(ownLabel(segment), modelLabels)


def choicesBeside(own: Label, modelLabels: Mapping[str, Label]) -> list[Label]:
    """As :func:`labelChoices`, with what the new label would be."""
    choices = {**modelLabels, own.name: modelLabels.get(own.name) or LABELS.get(own.name) or own}
    return list({**choices, **{name: label for name, label in LABELS.items() if name not in choices}}.values())


def chooseLabel(segment: slicer.vtkSegment, label: Label | None) -> None:
    """Let a segment mean a label from now on, or nothing; kept with the segment when it is saved."""
    segment.SetTag(CHOICE_TAG, label.name if label else _UNUSED)


def _mergeParts(
    found: dict[str, Label], segmentation: slicer.vtkSegmentation, modelLabels: Mapping[str, Label]
) -> None:
    names = {label.name for label in found.values()}
    for whole, parts in _PARTS.items():
        if whole in modelLabels and whole not in names and parts <= names and not parts & set(modelLabels):
            for segmentId, label in found.items():
                if label.name in parts and not _isChosen(segmentation, segmentId):
                    found[segmentId] = modelLabels[whole]


def _dropNewOrgans(
    found: dict[str, Label], segmentation: slicer.vtkSegmentation, modelLabels: Mapping[str, Label]
) -> None:
    new = [segmentId for segmentId, label in found.items() if label.name not in modelLabels]
    if len(new) < len(found):
        for segmentId in new:
            if not _isChosen(segmentation, segmentId):
                del found[segmentId]


def _isChosen(segmentation: slicer.vtkSegmentation, segmentId: str) -> bool:
    return tagOfSegment(segmentation.GetSegment(segmentId), CHOICE_TAG) is not None


def _dropResults(found: dict[str, Label], segmentation: slicer.vtkSegmentation) -> None:
    """Of several segments for one label, leave out untouched results of Med3D, unless there is nothing else."""
    for label in set(found.values()):
        same = [segmentId for segmentId in found if found[segmentId] == label]
        if len(same) == 1:
            continue
        results = [segmentId for segmentId in same if _isUntouched(segmentation.GetSegment(segmentId))]
        if len(results) < len(same):
            for segmentId in results:
                del found[segmentId]


def _isUntouched(segment: slicer.vtkSegment) -> bool:
    """Whether it is a result of Med3D that nobody changed or chose; looks at all its voxels."""
    isResult = tagOfSegment(segment, FINGERPRINT_TAG) is not None
    return isResult and not tagOfSegment(segment, CHOICE_TAG) and not wasEdited(segment)


def _plainName(segment: slicer.vtkSegment) -> str:
    """Its name without the "(edited)" that Med3D adds when it keeps somebody's work."""
    return re.sub(r"\s*\(edited( \d+)?\)$", "", segment.GetName() or "")
