"""A task: data layout, labels, split, networks and their training, measures and published figures, from a JSON file."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from Med3DCore.errors import SettingError, fault_in_settings

Values = int | tuple[int, ...]

SEGMENTATION, POINTS, DETECTION, VOLUMES = "segmentation", "points", "detection", "volumes"
KINDS = (SEGMENTATION, POINTS, DETECTION, VOLUMES)
OVERLAP_MEASURES = ("dice", "jaccard", "nsd", "assd_mm", "hd95_mm")

_TEXT, _NUMBER, _OBJECT, _LIST = "a text", "a number", "an object", "a list"
_TYPES: Mapping[str, type | tuple[type, ...]] = {_TEXT: str, _NUMBER: (int, float), _OBJECT: dict, _LIST: list}
_NEEDED = {"title": _TEXT, "kind": _TEXT, "about": _TEXT, "source": _OBJECT, "data": _OBJECT}
_NEEDED |= {"labels": _OBJECT, "split": _OBJECT, "stages": _LIST}
_OPTIONAL = {"measures": _LIST, "nsd_tolerance_mm": _OBJECT, "within_reference_slices": _LIST, "published": _LIST}
_OPTIONAL |= {"regions": _OBJECT, "phantom": _TEXT}


@dataclass(frozen=True)
class Published:
    """A figure that others published.

    Args:
        figure: Which of ours it stands beside, such as ``"dice liver"``.
        value: As they give it, 0 to 1.
        by: Whose model, and where it is written.
    """

    figure: str
    value: float
    by: str


@dataclass(frozen=True)
class Split:
    """Who is held out.

    Args:
        test: Share of the patients on whom nothing is chosen or learned; where the data set has a test part of its own,
            that is taken instead.
        validation: Share of the other patients on whom the best step is chosen.
        seed: The same seed gives the same patients.
    """

    test: float = 0.2
    validation: float = 0.15
    seed: int = 1


@dataclass(frozen=True)
class BenchmarkTask:
    """What a task's file says.

    Args:
        name: The file's name without its ending.
        file: The file.
        title: Name shown to people.
        kind: One of ``KINDS``: labels of voxels, classes of points, boxes, classes of whole volumes.
        about: What is asked for, in a few sentences.
        source: Whose data: ``data``, ``page`` and ``licence``, and ``paper`` if there is one.
        data: Where files lie, see the kind.
        labels: Label name to its value or values in the data set's files.
        split: Who is held out.
        stages: Networks and their training, as in a recipe; see :mod:`.networks`.
        regions: What is judged instead of the labels: name to the labels that make it up, which may be in several.
        measures: Of a segmentation, names of ``OVERLAP_MEASURES``.
        nsd_tolerance_mm: Tolerance of NSD by what is judged; 2 mm for others.
        within_reference_slices: What is judged only between the reference's lowest and highest slice.
        published: Figures of others.
        phantom: Name of the made-up version, empty if there is none.
    """

    name: str
    file: Path
    title: str
    kind: str
    about: str
    source: dict[str, str]
    data: dict[str, Any]
    labels: dict[str, Values]
    split: Split
    stages: tuple[dict[str, Any], ...]
    regions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    measures: tuple[str, ...] = ("dice",)
    nsd_tolerance_mm: dict[str, float] = field(default_factory=dict)
    within_reference_slices: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    phantom: str = ""

    @property
    def judged(self) -> dict[str, tuple[str, ...]]:
        """Name of what a result is judged by to the labels that make it up."""
        return self.regions or {name: (name,) for name in self.labels}


def read_task(file: Path) -> BenchmarkTask:
    """The task of a file.

    Raises:
        SettingError: It cannot be read, or something in it is unknown, missing or of the wrong kind; the sentence says
            which.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingError(f"The task {file} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise SettingError(f"The task {file} cannot be used: {fault_in_settings(error)}.") from None
    try:
        return _task(file, values)
    except (SettingError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"The task {file}: {fault_in_settings(error)}.") from None


def _task(file: Path, values: Any) -> BenchmarkTask:
    check_object(values, "it", _NEEDED, _OPTIONAL)
    _check_choice("kind", [values["kind"]], KINDS)
    check_object(values["source"], "source", {"data": _TEXT, "page": _TEXT, "licence": _TEXT}, {"paper": _TEXT})
    labels = {name: _values(name, value) for name, value in values["labels"].items()}
    if not labels:
        raise ValueError('labels is empty; write such as {"liver": 1}')
    measures = values.get("measures", ["dice"])
    _check_choice("measures", measures, OVERLAP_MEASURES)
    regions = {name: _members(name, members, labels) for name, members in values.get("regions", {}).items()}
    tolerance, slices = values.get("nsd_tolerance_mm", {}), values.get("within_reference_slices", [])
    _check_choice("nsd_tolerance_mm", tolerance, regions or labels)
    _check_choice("within_reference_slices", slices, regions or labels)
    for name, mm in tolerance.items():
        if not (_is(mm, _NUMBER) and 0 <= mm < 1000):
            raise ValueError(f"nsd_tolerance_mm of '{name}' is {mm!r}; it must be a number of mm")
    return BenchmarkTask(
        name=file.stem,
        file=file,
        **{key: values[key] for key in ("title", "kind", "about", "source", "data")},
        labels=labels,
        split=_split(values["split"]),
        stages=tuple(values["stages"]),
        regions=regions,
        measures=tuple(measures),
        nsd_tolerance_mm={name: float(mm) for name, mm in tolerance.items()},
        within_reference_slices=tuple(slices),
        published=tuple(_published(entry) for entry in values.get("published", [])),
        phantom=values.get("phantom", ""),
    )


def check_object(values: Any, what: str, needed: Mapping[str, str], optional: Mapping[str, str]) -> None:
    """Refuse a part of a task's file that is not what it must be.

    Args:
        values: The part.
        what: What to call it.
        needed: Key to the kind of its value: ``"a text"``, ``"a number"``, ``"an object"`` or ``"a list"``.
        optional: Keys that may be missing, likewise.

    Raises:
        ValueError: It is no object, has an unknown key, lacks one, or a value is of another kind.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{what} is {values!r}; it must be an object")
    known = {**needed, **optional}
    for key, value in values.items():
        if key not in known:
            raise ValueError(f"{what} has the unknown key '{key}'; known are {', '.join(known)}")
        if not _is(value, known[key]):
            raise ValueError(f"'{key}' is {value!r}; it must be {known[key]}")
    missing = [key for key in needed if key not in values]
    if missing:
        raise ValueError(f"{what} lacks '{missing[0]}'")


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and not isinstance(value, bool)


def _check_choice(what: str, values: Collection[Any], known: Collection[str]) -> None:
    for value in values:
        if value not in known:
            raise ValueError(f"'{what}' names {value!r}; known are {', '.join(known)}")


def _values(name: str, value: Any) -> Values:
    members = value if isinstance(value, list) else [value]
    if not members or not all(
        _is(member, _NUMBER) and 0 <= member < 255 and member == int(member) for member in members
    ):
        raise ValueError(f"the label '{name}' has the value {value!r}; it must be a whole number below 255, or several")
    return tuple(int(member) for member in members) if isinstance(value, list) else int(value)


def _members(name: str, members: Any, labels: Collection[str]) -> tuple[str, ...]:
    if not isinstance(members, list) or not members:
        raise ValueError(f"the region '{name}' is {members!r}; it must be a list of labels")
    _check_choice(f"region {name}", members, labels)
    return tuple(members)


def _split(values: Any) -> Split:
    check_object(values, "split", {}, {"test": _NUMBER, "validation": _NUMBER, "seed": _NUMBER})
    for key in ("test", "validation"):
        if not 0 < values.get(key, 0.2) < 1:
            raise ValueError(f"'{key}' of split is {values[key]}; it is a share of the patients between 0 and 1")
    if not isinstance(values.get("seed", 1), int):
        raise ValueError(f"'seed' of split is {values['seed']}; it must be a whole number")
    return Split(**values)


def _published(entry: Any) -> Published:
    check_object(entry, "published", {"figure": _TEXT, "value": _NUMBER, "by": _TEXT}, {})
    return Published(**entry)
