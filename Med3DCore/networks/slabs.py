"""A convolution written over what it convolves, slab by slab: one large map in memory where there were two, or five.

The finest maps of a patch of 112x112x128 voxels and 32 channels take 205 MB each. Where no gradient is wanted, nobody
needs the map before a convolution once that has run, and a voxel needs its neighbours alone. So a few slices at a time
are read, with those around them, and what comes of them lies in their place. What is joined to a map before it is
convolved is then never there as a whole either. The numbers are those of the convolution of the whole.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from Med3DCore.networks.conv import convolved

Part = Callable[[int, int], Tensor]
"""Slices ``[1, channels, first:stop, y, x]`` of a map that is never there as a whole."""

_SLICES = 8  # of a slab
_LARGE = 1 << 20  # numbers; smaller maps are not worth it


def can_be_written_over(x: Tensor, conv: nn.Conv3d) -> bool:
    """Whether :func:`convolve_over` takes it: a large volume on the CPU, no gradient, a map of the same shape."""
    same = tuple(size // 2 for size in conv.kernel_size)
    keeps_size = conv.padding == same and set(conv.stride) == set(conv.dilation) == {1}
    return bool(
        not torch.is_grad_enabled()
        and x.device.type == "cpu"
        and len(x) == 1
        and x.numel() > _LARGE
        and keeps_size
        and conv.out_channels == x.shape[1]
        and x.is_contiguous(memory_format=torch.channels_last_3d)
    )


def convolve_over(x: Tensor, conv: nn.Conv3d, joined: Part | None = None) -> Tensor:
    """Write the convolution of a map over it.

    Args:
        x: ``[1, channels, z, y, x]``, as :func:`can_be_written_over` wants it.
        conv: From the map, and what is joined, to as many channels.
        joined: What lies before the map's channels.

    Returns:
        ``x``.
    """
    depth, (reach, *around) = x.shape[2], (size // 2 for size in conv.kernel_size)
    before = x[:, :, :0]  # what lay before a slab, which is written over by now
    for first in range(0, depth, _SLICES):
        stop = min(first + _SLICES, depth)
        low, high = max(0, first - reach), min(stop + reach, depth)
        piece = torch.cat([before, x[:, :, first:high]], dim=2)
        before = piece[:, :, stop - reach - low : stop - low].clone()
        if joined is not None:
            piece = torch.cat([joined(low, high), piece], dim=1)
        missing = (low - (first - reach), stop + reach - high)
        x[:, :, first:stop] = convolved(F.pad(piece, (0, 0, 0, 0, *missing)), conv, (0, *around))
    return x
