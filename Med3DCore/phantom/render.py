"""Sampling a patient on a grid: values with partial volume, and exact labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from Med3DCore.geometry import Geometry, triple
from Med3DCore.phantom.contrast import Tissue
from Med3DCore.phantom.grid import positions
from Med3DCore.phantom.patient import Patient
from Med3DCore.phantom.shapes import Points, Structure
from Med3DCore.system.threads import in_threads

_SLAB = 32  # Slices that are finished together; the work can be cancelled between slabs.
_BLOCK = 64  # Voxels of a block along x and y: its arrays fit the processor's cache.
_THICK = 3.5  # Thick slices are the mean of samples no longer than this in mm, or than 1.5 pixels.


class Renderer:
    """Paints the structures of a patient one over the other.

    Partial volume is linear in the distance to the surface, over the width of a voxel blurred by the scanner's point
    spread. The label of a voxel is that of its centre: the last structure painted there.

    Args:
        patient: Whom to scan.
        tissues: Values of this patient's tissues.
        air: Value outside the body.
        organs: Organs to label, numbered from 1 in this order.
        point_spread: Width of the scanner's blur in mm.
    """

    def __init__(
        self, patient: Patient, tissues: Mapping[str, Tissue], air: float, organs: tuple[str, ...], point_spread: float
    ) -> None:
        self._patient, self._tissues, self._air, self._spread = patient, tissues, air, point_spread
        self._numbers = {name: number for number, name in enumerate(organs, start=1)}

    def slabs(self, geometry: Geometry) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Render a grid in slabs of slices.

        Yields:
            Index of the first slice, values float32 ``[k, y, x]``, organ numbers uint8 of the same shape.
        """
        nx, ny, nz = geometry.size
        for first in range(0, nz, _SLAB):
            slab = geometry.crop((0, 0, first), (nx, ny, min(first + _SLAB, nz)))
            values, organs = np.empty(slab.shape, np.float32), np.empty(slab.shape, np.uint8)
            corners = [(i, j) for j in range(0, ny, _BLOCK) for i in range(0, nx, _BLOCK)]
            starts = [(i, j, 0) for i, j in corners]
            stops = [(min(i + _BLOCK, nx), min(j + _BLOCK, ny), slab.size[2]) for i, j in corners]
            blocks = in_threads(self._block, map(slab.crop, starts, stops))
            for (i, j, _), (i_stop, j_stop, _), block in zip(starts, stops, blocks, strict=True):
                values[:, j:j_stop, i:i_stop], organs[:, j:j_stop, i:i_stop] = block
            yield first, values, organs

    def _block(self, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
        """Values and organ numbers of a small grid; a thick slice is the mean of an odd number of samples."""
        longest = max(_THICK, 1.5 * min(geometry.spacing))
        samples = [1 + 2 * max(0, int(np.ceil((s / longest - 1) / 2 - 1e-6))) for s in geometry.spacing]
        if max(samples) == 1:
            return self._samples(geometry)
        spacing = np.divide(geometry.spacing, samples)
        shift = geometry.direction_matrix @ (spacing * (np.array(samples) - 1) / 2)
        fine = Geometry(
            triple(n * k for n, k in zip(geometry.size, samples, strict=True)),
            triple(spacing.tolist()),
            triple((geometry.origin - shift).tolist()),
            geometry.direction,
        )
        values, organs = self._samples(fine)
        kx, ky, kz = samples
        nz, ny, nx = geometry.shape
        means = values.reshape(nz, kz, ny, ky, nx, kx).mean(axis=(1, 3, 5))
        return means, organs[kz // 2 :: kz, ky // 2 :: ky, kx // 2 :: kx]

    def _samples(self, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
        patient = self._patient
        width = float(np.hypot(np.prod(geometry.spacing) ** (1 / 3), self._spread))
        values = np.full(geometry.shape, self._air, dtype=np.float32)
        organs = np.zeros(geometry.shape, dtype=np.uint8)
        points = patient.points(*positions(geometry))
        starts, stops = _windows(geometry, patient.lower - width, patient.upper + width)
        for i in np.flatnonzero(np.all(starts < stops, axis=1)):
            window = triple(map(slice, starts[i].tolist(), stops[i].tolist()))
            self._paint(patient.structures[i], width, points[window], values[window], organs[window])
        return values, organs

    def _paint(
        self, structure: Structure, width: float, points: Points, values: np.ndarray, organs: np.ndarray
    ) -> None:
        """Blend one structure into views of the values and organ numbers."""
        distance = structure.shape.distance(points)
        if distance.min() >= width / 2:
            return
        share = np.clip(0.5 - distance / width, 0.0, 1.0)
        if structure.calibre < width:
            share *= (structure.calibre / width) ** 2
        if structure.within is not None:
            inside = organs == self._numbers[structure.within]
            share *= inside
            distance[~inside] = 1.0
        share *= self._look(structure.tissue, points) - values
        values += share
        if structure.organ is not None:
            organs[distance < 0] = self._numbers.get(structure.organ, 0)

    def _look(self, name: str, points: Points) -> np.ndarray | float:
        """Values of a tissue without borders."""
        tissue = self._tissues[name]
        value: np.ndarray | float = tissue.mean
        if tissue.texture:
            value = np.minimum(points.fields["grain"] * tissue.texture + tissue.mean, tissue.ceiling)
        if tissue.gravity:
            value = value + tissue.gravity * points.y
        return value


def _windows(geometry: Geometry, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last + 1 index (z, y, x) of the voxels that LPS boxes (n, 3) may touch; start >= stop where none."""
    to_index = np.linalg.inv(geometry.index_to_physical)
    low, high = np.clip(low, -1e4, 1e4), np.clip(high, -1e4, 1e4)
    centre = (low + high) / 2 @ to_index[:3, :3].T + to_index[:3, 3]
    half = (high - low) / 2 @ np.abs(to_index[:3, :3]).T
    start = np.maximum(np.floor(centre - half), 0).astype(int)
    stop = np.minimum(np.ceil(centre + half) + 1, geometry.size).astype(int)
    return start[:, ::-1], stop[:, ::-1]
