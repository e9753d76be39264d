"""A U-Net-style decoder that is cheap at full resolution.

Not from the papers: MedicalNet's users found its decoders too coarse for thin structures (papers.md D8, D9).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from Med3DCore.networks.checks import check_count, check_counts
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.layers import Stride, conv_bn_relu, enlarge, initialise, ratio


class SkipDecoder(nn.Module):
    """Climbs from layer 4 to the stem; at each level up-samples, joins the encoder's map and convolves.

    A 1x1x1 convolution before each up-sampling reduces the channels where voxels are few: the two commute, so the
    function is that of U-Net's up-sample-then-reduce at an eighth of its cost.

    Args:
        in_channels: Channels of the encoder's five maps, fine to coarse.
        strides: Their strides.
        out_channels: Number of classes.
        channels: Channels of the four levels, coarse to fine (at layer 3, 2, 1 and the stem). Default: those of
            the encoder's map, and half of them at the stem. Two convolution blocks a level, one at the finest.
        deep_supervision: In training also give the logits of the three coarser levels.
        finest_blocks: Convolution blocks at the finest level.

    Raises:
        SettingError: ``channels`` is not a list of four whole numbers of at least 1.
    """

    uses_skips = True

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],
        out_channels: int,
        channels: Sequence[int] | None = None,
        deep_supervision: bool = False,
        finest_blocks: int = 1,
    ) -> None:
        super().__init__()
        skips = list(in_channels[-2::-1])
        if channels is None:
            channels = [*skips[:-1], max(1, skips[-1] // 2)]
        check_counts("channels of the decoder 'skip'", channels, len(skips))
        check_count("finest_blocks of the decoder 'skip'", finest_blocks)
        self.deep_supervision = deep_supervision
        self.factors = [ratio(coarse, fine) for coarse, fine in zip(strides[:0:-1], strides[-2::-1], strict=True)]
        self.stem_stride = strides[0]

        below = [in_channels[-1], *channels]
        self.reduce = nn.ModuleList(Conv3d(below[i], c, 1, bias=False) for i, c in enumerate(channels))
        self.merge = nn.ModuleList(
            _level(skip + c, c, blocks=finest_blocks if i == len(channels) - 1 else 2)
            for i, (skip, c) in enumerate(zip(skips, channels, strict=True))
        )
        supervised = channels if deep_supervision else channels[-1:]
        self.logits = nn.ModuleList(Conv3d(c, out_channels, 1) for c in reversed(supervised))
        initialise(self)

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor | list[Tensor]:
        """The encoder's maps, fine to coarse, to logits ``[n, out_channels, *size]``.

        Returns:
            The logits; with deep supervision in training a list of them, the full size first, then each coarser level
            at its own size.
        """
        x = features[-1]
        levels = []
        for skip, factor, reduce, merge in zip(features[-2::-1], self.factors, self.reduce, self.merge, strict=True):
            x = enlarge(reduce(x), factor, skip.shape[2:])
            x = merge(torch.cat((x, skip), dim=1))
            levels.append(x)
        logits = enlarge(self.logits[0](x), self.stem_stride, size)
        if not (self.deep_supervision and self.training):
            return logits
        return [logits, *(head(level) for head, level in zip(self.logits[1:], levels[-2::-1], strict=True))]


def _level(in_channels: int, channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(conv_bn_relu(in_channels if i == 0 else channels, channels) for i in range(blocks)))
