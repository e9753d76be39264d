"""Tables as people keep them: CSV files separated by commas, semicolons or tabs."""

from __future__ import annotations

import csv
from pathlib import Path

from Med3DCore.errors import DataError


def read_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The columns of a table in lower case, and its rows: for every column the text without blanks around it.

    Raises:
        DataError: The table cannot be read, or a row has more cells than there are columns.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise DataError(f"The table {path} cannot be read: {reason}.") from None
    head = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=head.count), skipinitialspace=True)
    columns = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    reader.fieldnames = columns
    rows = []
    for row in reader:
        if any(cell.strip() for cell in row.get(None, ())):
            raise DataError(
                f"{path}, line {reader.line_num}: it has more cells than the first line has columns; put what contains "
                "a separator into quotes."
            )
        rows.append({name: (row[name] or "").strip() for name in columns})
    return columns, rows
