"""The network of MONAI's Auto3DSeg: SegResNet with deep supervision (Myronenko 2018, arXiv:1810.11654; SegResNetDS).

Norm and activation stand before each convolution, the decoder adds the encoder's maps to its own, and transposed
convolutions of 3x3x3 enlarge. In training MONAI also has logits of coarser levels; these are left out here.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from Med3DCore.geometry import triple
from Med3DCore.networks.checks import check_choice, check_count, check_counts
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.layers import Stride, crop, per_axis, ratio
from Med3DCore.networks.network import Encoder
from Med3DCore.networks.nnunet_encoders import check_stages, whole_strides
from Med3DCore.networks.nnunet_layers import ACTIVATIONS, NORMS


class SegResBlock(nn.Module):
    """Twice norm, activation and convolution, added to the input.

    Args:
        channels: Of input and output.
        kernel: Sizes (z, y, x), odd.
        norm: ``"instance"`` or ``"batch"``.
        slope: Of the activation below zero.
    """

    def __init__(self, channels: int, kernel: Sequence[int], norm: str, slope: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = NORMS[norm](channels, slope), NORMS[norm](channels, slope)
        self.conv1, self.conv2 = (same_conv(channels, channels, kernel) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Float ``[n, channels, z, y, x]`` to the same shape."""
        # Norm and activation may write over what they get.
        return self.conv2(self.norm2(self.conv1(self.norm1(x.clone())))) + x


class SegResNetEncoder(Encoder):
    """A convolution, then stages of residual blocks, with a strided convolution between two of them.

    Args:
        channels: Of each stage, from fine to coarse.
        kernels: Sizes of the convolutions of each stage; the one after a stage has its size, too.
        strides: Steps of each stage, those of the convolution before it; the first stage has none.
        blocks: Number of blocks of each stage.
        in_channels: Channels of the input.
        norm: ``"instance"`` or ``"batch"``.
        activation: ``"relu"`` or ``"leaky_relu"``.

    Raises:
        SettingError: The lists do not belong together, or a value is unknown.
    """

    def __init__(
        self,
        channels: Sequence[int],
        kernels: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        blocks: Sequence[int],
        in_channels: int = 1,
        norm: str = "instance",
        activation: str = "relu",
    ) -> None:
        super().__init__()
        check_stages(channels, kernels, strides, blocks, in_channels, activation)
        check_choice("norm of the encoder", norm, NORMS)
        self.channels, self.strides = list(channels), whole_strides(strides)
        self.stem = same_conv(in_channels, channels[0], kernels[0])
        self.stages, self.downs = nn.ModuleList(), nn.ModuleList()
        for level, (width, kernel, count) in enumerate(zip(channels, kernels, blocks, strict=True)):
            self.stages.append(_blocks(count, width, kernel, norm, activation))
            if level + 1 < len(channels):
                self.downs.append(same_conv(width, channels[level + 1], kernel, strides[level + 1]))

    def features(self, x: Tensor) -> list[Tensor]:
        """Float ``[n, in_channels, z, y, x]`` to one map a stage, from fine to coarse."""
        maps = [self.stages[0](self.stem(x))]
        for down, stage in zip(self.downs, list(self.stages)[1:], strict=True):
            maps.append(stage(down(maps[-1])))
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """The last map."""
        return self.features(x)[-1]


class SegResNetDecoder(nn.Module):
    """Climbs from the coarsest map to the finest and adds the encoder's at each level.

    Args:
        in_channels: Channels of the encoder's maps, fine to coarse.
        strides: Input voxels per voxel of these maps.
        out_channels: Number of classes.
        kernels: Sizes (z, y, x) of the convolutions of each level, coarse to fine.
        blocks: Number of blocks of each level, coarse to fine.
        norm: ``"instance"`` or ``"batch"``.
        activation: ``"relu"`` or ``"leaky_relu"``.

    Raises:
        SettingError: The lists do not belong to the encoder, or a value is unknown.
    """

    uses_skips = True

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],
        out_channels: int,
        kernels: Sequence[Sequence[int]],
        blocks: Sequence[int],
        norm: str = "instance",
        activation: str = "relu",
    ) -> None:
        super().__init__()
        levels = len(in_channels) - 1
        check_count("out_channels of the decoder", out_channels)
        check_counts("blocks of the decoder", blocks, levels)
        check_choice("norm of the decoder", norm, NORMS)
        check_choice("activation of the decoder", activation, ACTIVATIONS)
        self.climbs, self.stages = nn.ModuleList(), nn.ModuleList()
        for level, (kernel, count) in enumerate(zip(kernels, blocks, strict=True), start=1):
            check_counts("kernels of the decoder", kernel, 3)
            below, width = in_channels[-level], in_channels[-level - 1]
            step = per_axis(ratio(strides[-level], strides[-level - 1]))
            self.climbs.append(_climb(below, width, kernel, step))
            self.stages.append(_blocks(count, width, kernel, norm, activation))
        self.last = Conv3d(in_channels[0], out_channels, 1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Maps, fine to coarse, to logits of ``size``."""
        return self.last(self.finest(features, size))

    def finest(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """The maps of ``size`` that the last layer makes logits of."""
        x = features[-1]
        for climb, stage, skip in zip(self.climbs, self.stages, reversed(features[:-1]), strict=True):
            x = stage(crop(climb(x), skip.shape[2:]) + skip)
        return crop(x, size)


def same_conv(in_channels: int, out_channels: int, kernel: Sequence[int], stride: Sequence[int] = (1, 1, 1)) -> Conv3d:
    """Convolution without a bias that keeps the size at stride 1."""
    padding = triple(size // 2 for size in kernel)
    return Conv3d(in_channels, out_channels, triple(kernel), triple(stride), padding=padding, bias=False)


def _blocks(count: int, channels: int, kernel: Sequence[int], norm: str, activation: str) -> nn.Sequential:
    return nn.Sequential(*(SegResBlock(channels, kernel, norm, ACTIVATIONS[activation]) for _ in range(count)))


def _climb(below: int, width: int, kernel: Sequence[int], step: Sequence[int]) -> nn.ConvTranspose3d:
    """A transposed convolution that makes ``step * n`` voxels of ``n``."""
    padding = triple((size - 1) // 2 for size in kernel)
    rest = triple(stride - size + 2 * pad for stride, size, pad in zip(step, kernel, padding, strict=True))
    return nn.ConvTranspose3d(below, width, triple(kernel), triple(step), padding, rest, bias=False)
