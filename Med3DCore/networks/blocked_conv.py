"""The 3x3x3 convolution of encoders and DenseASPP, and a cure for the one that is slow in bfloat16.

On CPUs with AMX, oneDNN's bfloat16 convolution with dilation 4 and 480 channels or more to sum over (layer 4 of
Med3D's encoders) falls off its fast path: 512 to 512 channels at 12^3 take 287 ms, against 35 ms in float32. Computed
as blocks of at most 256 channels it takes 10 to 16 ms (papers.md F). A CPU without AMX has no such cliff: on an AMD
Zen 5 with AVX-512 bf16 the blocks made a training step two to three times slower, so there the plain one stays.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from Med3DCore.networks.conv import Conv3d, is_bfloat16
from Med3DCore.networks.layers import Stride

MIN_DILATION = 4
MIN_CHANNELS = 480
BLOCK = 256


def conv3x3x3(
    in_channels: int,
    out_channels: int,
    stride: Stride = 1,
    dilation: int = 1,
    bias: bool = False,
    flat: bool = False,
) -> Conv3d:
    """Convolution 3x3x3, or 1x3x3 if ``flat``, whose padding keeps the size at stride 1."""
    # The gradient sums over the output's channels, so either side can be the slow one.
    slow = dilation >= MIN_DILATION and max(in_channels, out_channels) >= MIN_CHANNELS
    cls = BlockedConv3d if slow else Conv3d
    kernel, padding = ((1, 3, 3), (0, dilation, dilation)) if flat else (3, dilation)
    return cls(in_channels, out_channels, kernel, stride, padding=padding, dilation=dilation, bias=bias)


class BlockedConv3d(Conv3d):
    """``Conv3d`` that works in blocks of channels where that is faster.

    Same function up to rounding, same state-dict keys, any arguments but ``groups``.
    """

    def forward(self, x: Tensor) -> Tensor:
        """As ``Conv3d``."""
        if not _blocks_are_faster(x):
            return super().forward(x)
        weights = self.weight.split(BLOCK)
        biases = [None] * len(weights) if self.bias is None else self.bias.split(BLOCK)
        return torch.cat([self._out_block(x, w, b) for w, b in zip(weights, biases, strict=True)], dim=1)

    def _out_block(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        (part, w), *others = zip(x.split(BLOCK, dim=1), weight.split(BLOCK, dim=1), strict=True)
        total = F.conv3d(part, w, bias, self.stride, self.padding, self.dilation)
        for part, w in others:
            total = total + F.conv3d(part, w, None, self.stride, self.padding, self.dilation)
        return total


def _blocks_are_faster(x: Tensor) -> bool:
    return x.device.type == "cpu" and _cpu_has_amx() and is_bfloat16(x)


@cache
def _cpu_has_amx() -> bool:
    # Private in torch and absent from its older releases, hence the fallback: slower, not wrong.
    probe = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return bool(probe())
