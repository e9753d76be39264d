"""Which values of a prediction and of its reference mean the same structure."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from Med3DCore.volume import LabelMap, Volume


@dataclass(frozen=True)
class LabelPair:
    """One structure to compare.

    Args:
        name: What to call it in the report.
        prediction: Values of the prediction that belong to it; none if the prediction does not have it.
        reference: Values of the reference that belong to it, such as ``(1, 2)`` for LiTS' liver with its tumours.
    """

    name: str
    prediction: tuple[int, ...]
    reference: tuple[int, ...]


def labels_present(volume: Volume, ignore_value: int | None = None) -> tuple[str, ...]:
    """Names of the labels with at least one voxel, by value; ``"label_7"`` for a value 7 that has no name."""
    values: set[int] = set()
    for plane in volume.array:
        values.update(np.unique(plane).tolist())
    if isinstance(volume, LabelMap):
        values = {member for value in values for member in volume.members(value)}
    names = _names(volume)
    return tuple(dict.fromkeys(names.get(value, f"label_{value}") for value in sorted(values - {0, ignore_value})))


def pair_by_name(name: str, prediction: Volume, reference: Volume) -> LabelPair:
    """Find the values of a label in both maps.

    A label map with names, such as a ``.seg.nrrd``, is asked for the name: its values are mere storage and differ
    from file to file. A map without names (an ordinary image) is taken to use the other's value. A side that has names
    but not this one gets no value.
    """
    in_prediction, in_reference = _values_of(prediction, name), _values_of(reference, name)
    if not _has_names(prediction):
        in_prediction = in_reference
    elif not _has_names(reference):
        in_reference = in_prediction
    return LabelPair(name, in_prediction, in_reference)


def with_overlaps(pair: LabelPair, prediction: Volume, reference: Volume) -> LabelPair:
    """A pair that also has the values by which label maps say that a label lies there together with others."""

    def values(volume: Volume, values: tuple[int, ...]) -> tuple[int, ...]:
        return volume.with_overlaps(values) if isinstance(volume, LabelMap) else values

    return LabelPair(pair.name, values(prediction, pair.prediction), values(reference, pair.reference))


def _names(volume: Volume) -> dict[int, str]:
    labels = volume.labels if isinstance(volume, LabelMap) else ()
    return {value: label.name for value, label in enumerate(labels, start=1)}


def _values_of(volume: Volume, name: str) -> tuple[int, ...]:
    """Values of that name: several if segments share it, none if there is no such label."""
    named = tuple(value for value, other in _names(volume).items() if other == name)
    number = re.fullmatch(r"label_(\d+)", name)
    return (int(number[1]),) if number and not named else named


def _has_names(volume: Volume) -> bool:
    """Whether somebody named the labels; ``label_1``, ``label_2``, ... are what an image without names gets."""
    return any(name != f"label_{value}" for value, name in _names(volume).items())
