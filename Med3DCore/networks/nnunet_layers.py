"""The blocks that nnU-Net's networks are made of: convolution, norm, leaky ReLU, plain or with a shortcut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from Med3DCore.geometry import triple
from Med3DCore.networks.checks import check_choice
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.instance_norm import InstanceNormActivation
from Med3DCore.networks.slabs import Part, can_be_written_over, convolve_over

ACTIVATIONS = {"leaky_relu": 0.01, "relu": 0.0}
"""The slope below zero of each."""

Kernel = Sequence[int]


class BatchNormActivation(nn.BatchNorm3d):
    """Batch norm, then leaky ReLU; arguments and state-dict keys as :class:`.InstanceNormActivation`."""

    def __init__(self, channels: int, slope: float | None) -> None:
        super().__init__(channels, eps=1e-5)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """Float ``[n, channels, z, y, x]`` to the same shape."""
        x = super().forward(x)
        return x if self.slope is None else F.leaky_relu(x, self.slope, inplace=True)


NORMS = {"instance": InstanceNormActivation, "batch": BatchNormActivation}


class ConvNorm(nn.Module):
    """Convolution that keeps the size at stride 1, norm, and the activation, unless a sum comes before it.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Sizes (z, y, x), odd.
        stride: Steps (z, y, x).
        bias: Whether the convolution has one.
        norm: ``"instance"`` or ``"batch"``, with scale and shift.
        slope: Of the activation below zero; None for no activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Kernel,
        stride: Kernel = (1, 1, 1),
        bias: bool = True,
        norm: str = "instance",
        slope: float | None = 0.01,
    ) -> None:
        super().__init__()
        check_choice("norm of the network", norm, NORMS)
        padding = triple((size - 1) // 2 for size in kernel)
        self.conv = Conv3d(in_channels, out_channels, triple(kernel), triple(stride), padding=padding, bias=bias)
        self.norm = NORMS[norm](out_channels, slope)

    def forward(self, x: Tensor) -> Tensor:
        """Float ``[n, in_channels, z, y, x]`` to ``[n, out_channels, z / stride, ...]``."""
        return self.norm(self.conv(x))

    def over(self, x: Tensor, joined: Part | None = None) -> Tensor:
        """As ``forward``, of a map that nobody else needs: where no gradient is wanted it may be written over.

        Args:
            x: As for ``forward``, or its last channels.
            joined: The channels before them.
        """
        if can_be_written_over(x, self.conv):
            return self.norm(convolve_over(x, self.conv, joined))
        return self(x if joined is None else torch.cat([joined(0, x.shape[2]), x], dim=1))


class ConvStack(nn.Sequential):
    """Convolutions one after the other: each is a :class:`ConvNorm`."""

    def forward(self, x: Tensor) -> Tensor:
        """Float ``[n, in_channels, z, y, x]`` to ``[n, out_channels, z / stride, ...]``."""
        return self._rest(self[0](x))

    def over(self, x: Tensor, joined: Part) -> Tensor:
        """As ``forward``; see :meth:`ConvNorm.over`."""
        return self._rest(cast(ConvNorm, self[0]).over(x, joined))

    def _rest(self, x: Tensor) -> Tensor:
        for layer in self[1:].children():
            x = cast(ConvNorm, layer).over(x)
        return x


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut; where it strides, the shortcut takes the mean of what it steps over (ResNet-D).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; where they differ, the shortcut has a 1x1x1 convolution and a norm.
        kernel: Sizes (z, y, x) of both convolutions.
        stride: Steps (z, y, x) of the first.
        bias: Whether these convolutions have one; that of the shortcut never has.
        norm: As for :class:`ConvNorm`.
        slope: Of the activation below zero.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Kernel,
        stride: Kernel,
        bias: bool,
        norm: str,
        slope: float,
    ) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_channels, out_channels, kernel, stride, bias, norm, slope)
        self.conv2 = ConvNorm(out_channels, out_channels, kernel, (1, 1, 1), bias, norm, None)
        pool = nn.Identity() if set(stride) == {1} else nn.AvgPool3d(triple(stride))
        self.pool, self.slope = pool, slope
        changes = in_channels != out_channels
        self.skip = ConvNorm(in_channels, out_channels, (1, 1, 1), (1, 1, 1), False, norm, None) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Float ``[n, in_channels, z, y, x]`` to ``[n, out_channels, z / stride, ...]``."""
        shortcut = self.pool(x)
        if self.skip is not None:
            shortcut = self.skip(shortcut)
        y = self.conv2.over(self.conv1(x))
        y = y + shortcut if torch.is_grad_enabled() else y.add_(shortcut)
        return F.leaky_relu(y, self.slope, inplace=True)
