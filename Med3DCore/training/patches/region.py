"""Patches for a stage that only ever sees the region that an earlier stage found (papers.md A7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.training.setting_checks import require_kinds


@dataclass(frozen=True)
class RegionSampling:
    """Places patches in the box of the labels, at random larger and shifted as a coarse stage might give it.

    Med3D's fine liver network learns from such regions, and turned ones (``Augmentation.rotation``). How large the
    changes are it does not say; the defaults are ours.

    Args:
        expand: Largest growth of each side as a part of the box's length.
        shift: Largest shift along each axis as a part of the box's length.
    """

    expand: float = 0.25
    shift: float = 0.1

    def __post_init__(self) -> None:
        require_kinds(self)
        if not (0 <= self.expand <= 4 and 0 <= self.shift <= 1):
            raise SettingError(
                f"The region's expand is {self.expand} and its shift is {self.shift}; they must be 0 to 4 and 0 to 1."
            )

    def centre(
        self, low: np.ndarray, high: np.ndarray, patch: tuple[int, int, int], rng: np.random.Generator
    ) -> np.ndarray:
        """Centre (z, y, x) of a patch that lies in the changed box, or in its middle along axes where it is larger.

        Args:
            low: First voxel (z, y, x) of the labels' box.
            high: Last voxel, included.
            patch: Shape of the patch.
            rng: Source of randomness.
        """
        length = high - low + 1.0
        first = low - rng.uniform(0, self.expand, 3) * length
        last = high + rng.uniform(0, self.expand, 3) * length
        shift = rng.uniform(-self.shift, self.shift, 3) * length
        room = np.maximum(0.0, (last - first + 1 - np.asarray(patch)) / 2)
        return (first + last) / 2 + shift + rng.uniform(-room, room)


def label_box(target: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last voxel (z, y, x) of all labels of a target uint8 ``[c, z, y, x]``; None if there is none."""
    inside = (target == 1).any(axis=0)
    if not inside.any():
        return None
    ranges = [np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return np.array([r[0] for r in ranges]), np.array([r[-1] for r in ranges])
