"""Painting into the voxels of a scan that is already made."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def blend(picture: np.ndarray, share: np.ndarray, value: float | np.ndarray) -> None:
    """Replace a share of each voxel, in place; the grain of the scan goes on in what is new.

    Args:
        picture: float32 ``[z, y, x]``.
        share: 0 to 1, or bool.
        value: What is painted.
    """
    where = np.nonzero(share)
    if not len(where[0]):
        return
    box = tuple(slice(int(along.min()), int(along.max()) + 1) for along in where)
    old, part = picture[box], share[box].astype(np.float32)
    grain = old - ndimage.uniform_filter(old, 3)
    steep = np.abs(grain) > 60  # an edge of the anatomy is no grain
    new = value if np.isscalar(value) else np.asarray(value)[box]
    old += part * (new + np.where(steep, 0, grain) - old)


def rough_ball(
    shape: tuple[int, ...],
    spacing: tuple[float, float, float],
    centre: np.ndarray,
    radius: float,
    rough: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """How much of each voxel an uneven ball fills, float32 ``[z, y, x]``.

    Args:
        shape: Of the scan.
        spacing: Voxel size (x, y, z) in mm.
        centre: Voxel (z, y, x).
        radius: mm.
        rough: How far its surface goes in and out, part of the radius.
        rng: Source of its shape.
    """
    steps = np.array(spacing[::-1])
    reach = np.ceil(radius * (1 + 3 * rough) / steps + 1).astype(int)
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, shape)
    axes = [(np.arange(a, b) - c) * s for a, b, c, s in zip(low, high, centre, steps, strict=True)]
    stretch = rng.uniform(0.85, 1.18, 3)
    distance = np.sqrt(
        (axes[0][:, None, None] * stretch[0]) ** 2
        + (axes[1][None, :, None] * stretch[1]) ** 2
        + (axes[2][None, None, :] * stretch[2]) ** 2
    )
    bumps = ndimage.gaussian_filter(rng.standard_normal(distance.shape), 0.4 * radius / steps)
    distance += rough * radius * bumps / max(float(bumps.std()), 1e-6)
    filled = np.zeros(shape, np.float32)
    filled[tuple(map(slice, low, high))] = np.clip(0.5 - (distance - radius) / steps.mean(), 0, 1)
    return filled
