"""A case on the grid of a network: its image and a target for each label."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from Med3DCore.geometry import Geometry
from Med3DCore.preprocessing import resample, world_grid
from Med3DCore.preprocessing.hounsfield import looks_like_ct
from Med3DCore.preprocessing.intensity import Intensity, Statistics
from Med3DCore.preprocessing.padding import Seen, continue_into_padding
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.training.cases.case import UNKNOWN, AnyCase, Case, read_channels, read_image
from Med3DCore.training.cases.label import read_label
from Med3DCore.volume import LabelMap, Volume

HEADROOM = 60.0
"""How far outside of the model's intensity range a prepared image keeps its values."""


Its = TypeVar("Its", bound=Case, covariant=True)


class Prepared(Protocol[Its]):
    """A case on the grid of the network, with its arrays in memory or on disk.

    Attributes:
        case: Where it comes from.
        image: Volume ``[z, y, x]`` float32 in the scan's own units, clipped a little outside of what the network sees.
        target: uint8 ``[c, z, y, x]``, a channel per label: 1 inside, 0 outside, 255 unknown.
        geometry: Their grid.
        statistics: How this scan is normalised.
        further: The further images of a network that takes several, as ``image``, each with its statistics.
    """

    @property
    def case(self) -> Its: ...

    @property
    def image(self) -> np.ndarray: ...

    @property
    def target(self) -> np.ndarray: ...

    @property
    def geometry(self) -> Geometry: ...

    @property
    def statistics(self) -> Statistics: ...

    @property
    def further(self) -> Sequence[tuple[np.ndarray, Statistics]]: ...


@dataclass(frozen=True, eq=False)
class PreparedCase(Generic[AnyCase]):
    """A :class:`Prepared` case in memory.

    Args:
        case: Where it comes from.
        image: Volume ``[z, y, x]`` float32 in the scan's own units, clipped a little outside of what the network sees.
        target: uint8 ``[c, z, y, x]``, a channel per label: 1 inside, 0 outside, 255 unknown.
        geometry: Their grid.
        statistics: How this scan is normalised.
        further: The further images of a network that takes several, as ``image``, each with its statistics.
    """

    case: AnyCase
    image: np.ndarray
    target: np.ndarray
    geometry: Geometry
    statistics: Statistics
    further: Sequence[tuple[np.ndarray, Statistics]] = ()


def normalised(case: Prepared, intensity: Intensity) -> np.ndarray:
    """What a network sees of a whole case: float32 ``[z, y, x]``, or ``[channels, z, y, x]`` of several images."""
    images = [intensity.apply(np.array(image), own) for image, own in ((case.image, case.statistics), *case.further)]
    return images[0] if len(images) == 1 else np.stack(images)


def identity_of(cases: Sequence[Prepared]) -> list[list]:
    """What a run is known by that goes on later: who is in it, what for, and their images and labels.

    A run that goes on with others would be measured on what it never learned.
    """
    return [[case.case.name, case.case.split, case.case.weight, fingerprint(case)] for case in cases]


def fingerprint(case: Prepared) -> int:
    """CRC-32 of images and target: whether a case is still what it was, as long as nobody means harm."""
    value = 0
    for array in (case.image, case.target, *(image for image, _ in case.further)):
        value = zlib.crc32(np.ascontiguousarray(array).data, value)
    return value


def prepare_case(
    case: AnyCase, preprocessing: Preprocessing, labels: Sequence[str], headroom: float = HEADROOM
) -> PreparedCase[AnyCase]:
    """Resample a case's image and label to the network's grid.

    Padding of a CT is filled as when it is segmented (:mod:`Med3DCore.preprocessing.padding`), and teaches nothing.

    Args:
        case: The case.
        preprocessing: The model's preprocessing.
        labels: Label name of each output channel.
        headroom: How far outside of the model's intensity range values are kept, so that augmentation may shift them.

    Raises:
        DataError: Image and label do not lie on the same grid, or the label has other values than described.
    """
    volume = read_image(case)
    others = read_channels(case, volume, max(1, len(preprocessing.channels)))
    seen = continue_into_padding(volume) if looks_like_ct(volume.array) else Seen(volume)
    grid = world_grid(volume.geometry, preprocessing.spacing)
    (image, statistics), *further = (_on_grid(each, grid, preprocessing, headroom) for each in (seen.volume, *others))
    label = None if case.label is None else read_label(case, volume.geometry, names=labels)
    target = np.stack([target_on(case, name, label, volume.geometry, grid) for name in labels])
    if seen.padding is not None:
        target[:, _share(seen.padding, volume.geometry, grid) > 0.5] = UNKNOWN
    return PreparedCase(case, image, target, grid, statistics, tuple(further))


def _on_grid(
    volume: Volume, grid: Geometry, preprocessing: Preprocessing, headroom: float
) -> tuple[np.ndarray, Statistics]:
    statistics = preprocessing.intensity.measure(volume)
    clip = (statistics.low - headroom, statistics.high + headroom)
    return resample(volume.array, volume.geometry, grid, clip, statistics.floor), statistics


def target_on(case: Case, name: str, label: LabelMap | None, source: Geometry, grid: Geometry) -> np.ndarray:
    """Where a label is on a network's grid: uint8 ``[z, y, x]``, 1 inside, 0 outside, 255 unknown.

    Args:
        case: The case.
        name: Of the label.
        label: The case's label file, as :func:`.read_label` gives it; None if it has none.
        source: The grid of the case's image, and of its label.
        grid: The network's.
    """
    if name in case.absent:
        return np.zeros(grid.shape, np.uint8)
    if label is None or name not in case.values:
        return np.full(grid.shape, UNKNOWN, np.uint8)
    target = np.zeros(grid.shape, np.uint8)
    values = [case.ignore] if name in case.annotated else [case.ignore, UNKNOWN]
    unknown = label.mask_of(value for value in values if value is not None)
    if unknown.any():
        target[_share(unknown, source, grid) > 1e-3] = UNKNOWN
    if name in case.annotated:
        target[_share(case.inside(label, name), source, grid) > 0.5] = 1
    return target


def _share(mask: np.ndarray, source: Geometry, grid: Geometry) -> np.ndarray:
    """How much of each voxel of the grid the mask fills, 0..1."""
    return resample(mask.view(np.uint8), source, grid)
