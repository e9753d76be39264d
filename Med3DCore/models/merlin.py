"""The CT encoders Merlin and Astra: inflated 3D ResNets, whose axes and images are not those of the others.

Merlin (Stanford MIMI, arXiv 2406.06512) learned from CTs of the abdomen and their reports; Astra went on with chests.
Both are torchvision's ResNet-152 inflated to 3D. Their code takes a scan as ``[x to the right, y to the front, z
upwards]`` and puts z first, so that the network's axes are z, x, y; ours are z, y, x of a grid whose x goes to the left
and y to the back. Turning the kernels is the same as turning the scan, but for the end of an axis at which strides
begin: features are equal where an axis has one voxel more than a multiple of its stride.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

SETTINGS: dict[str, Any] = {"output_stride": 32, "stem_stride": [1, 2, 2], "stem_slices": 3}
"""Of our ResNet, where they are not the usual ones."""

PREPROCESSING: dict[str, Any] = {
    "spacing": [1.5, 1.5, 3.0],
    "intensity": {"name": "grey_window", "low": -1000.0, "high": 1000.0, "mean": 0.0, "deviation": 255.0},
}
"""What Merlin learned from: HU from -1000 to 1000 as 0 to 1. Astra's own code takes -1000 to 200 of chests, at no fixed
spacing: it resizes each to 224 x 224 x 160 voxels."""


def is_inflated(tensors: Mapping[str, Tensor]) -> bool:
    """Whether an encoder is of this kind: its first kernel spans three slices and seven voxels within them."""
    stem = tensors.get("conv1.weight")
    return stem is not None and tuple(stem.shape[2:]) == (3, 7, 7)


def turned(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Kernels ``[o, c, z, x to the right, y to the front]`` as ``[o, c, z, y to the back, x to the left]``."""
    return {
        key: value.transpose(3, 4).flip(3, 4).contiguous() if value.ndim == 5 and value.shape[-1] > 1 else value
        for key, value in tensors.items()
    }
