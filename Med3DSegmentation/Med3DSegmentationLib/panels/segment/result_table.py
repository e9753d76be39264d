"""What was found: a segment a row, with its volume in mL and the mean of the scan in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from Med3DSegmentationLib.panels.keyboard import onRow
from Med3DSegmentationLib.panels.narrow import notHtml
from Med3DSegmentationLib.panels.segment.result_rows import ResultRow
from Med3DSegmentationLib.panels.tables import fitHeight, setHeader, swatch

_ROWS_SHOWN = 6


class ResultTable:
    """Shows rows; a click or a key tells which.

    Args:
        table: A QTableWidget.
        onChosen: Gets the row that the user chose.

    Attributes:
        rows: What is shown.
    """

    def __init__(self, table: Any, onChosen: Callable[[ResultRow], None]) -> None:
        self._table = table
        self.rows: tuple[ResultRow, ...] = ()
        setHeader(table, [_("Volume"), _("Segment"), _("mL"), _("Mean")], short=(2, 3))
        table.horizontalHeaderItem(3).setToolTip(_("Mean of the scan's values in the segment: HU in a CT"))
        onRow(table, lambda row: onChosen(self.rows[row]))

    def show(self, rows: Sequence[ResultRow]) -> None:
        """Show these rows."""
        self.rows = tuple(rows)
        table = self._table
        table.setRowCount(len(self.rows))
        for index, row in enumerate(self.rows):
            for column, text in enumerate((row.title, row.name, _volume(row), _mean(row))):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(notHtml(text))
                if column >= 2:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(index, column, item)
            if row.colour:
                table.item(index, 1).setIcon(swatch(row.colour))
        table.setColumnHidden(0, len({row.title for row in self.rows}) < 2)
        fitHeight(table, _ROWS_SHOWN)


def _volume(row: ResultRow) -> str:
    if row.measures is None:
        return "-"
    return f"{row.measures.volumeMl:.{1 if row.measures.volumeMl < 10 else 0}f}"


def _mean(row: ResultRow) -> str:
    return "-" if row.measures is None or row.measures.mean is None else f"{row.measures.mean:.0f}"
