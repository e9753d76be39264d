"""Emphysema: holes in the lung, more of them towards its top, in four grades of severity."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

GRADES = ("none", "mild", "moderate", "severe")
_SHARES = ((0.0, 0.0), (0.04, 0.09), (0.13, 0.22), (0.28, 0.42))
"""Part of the lungs below -950 HU; from 0.05 on it is called emphysema in quantitative CT, above 0.2 severe."""
_HOLE_HU = (-1000.0, -965.0)
_SIZE_MM = (3.0, 5.5)  # standard deviation of the pattern; holes are about twice as wide
_TOWARDS_TOP = 0.9  # how much more likely holes are at the top, in standard deviations of the pattern
_PARENCHYMA_HU = -700.0


def paint_emphysema(
    hu: np.ndarray, lungs: np.ndarray, spacing: tuple[float, float, float], grade: int, rng: np.random.Generator
) -> np.ndarray:
    """Dissolve a part of the lungs, in place.

    Args:
        hu: float32 ``[z, y, x]``, z to the head.
        lungs: Where they are, bool.
        spacing: Voxel size (x, y, z) in mm.
        grade: 0 to 3, see ``GRADES``.
        rng: Source of randomness.

    Returns:
        Where holes are, bool.
    """
    lung = lungs & (hu < _PARENCHYMA_HU)
    if not grade or not lung.any():
        return np.zeros(hu.shape, bool)
    size = rng.uniform(*_SIZE_MM) * (1 + 0.15 * grade)
    pattern = ndimage.gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), size / np.array(spacing[::-1]))
    pattern /= pattern[lung].std()
    heights = np.flatnonzero(lung.any(axis=(1, 2)))
    height = (np.arange(len(hu)) - heights[0]) / max(1, np.ptp(heights))
    pattern += np.float32(_TOWARDS_TOP) * height[:, None, None].astype(np.float32)
    border = np.quantile(pattern[lung], 1 - rng.uniform(*_SHARES[grade]))
    share = np.clip((pattern - border) / 0.15 + 0.5, 0, 1) * lung
    grain = hu - ndimage.uniform_filter(hu, 3)
    hu += share * (rng.uniform(*_HOLE_HU) + np.clip(grain, -40, 40) - hu)
    np.maximum(hu, -1024, out=hu)
    return share > 0.5
