"""What each segment of a case means to the training, to be changed by the user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DCore.tasks import LABELS, Label
from Med3DSegmentationLib.panels.tables import fitHeight, setChoice, setHeader, setTexts, swatch
from Med3DSegmentationLib.training.cases import SceneCase
from Med3DSegmentationLib.training.labels import chooseLabel, labelChoices, labelsOfSegmentation

_ROWS_SHOWN = 5


class MeaningTable:
    """A row a segment, with the label that it teaches.

    Args:
        label: A QLabel above the table.
        table: A QTableWidget.
        onChanged: Called when the user gave a segment another meaning.
    """

    def __init__(self, label: Any, table: Any, onChanged: Callable[[], None]) -> None:
        self._label, self._table, self._onChanged = label, table, onChanged
        self._shown: list[tuple] = []
        setHeader(table, [_("Segment"), _("Means")])

    def show(self, case: SceneCase | None, modelLabels: Mapping[str, Label]) -> None:
        """Show the segments of a case, or nothing."""
        self._label.visible = self._table.visible = case is not None
        shown = [] if case is None else list(_rows(case.segmentationNode, modelLabels))
        if case is not None:
            text = _("What the segments of {segmentation} mean:")
            self._label.text = text.format(segmentation=case.segmentationNode.GetName())
        if shown == self._shown:
            return
        self._shown = shown
        self._table.setRowCount(len(shown))
        for row, (segment, name, colour, choices, current) in enumerate(shown):
            setTexts(self._table, row, [name, ""])
            self._table.item(row, 0).setIcon(swatch(colour))
            titles = [_("Nothing"), *(_title(label, modelLabels) for label in choices)]
            index = choices.index(current) + 1 if current in choices else 0
            setChoice(self._table, row, 1, titles, index, self._chooser(segment, choices))
        fitHeight(self._table, _ROWS_SHOWN)

    def _chooser(self, segment: slicer.vtkSegment, choices: list[Label]) -> Callable[[int], None]:
        def choose(index: int) -> None:
            chooseLabel(segment, choices[index - 1] if index else None)
            self._onChanged()

        return choose


def _rows(segmentationNode: slicer.vtkMRMLSegmentationNode, modelLabels: Mapping[str, Label]):
    segmentation = segmentationNode.GetSegmentation()
    meanings = labelsOfSegmentation(segmentationNode, modelLabels)
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        choices = labelChoices(segment, modelLabels)
        yield segment, segment.GetName(), segment.GetColor(), choices, meanings.get(segmentId)


def _title(label: Label, modelLabels: Mapping[str, Label]) -> str:
    """Labels that the model does not know yet are new to it."""
    if label.name in modelLabels or not modelLabels:
        return label.title
    return (_("{label} (new organ)") if label.name in LABELS else _("New: {label}")).format(label=label.title)
