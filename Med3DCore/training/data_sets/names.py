"""What the labels of a data set are called here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from Med3DCore.errors import DataError
from Med3DCore.io import read_header
from Med3DCore.io.dicom_results import dicom_names, is_dicom_label
from Med3DCore.io.label_names import our_name, slug
from Med3DCore.io.organ_files import organ_names
from Med3DCore.io.seg_nrrd import read_segments
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


def own_values(label: Path) -> dict[str, Values]:
    """The values that :func:`.read_label_map` gives to the labels of a file that names them itself.

    So do a ``.seg.nrrd``, a folder with one file an organ, and DICOM; of others nothing is known.

    Raises:
        VolumeError: It cannot be read.
    """
    if label.is_dir():
        return {name: value for value, name in enumerate(organ_names(label), start=1)}
    if is_dicom_label(label):
        return {our_name(name): value for value, name in enumerate(dicom_names(label), start=1)}
    segments = read_segments(read_header(label)) if label.name.lower().endswith(".seg.nrrd") else []
    return {our_name(segment.label.name): value for value, segment in enumerate(segments, start=1)}
