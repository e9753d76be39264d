"""What a stage of a model found, on the grid of its network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from Med3DCore.geometry import Geometry, triple
from Med3DCore.preprocessing import resample
from Med3DCore.preprocessing.preprocessing import Box, voxels_inside
from Med3DCore.volume import Volume


@dataclass(frozen=True, eq=False)
class StageResult:
    """What a stage found.

    Args:
        scores: Label name to float32 ``[z, y, x]``; inside where above 0.5.
        grid: Their grid.
        found: Label name to the number of voxels inside before anything was cleaned away.
    """

    scores: dict[str, np.ndarray]
    grid: Geometry
    found: dict[str, int]
    _values: list[tuple[Volume, np.ndarray]] = field(default_factory=list, init=False, repr=False)

    def values(self, volume: Volume) -> np.ndarray:
        """A scan's own values on the grid, ``[z, y, x]``, resampled once; 0 where there is no scan."""
        if not self._values or self._values[0][0] is not volume:
            self._values[:] = [(volume, resample(volume.array, volume.geometry, self.grid))]
        return self._values[0][1]

    def inside(self, scan: Geometry) -> tuple[slice, ...]:
        """The part (z, y, x) of the grid that lies in a scan; networks see a little beyond it."""
        start, stop = voxels_inside(self.grid, scan.bounds())
        return tuple(slice(start[i], stop[i]) for i in (2, 1, 0))

    def box(self, labels: Sequence[str], margin_mm: float) -> Box | None:
        """LPS box in mm around everything found of some labels, or None if nothing was found."""
        found = np.zeros(self.grid.shape, bool)
        for name in labels:
            if name in self.scores:
                found |= self.scores[name] > 0.5
        if not found.any():
            return None
        ranges = [np.flatnonzero(found.any(axis=tuple(a for a in range(3) if a != axis))) for axis in (2, 1, 0)]
        start, stop = triple(int(r[0]) for r in ranges), triple(int(r[-1]) + 1 for r in ranges)
        low, high = self.grid.bounds_of_box(start, stop)
        return low - margin_mm, high + margin_mm
