"""The scan of a request: checked as a file would be, and cut to the region that the user drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Geometry, triple
from Med3DCore.io.orientation import turned
from Med3DCore.io.voxels import fill_non_finite, require_contrast, shifted, smallest_type
from Med3DCore.preprocessing.channels import require_channels
from Med3DCore.preprocessing.preprocessing import Box, voxels_inside
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap, Volume
from Med3DCore.worker.exchange import read_volume_array

Index = tuple[int, int, int]

# A network that saw a region's edge as the end of the patient would err there.
_CONTEXT_MM = 30.0


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan, and the region of it to label.

    Args:
        whole: The client's volume, memory-mapped, lying as it was said to lie.
        grid: Of that volume as the client has it.
        seen: The region and some millimetres around it, uint8, int16 or float32; or all of it.
        seen_start: First voxel (x, y, z) of what is seen.
        start: First voxel of the region.
        stop: Behind the region's last voxel.
    """

    whole: Volume
    grid: Geometry
    seen: Volume
    seen_start: Index
    start: Index
    stop: Index

    @property
    def region(self) -> Geometry:
        """Grid of the region."""
        return self.whole.geometry.crop(self.start, self.stop)

    def keep(self, labels: LabelMap) -> LabelMap:
        """What of the labels of ``seen`` lies in the region, on the region's grid."""
        start, stop = (
            triple(i - s for i, s in zip(index, self.seen_start, strict=True)) for index in (self.start, self.stop)
        )
        return replace(labels, array=labels.array[_slices(start, stop)], geometry=self.region)

    def paste(self, labels: LabelMap) -> LabelMap:
        """Labels of the region on the client's grid of the whole scan."""
        if labels.array.shape == self.whole.array.shape:
            return replace(labels, geometry=self.grid)
        array = np.zeros(self.whole.array.shape, labels.array.dtype)
        array[_slices(self.start, self.stop)] = labels.array
        return replace(labels, array=array, geometry=self.grid)

    def edge(self, axis: int, end: int) -> str:
        """What the region ends with at an end (0 or -1) of an array axis."""
        at_end = self.start[2 - axis] == 0 if end == 0 else self.stop[2 - axis] == self.whole.array.shape[axis]
        return "scan" if at_end else "region"


def read_scan(
    description: dict,
    region: list[list[float]] | None,
    progress: Progress,
    orientation: str | None = None,
    offset: float = 0.0,
    modality: str | None = None,
) -> Scan:
    """Map the volume of a request.

    Args:
        description: See :mod:`.exchange`.
        region: Lowest and highest LPS mm (x, y, z) to label, or None for all.
        progress: Gets warnings.
        orientation: How the axes x, y, z of the array run, such as ``"RAS"``, whatever the description says.
        offset: Is added to all values.
        modality: DICOM modality, or None if it is not known.

    Raises:
        VolumeError: It cannot be read, or nothing can be seen in it.
        SettingError: Region, orientation or offset make no sense, or the region holds no voxel of the scan.
    """
    grid, whole = _read(description, progress, orientation, offset)
    start = seen_start = (0, 0, 0)
    stop = seen_stop = grid.size
    if region is not None:
        low, high = _box(region)
        start, stop = voxels_inside(grid, (low, high))
        if any(a >= b for a, b in zip(start, stop, strict=True)):
            raise SettingError(
                f"The region holds no voxel of {whole.name}; place it over the organ, or make it larger."
            )
        seen_start, seen_stop = voxels_inside(grid, (low - _CONTEXT_MM, high + _CONTEXT_MM))
    whole = replace(whole, modality=modality)
    return Scan(whole, grid, _part(whole, seen_start, seen_stop), seen_start, start, stop)


def read_channels(
    descriptions: Sequence[dict], scan: Scan, wanted: int, progress: Progress, orientation: str | None = None
) -> list[Volume]:
    """Map the further images of a patient; of each what the scan's network sees of the scan.

    Args:
        descriptions: See :mod:`.exchange`; in the model's order.
        scan: The scan, from :func:`read_scan`.
        wanted: How many images the model takes, the scan included.
        progress: Gets warnings.
        orientation: As that of the scan.

    Raises:
        VolumeError: One cannot be read or nothing can be seen in it, there are more or fewer than the model takes, or
            they do not lie over the scan.
        SettingError: The orientation makes no sense.
    """
    wholes = [_read(description, progress, orientation)[1] for description in descriptions]
    require_channels([scan.whole, *wholes], wanted)
    stop = triple(first + n for first, n in zip(scan.seen_start, scan.seen.geometry.size, strict=True))
    return [_part(whole, scan.seen_start, stop) for whole in wholes]


def _read(
    description: dict, progress: Progress, orientation: str | None, offset: float = 0.0
) -> tuple[Geometry, Volume]:
    """The grid as the client has it, and the volume as it was said to lie."""
    volume = read_volume_array(description)
    grid = volume.geometry
    if orientation is not None:
        volume = replace(volume, geometry=turned(grid, orientation))
    fill_non_finite(volume.array, volume.name, progress.warn)  # mapped copy-on-write: the file stays as it is
    return grid, replace(volume, array=shifted(volume.array, offset))


def _part(whole: Volume, start: Index, stop: Index) -> Volume:
    """What lies between two voxels, the last excluded, in the smallest type that holds it."""
    array = whole.array[_slices(start, stop)]
    require_contrast(array, whole.name)
    return Volume(smallest_type(array), whole.geometry.crop(start, stop), whole.name)


def series_text(series: dict) -> str:
    """A DICOM series in words, such as ``CT 'Thorax' (series number 3), 153 slices``; as in the request ``segment``."""
    title, number = series.get("title", "series"), series.get("series_number")
    numbered = title if number is None else f"{title} (series number {number})"
    return f"{numbered}, {series['slices']} slices" if "slices" in series else numbered


def _box(region: list[list[float]]) -> Box:
    try:
        low, high = np.array(region, dtype=np.float64).reshape(2, 3)
    except (ValueError, OverflowError):
        low = high = np.zeros(3)
    if not (np.isfinite([low, high]).all() and (low < high).all()):
        raise SettingError(f"A region is [[x, y, z], [x, y, z]], lowest and highest mm (LPS), not {region}.")
    return low, high


def _slices(start: Index, stop: Index) -> tuple[slice, slice, slice]:
    return triple(slice(start[i], stop[i]) for i in (2, 1, 0))
