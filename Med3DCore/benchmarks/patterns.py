"""Files of a data set by the pattern of their names, such as ``images/{case}_0000.nii.gz``.

A field in braces stands for a part of a name, without a slash, and for the same text wherever it comes again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from Med3DCore.errors import DataError
from Med3DCore.progress import Progress

_FIELD = re.compile(r"\{(\w+)\}")
_DEEPEST = 2
"""Folders in which a data set may be wrapped, as archives often unpack."""


def fields_of(pattern: str) -> set[str]:
    """Names of the fields of a pattern."""
    return set(_FIELD.findall(pattern))


def filled(pattern: str, fields: Mapping[str, str]) -> str:
    """A pattern with its fields replaced.

    Examples:
        >>> filled("{case}/{case}_seg.nii.gz", {"case": "a"})
        'a/a_seg.nii.gz'
    """
    return _FIELD.sub(lambda match: fields[match[1]], pattern)


def find_files(folder: Path, pattern: str, progress: Progress | None = None) -> list[tuple[Path, dict[str, str]]]:
    """The files below a folder that a pattern describes, sorted, with what its fields stand for.

    Args:
        folder: The data set, or a folder around it.
        pattern: The pattern, relative to the data set's own folder.
        progress: May cancel.

    Returns:
        The files of the outermost folder in which there are any, and the fields; ``""`` is the data set's own folder.

    Raises:
        DataError: The folder is missing, or there is no such file in it.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; give the folder into which the data set was unpacked.")
    progress, expression = progress or Progress(), re.compile(_expression(pattern))
    found: dict[str, list[tuple[Path, dict[str, str]]]] = {}
    for place, folders, names in os.walk(folder):
        progress.check()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            match = expression.fullmatch(path.relative_to(folder).as_posix())
            if match:
                fields = match.groupdict()
                root = fields.pop("_root") or ""
                found.setdefault(root, []).append((path, {**fields, "": str(folder / root)}))
    if not found:
        raise DataError(
            f"{folder} holds no file such as {pattern}; give the folder into which the data set was unpacked."
        )
    return found[min(found, key=lambda root: (root.count("/"), root))]


def _expression(pattern: str) -> str:
    """A regular expression of a pattern, after up to two folders around the data set."""
    seen: set[str] = set()
    parts = [rf"(?P<_root>(?:[^/]+/){{0,{_DEEPEST}}})"]
    for number, text in enumerate(_FIELD.split(pattern)):
        if number % 2 == 0:
            parts.append(re.escape(text))
        elif text in seen:
            parts.append(f"(?P={text})")
        else:
            seen.add(text)
            parts.append(f"(?P<{text}>[^/]+?)")
    return "".join(parts)
