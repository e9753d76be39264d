"""The blocks that ResNets are made of, and their shortcuts (papers.md A4)."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from Med3DCore.networks.blocked_conv import conv3x3x3
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.layers import Stride, normalisation, per_axis


class Block(nn.Module):
    """A block of a layer; it gives ``expansion`` times as many channels as it has planes."""

    expansion: int


class BasicBlock(Block):
    """Two 3x3x3 convolutions and a shortcut; both are dilated, the first is strided."""

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: Stride,
        dilation: int,
        downsample: nn.Module | None,
        flat: bool = False,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3x3(in_channels, planes, stride, dilation, flat=flat)
        self.bn1 = normalisation(norm, planes)
        self.conv2 = conv3x3x3(planes, planes, 1, dilation, flat=flat)
        self.bn2 = normalisation(norm, planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(Block):
    """1x1x1, 3x3x3 (strided and dilated), 1x1x1 to four times the planes, and a shortcut."""

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: Stride,
        dilation: int,
        downsample: nn.Module | None,
        flat: bool = False,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        self.conv1 = Conv3d(in_channels, planes, 1, bias=False)
        self.bn1 = normalisation(norm, planes)
        self.conv2 = conv3x3x3(planes, planes, stride, dilation, flat=flat)
        self.bn2 = normalisation(norm, planes)
        self.conv3 = Conv3d(planes, 4 * planes, 1, bias=False)
        self.bn3 = normalisation(norm, 4 * planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class ZeroPadShortcut(nn.Module):
    """Shortcut type A: sub-sample, then fill the new channels with zeros. Has no parameters.

    MedicalNet's code detaches it, so its released type-A models were trained without a gradient here. The forward
    pass is the same; we detach only on request, since early layers then learn through the residual branches alone.
    """

    def __init__(self, channels: int, stride: Stride, detach: bool) -> None:
        super().__init__()
        self.channels, self.stride, self.detach = channels, per_axis(stride), detach

    def forward(self, x: Tensor) -> Tensor:
        x = x.detach() if self.detach else x
        z, y, x_ = self.stride
        return F.pad(x[:, :, ::z, ::y, ::x_], (0, 0, 0, 0, 0, 0, 0, self.channels - x.shape[1]))


def shortcut(
    kind: str, in_channels: int, out_channels: int, stride: Stride, detach: bool, norm: str = "batch"
) -> nn.Module:
    """What a block adds to its result where that has another size or more channels than its input; kind A or B."""
    if kind == "A":
        return ZeroPadShortcut(out_channels, stride, detach)
    conv = Conv3d(in_channels, out_channels, 1, stride=stride, bias=False)
    return nn.Sequential(conv, normalisation(norm, out_channels))
