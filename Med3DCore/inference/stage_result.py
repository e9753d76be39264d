"""What a stage of a model found, on the grid of its network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from Med3DCore.geometry import Geometry, triple
from Med3DCore.preprocessing.preprocessing import Box


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
