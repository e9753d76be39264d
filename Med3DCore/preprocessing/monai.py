"""MONAI's preprocessing of Auto3DSeg's SegResNet: turn, crop, resample linearly, then normalise.

As its own segmenter does it (research-contributions, ``algorithm_templates/segresnet``), which taught the models. The
axes of the network are x, y, z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Triple, triple
from Med3DCore.preprocessing.frame import Frame, patient_axes, turned
from Med3DCore.preprocessing.intensity import Statistics
from Med3DCore.preprocessing.nnunet.axis import Neighbours, between
from Med3DCore.preprocessing.resample import weigh
from Med3DCore.volume import Volume

METHODS = ("range", "z_score", "z_score_tanh", "pet", "none")

_AXES = (2, 1, 0)  # the network's x, y, z in an array [z, y, x]
_MARGIN = 10  # voxels around what is above 0 that stay in the crop
_KEPT = (0.75, 1.25)  # spacings between these parts of the wanted one are left as they are


@dataclass(frozen=True)
class MonaiIntensity:
    """How one input channel is normalised, after resampling.

    Args:
        method: ``"range"`` (the window ``low`` to ``high`` as -1 to 1, then a sigmoid), ``"z_score"`` of the voxels
            that are not 0, ``"z_score_tanh"`` (of it 3 tanh(x / 3)), ``"pet"`` (a sigmoid of what is above the least,
            by the standard deviation) or ``"none"``.
        low: Of the window.
        high: Of the window.
    """

    method: str
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.method not in METHODS or not self.low < self.high:
            raise SettingError(f"This is not a normalisation of MONAI's: {self}.")

    @property
    def name(self) -> str:
        """Of the method among those of all programs."""
        return f"monai_{self.method}"

    def statistics(self, array: np.ndarray) -> Statistics:
        """The numbers of a resampled channel."""
        mean, sd = 0.0, 1.0
        if self.method == "range":
            mean, sd = (self.low + self.high) / 2, (self.high - self.low) / 2
        elif self.method == "pet":
            mean, sd = float(array.min()), float(array.std(dtype=np.float64, ddof=1))
        elif self.method != "none":
            values = array[array != 0]
            if values.size:
                mean, sd = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
        return Statistics(-np.inf, np.inf, mean, sd or 1.0)

    def normalise(self, array: np.ndarray) -> np.ndarray:
        """A float32 channel, in place; returns it."""
        known = self.statistics(array)
        inside = array != 0 if self.method in ("z_score", "z_score_tanh") else True
        np.subtract(array, np.float32(known.mean), out=array, where=inside)
        np.divide(array, np.float32(known.sd), out=array, where=inside)
        if self.method in ("range", "pet"):
            return np.divide(1, 1 + np.exp(-array), out=array)
        return 3 * np.tanh(array / 3) if self.method == "z_score_tanh" else array


@dataclass(frozen=True)
class MonaiPreprocessing:
    """What the configuration of an Auto3DSeg model says of a scan's way to the network.

    Args:
        spacing: Spacing (x, y, z) in mm that the network works at; None leaves scans as they are.
        channels: Normalisation of each input channel.
        orientation: ``"RAS"`` turns the scan by whole axes first; ``"stored"`` takes its axes as they are.
        crop: Whether only the box of what is above 0, and a little around it, is looked at.
    """

    spacing: Triple
    channels: tuple[MonaiIntensity, ...]
    orientation: str = "RAS"
    crop: bool = True
    resample: bool = True

    @classmethod
    def from_dict(cls, spec: dict) -> MonaiPreprocessing:
        """From a stage's description in a package.

        Raises:
            SettingError: A part is missing or makes no sense.
        """
        try:
            made = cls(
                spacing=triple(float(value) for value in spec["spacing"]),
                channels=tuple(MonaiIntensity(**channel) for channel in spec["intensity"]["channels"]),
                orientation=spec["orientation"],
                crop=bool(spec["crop"]),
                resample=bool(spec["resample"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SettingError(f"This is not a description of MONAI's preprocessing: {spec}.") from error
        if made.orientation not in ("RAS", "stored") or not made.channels or min(made.spacing) <= 0:
            raise SettingError(f"This is not a description of MONAI's preprocessing: {spec}.")
        return made

    def frame(self, volumes: Sequence[Volume]) -> Frame:
        """Where the network looks. With several channels, everywhere."""
        geometry = volumes[0].geometry
        axes, flips = patient_axes(geometry) if self.orientation == "RAS" else ((0, 1, 2), (False,) * 3)
        axes, flips = triple(axes[own] for own in _AXES), triple(flips[own] for own in _AXES)
        array = turned(volumes[0].array, axes, flips)
        start, stop = _around(array > 0) if self.crop and len(volumes) == 1 else ((0, 0, 0), triple(array.shape))
        spacing = triple(geometry.spacing[2 - axis] for axis in axes)
        wanted = triple(map(self._wanted, spacing, self.spacing))
        sizes = zip(start, stop, spacing, wanted, strict=True)
        shape = triple(round((b - a - 1) * now / then) + 1 for a, b, now, then in sizes)
        return Frame(axes, flips, start, stop, spacing, wanted, shape, aligned=True)

    def _wanted(self, now: float, then: float) -> float:
        return now if not self.resample or _KEPT[0] * then <= now <= _KEPT[1] * then else then

    def apply(self, volumes: Sequence[Volume], frame: Frame) -> np.ndarray:
        """The channels as the network sees them: float32 ``[c, *frame.shape]``.

        Args:
            volumes: One a channel, all on one grid.
            frame: From :meth:`frame`.
        """
        result = np.empty((len(volumes), *frame.shape), np.float32)
        for volume, channel, target in zip(volumes, self.channels, result, strict=True):
            target[:] = _resampled(volume, frame)
            target[:] = channel.normalise(target)
        return result

    def statistics(self, volumes: Sequence[Volume], frame: Frame) -> list[Statistics]:
        """By which numbers each channel is normalised."""
        pairs = zip(volumes, self.channels, strict=True)
        return [channel.statistics(_resampled(volume, frame)) for volume, channel in pairs]

    def back(self, frame: Frame) -> list[Neighbours]:
        """Linear interpolation from the network's grid to the crop of the scan, along each axis."""
        found = []
        for axis, (size, wanted) in enumerate(zip(frame.shape, frame.crop_shape, strict=True)):
            offset, step = frame.place(axis)
            found.append(between((np.arange(wanted) - offset) / step, size))
        return found


def _resampled(volume: Volume, frame: Frame) -> np.ndarray:
    """The crop of a channel on the network's grid."""
    array = frame.view(volume.array)
    for axis, (new, old) in enumerate(zip(frame.shape, array.shape, strict=True)):
        if frame.spacing[axis] != frame.wanted[axis]:
            offset, step = frame.place(axis)
            matrix = between(offset + step * np.arange(new), old).matrix(old)
            array = np.moveaxis(weigh(matrix, np.moveaxis(array, axis, 0)), 0, axis)
    return array


def _around(there: np.ndarray) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """The box of a mask and a margin, within the array; all of it if there is nothing."""
    along = [np.flatnonzero(there.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    if not len(along[0]):
        return (0, 0, 0), triple(there.shape)
    ends = zip(along, there.shape, strict=True)
    boxes = [(max(0, int(a[0]) - _MARGIN), min(n, int(a[-1]) + 1 + _MARGIN)) for a, n in ends]
    return triple(box[0] for box in boxes), triple(box[1] for box in boxes)
