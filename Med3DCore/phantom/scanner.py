"""What the scanner adds: table, noise, streaks, the round field of view, and whole numbers."""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from Med3DCore.geometry import Geometry
from Med3DCore.phantom.contrast import Contrast
from Med3DCore.phantom.fields import stream
from Med3DCore.phantom.grid import positions
from Med3DCore.phantom.settings import KERNELS, PhantomSettings

_TABLE_CURVE = 1300.0  # The table's surface rises by x^2 / 1300 mm from its middle.
_TABLE_HALF_WIDTH = 215.0
_TABLE_THICKNESS = 22.0
_ATTENUATION = 0.02  # Of water for CT's X-rays, per mm.
_STREAK_FREE_PATH = 370.0  # mm of water in one row that still give no streaks.
_STREAK_LENGTH = 30.0  # Standard deviation along the row, mm.
_BETWEEN_SLICES = 0.35  # Share of one slice's noise in the next.


class Scanner:
    """Turns the rendered patient into a picture, slab after slab in the order of slices.

    Noise is the same for the same seed and grid, whatever the slabs.

    Args:
        settings: How to scan.
        contrast: Limits of the values and the table's value.
        geometry: The whole grid.
        table_y: LPS y in mm of the table's surface in its middle.
        seed: The patient.
    """

    def __init__(
        self, settings: PhantomSettings, contrast: Contrast, geometry: Geometry, table_y: float, seed: int
    ) -> None:
        self._settings, self._contrast, self._geometry, self._table_y = settings, contrast, geometry, table_y
        self._seed = seed
        self._filter = _noise_filter(geometry, KERNELS[settings.kernel])
        self._previous = np.zeros(geometry.shape[1:], np.float32)

    def expose(self, values: np.ndarray, first: int) -> np.ndarray:
        """The picture of the slices from ``first`` on.

        Args:
            values: Rendered values float32 ``[k, y, x]``; changed in place.
            first: Index of the first of them.

        Returns:
            int16 of the same shape.
        """
        couch = self._contrast.couch
        if self._settings.table and couch is not None:
            nx, ny, _ = self._geometry.size
            slab = self._geometry.crop((0, 0, first), (nx, ny, first + len(values)))
            np.maximum(values, self._table(slab, couch), out=values)
        for k, plane in enumerate(values):
            if self._settings.noise_hu:
                plane += self._noise(plane, first + k)
        np.clip(values, self._contrast.lowest, self._contrast.highest, out=values)
        picture = np.rint(values, out=values).astype(np.int16)
        if self._settings.circle:
            picture[:, ~self._field()] = self._contrast.lowest
        return picture

    def _table(self, slab: Geometry, shell: float) -> np.ndarray:
        """A curved ``shell`` of this value filled with foam; air elsewhere."""
        x, y, _ = positions(slab)
        air = self._contrast.air
        width = float(np.hypot(np.mean(self._geometry.spacing[:2]), KERNELS[self._settings.kernel]))
        depth = y - self._table_y + x * x / _TABLE_CURVE
        skin = np.minimum(np.abs(depth), np.abs(depth - _TABLE_THICKNESS)) - 1.0
        share = np.clip(0.5 - skin / width, 0, min(1.0, 2.0 / width))
        foam = np.where((depth > 0) & (depth < _TABLE_THICKNESS), 35.0, 0.0)
        table = air + foam + share * (shell - air - foam)
        return np.where(np.abs(x) < _TABLE_HALF_WIDTH, table, air).astype(np.float32)

    def _noise(self, plane: np.ndarray, index: int) -> np.ndarray:
        """Correlated noise of one slice, weaker in air and lung."""
        rng = stream(self._seed, f"noise {index}")
        white = rng.standard_normal(plane.shape, dtype=np.float32)
        mixed = (white + _BETWEEN_SLICES * self._previous) / np.hypot(1, _BETWEEN_SLICES)
        self._previous = white
        noise = fft.irfft2(fft.rfft2(mixed) * self._filter, s=plane.shape)
        density = np.clip((plane - self._contrast.air) / 1000, 0.0, 2.0)
        noise *= self._settings.noise_hu * np.minimum(0.45 + 0.55 * density, 1.1)
        if self._settings.streaks:
            noise += self._streaks(density, rng)
        return noise

    def _streaks(self, density: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Noise along rows whose X-rays are starved; their noise grows as the root of the attenuation."""
        step = self._geometry.spacing[0]
        path = density.sum(axis=1, keepdims=True) * step
        starved = np.clip(np.exp(0.5 * _ATTENUATION * (path - _STREAK_FREE_PATH)) - 1, 0, 2)
        white = rng.standard_normal(density.shape, dtype=np.float32)
        lines = ndimage.gaussian_filter1d(white, _STREAK_LENGTH / step, axis=1)
        return self._settings.noise_hu * starved * lines / lines.std() * (density > 0.5)

    def _field(self) -> np.ndarray:
        """Pixels ``[y, x]`` inside the largest circle that touches the longer sides."""
        x, y = (np.arange(n) - (n - 1) / 2 for n in self._geometry.size[:2])
        x, y = x * self._geometry.spacing[0], y * self._geometry.spacing[1]
        return x[None, :] ** 2 + y[:, None] ** 2 <= max(x[-1], y[-1]) ** 2


def _noise_filter(geometry: Geometry, point_spread: float) -> np.ndarray:
    """Transfer function of filtered back projection's noise: a ramp cut off by the kernel, of unit power."""
    ny, nx = geometry.shape[1:]
    frequency = np.hypot(fft.fftfreq(ny, geometry.spacing[1])[:, None], fft.rfftfreq(nx, geometry.spacing[0])[None])
    cut = 0.3 / point_spread
    response = np.sqrt(frequency + 0.1 * cut) * np.exp(-0.5 * (frequency / cut) ** 2)
    whole = np.full(response.shape[1], 2.0)
    whole[0] = 1.0
    power = (response**2 * whole).sum() / (ny * (2 * response.shape[1] - 1))
    return (response / np.sqrt(power)).astype(np.float32)
