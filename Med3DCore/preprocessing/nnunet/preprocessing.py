"""nnU-Net's preprocessing: turn, crop to what is not zero, normalise, resample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Triple, triple
from Med3DCore.preprocessing.frame import Frame, patient_axes, turned
from Med3DCore.preprocessing.intensity import Statistics
from Med3DCore.preprocessing.nnunet.axis import Neighbours, lone_axis, neighbours, new_size, weights
from Med3DCore.preprocessing.nnunet.intensity import ChannelIntensity, Normaliser, nonzero_mask
from Med3DCore.preprocessing.resample import weigh
from Med3DCore.system.threads import in_threads
from Med3DCore.volume import Volume

ORIENTATIONS = ("stored", "RAS")
# Source voxels that a thread turns into float32 at a time.
_CHUNK_VOXELS = 1 << 22
_ORDERS = (None, 0, 1, 3)


@dataclass(frozen=True)
class Resampling:
    """How arrays are resampled.

    Args:
        order: 0, 1 or 3; None leaves them as they are.
        order_z: Order along an axis that is resampled by itself.
        separate: Whether there is such an axis; None decides by the spacings.
    """

    order: int | None
    order_z: int = 0
    separate: bool | None = None


@dataclass(frozen=True)
class NnunetPreprocessing:
    """What nnU-Net's plans say of a scan's way to the network.

    Args:
        spacing: Spacing (x, y, z) in mm of the scan's own axes that the network works at.
        channels: Normalisation of each input channel.
        transpose: Which of the scan's array axes (0=z, 1=y, 2=x) each axis of the network is.
        orientation: ``"stored"`` takes the scan's axes as they are; ``"RAS"`` turns it by whole axes first, so that
            they run to the right, to the front and up.
        flat: The network is 2D: the first axis keeps its spacing.
        image: How images are resampled.
        logits: How what the network says is.
    """

    spacing: Triple
    channels: tuple[ChannelIntensity, ...]
    transpose: tuple[int, int, int] = (0, 1, 2)
    orientation: str = "stored"
    flat: bool = False
    image: Resampling = Resampling(3)
    logits: Resampling = Resampling(1)

    @classmethod
    def from_dict(cls, spec: dict) -> NnunetPreprocessing:
        """From a stage's description in a package.

        Raises:
            SettingError: A part is missing or makes no sense.
        """
        try:
            made = cls(
                spacing=triple(float(value) for value in spec["spacing"]),
                channels=tuple(ChannelIntensity(**channel) for channel in spec["intensity"]["channels"]),
                transpose=triple(spec["transpose"]),
                orientation=spec["orientation"],
                flat=spec["flat"],
                image=Resampling(**spec["image"]),
                logits=Resampling(**spec["logits"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SettingError(f"This is not a description of nnU-Net's preprocessing: {spec}.") from error
        orders = {made.image.order, made.image.order_z, made.logits.order, made.logits.order_z}
        if (
            sorted(made.transpose) != [0, 1, 2]
            or made.orientation not in ORIENTATIONS
            or not made.channels
            or not orders <= set(_ORDERS)
            or made.logits.order == 3
            or min(made.spacing) <= 0
        ):
            raise SettingError(f"This is not a description of nnU-Net's preprocessing: {spec}.")
        return made

    def frame(self, volumes: Sequence[Volume]) -> Frame:
        """Where the network looks: the box of what is not zero in any of the channels."""
        geometry = volumes[0].geometry
        axes, flips = patient_axes(geometry) if self.orientation == "RAS" else ((0, 1, 2), (False,) * 3)
        axes, flips = triple(axes[t] for t in self.transpose), triple(flips[t] for t in self.transpose)
        start, stop = _box(turned(volume.array, axes, flips) for volume in volumes)
        spacing = triple(geometry.spacing[2 - axis] for axis in axes)
        # The plan's spacing belongs to the axes after turning, before transposing.
        wanted = triple(self.spacing[2 - t] for t in self.transpose)
        if self.flat:
            wanted = (spacing[0], wanted[1], wanted[2])
        sizes = zip(start, stop, spacing, wanted, strict=True)
        shape = triple(new_size(b - a, now, then) for a, b, now, then in sizes)
        if self.image.order is None:
            shape = triple(b - a for a, b in zip(start, stop, strict=True))
        return Frame(axes, flips, start, stop, spacing, wanted, shape)

    def apply(self, volumes: Sequence[Volume], frame: Frame) -> np.ndarray:
        """The channels as the network sees them: float32 ``[c, *frame.shape]``.

        Args:
            volumes: One a channel, all on one grid.
            frame: From :meth:`frame`.
        """
        views, mask = self._views(volumes, frame)
        result = np.empty((len(views), *frame.shape), np.float32)
        for view, channel, target in zip(views, self.channels, result, strict=True):
            target[:] = self._resampled(view, channel.measured(view, mask), mask, frame)
        return result

    def statistics(self, volumes: Sequence[Volume], frame: Frame) -> list[Statistics]:
        """By which numbers each channel is normalised."""
        views, mask = self._views(volumes, frame)
        return [channel.statistics(view, mask) for view, channel in zip(views, self.channels, strict=True)]

    def _views(self, volumes: Sequence[Volume], frame: Frame) -> tuple[list[np.ndarray], np.ndarray | None]:
        """The channels' crops, and where one of them is not zero if that is needed."""
        views = [frame.view(volume.array) for volume in volumes]
        return views, nonzero_mask(views) if any(channel.nonzero for channel in self.channels) else None

    def back(self, frame: Frame) -> list[Neighbours]:
        """Interpolation from the network's grid to the crop of the scan, along each axis."""
        rule = self.logits
        lone = lone_axis(frame.wanted, frame.spacing, rule.separate)
        order = 1 if rule.order is None else rule.order
        orders = [rule.order_z if axis == lone else order for axis in range(3)]
        return [neighbours(n, m, o) for n, m, o in zip(frame.shape, frame.crop_shape, orders, strict=True)]

    def _resampled(self, view: np.ndarray, normalise: Normaliser, mask: np.ndarray | None, frame: Frame) -> np.ndarray:
        """A normalised channel, resampled: in the planes of its chunks first, across them at last."""
        order = self.image.order
        if order is None or view.shape == frame.shape:
            return normalise(view, mask)
        lone = lone_axis(frame.spacing, frame.wanted, self.image.separate)
        # An axis that is resampled by itself comes first, so that its slices are the planes.
        turn = (0, 1, 2) if lone is None else (lone, *(axis for axis in range(3) if axis != lone))
        view, mask = view.transpose(turn), None if mask is None else mask.transpose(turn)
        across, *in_plane = (frame.shape[axis] for axis in turn)
        rows, columns = (weights(n, m, order) for n, m in zip(view.shape[1:], in_plane, strict=True))
        planes = np.empty((view.shape[0], *in_plane), np.float32)
        step = max(1, _CHUNK_VOXELS // (view.shape[1] * view.shape[2]))

        def reduce(first: int) -> tuple[float, float]:
            part = slice(first, first + step)
            chunk = normalise(view[part], None if mask is None else mask[part])
            limits = chunk.min(axis=(1, 2), keepdims=True), chunk.max(axis=(1, 2), keepdims=True)
            # Rows first: they need no copy, and what is left to be turned around is small.
            fewer_rows = weigh(rows, chunk.transpose(1, 0, 2))
            done = weigh(columns, np.ascontiguousarray(fewer_rows.transpose(2, 1, 0))).transpose(1, 2, 0)
            # A spline overshoots; nnU-Net's stays within the values that it was given: of the slice, or of all.
            planes[part] = done if lone is None else np.clip(done, *limits)
            return float(limits[0].min()), float(limits[1].max())

        limits = np.array(in_threads(reduce, range(0, view.shape[0], step)))
        result = weigh(weights(view.shape[0], across, order if lone is None else self.image.order_z), planes)
        if lone is None:
            np.clip(result, limits[:, 0].min(), limits[:, 1].max(), out=result)
        return result.transpose(np.argsort(turn))


def _box(arrays: Iterable[np.ndarray]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """The box of what is not zero in any array; all of it if there is nothing."""
    filled: list[np.ndarray] = []
    for array in arrays:
        there = array != 0
        along = [there.any(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
        filled = [a | b for a, b in zip(filled, along, strict=True)] if filled else along
    places = [np.flatnonzero(axis) for axis in filled]
    if not len(places[0]):
        return (0, 0, 0), triple(len(axis) for axis in filled)
    return triple(int(p[0]) for p in places), triple(int(p[-1]) + 1 for p in places)
