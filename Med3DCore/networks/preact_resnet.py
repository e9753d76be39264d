"""Pre-activation 3D ResNet, the paper's deepest encoder (Med3D table 2, "3D-PreResNet200"; papers.md A4).

MedicalNet released neither code nor weights for it; we follow the block of the Kinetics PreResNet that Med3D was
compared with, in the geometry of :class:`.ResNetEncoder`.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from Med3DCore.networks.blocked_conv import conv3x3x3
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.layers import Stride, normalisation
from Med3DCore.networks.residual_blocks import Block
from Med3DCore.networks.resnet import ResNetEncoder


class PreActBottleneck(Block):
    """Batch norm and ReLU before each of the 1x1x1, 3x3x3, 1x1x1 convolutions; the shortcut takes the raw input."""

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
        self.bn1 = normalisation(norm, in_channels)
        self.conv1 = Conv3d(in_channels, planes, 1, bias=False)
        self.bn2 = normalisation(norm, planes)
        self.conv2 = conv3x3x3(planes, planes, stride, dilation, flat=flat)
        self.bn3 = normalisation(norm, planes)
        self.conv3 = Conv3d(planes, 4 * planes, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """``[n, in_channels, z, y, x]`` to ``[n, 4 * planes, z / stride, ...]``; not rectified."""
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        out = self.conv3(self.relu(self.bn3(out)))
        return out + (x if self.downsample is None else self.downsample(x))


class PreActResNetEncoder(ResNetEncoder):
    """:class:`.ResNetEncoder` of pre-activation bottlenecks.

    As in its 2018 source, nothing normalises or rectifies the last map. Same arguments; ``depth`` is 50, 101, 152 or
    200, of which the paper uses 200.
    """

    blocks: ClassVar[dict[int, tuple[type[Block], tuple[int, ...]]]] = {
        50: (PreActBottleneck, (3, 4, 6, 3)),
        101: (PreActBottleneck, (3, 4, 23, 3)),
        152: (PreActBottleneck, (3, 8, 36, 3)),
        200: (PreActBottleneck, (3, 24, 36, 3)),
    }
