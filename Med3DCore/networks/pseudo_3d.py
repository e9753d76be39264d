"""Pseudo-3D bottlenecks: a 3x3x3 convolution as one within the slice and one across slices (P3D; papers.md B3.5).

The two stand one after the other (A), beside each other (B), or so that the second adds to the first (C). A P3D network
takes A, B, C in turn.
"""

from __future__ import annotations

from torch import Tensor, nn

from Med3DCore.networks.blocked_conv import conv3x3x3
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.layers import Stride, normalisation, per_axis
from Med3DCore.networks.residual_blocks import Block


class PseudoBottleneck(Block):
    """1x1x1, 1x3x3 (strided and dilated) and 3x1x1, 1x1x1 to four times the planes, and a shortcut; arrangement A."""

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: Stride,
        dilation: int,
        downsample: nn.Module | None,
        flat: bool = False,  # noqa: ARG002 - one signature for all blocks
        norm: str = "batch",
    ) -> None:
        super().__init__()
        self.conv1 = Conv3d(in_channels, planes, 1, bias=False)
        self.bn1 = normalisation(norm, planes)
        self.conv2 = conv3x3x3(planes, planes, stride, dilation, flat=True)
        self.bn2 = normalisation(norm, planes)
        across = self.across_stride(stride)
        self.across = Conv3d(planes, planes, (3, 1, 1), across, padding=(1, 0, 0), bias=False)
        self.across_bn = normalisation(norm, planes)
        self.conv3 = Conv3d(planes, 4 * planes, 1, bias=False)
        self.bn3 = normalisation(norm, 4 * planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    @staticmethod
    def across_stride(stride: Stride) -> Stride:  # noqa: ARG004 - others need it
        """Stride of the convolution across slices."""
        return 1

    def forward(self, x: Tensor) -> Tensor:
        out = self.middle(self.relu(self.bn1(self.conv1(x))))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)

    def middle(self, x: Tensor) -> Tensor:
        """Both convolutions."""
        return self._across(self._within(x))

    def _within(self, x: Tensor) -> Tensor:
        return self.relu(self.bn2(self.conv2(x)))

    def _across(self, x: Tensor) -> Tensor:
        return self.relu(self.across_bn(self.across(x)))


class ParallelBottleneck(PseudoBottleneck):
    """Arrangement B: both see the same and are added."""

    @staticmethod
    def across_stride(stride: Stride) -> Stride:
        """That of the other, since it stands beside it."""
        return per_axis(stride)

    def middle(self, x: Tensor) -> Tensor:
        """Both convolutions."""
        return self._within(x) + self._across(x)


class AddedBottleneck(PseudoBottleneck):
    """Arrangement C: the second sees the first's result and is added to it."""

    def middle(self, x: Tensor) -> Tensor:
        """Both convolutions."""
        within = self._within(x)
        return within + self._across(within)


PSEUDO: tuple[type[PseudoBottleneck], ...] = (PseudoBottleneck, ParallelBottleneck, AddedBottleneck)
"""The arrangements A, B, C."""
