"""A convolution written over what it convolves, slab by slab: one large map in memory where there were two, or five.

The finest maps of a patch of 112x112x128 voxels and 32 channels take 205 MB each. Where no gradient is wanted, nobody
needs the map before a convolution once that has run, and a voxel needs its neighbours alone. So a few slices at a time
are read, with those around them, and what comes of them lies in their place. What is joined to a map before it is
convolved is then never there as a whole either. The numbers are those of the convolution of the whole, but for
rounding where float32 takes fewer products (:mod:`.winograd`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from Med3DCore.networks.conv import convolved
from Med3DCore.networks.winograd import TILE, Winograd

Part = Callable[[int, int], Tensor]
"""Slices ``[1, channels, first:stop, y, x]`` of a map that is never there as a whole."""

_SLICES = TILE  # of a slab; no fewer than a kernel's less one
_LARGE = 1 << 19  # numbers; smaller maps are not worth it


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
        and conv.kernel_size[0] <= _SLICES + 1
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
    room = _zeros(x, conv.in_channels, _SLICES + 2 * reach)  # a slab, and the slices before and behind it
    fewer_products = Winograd(conv, (x.shape[3], x.shape[4])) if Winograd.takes(x, conv) else None
    own, others = room[:, -x.shape[1] :], room[:, : -x.shape[1]]
    for first in range(0, depth, _SLICES):
        stop = min(first + _SLICES, depth)
        high = min(stop + reach, depth)
        begin = reach - first  # where slice 0 would lie
        if first:  # those around its first lie at the end of the slab before; some are written over by now
            room[:, :, : 2 * reach] = room[:, :, _SLICES:]
        new = min(first + reach, depth) if first else 0
        own[:, :, begin + new : begin + high] = x[:, :, new:high]
        if joined is not None and new < high:
            others[:, :, begin + new : begin + high] = joined(new, high)
        room[:, :, begin + high :] = 0
        if fewer_products is None:
            x[:, :, first:stop] = convolved(room[:, :, : stop - first + 2 * reach], conv, (0, *around))
        else:
            fewer_products.write(_slices(x)[first:stop], _slices(room))
    return x


def _slices(x: Tensor) -> Tensor:
    """The map as it lies in memory: ``[z, y, x, channels]``."""
    return x[0].permute(1, 2, 3, 0)


def _zeros(x: Tensor, channels: int, slices: int) -> Tensor:
    """A map of zeros like ``x``, whose channels lie next to each other."""
    shape = (1, channels, slices, *x.shape[3:])
    return torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last_3d).zero_()
