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
    taught = np.pad(target[(slice(None), *region)], ((0, 0), (1, 1), (1, 1), (1, 1)))
    places = _within(positions, taught.shape[1:], first=[n - 1 for n in low])
    return cut_image(image, positions, outside), _nearest(taught, places)[None]


def cut_image(image: np.ndarray, positions: torch.Tensor, outside: float) -> torch.Tensor:
    """As :func:`cut_patch`, of an image alone: ``[1, 1, z, y, x]`` float32."""
    low, high = _needed(positions, image.shape)
    region = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    # With a ring of what lies outside around it, all that lies further out is sampled from the ring.
    seen = torch.from_numpy(np.pad(image[region], 1, constant_values=outside))
    return _linear(seen, _within(positions, seen.shape, first=[n - 1 for n in low]))[None, None]


def sample(volume: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Sample a volume, trilinearly; beyond it its border goes on.

    Args:
        volume: float32 ``[z, y, x]``.
        positions: As returned by :meth:`.augmentation.Augmentation.positions`.

    Returns:
        float32 ``[z, y, x]``, the shape of the positions.
    """
    return _linear(volume.contiguous(), _within(positions, volume.shape))


def _needed(positions: torch.Tensor, shape: Shape) -> tuple[list[int], list[int]]:
    """Range of voxels (z, y, x) that positions touch, at least one along each axis."""
    low, high = [], []
    for axis, n in zip((2, 1, 0), shape, strict=True):
        along = positions[..., axis].numpy()
        low.append(int(np.clip(np.floor(along.min()), 0, n - 1)))
        high.append(int(np.clip(np.ceil(along.max()), 0, n - 1)) + 1)
    return low, high


def _within(positions: torch.Tensor, shape: Sequence[int], first: Sequence[int] = (0, 0, 0)) -> list[torch.Tensor]:
    """Positions (z, y, x), each ``[z, y, x]``, in voxels of a part of a case, moved to its border from beyond it."""
    axes = zip((2, 1, 0), shape, first, strict=True)
    return [(positions[..., axis] - start).clamp_(0, n - 1) for axis, n, start in axes]


def _linear(volume: torch.Tensor, places: Sequence[torch.Tensor]) -> torch.Tensor:
    """Trilinear interpolation of a contiguous volume at places within it, exact to about 1e-3 of a voxel.

    torch has vector instructions for planes alone, ten times as fast a voxel. So slices lie below each other in one
    tall plane, of which a second channel is the same memory a slice further on, and what both give is mixed.
    """
    z, y, x = places
    slices, rows, columns = volume.shape
    step, height = (rows * columns, (slices - 1) * rows) if slices > 1 else (0, rows)
    tall = volume.as_strided((1, 2, height, columns), (0, step, columns, 1))
    below = z.floor().clamp_(max=max(0, slices - 2))
    grid = x.new_empty((2, *x.shape))
    _scaled(x, columns, out=grid[0])
    _scaled(torch.add(y, below, alpha=rows, out=grid[1]), height, out=grid[1])
    grid = grid.flatten(2).permute(1, 2, 0)[None]
    first, second = functional.grid_sample(tall, grid, padding_mode="border", align_corners=True)[0]
    return torch.lerp(first, second, below.sub_(z).neg_().flatten(1)).view(z.shape)


def _scaled(voxels: torch.Tensor, n: int, out: torch.Tensor) -> None:
    """From 0..n-1 to grid_sample's -1..1."""
    torch.add(torch.tensor(-1.0), voxels, alpha=2 / max(1, n - 1), out=out)


def _nearest(target: np.ndarray, places: Sequence[torch.Tensor]) -> torch.Tensor:
    """Nearest voxels of ``[c, z, y, x]`` at places within it."""
    z, y, x = (along.round().to(torch.int32) for along in places)
    rows, columns = target.shape[2:]
    index = z.mul_(rows).add_(y).mul_(columns).add_(x).long().numpy()
    return torch.from_numpy(np.take(target.reshape(len(target), -1), index, axis=1, mode="clip"))
