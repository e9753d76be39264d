"""A large kernel on a volume of very few slices, as a 2D convolution: the stem of VDT's networks (papers.md B1).

On three slices a kernel of seven sees mostly padding: 9 of its 21 pairs of tap and slice have data. With the slices as
channels only those are computed, and as many channels suit the CPU better than one: 64 pictures of 32^2 take 7.5 ms
instead of 51 ms forward and backward (one core of a Xeon with AMX, bf16; 18 instead of 45 ms in float32).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_MOST_CHANNELS = 12  # of the 2D convolution's input; with more the zeros in its kernel cost more than they save


def is_faster_in_2d(x: Tensor, conv: nn.Conv3d) -> bool:
    """Whether :func:`conv3d_of_few_slices` can and should stand in for a convolution of ``[n, c, z, y, x]``."""
    return (
        x.shape[1] * x.shape[2] <= _MOST_CHANNELS
        and 1 < x.shape[2] <= conv.kernel_size[0] // 2
        and conv.padding[0] == conv.kernel_size[0] // 2
        and conv.kernel_size[0] % 2 == 1
        and conv.stride[0] == conv.groups == 1
        and conv.dilation == (1, 1, 1)
        and conv.padding_mode == "zeros"
    )


def conv3d_of_few_slices(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...], padding: tuple[int, ...]
) -> Tensor:
    """``torch.nn.functional.conv3d`` with stride 1 along z and a padding that keeps z; the same but for rounding.

    Args:
        x: ``[n, c, z, y, x]``.
        weight: ``[o, c, k, y, x]``, k odd, k // 2 at least z.
        bias: ``[o]`` or None.
        stride: Along z, y, x; 1 along z.
        padding: Along z, y, x; k // 2 along z.
    """
    depth, middle = x.shape[2], weight.shape[2] // 2
    # Slice d sees slice e through the tap e - d beyond the middle one; z comes before the channels on both sides.
    kernel = torch.cat([weight[:, :, middle - d : middle - d + depth] for d in range(depth)])
    kernel = kernel.transpose(1, 2).flatten(1, 2)
    flat = x.transpose(1, 2).flatten(1, 2).contiguous(memory_format=torch.channels_last)
    y = F.conv2d(flat, kernel, None if bias is None else bias.repeat(depth), stride[1:], padding[1:])
    y = y.unflatten(1, (depth, -1)).transpose(1, 2)
    return y.contiguous(memory_format=torch.channels_last_3d)
