"""All of a panel with the keyboard alone: the Tab key leaves every table, and rows answer to keys as to clicks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer.util


def letTabLeaveTables(root: Any) -> None:
    """Tab goes on to the next widget; Qt's tables keep it for their own cells, and never let go.

    Args:
        root: A panel's widget.
    """
    for table in slicer.util.findChildren(root, className="QTableWidget"):
        table.tabKeyNavigation = False


def onRow(table: Any, function: Callable[[int], None]) -> None:
    """Call a function with the row that the user clicks, comes to with an arrow key, or presses Enter on.

    Args:
        table: A QTableWidget that selects whole rows.
        function: Gets the row; it may be called twice with one.
    """

    def onMoved(row: int, column: int, formerRow: int, formerColumn: int) -> None:  # noqa: ARG001 - the signal's
        # Not where the program chooses a row, nor where Tab comes into the table, which selects nothing.
        if row != formerRow and table.focus and table.selectionModel().isRowSelected(row, qt.QModelIndex()):
            function(row)

    table.connect("cellClicked(int,int)", lambda row, column: function(row))  # noqa: ARG005 - the signal's
    table.connect("cellActivated(int,int)", lambda row, column: function(row))  # noqa: ARG005 - the signal's
    table.connect("currentCellChanged(int,int,int,int)", onMoved)


def letTabFollow(box: Any, former: Any) -> None:
    """Let Tab go from a box of nodes to one that was made later; else it comes after all of the module's tabs."""
    inner = [(slicer.util.findChildren(each, className="*ComboBox") or [each])[-1] for each in (former, box)]
    qt.QWidget.setTabOrder(*inner)


def reachByArrows(box: Any, table: Any) -> None:
    """Let a box in a cell be reached with the arrow keys, and Tab pass by: a table may have a hundred of them."""
    box.setFocusPolicy(qt.Qt.ClickFocus)
    qt.QWidget.setTabOrder(table, box)  # for Tab from the box: to what comes after the table
