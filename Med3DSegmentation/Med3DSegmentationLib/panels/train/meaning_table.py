"""What each segment or structure of a case means to the training, to be changed by the user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DCore.io.label_names import label_for
from Med3DCore.labels import LABELS, Label
from Med3DSegmentationLib.panels.tables import fitHeight, setChoice, setHeader, setTexts, swatch
from Med3DSegmentationLib.training.cases import FileCase, TrainingCase
from Med3DSegmentationLib.training.labels import choicesBeside, labelChoices, labelsOfSegmentation

_ROWS_SHOWN = 5


class MeaningTable:
    """A row a segment, with the label that it teaches.

    Args:
        label: A QLabel above the table.
        table: A QTableWidget.
        onChosen: Called when the user gave a segment, or a name in a label file, another meaning.
    """

    def __init__(
        self, label: Any, table: Any, onChosen: Callable[[TrainingCase, slicer.vtkSegment | str, Label | None], None]
    ) -> None:
        self._label, self._table, self._onChosen = label, table, onChosen
        self._shown: tuple[TrainingCase | None, list[tuple]] = (None, [])
        setHeader(table, [_("Segment"), _("Means")])

    def show(self, case: TrainingCase | None, modelLabels: Mapping[str, Label]) -> None:
        """Show the segments of a case, or nothing."""
        self._label.visible = self._table.visible = case is not None
        name, rows = _named(case, modelLabels) if case is not None else ("", [])
        self._label.text = _("What the segments of {segmentation} mean:").format(segmentation=name)
        if (case, rows) == self._shown:
            return
        self._shown = case, rows
        self._table.setRowCount(len(rows))
        for row, (segment, name, colour, choices, current) in enumerate(rows):
            setTexts(self._table, row, [name, ""])
            self._table.item(row, 0).setIcon(swatch(colour))
            titles = [_("Nothing"), *(_title(label, modelLabels) for label in choices)]
            index = choices.index(current) + 1 if current in choices else 0
            setChoice(self._table, row, 1, titles, index, self._chooser(case, segment, choices))
        fitHeight(self._table, _ROWS_SHOWN)

    def _chooser(
        self, case: TrainingCase, segment: slicer.vtkSegment | str, choices: list[Label]
    ) -> Callable[[int], None]:
        def choose(index: int) -> None:
            self._onChosen(case, segment, choices[index - 1] if index else None)

        return choose


def _named(case: TrainingCase, modelLabels: Mapping[str, Label]) -> tuple[str, list[tuple]]:
    """What to call the labels of a case, and of each: what it is, name, colour, what it may mean, what it means."""
    if isinstance(case, FileCase):
        return case.name, list(_structures(case, modelLabels))
    return case.segmentationNode.GetName(), list(_segments(case.segmentationNode, modelLabels))


def _segments(segmentationNode: slicer.vtkMRMLSegmentationNode, modelLabels: Mapping[str, Label]):
    segmentation = segmentationNode.GetSegmentation()
    meanings = labelsOfSegmentation(segmentationNode, modelLabels)
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        choices = labelChoices(segment, modelLabels)
        yield segment, segment.GetName(), segment.GetColor(), choices, meanings.get(segmentId)


def _structures(case: FileCase, modelLabels: Mapping[str, Label]):
    for position, name in enumerate(case.named()):
        own = label_for(name, position)
        choices = choicesBeside(own, modelLabels)
        meant = next((label for label in choices if label.name == case.meaningOf(name)), None)
        yield name, name, [channel / 255 for channel in (meant or own).colour], choices, meant


def _title(label: Label, modelLabels: Mapping[str, Label]) -> str:
    """Labels that the model does not know yet are new to it."""
    if label.name in modelLabels or not modelLabels:
        return label.title
    return (_("{label} (new organ)") if label.name in LABELS else _("New: {label}")).format(label=label.title)
