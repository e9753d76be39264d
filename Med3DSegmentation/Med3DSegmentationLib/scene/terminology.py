"""SNOMED CT codes of the engine's labels as Slicer's terminology entries, and back."""

from __future__ import annotations

import slicer
import vtk

from Med3DCore.io.label_names import described_label
from Med3DCore.labels import LABELS, Code, Label

CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
REGION_CONTEXT = "Anatomic codes - DICOM master list"
LABEL_TAG = "Med3D.label"


def serializeLabel(label: Label) -> str:
    """The label as Slicer's serialized terminology entry, for the terminology tag of a segment."""
    category, type, modifier = (_triple(code) for code in (label.category, label.type, label.modifier))
    region = regionModifier = _triple(None)
    return slicer.vtkSlicerTerminologiesModuleLogic.SerializeTerminologyEntry(
        CONTEXT, *category, *type, *modifier, REGION_CONTEXT, *region, *regionModifier
    )


def labelOfSegment(segment: slicer.vtkSegment) -> Label | None:
    """Which of the engine's labels a segment shows: as Med3D marked it, else by its codes; None if none.

    A segment that somebody else named "Liver" by terminology is thus found too, as a case to train with.
    """
    marked = LABELS.get(tagOfSegment(segment, LABEL_TAG) or "")
    if marked:
        return marked
    entry = tagOfSegment(segment, slicer.vtkSegment.GetTerminologyEntryTagName())
    codes = _codes(entry) if entry else None
    return next((label for label in LABELS.values() if codes == _codesOf(label)), None)


def describedSegment(segment: slicer.vtkSegment, position: int) -> Label:
    """A segment with its own name, colour and codes, as others shall know it.

    Args:
        segment: The segment; one without a terminology has the codes of its name, if that is one of an organ's.
        position: Its place among the segments, from 0.
    """
    entry = tagOfSegment(segment, slicer.vtkSegment.GetTerminologyEntryTagName())
    codes = [tuple(part.split("^")[:3]) for part in entry.split("~")[1:4]] if entry else []
    complete = len(codes) == 3 and all(len(code) == 3 for code in codes) and all(codes[0]) and all(codes[1])
    rgb = [255 * channel for channel in segment.GetColor()]
    known = (codes[0], codes[1], codes[2] if codes[2][1] else None) if complete else None
    return described_label(segment.GetName() or "segment", position, known, rgb)


def tagOfSegment(segment: slicer.vtkSegment, name: str) -> str | None:
    """Value of a segment's tag, or None."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else None


def _triple(code: Code | None) -> tuple[str, str, str]:
    """Value, scheme, meaning: the order that Slicer's function takes."""
    return ("", "", "") if code is None else (code[1], code[0], code[2])


def _codesOf(label: Label) -> list[tuple[str, ...]]:
    """What :func:`_codes` gives for the label's entry, without making one: there may be hundreds of segments."""
    return [code[:2] if code else ("", "") for code in (label.category, label.type, label.modifier)]


def _codes(entry: str) -> list[tuple[str, ...]]:
    """Scheme and value of category, type and modifier: meanings may be translated, contexts differ."""
    return [tuple(part.split("^")[:2]) for part in entry.split("~")[1:4]]
