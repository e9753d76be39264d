"""The decoders of VDT's transfer tasks (arXiv 2201.01426; papers.md B3.2 and B3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from Med3DCore.networks.checks import check_count
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.layers import Stride, conv_bn_relu, crop, enlarge, initialise, per_axis, ratio
from Med3DCore.networks.skip_decoder import SkipDecoder

_HEAD_CHANNELS = 16
_HEAD_DROPOUT = 0.1


class UNetDecoder(SkipDecoder):
    """The U-Net neck and head for the liver: two convolutions at every level, then a head of 16 channels (B3.3).

    At each level up-sampling, a 1x1x1 convolution to the channels of the encoder's map beside it, both joined, two
    3x3x3 convolutions; the head is two more of 16 channels, dropout of 0.1 and the classes. The published encoder has
    ``stem_stride`` 1 and ``output_stride`` 32, so that its maps have strides 1, 2, 4, 8 and 16.

    Args:
        in_channels: Channels of the encoder's five maps, fine to coarse.
        strides: Their strides.
        out_channels: Number of classes.
        channels: Channels of the four levels, coarse to fine; by default those of the encoder's maps.

    Raises:
        SettingError: ``channels`` is not a list of four whole numbers of at least 1.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],
        out_channels: int,
        channels: Sequence[int] | None = None,
    ) -> None:
        channels = list(in_channels[-2::-1]) if channels is None else channels
        super().__init__(in_channels, strides, out_channels, channels, finest_blocks=2)
        head = nn.Sequential(
            conv_bn_relu(channels[-1], _HEAD_CHANNELS),
            conv_bn_relu(_HEAD_CHANNELS, _HEAD_CHANNELS),
            nn.Dropout3d(_HEAD_DROPOUT),
            Conv3d(_HEAD_CHANNELS, out_channels, 1),
        )
        initialise(head)
        self.logits = nn.ModuleList([head])


class NoduleDecoder(nn.Module):
    """The head for nodules in small cubes, from the maps of stem, layer 2 and layer 4 (B3.2).

    Twice: up-sampling to the next finer of the three maps (nearest neighbour), both joined, a 1x1x1 convolution to the
    channels of layer 4. Then a 3x3x3 convolution to a quarter of them, and the classes. The published encoder has
    ``stem_stride`` 1, no ``stem_pool`` and ``stage_strides`` 1, 2, 1, 2.

    Args:
        in_channels: Channels of the encoder's five maps, fine to coarse.
        strides: Their strides.
        out_channels: Number of classes.
        channels: Of the 1x1x1 convolutions; by default those of layer 4.

    Raises:
        SettingError: ``channels`` is no whole number of at least 1.
    """

    uses_skips = True

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],
        out_channels: int,
        channels: int | None = None,
    ) -> None:
        super().__init__()
        stem, _, layer2, _, layer4 = in_channels
        channels = layer4 if channels is None else channels
        check_count("channels of the decoder 'nodule'", channels)
        quarter = max(1, channels // 4)
        self.factors = [ratio(strides[4], strides[2]), ratio(strides[2], strides[0])]
        self.stem_stride = strides[0]
        self.merge = nn.ModuleList([_pointwise(layer4 + layer2, channels), _pointwise(channels + stem, channels)])
        self.head = conv_bn_relu(channels, quarter)
        self.logits = Conv3d(quarter, out_channels, 1)
        initialise(self)

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """The encoder's five maps, fine to coarse, to logits ``[n, out_channels, *size]``."""
        stem, _, layer2, _, x = features
        for skip, factor, merge in zip((layer2, stem), self.factors, self.merge, strict=True):
            x = F.interpolate(x, scale_factor=tuple(map(float, per_axis(factor))), mode="nearest")
            x = merge(torch.cat((crop(x, skip.shape[2:]), skip), dim=1))
        return enlarge(self.logits(self.head(x)), self.stem_stride, size)


def _pointwise(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        Conv3d(in_channels, out_channels, 1, bias=False), nn.BatchNorm3d(out_channels), nn.ReLU(inplace=True)
    )
