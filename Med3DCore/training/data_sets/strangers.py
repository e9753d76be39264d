"""Names in DICOM labels that nobody knows: listed and asked for, instead of learned under whatever they are called."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

_SHOWN = 20


class Strangers:
    """How many label files of a data set have each name."""

    def __init__(self) -> None:
        self._names: Counter[str] = Counter()

    def count(self, names: Iterable[str]) -> None:
        """Those of one label file."""
        self._names.update(dict.fromkeys(names, 1))

    def tell(self, folder: Path, warn: Callable[[str], None]) -> None:
        """One sentence with all of them, if there are any, and how to say what they mean.

        Args:
            folder: Where to say it.
            warn: Takes the sentence.
        """
        if not self._names:
            return
        listed = [f"'{name}' ({number})" for name, number in self._names.most_common(_SHOWN)]
        more = f" and {len(self._names) - _SHOWN} more" if len(self._names) > _SHOWN else ""
        named = {name: "" if number else "what it is" for number, (name, _) in enumerate(self._names.most_common(2))}
        said = json.dumps(named, ensure_ascii=False)
        warn(
            f"Nothing is learned of these structures, whose names are not known: {', '.join(listed)}{more}. Say what "
            f"they mean in {folder / 'labels.json'}, such as {said}, where an empty name is left alone; in 3D Slicer, "
            "select a case in the tab Train and choose what they mean."
        )
