"""The list of a data set's cases as a JSON file says it, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from Med3DCore.errors import DataError, fault_in_settings
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import SPLITS, Case, Values


def read_cases(path: Path) -> list[Case]:
    """Read a data set description: ``{"cases": [{"name", "image", "label", "values", ...}]}``, or only the list.

    Files are relative to the description's own folder.

    Raises:
        DataError: The description or a file in it is missing, or a patient is in both splits.
    """
    cases = parse_cases(read_json(path), Path(path))
    check_cases(cases, path)
    return cases


def read_json(path: Path) -> Any:
    """What a JSON file of a data set holds.

    Raises:
        DataError: It cannot be read or is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"The data set description {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a data set description: {fault_in_settings(error)}.") from error


def parse_cases(description: Any, path: Path) -> list[Case]:
    """The cases of a description as :func:`read_cases` takes it, whether or not their files are there.

    Args:
        description: The content of the file.
        path: Where it comes from.

    Raises:
        DataError: It is no such description.
    """
    try:
        entries = description if isinstance(description, list) else description["cases"]
        for entry in entries:
            _check_entry(entry)
        return [case_from_dict(entry, path.parent) for entry in entries]
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a data set description: {fault_in_settings(error)}.") from error


# What else than numbers an entry of a description may hold, since Python would take nearly anything.
_KINDS = {
    **dict.fromkeys(("name", "image", "patient", "split", "domain", "modality"), (str, "a text")),
    **dict.fromkeys(("values", "source"), (dict, "an object")),
    **dict.fromkeys(("annotated", "absent"), (list, "a list of labels")),
    "channels": (list, "a list of files"),
    "label": (str | None, "a text or null"),
}


def _check_entry(entry: dict) -> None:
    """Refuse an entry of a description that says something else than it means to.

    Raises:
        DataError: It has an unknown key, or a value of another kind.
    """
    name = entry.get("name", "without a name")
    known = [item.name for item in fields(Case)]
    for key, value in entry.items():
        if key not in known:
            raise DataError(f"Case '{name}': '{key}' is unknown; known are {', '.join(known)}.")
        kind, what = _KINDS.get(key, (object, ""))
        if not isinstance(value, kind):
            raise DataError(f"Case '{name}': its {key} is {value!r}; it must be {what}.")


def case_from_dict(entry: dict, folder: Path) -> Case:
    """A case as a description says it.

    Args:
        entry: At least ``name`` and ``image``; the names are those of :class:`.Case`.
        folder: What file names are relative to.

    Raises:
        KeyError, ValueError, TypeError: It is no such entry.
    """
    label, ignore = entry.get("label"), entry.get("ignore")
    return Case(
        name=entry["name"],
        image=folder / entry["image"],
        label=folder / label if label else None,
        values={str(name): _values(value) for name, value in entry.get("values", {}).items()},
        annotated=tuple(entry.get("annotated", entry.get("values", {}))),
        patient=entry.get("patient", entry["name"]),
        split=entry.get("split", "training"),
        absent=tuple(entry.get("absent", ())),
        weight=float(entry.get("weight", 1.0)),
        source=entry.get("source", {}),
        domain=entry.get("domain", ""),
        modality=entry.get("modality", ""),
        ignore=None if ignore is None else int(ignore),
        frame=int(entry.get("frame", 0)),
        channels=tuple(folder / name for name in entry.get("channels", ())),
    )


def _values(value: int | list[int]) -> Values:
    return tuple(int(v) for v in value) if isinstance(value, list | tuple) else int(value)


def check_cases(cases: Sequence[Case], path: Path, progress: Progress | None = None) -> None:
    """Refuse cases that cannot be trained with, as far as can be told without opening their files.

    Args:
        cases: The cases.
        path: Where they come from.
        progress: May cancel.

    Raises:
        DataError: There is none, a file is missing, a name is not unique, or a patient is in both splits.
    """
    if not cases:
        raise DataError(f"{path} lists no cases.")
    seen: dict[str, str] = {}
    names: set[str] = set()
    progress = progress or Progress()
    for case in cases:
        progress.check()
        if case.name in names:
            raise DataError(f"{path} lists the case '{case.name}' twice.")
        names.add(case.name)
        for file in (case.image, case.label, *case.channels):
            if file is not None and not (file.is_file() or file.is_dir()):
                raise DataError(f"Case '{case.name}': the file {file} is missing.")
        if not case.weight > 0:
            raise DataError(f"Case '{case.name}': the weight is {case.weight}; it must be greater than 0.")
        if case.split not in SPLITS:
            raise DataError(f"Case '{case.name}': the split is '{case.split}'; it must be one of {', '.join(SPLITS)}.")
        if seen.setdefault(case.patient, case.split) != case.split:
            raise DataError(
                f"Patient '{case.patient}' is in both splits (case '{case.name}'); results would look too good."
            )
