"""Where the patches of imported models lie, and how much each voxel of a patch counts: nnU-Net's and MONAI's rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from Med3DCore.inference.sliding_window import starts

Shape = tuple[int, int, int]

STEP = 0.5
"""Part of a patch from one to the next, at most; nnU-Net's own."""

_MONAI_STEP = 0.375  # an overlap of 0.625, as Auto3DSeg has it
_MONAI_LEAST = 1e-3


@dataclass(frozen=True)
class Tiling:
    """The rules of a program.

    Args:
        starts: Where patches begin along an axis, of its length and the patch's, which is no longer.
        weights: Of the voxels of a patch: float32 ``[z, y, x]``, of its size.
    """

    starts: Callable[[int, int], list[int]]
    weights: Callable[[Shape], np.ndarray]


def _nnunet_starts(length: int, size: int) -> list[int]:
    """Evenly spread; of a 2D network at each slice."""
    return list(range(length)) if size == 1 else starts(length, size, 1 - STEP)


def _nnunet_weights(patch: Shape) -> np.ndarray:
    """Highest at voxel n // 2 of each axis, with a sigma of an eighth of it."""
    return _gaussian(patch, [n // 2 for n in patch])


def _monai_starts(length: int, size: int) -> list[int]:
    """At equal steps; only the last patch is moved back to the end."""
    step = max(1, int(size * _MONAI_STEP))
    count = -(-(length - size) // step)
    return [*range(0, count * step, step), length - size]


def _monai_weights(patch: Shape) -> np.ndarray:
    """Highest in the middle, with a sigma of an eighth of each axis; none is below a thousandth."""
    weights = _gaussian(patch, [(n - 1) / 2 for n in patch])
    return np.maximum(weights, max(float(weights.min()), _MONAI_LEAST))


def _gaussian(patch: Shape, middle: list[float]) -> np.ndarray:
    axes = [np.exp(-0.5 * ((np.arange(n) - m) / (n / 8)) ** 2) for n, m in zip(patch, middle, strict=True)]
    return (axes[0][:, None, None] * axes[1][:, None] * axes[2]).astype(np.float32)


NNUNET, MONAI = Tiling(_nnunet_starts, _nnunet_weights), Tiling(_monai_starts, _monai_weights)
TILINGS = {"nnunet": NNUNET, "monai": MONAI}
"""By the name of a stage's preprocessing."""
