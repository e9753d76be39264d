"""Where the array of an imported network lies in a scan: whole axes turned, a crop, another spacing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from Med3DCore.geometry import Geometry, Triple, triple
from Med3DCore.volume import Volume


@dataclass(frozen=True)
class Frame:
    """Where the network's array lies in the scan's.

    Args:
        axes: Array axis of the scan that each of the network's axes is.
        flips: Whether the network goes along it backwards.
        start: First voxel of the crop, along the network's axes.
        stop: Voxel after the last.
        spacing: Of the crop's voxels along the network's axes, mm.
        wanted: Spacing that the network works at.
        shape: Of the crop after resampling.
        aligned: Whether the first voxels of both lie on each other and the spacing is that wanted (MONAI); else the
            network's voxels fill the crop (nnU-Net).
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    spacing: Triple
    wanted: Triple
    shape: tuple[int, int, int]
    aligned: bool = False

    @property
    def crop_shape(self) -> tuple[int, int, int]:
        """Of the crop before resampling."""
        return triple(b - a for a, b in zip(self.start, self.stop, strict=True))

    def place(self, axis: int) -> tuple[float, float]:
        """Where along an axis of the crop the network's first voxel lies, and how many of its voxels a step is."""
        if self.aligned:
            return 0.0, self.wanted[axis] / self.spacing[axis]
        step = self.crop_shape[axis] / self.shape[axis]
        return step / 2 - 0.5, step

    def geometry(self, scan: Geometry) -> Geometry:
        """The grid of the network's array in space.

        Args:
            scan: The scan's grid.
        """
        first = np.zeros(3)  # index (x, y, z) in the scan of the network's first voxel
        columns, spacing = np.zeros((3, 3)), np.zeros(3)
        for axis, (own, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            ours, theirs = 2 - axis, 2 - own
            offset, step = self.place(axis)
            place = self.start[axis] + offset
            first[theirs] = scan.size[theirs] - 1 - place if flip else place
            columns[:, ours] = scan.direction_matrix[:, theirs] * (-1 if flip else 1)
            spacing[ours] = scan.spacing[theirs] * step
        origin = scan.index_to_physical @ [*first, 1.0]
        size, steps = triple(self.shape[::-1]), triple(float(value) for value in spacing)
        return Geometry(size, steps, triple(float(value) for value in origin[:3]), tuple(columns.ravel().tolist()))

    def shown(self, array: np.ndarray, scan: Volume) -> Volume:
        """What the network gets of a channel, along the scan's own axes.

        Args:
            array: Float32 ``[*shape]``.
            scan: The channel.
        """
        grid = self.geometry(scan.geometry)
        first = [n - 1 if flip else 0 for n, flip in zip(self.shape, self.flips, strict=True)]
        origin = grid.index_to_physical @ [*first[::-1], 1.0]
        back = triple(self.axes.index(own) for own in range(3))
        array = turned(array, (0, 1, 2), self.flips).transpose(back)
        spacing = triple(grid.spacing[2 - back[2 - own]] for own in range(3))
        place = triple(float(value) for value in origin[:3])
        return Volume(array, Geometry(triple(array.shape[::-1]), spacing, place, scan.geometry.direction), scan.name)

    def view(self, array: np.ndarray) -> np.ndarray:
        """The crop of an array of the scan, along the network's axes. Copies nothing."""
        whole = turned(array, self.axes, self.flips)
        return whole[tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))]


def turned(array: np.ndarray, axes: Sequence[int], flips: Sequence[bool]) -> np.ndarray:
    """An array with its axes in another order, some of them backwards. Copies nothing."""
    return array.transpose(axes)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]


def patient_axes(geometry: Geometry) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Array axes that run nearest to up, front and right, and whether they run the other way."""
    matrix = geometry.direction_matrix
    left = np.abs(matrix).copy()
    found: dict[int, tuple[int, bool]] = {}
    for _ in range(3):  # the nearest pair of a patient's and an array's axis first, as nibabel does
        patient, own = np.unravel_index(np.argmax(left), left.shape)
        runs_to_left_or_back = patient < 2  # LPS: growing x is left, growing y is back
        found[2 - int(patient)] = (2 - int(own), bool((matrix[patient, own] > 0) == runs_to_left_or_back))
        left[patient, :] = left[:, own] = -1.0
    return triple(found[axis][0] for axis in range(3)), triple(found[axis][1] for axis in range(3))
