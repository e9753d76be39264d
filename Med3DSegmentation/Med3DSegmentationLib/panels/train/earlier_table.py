"""Trainings that were paused or interrupted, to go on with or to delete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from slicer.i18n import tr as _

from Med3DSegmentationLib.panels.panel import allow
from Med3DSegmentationLib.panels.tables import fitHeight, setHeader, setTexts
from Med3DSegmentationLib.training.logic import EarlierTraining

_ROWS_SHOWN = 4


class EarlierTable:
    """The unfinished ones, the newest first and selected.

    Args:
        ui: Has ``earlierSection`` with ``earlierTable`` and the three buttons in it.
        onContinue: Gets the training to go on with, and whether to use it as it is.
        onDelete: Gets the training that is not wanted any more.
    """

    def __init__(
        self,
        ui: Any,
        onContinue: Callable[[EarlierTraining, bool], None],
        onDelete: Callable[[EarlierTraining], None],
    ) -> None:
        self._ui = ui
        self._trainings: list[EarlierTraining] = []
        setHeader(ui.earlierTable, [_("Model"), _("Steps done"), _("Last worked on")], short=(1, 2))
        ui.continueButton.connect("clicked()", lambda: onContinue(self._chosen, False))
        ui.finishButton.connect("clicked()", lambda: onContinue(self._chosen, True))
        ui.deleteButton.connect("clicked()", lambda: onDelete(self._chosen))
        ui.earlierSection.visible = False

    def show(self, trainings: Sequence[EarlierTraining]) -> None:
        """Show other trainings; finished ones and broken ones are left out."""
        table = self._ui.earlierTable
        self._trainings = [training for training in trainings if training.state == "unfinished"]
        table.setRowCount(len(self._trainings))
        for row, training in enumerate(self._trainings):
            cases = _("Cases: {cases}").format(cases=", ".join(training.cases))
            setTexts(table, row, [training.title, str(training.step), _when(training.updated)], cases)
        fitHeight(table, _ROWS_SHOWN)
        self._ui.earlierSection.visible = bool(self._trainings)
        if self._trainings:
            table.selectRow(0)

    def drop(self, folder: str) -> None:
        """Offer a training no longer that has ended well just now; the engine lists the others anew in a moment."""
        self.show([training for training in self._trainings if training.folder != folder])

    def refresh(self, busy: str) -> None:
        """Enable the buttons, or say why not."""
        allow(self._ui.continueButton, busy, _("Go on where it was stopped"))
        allow(self._ui.finishButton, busy, _("Check what it has learned until now, and make a model of it"))
        allow(self._ui.deleteButton, busy, _("Delete it with its copies of the cases; nothing else goes"))

    @property
    def _chosen(self) -> EarlierTraining:
        return self._trainings[max(0, self._ui.earlierTable.currentRow())]


def _when(moment: str) -> str:
    """An ISO moment in local time, such as "21 Nov 11:30"."""
    try:
        return datetime.fromisoformat(moment).astimezone().strftime("%d %b %H:%M")
    except ValueError:
        return moment
