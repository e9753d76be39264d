"""What the labels of a data set are called here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from Med3DCore.errors import DataError
from Med3DCore.io import read_header
from Med3DCore.io.dicom_results import dicom_labels, is_dicom_label
from Med3DCore.io.label_names import our_name, slug
from Med3DCore.io.organ_files import organ_names
from Med3DCore.io.seg_nrrd import read_segments
from Med3DCore.labels import LABELS, Label
from Med3DCore.training.cases.case import Values

_BACKGROUND = ("background", "bg", "unlabelled", "unlabeled", "clear_label")


def named_values(labels: Mapping[str, Any], source: object) -> tuple[dict[str, Values], int | None]:
    """What the values of a label file mean, from a table such as a ``dataset.json`` holds.

    Args:
        labels: Either way round: ``{"1": "liver"}`` as in the Medical Segmentation Decathlon, or ``{"liver": 1}`` or
            ``{"liver": [1, 2]}`` as in nnU-Net. The background is left out.
        source: Where it comes from, for the sentence.

    Returns:
        Our name of each label to its value or values, and the value that says nothing about any label, or None.

    Raises:
        DataError: It is no such table, or two labels have one name.
    """
    if not isinstance(labels, Mapping):
        raise DataError(f'{source}: its labels are no table; write what each value means, such as {{"liver": 1}}.')
    values: dict[str, Values] = {}
    ignore = None
    for title, value in (_either_way(item, source) for item in labels.items()):
        if slug(title) in _BACKGROUND or value == 0:
            continue
        if slug(title) == "ignore":
            if not isinstance(value, int):
                raise DataError(f"{source}: '{title}' has several values; Med3D can leave out one alone.")
            ignore = value
            continue
        name = our_name(title)
        if name in values:
            raise DataError(f"{source} names two labels that both mean '{name}'; give one of them another name.")
        values[name] = value
    if not values:
        raise DataError(f'{source} names no label; write what the values mean, such as {{"liver": 1}}.')
    return values, ignore


@dataclass(frozen=True)
class Meanings:
    """What somebody said of the label files of a data set.

    Args:
        values: Our names to values, for files that do not say it themselves.
        names: Names in DICOM files, as :func:`.slug` makes them, to ours; to an empty text if nothing is to be learned
            of them.
    """

    values: Mapping[str, Values]
    names: Mapping[str, str]


def read_meanings(labels: Mapping[str, Any], source: object) -> Meanings:
    """From a table with values as :func:`named_values` takes them, and names: ``{"Lg li": "left_lung", "PTV": ""}``.

    Raises:
        DataError: It is no such table.
    """
    names = {key: value or "" for key, value in labels.items() if _names_a_name(key, value)}
    rest = {key: value for key, value in labels.items() if key not in names}
    values = {} if names and not rest else named_values(rest, source)[0]
    return Meanings(values, {slug(key): our_name(name) if name else "" for key, name in names.items()})


def _names_a_name(key: str, value: object) -> bool:
    """Whether an entry gives a name another one, or none; in all others one of both is a number."""
    return not key.strip().isdigit() and (value is None or (isinstance(value, str) and not value.strip().isdigit()))


def channel_names(channels: object) -> list[str]:
    """The channels of the images, the first first, from a table (``{"0": "CT"}``), a list or a single name."""
    if isinstance(channels, Mapping):
        channels = [name for _, name in sorted(channels.items())]
    return list(map(str, channels)) if isinstance(channels, list) else [str(channels)]


def parse_values(text: str) -> dict[str, Values]:
    """What label values mean, as people write it: ``liver=1 lungs=2+3``; commas or semicolons may stand between.

    Raises:
        ValueError: It is not such a text.
    """
    values: dict[str, Values] = {}
    for part in filter(None, re.split(r"[;,|\s]+", re.sub(r"\s*=\s*", "=", text))):
        name, _, numbers = part.partition("=")
        if not name or not re.fullmatch(r"\d+(\+\d+)*", numbers):
            raise ValueError(f"'{part}' does not say which value is which label; write such as liver=1")
        several = tuple(int(number) for number in numbers.split("+"))
        values[our_name(name)] = several[0] if len(several) == 1 else several
    return values


def _either_way(item: tuple[str, Any], source: object) -> tuple[str, Values]:
    key, value = item
    try:
        if isinstance(value, str) and not value.strip().isdigit():
            return value, int(key)
        if isinstance(value, list | tuple):
            return key, tuple(int(v) for v in value)
        return key, int(value)
    except (TypeError, ValueError):
        raise DataError(f"{source}: '{key}: {value}' does not say which value is which label.") from None


@dataclass(frozen=True)
class OwnLabels:
    """What a label file says of itself.

    Args:
        values: Our name of each label to the values that :func:`.read_label_map` gives it.
        annotated: Those that can be learned: all but those of which nobody knows, or wants to know, what they are.
        unknown: The names in the file of those that nobody knows.
    """

    values: Mapping[str, Values]
    annotated: tuple[str, ...]
    unknown: tuple[str, ...] = ()


def own_labels(label: Path, names: Mapping[str, str]) -> OwnLabels:
    """The labels of a file that names them itself: .seg.nrrd, a folder with one file an organ, DICOM; else none.

    Of DICOM, where clinics call things as they like, only labels are learned whose code or name is known, or of which
    somebody said what they mean.

    Args:
        label: The file or folder.
        names: As :class:`Meanings` has them.

    Raises:
        VolumeError: It cannot be read.
    """
    if label.is_dir():
        values = {name: value for value, name in enumerate(organ_names(label), start=1)}
        return OwnLabels(values, tuple(values))
    if is_dicom_label(label):
        return _of_dicom(dicom_labels(label), names)
    segments = read_segments(read_header(label)) if label.name.lower().endswith(".seg.nrrd") else []
    values = {our_name(segment.label.name): value for value, segment in enumerate(segments, start=1)}
    return OwnLabels(values, tuple(values))


def _of_dicom(labels: Sequence[Label], names: Mapping[str, str]) -> OwnLabels:
    values: dict[str, tuple[int, ...]] = {}
    annotated, unknown = [], []
    for value, label in enumerate(labels, start=1):
        name = names.get(slug(label.title), label.name if _is_known(label) else None)
        if name:
            annotated.append(name)
        elif name is None:
            unknown.append(label.title)
        values[name or label.name] = (*values.get(name or label.name, ()), value)
    single = {name: several[0] if len(several) == 1 else several for name, several in values.items()}
    return OwnLabels(single, tuple(dict.fromkeys(annotated)), tuple(unknown))


def _is_known(label: Label) -> bool:
    """Whether it is an organ of ours, by its name and by its code, if it has one."""
    return label.name in LABELS and label.type[1] == LABELS[label.name].type[1]
