"""What is to be known of each volume's results: a warning stays as long as the segment that it is about.

It is kept with the volume, so that who opens the saved scene knows it, too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import slicer
from slicer.i18n import tr as _

from Med3DSegmentationLib.engine.results import SegmentationResult
from Med3DSegmentationLib.scene.own_segments import otherDivision

_ATTRIBUTE = "Med3D.notes"


@dataclass(frozen=True)
class Note:
    """A line.

    Args:
        text: For people.
        label: Name of the label that it is about, or "".
    """

    text: str
    label: str = ""


class Notes:
    """Those of all volumes, with one step back."""

    def __init__(self) -> None:
        self._before: dict[str, list[Note]] = {}  # by the volume's ID

    def add(self, volume: slicer.vtkMRMLNode, results: Sequence[SegmentationResult]) -> None:
        """Note what results bring; of labels that they leave alone, what was noted stays."""
        named = {organ.name for result in results for organ in result.organs}
        replaced = named.union(*map(otherDivision, named))
        before = _notesIn(volume)
        kept = [note for note in before if note.label and note.label not in replaced]
        self._before[volume.GetID()] = before
        _keep(volume, list(dict.fromkeys([*_notesOf(results), *kept])))

    def tell(self, volume: slicer.vtkMRMLNode, line: str) -> None:
        """Tell what has become of a volume's result, under what is told of it already."""
        _keep(volume, [*(note for note in _notesIn(volume) if note.text != line), Note(line)])

    def undo(self, volume: slicer.vtkMRMLNode) -> None:
        """The last result was undone: what is left of it, and what was known before."""
        before = self._before.pop(volume.GetID(), [])
        _keep(volume, [Note(_("The last result was undone.")), *(note for note in before if note.label)])

    def forget(self, node: slicer.vtkMRMLNode) -> None:
        """Drop what was known before of a volume that goes: in another scene, another volume may have its ID."""
        self._before.pop(node.GetID(), None)

    def lines(self, volumes: Sequence[slicer.vtkMRMLNode]) -> list[str]:
        """What is to be known of these volumes; with their names if there are several."""
        lines = []
        for volume in volumes:
            name = f"{volume.GetName()}: " if len(volumes) > 1 else ""
            lines += [name + note.text for note in _notesIn(volume)]
        return lines


def _keep(volume: slicer.vtkMRMLNode, notes: Sequence[Note]) -> None:
    volume.SetAttribute(_ATTRIBUTE, json.dumps([astuple(note) for note in notes]))


def _notesIn(volume: slicer.vtkMRMLNode) -> list[Note]:
    """What is noted of a volume; what a foreign scene holds in its place is left out."""
    try:
        return [Note(str(text), str(label)) for text, label in json.loads(volume.GetAttribute(_ATTRIBUTE) or "[]")]
    except (TypeError, ValueError):
        return []


def _notesOf(results: Sequence[SegmentationResult]) -> list[Note]:
    """With what it was done, and what to know."""
    first, seconds = results[0], sum(result.totalSeconds for result in results)
    text = (
        _("{model} on {device}, in half precision, {seconds} s")
        if first.fast
        else _("{model} on {device}, {seconds} s")
    )
    notes = [Note(text.format(model=first.model, device=first.device, seconds=f"{seconds:.1f}"))]
    for result in results:
        notes += [Note(_("Of {series}").format(series=result.series))] if result.series else []
        notes += [Note(f"\u26a0 {warning}", result.labelOf.get(warning, "")) for warning in result.warnings]
        notes += [Note(_('Your edited segment stays as "{name}".').format(name=kept)) for kept in result.keptEdits]
    return notes
