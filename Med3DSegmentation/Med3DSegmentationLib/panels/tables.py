"""Small helpers for tables in panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError, OutputError
from Med3DCore.io.write import written_beside
from Med3DSegmentationLib.panels.keyboard import reachByArrows
from Med3DSegmentationLib.panels.narrow import notHtml
from Med3DSegmentationLib.panels.wheel import letWheelScroll


def setHeader(table: Any, titles: Sequence[str], short: Sequence[int] = ()) -> None:
    """Columns that share the width; long texts are cut, and whole in their tool tips.

    Args:
        table: The table.
        titles: Of the columns.
        short: Columns of numbers and the like, which are as wide as they need, and leave the rest to the others.
    """
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(list(titles))
    table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
    for column in short:
        table.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
    table.horizontalHeader().setHighlightSections(False)
    table.horizontalHeader().setTextElideMode(qt.Qt.ElideRight)
    table.setWordWrap(False)


def setTexts(table: Any, row: int, texts: Sequence[str], toolTip: str = "") -> None:
    """Texts of a row, each in full in its tool tip, or all with one."""
    for column, text in enumerate(texts):
        item = qt.QTableWidgetItem(text)
        item.setToolTip(notHtml(toolTip or text))
        table.setItem(row, column, item)


def setChoice(
    table: Any, row: int, column: int, titles: Sequence[str], current: int, onChosen: Callable[[int], None]
) -> None:
    """A combo box in a cell.

    Args:
        table: The table.
        row: Of the cell.
        column: Of the cell.
        titles: Its entries.
        current: Index of the chosen entry.
        onChosen: Gets the index of the entry that the user chose.
    """
    box = qt.QComboBox()
    box.addItems(list(titles))
    box.setCurrentIndex(current)
    box.connect("activated(int)", onChosen)
    letWheelScroll(box)
    former = table.cellWidget(row, column)
    if former is not None:  # Qt deletes it later
        former.hide()
    table.setCellWidget(row, column, box)
    reachByArrows(box, table)


def fitHeight(table: Any, mostRows: int) -> None:
    """As high as its rows, up to a number of rows; then it scrolls."""
    rows = max(1, min(table.rowCount, mostRows))
    frame = table.horizontalHeader().sizeHint.height() + 2 * table.frameWidth
    table.setFixedHeight(table.verticalHeader().defaultSectionSize * rows + frame)


def swatch(colour: tuple[float, float, float], size: tuple[int, int] = (12, 12)) -> Any:
    """An icon of one colour, as the views show it.

    Args:
        colour: RGB, 0 to 1.
        size: Width and height in pixels.
    """
    pixmap = qt.QPixmap(*size)
    pixmap.fill(qt.QColor.fromRgbF(*colour))
    return qt.QIcon(pixmap)


def saveCsv(parent: Any, text: str, showError: Callable[[Med3DError], None]) -> None:
    """Ask for a file and write a table to it, as spreadsheets read it.

    Args:
        parent: The dialogue's parent widget.
        text: The table.
        showError: Gets the error if it cannot be written.
    """
    chosen = qt.QFileDialog.getSaveFileName(parent, _("Save the table"), "Med3D.csv", _("Table (*.csv)"))
    if not chosen:
        return
    path = Path(chosen if chosen.lower().endswith(".csv") else f"{chosen}.csv")  # a name may have dots, as dates do
    try:
        if str(path) != chosen and path.exists():  # the dialogue asked about the name that it knew, and no other
            raise OutputError(_("{file} exists already; choose it in the dialogue to replace it.").format(file=path))
        with written_beside(path) as temporary:
            temporary.write_text(text, encoding="utf-8-sig", newline="")
    except Med3DError as error:
        showError(error)
