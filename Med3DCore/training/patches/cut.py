"""Sample a case at the places that an augmentation chose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

Shape = tuple[int, int, int]


def cut_patch(
    image: np.ndarray, target: np.ndarray, positions: torch.Tensor, outside: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample a patch of a case.

    Args:
        image: float32 ``[z, y, x]``.
        target: uint8 ``[c, z, y, x]``.
        positions: As returned by :meth:`.augmentation.Augmentation.positions`.
        outside: Intensity outside of the scan.

    Returns:
        Image ``[1, 1, z, y, x]`` float32 and target ``[1, c, z, y, x]`` uint8. Beyond the scan there is nothing to see,
        so no organ is there either: target 0.
    """
    low, high = _needed(positions, image.shape)
    region = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    part = torch.from_numpy(image[region] - outside)[None, None]
    grid = sampling_grid(positions, part.shape[2:], low)
    patch = functional.grid_sample(part, grid, mode="bilinear", align_corners=True) + outside
    labels = torch.from_numpy(target[(slice(None), *region)].astype(np.float32))[None]
    labels = functional.grid_sample(labels, grid, mode="nearest", align_corners=True)
    return patch, labels.to(torch.uint8)


def sampling_grid(positions: torch.Tensor, shape: Shape, first: Sequence[int] = (0, 0, 0)) -> torch.Tensor:
    """Positions as ``grid_sample`` wants them, with ``align_corners=True``.

    Args:
        positions: As returned by :meth:`.augmentation.Augmentation.positions`.
        shape: Shape (z, y, x) of what is sampled.
        first: Its first voxel (z, y, x), if it is a part of the case.

    Returns:
        ``[1, z, y, x, 3]``, -1..1 from its first to its last voxel.
    """
    factor = 2 / torch.tensor([max(1, n - 1) for n in reversed(shape)])
    offset = -1 - torch.tensor(first[::-1]) * factor
    return torch.addcmul(offset, positions, factor)[None]


def _needed(positions: torch.Tensor, shape: Shape) -> tuple[list[int], list[int]]:
    """Range of voxels (z, y, x) that positions touch, at least two along each axis where there are two."""
    low, high = [], []
    for axis, n in zip((2, 1, 0), shape, strict=True):
        along = positions[..., axis].numpy()
        start = int(np.clip(np.floor(along.min()) - 1, 0, max(0, n - 2)))
        low.append(start)
        high.append(int(np.clip(np.ceil(along.max()) + 2, min(n, start + 2), n)))
    return low, high
