"""3D ResNet encoders of Med3D (arXiv 1904.00625, section 3.2; papers.md A4).

State-dict keys and shapes are exactly MedicalNet's, so its released weights load without renaming.
Weights depend neither on the output stride nor on the stem's stride.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from Med3DCore.networks.blocked_conv import conv3x3x3
from Med3DCore.networks.checks import check_choice, check_count
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.layers import initialise

# output stride -> (stride, dilation) of layer 3 and layer 4
GEOMETRIES = {
    8: ((1, 2), (1, 4)),
    16: ((2, 1), (1, 2)),
    32: ((2, 1), (2, 1)),
}


class BasicBlock(nn.Module):
    """Two 3x3x3 convolutions and a shortcut; both are dilated, the first is strided."""

    expansion = 1

    def __init__(self, in_channels: int, planes: int, stride: int, dilation: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = conv3x3x3(in_channels, planes, stride, dilation)
        self.bn1 = nn.BatchNorm3d(planes)
        self.conv2 = conv3x3x3(planes, planes, 1, dilation)
        self.bn2 = nn.BatchNorm3d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """1x1x1, 3x3x3 (strided and dilated), 1x1x1 to four times the planes, and a shortcut."""

    expansion = 4

    def __init__(self, in_channels: int, planes: int, stride: int, dilation: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = Conv3d(in_channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(planes)
        self.conv2 = conv3x3x3(planes, planes, stride, dilation)
        self.bn2 = nn.BatchNorm3d(planes)
        self.conv3 = Conv3d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(4 * planes)
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

    def __init__(self, channels: int, stride: int, detach: bool) -> None:
        super().__init__()
        self.channels, self.stride, self.detach = channels, stride, detach

    def forward(self, x: Tensor) -> Tensor:
        x = x.detach() if self.detach else x
        s = self.stride
        return F.pad(x[:, :, ::s, ::s, ::s], (0, 0, 0, 0, 0, 0, 0, self.channels - x.shape[1]))


class ResNetEncoder(nn.Module):
    """3D ResNet without its classifier.

    Args:
        depth: 10, 18, 34 (basic blocks), 50, 101, 152 or 200 (bottlenecks).
        in_channels: Channels of the input.
        shortcut: ``"B"`` (1x1x1 convolution and batch norm) or ``"A"`` (zero padding). The released weights are of
            type A for depths 18 and 34, else B.
        output_stride: Voxels of the input per voxel of the last map: 8 as Med3D (layers 3 and 4 dilated by 2 and 4;
            the paper says 2 for both, its code and weights 2 then 4), 16, or 32 as a plain ResNet.
        width: Channels of the stem; all others follow. 64 as published, less for small models.
        stem_stride: 1 keeps the stem at full resolution and halves every stride below, as VDT's segmentation
            networks (arXiv 2201.01426; papers.md B3.3); 2 as Med3D.
        detach_shortcut: No gradient through shortcuts of type A, as MedicalNet's code.

    Attributes:
        channels: Channels of the five maps of :meth:`features`.
        strides: Input voxels per voxel of each of these maps.

    Raises:
        SettingError: An argument is not one of the above.
    """

    blocks: ClassVar = {
        10: (BasicBlock, (1, 1, 1, 1)),
        18: (BasicBlock, (2, 2, 2, 2)),
        34: (BasicBlock, (3, 4, 6, 3)),
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
        200: (Bottleneck, (3, 24, 36, 3)),
    }

    def __init__(
        self,
        depth: int,
        in_channels: int = 1,
        shortcut: str = "B",
        output_stride: int = 8,
        width: int = 64,
        stem_stride: int = 2,
        detach_shortcut: bool = False,
    ) -> None:
        super().__init__()
        check_choice("depth of the encoder", depth, self.blocks)
        check_choice("shortcut of the encoder", shortcut, ("A", "B"))
        check_choice("output_stride of the encoder", output_stride, GEOMETRIES)
        check_choice("stem_stride of the encoder", stem_stride, (1, 2))
        check_count("in_channels of the encoder", in_channels)
        check_count("width of the encoder", width)

        self.conv1 = Conv3d(in_channels, width, 7, stride=stem_stride, padding=3, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d(3, stride=2, padding=1)

        block, counts = self.blocks[depth]
        self.channels, self.strides = [width], [stem_stride]
        stages = ((1, 1), (2, 1), *GEOMETRIES[output_stride])
        for i, (count, (stride, dilation)) in enumerate(zip(counts, stages, strict=True)):
            before, planes = self.channels[-1], width * 2**i
            after = planes * block.expansion
            # Only a stage's first block changes size or channels, so only it needs a shortcut of its own.
            needs_shortcut = stride != 1 or before != after
            downsample = _shortcut(shortcut, before, after, stride, detach_shortcut) if needs_shortcut else None
            layer = [block(before, planes, stride, dilation, downsample)]
            layer += [block(after, planes, 1, dilation, None) for _ in range(count - 1)]
            self.add_module(f"layer{i + 1}", nn.Sequential(*layer))
            self.channels.append(after)
            self.strides.append(self.strides[-1] * (2 if i == 0 else stride))  # the max-pool stands before layer 1
        initialise(self)

    def features(self, x: Tensor) -> list[Tensor]:
        """Feature maps from fine to coarse: the stem before its max-pool, then layers 1 to 4.

        Args:
            x: Float ``[n, in_channels, z, y, x]`` of any size; a stride of 2 turns ``n`` voxels into ``ceil(n/2)``.
        """
        maps = [self.relu(self.bn1(self.conv1(x)))]
        x = self.maxpool(maps[0])
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """The map of layer 4, ``[n, channels[-1], z / strides[-1], ...]``."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def _shortcut(kind: str, in_channels: int, out_channels: int, stride: int, detach: bool) -> nn.Module:
    if kind == "A":
        return ZeroPadShortcut(out_channels, stride, detach)
    conv = Conv3d(in_channels, out_channels, 1, stride=stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm3d(out_channels))
