"""The sliding window of imported models: the weighted mean of what their patches give."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import torch

from Med3DCore.inference.device import Device
from Med3DCore.inference.nnunet.tiling import NNUNET, Shape, Tiling
from Med3DCore.inference.sliding_window import combinations
from Med3DCore.progress import Progress


@torch.inference_mode()
def window_mean(
    network: Callable[[torch.Tensor], torch.Tensor],
    array: np.ndarray,
    patch: Shape,
    device: Device,
    channels: int,
    mirror_axes: tuple[int, ...] = (),
    progress: Progress | None = None,
    tiling: Tiling = NNUNET,
) -> np.ndarray:
    """What a network gives for a whole volume, from patches of the size that it was taught.

    The size must not change, since instance norm takes mean and spread from a patch. A volume that is smaller gets
    zeros around it, which is the mean of what was normalised.

    Args:
        network: Maps ``[1, c, z, y, x]`` to logits, or what its last layer makes them of; ready to run on the device.
        array: float32 ``[c, z, y, x]``.
        patch: Size (z, y, x).
        device: Where to run, and in which precision.
        channels: What it gives.
        mirror_axes: Also average over mirroring along these axes (0=z, 1=y, 2=x) and their combinations.
        progress: Told after each patch; may cancel.
        tiling: Where patches lie, and their weights.

    Returns:
        float32 ``[channels, z, y, x]``.
    """
    progress = progress or Progress()
    padded, inner = _padded(array, patch)
    shape = padded.shape[1:]
    corners = list(product(*(tiling.starts(n, size) for n, size in zip(shape, patch, strict=True))))
    flips = [[axis + 2 for axis in axes] for axes in combinations(mirror_axes)]
    weight = torch.from_numpy(tiling.weights(patch))
    total, weights = torch.zeros((channels, *shape)), torch.zeros(shape)
    for number, corner in enumerate(corners):
        progress.update(number / len(corners))
        place = tuple(slice(first, first + size) for first, size in zip(corner, patch, strict=True))
        values = torch.from_numpy(np.ascontiguousarray(padded[(slice(None), *place)]))[None].to(device.torch_device)
        total[(slice(None), *place)].addcmul_(_mean(network, values, flips, device), weight)
        weights[place] += weight
    total /= weights
    return total.numpy()[(slice(None), *inner)]


def _mean(network: Callable, values: torch.Tensor, flips: list[list[int]], device: Device) -> torch.Tensor:
    total: torch.Tensor | None = None
    for axes in flips:
        with device.autocast():
            maps = network(values.flip(axes) if axes else values)[0].float()
        maps = maps.flip([axis - 1 for axis in axes]) if axes else maps
        total = maps if total is None else total.add_(maps)
    if total is None:
        raise ValueError("there must be a flip, if only that of no axis")
    return (total.div_(len(flips)) if len(flips) > 1 else total).cpu()


def _padded(array: np.ndarray, patch: Shape) -> tuple[np.ndarray, tuple[slice, slice, slice]]:
    """With zeros on both sides up to the patch, the odd one behind."""
    extra = [max(0, size - n) for n, size in zip(array.shape[1:], patch, strict=True)]
    before = [e // 2 for e in extra]
    around = [(b, e - b) for b, e in zip(before, extra, strict=True)]
    inner = tuple(slice(b, b + n) for b, n in zip(before, array.shape[1:], strict=True))
    return np.pad(array, [(0, 0), *around]) if any(extra) else array, (inner[0], inner[1], inner[2])
