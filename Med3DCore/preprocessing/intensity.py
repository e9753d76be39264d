"""Intensity normalisation: what the network gets instead of HU.

Every method but :class:`GreyWindows` reduces to four numbers measured once on the whole volume: clip to
``[low, high]``, subtract ``mean``, divide by ``sd``. So a crop is normalised exactly like the whole, and a model's
preview can print them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from Med3DCore.errors import SettingError, VolumeError
from Med3DCore.volume import Volume


@dataclass(frozen=True)
class Statistics:
    """How to normalise one volume: clip to [low, high], then (value - mean) / sd. All in the volume's units."""

    low: float
    high: float
    mean: float
    sd: float

    @property
    def span(self) -> float:
        """Width of the range that matters, in the volume's units; six sd where nothing is clipped."""
        return self.high - self.low if np.isfinite(self.high - self.low) else 6 * self.sd

    @property
    def floor(self) -> float:
        """The value of what lies outside of the scan."""
        return self.low if np.isfinite(self.low) else 0.0

    def normalise(self, array: np.ndarray) -> np.ndarray:
        """Clip, shift and scale a float32 array in place; returns it."""
        np.clip(array, self.low, self.high, out=array)
        array -= np.float32(self.mean)
        array /= np.float32(self.sd)
        return array


class Intensity(Protocol):
    """A normalisation method, a data class whose fields say how."""

    name: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def measure(self, volume: Volume) -> Statistics:
        """The numbers for one whole volume."""

    def apply(self, array: np.ndarray, statistics: Statistics) -> np.ndarray:
        """Normalise a resampled float32 array in place; returns it."""


@dataclass(frozen=True)
class Window:
    """A fixed HU window mapped to [-1, 1]. The paper's LiTS experiment uses [-200, 250] HU (section 4.4).

    Args:
        low: Lower end in HU.
        high: Upper end in HU.
    """

    low: float = -200.0
    high: float = 250.0
    name: ClassVar[str] = "window"

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise SettingError(f"The window's low end {self.low} HU must lie below its high end {self.high} HU.")

    def measure(self, volume: Volume) -> Statistics:  # noqa: ARG002 - one signature for all methods
        """The window itself; does not look at the volume."""
        return Statistics(self.low, self.high, (self.low + self.high) / 2, (self.high - self.low) / 2)

    def apply(self, array: np.ndarray, statistics: Statistics) -> np.ndarray:
        """Clip to the window and scale to [-1, 1]."""
        return statistics.normalise(array)


@dataclass(frozen=True)
class GreyWindow(Window):
    """A fixed HU window as grey values 0 to 255, normalised as VDT's pictures are (papers.md B1, B3.5).

    Args:
        mean: Grey value that becomes 0.
        deviation: Grey values that become 1.
    """

    low: float = -1024.0
    high: float = 1050.0
    mean: float = 114.495
    deviation: float = 57.63
    name: ClassVar[str] = "grey_window"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.deviation > 0:
            raise SettingError(f"The deviation of grey values is {self.deviation}; it must be above 0.")

    def measure(self, volume: Volume) -> Statistics:  # noqa: ARG002 - one signature for all methods
        """The window, and its mean and deviation in HU; does not look at the volume."""
        step = (self.high - self.low) / 255
        return Statistics(self.low, self.high, self.low + self.mean * step, self.deviation * step)


@dataclass(frozen=True)
class GreyWindows(GreyWindow):
    """The mean of the grey values of two windows: a wide one for lung and bone, a narrow one for soft tissue.

    In the wide one alone, 30 HU are 4 of 255 grey values; here they are 11.

    Args:
        narrow_low: Lower end of the narrow one in HU.
        narrow_high: Its upper end.
    """

    narrow_low: float = -150.0
    narrow_high: float = 250.0
    name: ClassVar[str] = "grey_windows"

    def __post_init__(self) -> None:
        super().__post_init__()
        Window(self.narrow_low, self.narrow_high)

    def apply(self, array: np.ndarray, statistics: Statistics) -> np.ndarray:
        """Clip to each window and average; what the statistics say is true of the wide one."""
        grey = np.float32(255 / 2 / (self.narrow_high - self.narrow_low)) * (
            np.clip(array, self.narrow_low, self.narrow_high) - np.float32(self.narrow_low)
        )
        super().apply(array, statistics)  # (grey of the wide window - mean) / deviation
        array += np.float32(self.mean / self.deviation)
        array /= 2
        array += (grey - np.float32(self.mean)) / np.float32(self.deviation)
        return array


@dataclass(frozen=True)
class Percentile:
    """Clip to percentiles of all voxels, then z-score over the clipped volume (paper section 3.1, Eq. 3).

    Args:
        low: Lower percentile, 0..100.
        high: Upper percentile, 0..100.
    """

    low: float = 0.5
    high: float = 99.5
    name: ClassVar[str] = "percentile"

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 100:
            raise SettingError(f"Percentiles must satisfy 0 <= low < high <= 100, not {self.low} and {self.high}.")

    def measure(self, volume: Volume) -> Statistics:
        """Percentiles, and mean and sd after clipping to them, over all voxels.

        Raises:
            VolumeError: The volume is constant.
        """
        values, counts = np.unique_counts(volume.array)
        low, high = _weighted_percentiles(values, counts, (self.low, self.high))
        clipped = np.clip(values.astype(np.float64), low, high)
        mean = float(np.average(clipped, weights=counts))
        sd = float(np.sqrt(np.average((clipped - mean) ** 2, weights=counts)))
        if sd == 0:
            raise VolumeError(f"{volume.name} has the same value everywhere; there is nothing to normalise.")
        return Statistics(low, high, mean, sd)

    def apply(self, array: np.ndarray, statistics: Statistics) -> np.ndarray:
        """Clip and z-score."""
        return statistics.normalise(array)


@dataclass(frozen=True)
class MedicalNet:
    """The released MedicalNet code's variant: z-score with mean and sd of the voxels above 0, background replaced.

    The released code fills voxels that are exactly 0 with N(0, 1) noise in training and in testing, so its results
    change from run to run. Here they become 0 unless ``noise`` is asked for, and the noise has a seed.

    Args:
        noise: Fill the background with noise as the released code does.
        seed: Seed of that noise.
    """

    noise: bool = False
    seed: int = 0
    name: ClassVar[str] = "medicalnet"

    def measure(self, volume: Volume) -> Statistics:
        """Mean and sd of the voxels above 0; no clipping.

        Raises:
            VolumeError: No voxel is above 0, or all such voxels are equal.
        """
        inside = volume.array[volume.array > 0]
        if inside.size == 0 or inside.min() == inside.max():
            raise VolumeError(
                f"{volume.name} has no contrast above 0, which MedicalNet's normalisation needs; "
                "use a window or percentiles."
            )
        return Statistics(-np.inf, np.inf, float(inside.mean(dtype=np.float64)), float(inside.std(dtype=np.float64)))

    def apply(self, array: np.ndarray, statistics: Statistics) -> np.ndarray:
        """Z-score, then replace what was exactly 0."""
        background = array == 0
        statistics.normalise(array)
        if self.noise:
            generator = np.random.default_rng(self.seed)
            array[background] = generator.standard_normal(int(background.sum()), dtype=np.float32)
        else:
            array[background] = 0.0
        return array


@dataclass(frozen=True)
class Ultrasound:
    """Z-score with mean and sd of what lies in the sector, black staying black.

    An ultrasound picture is bright or dark as its gain was set, and black around the sector, which is wide or narrow.
    So only voxels above 0 are measured, and 0 is the lowest value of every scan.

    Args:
        high: Percentile of the voxels above 0 at which values are clipped: a few echoes are as bright as can be.
    """

    high: float = 99.5
    name: ClassVar[str] = "ultrasound"

    def __post_init__(self) -> None:
        if not 0 < self.high <= 100:
            raise SettingError(f"The percentile of ultrasound is {self.high}; it must be above 0 and at most 100.")

    def measure(self, volume: Volume) -> Statistics:
        """0, the percentile, and mean and sd of the voxels above 0 after clipping.

        Raises:
            VolumeError: No voxel is above 0, or all such voxels are equal.
        """
        values, counts = np.unique_counts(volume.array)
        values, counts = values[values > 0].astype(np.float64), counts[values > 0]
        if values.size < 2:
            raise VolumeError(f"{volume.name} has no contrast above 0, so it shows no ultrasound sector to normalise.")
        (high,) = _weighted_percentiles(values, counts, (self.high,))
        clipped = np.minimum(values, high)
        mean = float(np.average(clipped, weights=counts))
        sd = float(np.sqrt(np.average((clipped - mean) ** 2, weights=counts)))
        return Statistics(0.0, high, mean, sd or 1.0)

    def apply(self, array: np.ndarray, statistics: Statistics) -> np.ndarray:
        """Clip and z-score."""
        return statistics.normalise(array)


_METHODS = (Window, GreyWindow, GreyWindows, Percentile, MedicalNet, Ultrasound)
METHODS: dict[str, type] = {method.name: method for method in _METHODS}


def intensity_from_dict(spec: dict) -> Intensity:
    """The method described by ``{"name": ..., its arguments}``.

    Raises:
        SettingError: Unknown name or argument.
    """
    arguments = dict(spec)
    name = arguments.pop("name", None)
    if name not in METHODS:
        raise SettingError(f"Unknown intensity method '{name}'; known: {', '.join(METHODS)}.")
    try:
        return METHODS[name](**arguments)
    except TypeError as error:
        raise SettingError(f"Intensity method '{name}' does not take these arguments: {arguments}.") from error


def intensity_to_dict(intensity: Intensity) -> dict:
    """The inverse of :func:`intensity_from_dict`."""
    return {"name": intensity.name, **asdict(intensity)}


def _weighted_percentiles(values: np.ndarray, counts: np.ndarray, percents: tuple[float, ...]) -> list[float]:
    """Percentiles by linear interpolation, equal to numpy's, from sorted distinct values and their counts."""
    ends = np.cumsum(counts)
    ranks = np.asarray(percents) / 100 * (ends[-1] - 1)
    below = values[np.searchsorted(ends, np.floor(ranks), side="right")].astype(np.float64)
    above = values[np.searchsorted(ends, np.ceil(ranks), side="right")].astype(np.float64)
    return [float(v) for v in below + (above - below) * (ranks - np.floor(ranks))]
