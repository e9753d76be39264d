"""What was found: an organ a row, with its volume in mL and the time taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from Med3DSegmentationLib.engine.results import SegmentationResult
from Med3DSegmentationLib.panels.tables import fitHeight, setHeader, swatch

_ROWS_SHOWN = 6


@dataclass(frozen=True)
class _Row:
    title: str
    organ: str
    segmentId: str
    volumeMl: float
    result: SegmentationResult

    @property
    def key(self) -> tuple:
        return self.title, self.result.segmentationNode.GetID(), self.segmentId


class ResultTable:
    """Rows of the results since the scene was opened; a later result of the same segment replaces its row.

    Args:
        table: A QTableWidget.
        onClicked: Gets the result of the row that the user clicked.
    """

    def __init__(self, table: Any, onClicked: Callable[[SegmentationResult], None]) -> None:
        self._table, self._onClicked = table, onClicked
        self._rows: list[_Row] = []
        setHeader(table, [_("Volume"), _("Organ"), _("mL"), _("Seconds")])
        table.connect("cellClicked(int,int)", self._onCell)

    @property
    def isEmpty(self) -> bool:
        """Whether there are no rows."""
        return not self._rows

    def add(self, result: SegmentationResult, title: str) -> None:
        """Show a result.

        Args:
            result: The result.
            title: Of what, such as the volume's name.
        """
        rows = [_Row(title, organ.title, organ.segmentId, organ.volumeMl, result) for organ in result.organs]
        keys = {row.key for row in rows}
        self._show([row for row in self._rows if row.key not in keys] + rows)

    def forgetLast(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Drop the rows of a segmentation's last result, which was undone: their numbers are no longer true."""
        results = [row.result for row in self._rows if row.result.segmentationNode is segmentationNode]
        self._show([row for row in self._rows if not results or row.result is not results[-1]])

    def forgetRemoved(self) -> None:
        """Drop rows whose segment is not in the scene any more."""

        def lives(row: _Row) -> bool:
            node = row.result.segmentationNode
            isThere = node.GetScene() is not None and row.result.volumeNode.GetScene() is not None
            return isThere and node.GetSegmentation().GetSegment(row.segmentId) is not None

        left = [row for row in self._rows if lives(row)]
        if len(left) < len(self._rows):
            self._show(left)

    def _show(self, rows: Sequence[_Row]) -> None:
        self._rows = list(rows)
        table = self._table
        table.setRowCount(len(self._rows))
        for index, row in enumerate(self._rows):
            digits = 1 if row.volumeMl < 10 else 0
            texts = (row.title, row.organ, f"{row.volumeMl:.{digits}f}", f"{row.result.totalSeconds:.1f}")
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                if column >= 2:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(index, column, item)
            segment = row.result.segmentationNode.GetSegmentation().GetSegment(row.segmentId)
            if segment is not None:
                table.item(index, 1).setIcon(swatch(segment.GetColor()))
        table.setColumnHidden(0, len({row.title for row in self._rows}) < 2)
        fitHeight(table, _ROWS_SHOWN)

    def _onCell(self, row: int, column: int) -> None:  # noqa: ARG002 - the signal's arguments
        self._onClicked(self._rows[row].result)
