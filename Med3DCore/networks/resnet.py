"""3D ResNet encoders of Med3D (arXiv 1904.00625, section 3.2; papers.md A4) and VDT (arXiv 2201.01426; B1, B3).

State-dict keys and shapes are exactly MedicalNet's, so its released weights load without renaming. Weights depend on no
stride: what was pre-trained on pictures without a stride along z (``depth_stride``) loads into a network that has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from Med3DCore.errors import SettingError
from Med3DCore.networks.blocked_conv import conv3x3x3
from Med3DCore.networks.checks import check_choice, check_count, check_counts
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.layers import Stride, initialise, per_axis
from Med3DCore.networks.network import Encoder

# output stride -> (stride, dilation) of layer 3 and layer 4
GEOMETRIES = {
    8: ((1, 2), (1, 4)),
    16: ((2, 1), (1, 2)),
    32: ((2, 1), (2, 1)),
}


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
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3x3(in_channels, planes, stride, dilation, flat=flat)
        self.bn1 = nn.BatchNorm3d(planes)
        self.conv2 = conv3x3x3(planes, planes, 1, dilation, flat=flat)
        self.bn2 = nn.BatchNorm3d(planes)
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
    ) -> None:
        super().__init__()
        self.conv1 = Conv3d(in_channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(planes)
        self.conv2 = conv3x3x3(planes, planes, stride, dilation, flat=flat)
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

    def __init__(self, channels: int, stride: Stride, detach: bool) -> None:
        super().__init__()
        self.channels, self.stride, self.detach = channels, per_axis(stride), detach

    def forward(self, x: Tensor) -> Tensor:
        x = x.detach() if self.detach else x
        z, y, x_ = self.stride
        return F.pad(x[:, :, ::z, ::y, ::x_], (0, 0, 0, 0, 0, 0, 0, self.channels - x.shape[1]))


class ResNetEncoder(Encoder):
    """3D ResNet without its classifier.

    Args:
        depth: 10, 18, 34 (basic blocks), 50, 101, 152 or 200 (bottlenecks).
        in_channels: Channels of the input; 1 for scans.
        shortcut: ``"B"`` (1x1x1 convolution and batch norm) or ``"A"`` (zero padding). The released weights are of
            type A for depths 18 and 34, else B.
        output_stride: Voxels of the input per voxel of the last map: 8 as Med3D (layers 3 and 4 dilated by 2 and 4;
            the paper says 2 for both, its code and weights 2 then 4), 16, or 32 as a plain ResNet.
        width: Channels of the stem; all others follow. 64 as published, less for small models.
        stem_stride: 1 keeps the stem at full resolution and halves every stride below, as VDT's segmentation
            networks (papers.md B3.3); 2 as Med3D.
        detach_shortcut: No gradient through shortcuts of type A, as MedicalNet's code.
        stem_pool: Whether the max-pool follows the stem; VDT's network for small cubes has none (papers.md B3.2).
        stage_strides: Strides of layers 1 to 4 in place of ``output_stride``, without dilation: VDT's network for
            small cubes has ``(1, 2, 1, 2)``.
        depth_stride: False for VDT's pre-training (papers.md B1): no stride along z anywhere, so that a picture's three
            colours, taken as three slices, are still three in the last map.
        flat: A 2D ResNet: no kernel reaches beyond its own slice and nothing has a stride along z. Such weights are
            those of a 2D ResNet but for one axis of length 1; it is the plain 2D network that VDT is compared with.

    Attributes:
        channels: Channels of the five maps of :meth:`features`.
        strides: Input voxels per voxel of each of these maps: a number, or z, y, x where the axes differ.

    Raises:
        SettingError: An argument is not one of the above.
    """

    blocks: ClassVar[dict[int, tuple[type[Block], tuple[int, ...]]]] = {
        10: (BasicBlock, (1, 1, 1, 1)),
        18: (BasicBlock, (2, 2, 2, 2)),
        34: (BasicBlock, (3, 4, 6, 3)),
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
        200: (Bottleneck, (3, 24, 36, 3)),
    }

    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module

    def __init__(
        self,
        depth: int,
        in_channels: int = 1,
        shortcut: str = "B",
        output_stride: int = 8,
        width: int = 64,
        stem_stride: int = 2,
        detach_shortcut: bool = False,
        stem_pool: bool = True,
        stage_strides: Sequence[int] | None = None,
        depth_stride: bool = True,
        flat: bool = False,
    ) -> None:
        super().__init__()
        check_choice("depth of the encoder", depth, self.blocks)
        check_choice("shortcut of the encoder", shortcut, ("A", "B"))
        check_choice("output_stride of the encoder", output_stride, GEOMETRIES)
        check_choice("stem_stride of the encoder", stem_stride, (1, 2))
        check_count("in_channels of the encoder", in_channels)
        check_count("width of the encoder", width)

        for name, value in (("stem_pool", stem_pool), ("depth_stride", depth_stride), ("flat", flat)):
            check_choice(f"{name} of the encoder", value, (True, False))
        block, counts = self.blocks[depth]
        stages = _stages(output_stride, stage_strides)

        def stride(of: int) -> Stride:
            return of if of == 1 or (depth_stride and not flat) else (1, of, of)

        kernel, padding = ((1, 7, 7), (0, 3, 3)) if flat else (7, 3)
        self.conv1 = Conv3d(in_channels, width, kernel, stride=stride(stem_stride), padding=padding, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.relu = nn.ReLU(inplace=True)
        pool = nn.MaxPool3d((1, 3, 3) if flat else 3, stride=stride(2), padding=(0, 1, 1) if flat else 1)
        self.maxpool = pool if stem_pool else nn.Identity()

        self.channels, strides = [width], [stem_stride]
        for i, (count, (step, dilation)) in enumerate(zip(counts, stages, strict=True)):
            before, planes = self.channels[-1], width * 2**i
            after = planes * block.expansion
            # Only a stage's first block changes size or channels, so only it needs a shortcut of its own.
            needs_shortcut = step != 1 or before != after
            downsample = _shortcut(shortcut, before, after, stride(step), detach_shortcut) if needs_shortcut else None
            layer = [block(before, planes, stride(step), dilation, downsample, flat)]
            layer += [block(after, planes, 1, dilation, None, flat) for _ in range(count - 1)]
            self.add_module(f"layer{i + 1}", nn.Sequential(*layer))
            self.channels.append(after)
            pooled = 2 if i == 0 and stem_pool else 1  # the max-pool stands before layer 1
            strides.append(strides[-1] * step * pooled)
        self.strides = [stride(total) for total in strides]
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


def _stages(output_stride: int, stage_strides: Sequence[int] | None) -> tuple[tuple[int, int], ...]:
    """Stride and dilation of layers 1 to 4.

    Raises:
        SettingError: Strides are given that are no four of 1 and 2.
    """
    if stage_strides is None:
        return ((1, 1), (2, 1), *GEOMETRIES[output_stride])
    check_counts("stage_strides of the encoder", stage_strides, 4)
    if max(stage_strides) > 2:
        raise SettingError(f"stage_strides of the encoder is {list(stage_strides)}; each must be 1 or 2.")
    return tuple((stride, 1) for stride in stage_strides)


def _shortcut(kind: str, in_channels: int, out_channels: int, stride: Stride, detach: bool) -> nn.Module:
    if kind == "A":
        return ZeroPadShortcut(out_channels, stride, detach)
    conv = Conv3d(in_channels, out_channels, 1, stride=stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm3d(out_channels))
