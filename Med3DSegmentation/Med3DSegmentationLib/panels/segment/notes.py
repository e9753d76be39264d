"""What is to be known of each volume's results: a warning stays as long as the segment that it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from Med3DSegmentationLib.engine.results import SegmentationResult
from Med3DSegmentationLib.scene.own_segments import otherDivision


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
    """Those of all volumes, by their ID, with one step back."""

    def __init__(self) -> None:
        self._notes: dict[str, list[Note]] = {}
        self._before: dict[str, list[Note]] = {}

    def add(self, volume: slicer.vtkMRMLNode, results: Sequence[SegmentationResult]) -> None:
        """Note what results bring; of labels that they leave alone, what was noted stays."""
        named = {organ.name for result in results for organ in result.organs}
        replaced = named.union(*map(otherDivision, named))
        before = self._notes.get(volume.GetID(), [])
        kept = [note for note in before if note.label and note.label not in replaced]
        self._before[volume.GetID()] = before
        self._notes[volume.GetID()] = list(dict.fromkeys([*_notesOf(results), *kept]))

    def tell(self, volume: slicer.vtkMRMLNode, line: str) -> None:
        """Tell what has become of a volume's result, under what is told of it already."""
        told = [note for note in self._notes.get(volume.GetID(), ()) if note.text != line]
        self._notes[volume.GetID()] = [*told, Note(line)]

    def undo(self, volume: slicer.vtkMRMLNode) -> None:
        """The last result was undone: what is left of it, and what was known before."""
        before = self._before.pop(volume.GetID(), [])
        warnings = [note for note in before if note.label]
        self._notes[volume.GetID()] = [Note(_("The last result was undone.")), *warnings]

    def forget(self, node: slicer.vtkMRMLNode) -> None:
        """Drop what was noted of a volume that goes: in another scene, another patient's volume may have its ID."""
        self._notes.pop(node.GetID(), None)
        self._before.pop(node.GetID(), None)

    def lines(self, volumes: Sequence[slicer.vtkMRMLNode]) -> list[str]:
        """What is to be known of these volumes; with their names if there are several."""
        lines = []
        for volume in volumes:
            name = f"{volume.GetName()}: " if len(volumes) > 1 else ""
            lines += [name + note.text for note in self._notes.get(volume.GetID(), ())]
        return lines


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
