"""Small parts that several networks share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from Med3DCore.geometry import triple
from Med3DCore.networks.conv import Conv3d

NORMS = ("batch", "group")
_GROUPS = 32

Stride = int | tuple[int, int, int]
"""Of all axes, or of z, y, x where they differ."""

_FEW_CHANNELS = 8


def normalisation(kind: str, channels: int) -> nn.BatchNorm3d | nn.GroupNorm:
    """Batch norm, or group norm of 32 groups (of as many as divide the channels, if there are fewer)."""
    return nn.BatchNorm3d(channels) if kind == "batch" else nn.GroupNorm(math.gcd(_GROUPS, channels), channels)


def conv_bn_relu(in_channels: int, out_channels: int) -> nn.Sequential:
    """Convolution 3x3x3 that keeps the size, batch norm, ReLU."""
    return nn.Sequential(
        Conv3d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm3d(out_channels),
        nn.ReLU(inplace=True),
    )


def initialise(module: nn.Module) -> None:
    """Kaiming-normal fan-out weights for the 3D convolutions that feed a batch norm (no bias), as MedicalNet's code.

    Convolutions with a bias end a network (logits) and keep torch's default. On the device "meta" there are no values;
    to draw some, torch would load its compiler all the same, which takes seconds.
    """
    for m in module.modules():
        if isinstance(m, nn.Conv3d) and m.bias is None and not m.weight.is_meta:
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")


def per_axis(stride: Stride) -> tuple[int, int, int]:
    """The strides of z, y, x."""
    return (stride,) * 3 if isinstance(stride, int) else triple(stride)


def ratio(coarse: Stride, fine: Stride) -> Stride:
    """How many voxels of a finer map make one of a coarser."""
    return _shortest(a // b for a, b in zip(per_axis(coarse), per_axis(fine), strict=True))


def product(first: Stride, second: Stride) -> Stride:
    """The stride of two layers, one after the other."""
    return _shortest(a * b for a, b in zip(per_axis(first), per_axis(second), strict=True))


def _shortest(along: Iterable[int]) -> Stride:
    found = triple(along)
    return found[0] if len(set(found)) == 1 else found


def enlarge(x: Tensor, factor: Stride, size: Sequence[int]) -> Tensor:
    """Trilinear up-sampling by a whole factor, cropped at the far end to ``size`` (z, y, x).

    Strided layers turn ``n`` voxels into ``ceil(n / factor)``, so ``factor`` times that is never too small. Cropping,
    unlike resizing straight to an odd ``size``, keeps every voxel at the same place relative to the coarse grid.
    """
    if factor == 1:
        return crop(x, size)
    scale = tuple(map(float, per_axis(factor)))
    if _is_slow_in_torch(x):
        return _enlarged_by_products(x, scale, size)
    return crop(F.interpolate(x, scale_factor=scale, mode="trilinear", align_corners=False), size)


def _is_slow_in_torch(x: Tensor) -> bool:
    """Few channels on a CPU: for two channels of two patches of 64^3 torch takes 26 ms there and back, products 2."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return plain and x.shape[1] <= _FEW_CHANNELS


def _enlarged_by_products(x: Tensor, scale: Sequence[float], size: Sequence[int]) -> Tensor:
    """The same as one small matrix an axis; the slow axis last."""
    along_z, along_y, along_x = (
        F.interpolate(torch.eye(n)[None], scale_factor=factor, mode="linear", align_corners=False)[0].T[:last]
        for n, factor, last in zip(x.shape[2:], scale, size, strict=True)
    )
    planes = along_y @ (x.contiguous() @ along_x.T)
    return (along_z @ planes.flatten(3)).unflatten(3, planes.shape[3:])


def crop(x: Tensor, size: Sequence[int]) -> Tensor:
    """The first ``size`` (z, y, x) voxels of ``[n, c, z, y, x]``."""
    return x[:, :, : size[0], : size[1], : size[2]]
