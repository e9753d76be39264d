"""The cases to train with as a table: volume, segmentation, what they teach, and what they are for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from Med3DCore.labels import Label
from Med3DSegmentationLib.panels.tables import fitHeight, setChoice, setHeader, setTexts
from Med3DSegmentationLib.training.cases import SceneCase, TrainingCase, Use

_ROWS_SHOWN = 6
_USE_COLUMN = 3


class CaseTable:
    """Shows cases; those with a problem have a warning sign, and say it in their tool tip.

    Args:
        table: A QTableWidget.
        onUse: Gets the case and what the user said it is for.
        onSelected: Called when other rows are selected.
    """

    def __init__(self, table: Any, onUse: Callable[[TrainingCase, Use], None], onSelected: Callable[[], None]) -> None:
        self._table, self._onUse = table, onUse
        self._cases: list[TrainingCase] = []
        self._shown: list[tuple] = []
        setHeader(table, [_("Volume"), _("Segmentation"), _("Teaches"), _("Use for")], short=(_USE_COLUMN,))
        table.connect("itemSelectionChanged()", onSelected)
        fitHeight(table, _ROWS_SHOWN)

    def show(self, cases: Sequence[TrainingCase], modelLabels: Mapping[str, Label]) -> None:
        """Show the cases as they are now."""
        self._cases = list(cases)
        shown = [(*_texts(case, modelLabels), case.use, case.problem(modelLabels)) for case in cases]
        if shown == self._shown:
            return
        self._shown = shown
        table = self._table
        table.setRowCount(len(shown))
        uses, titles = list(Use), _useTitles()
        for row, (*texts, use, problem) in enumerate(shown):
            setTexts(table, row, [*texts, ""], problem)
            if problem:
                table.item(row, 0).setIcon(table.style().standardIcon(qt.QStyle.SP_MessageBoxWarning))
            setChoice(table, row, _USE_COLUMN, titles, uses.index(use), self._chooser(row))
        fitHeight(table, _ROWS_SHOWN)

    def selected(self) -> list[TrainingCase]:
        """The selected cases."""
        rows = sorted({index.row() for index in self._table.selectionModel().selectedRows()})
        return [self._cases[row] for row in rows if row < len(self._cases)]

    def select(self, case: TrainingCase) -> None:
        """Select one case."""
        self._table.selectRow(self._cases.index(case))

    def _chooser(self, row: int) -> Callable[[int], None]:
        return lambda index: self._onUse(self._cases[row], list(Use)[index])


def _texts(case: TrainingCase, modelLabels: Mapping[str, Label]) -> tuple[str, str, str]:
    where = case.segmentationNode.GetName() if isinstance(case, SceneCase) else _("(file)")
    return case.name, where, ", ".join(case.titles(modelLabels)) or "-"


def _useTitles() -> list[str]:
    titles = {Use.AUTOMATIC: _("Automatic"), Use.TRAINING: _("Training"), Use.CHECK: _("Checking")}
    return [titles[use] for use in Use]
