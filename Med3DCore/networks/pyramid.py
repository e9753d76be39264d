"""From the maps of few slices to flat maps of several scales: what a detector looks at (papers.md B3.5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

COLLAPSES = ("group", "centre")


class GroupTransform(nn.Module):
    """MP3D's group transform module: every channel's slices become one by a weighted sum of the channel's own.

    Args:
        channels: Of the map.
        slices: Its size along z.
    """

    def __init__(self, channels: int, slices: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels * slices, channels, 1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, channels, slices, y, x]`` to ``[n, channels, y, x]``."""
        return self.conv(x.flatten(1, 2))


class CentreSlice(nn.Module):
    """P3D's way: only the middle slice, which saw its neighbours in the encoder."""

    def forward(self, x: Tensor) -> Tensor:
        """``[n, channels, slices, y, x]`` to ``[n, channels, y, x]``."""
        return x[:, :, x.shape[2] // 2]


def flat_conv(in_channels: int, out_channels: int, kernel: int, norm: bool) -> nn.Module:
    """A 2D convolution that keeps the size, and batch norm if it is wanted."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=not norm)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels)) if norm else conv


class FeaturePyramid(nn.Module):
    """A feature pyramid network (FPN) with one more, coarser level.

    Args:
        in_channels: Channels of the encoder's maps, fine to coarse, each half as large as the one before.
        channels: Of all levels.
        collapse: How slices become one: ``"group"`` (all maps must have ``slices``) or ``"centre"``.
        slices: Size of the maps along z.
        norm: Whether batch norm follows each convolution.
    """

    def __init__(
        self, in_channels: Sequence[int], channels: int, collapse: str, slices: int, norm: bool = False
    ) -> None:
        super().__init__()
        group = collapse == "group"
        self.collapse = nn.ModuleList(GroupTransform(n, slices) if group else CentreSlice() for n in in_channels)
        self.lateral = nn.ModuleList(flat_conv(n, channels, 1, norm) for n in in_channels)
        self.smooth = nn.ModuleList(flat_conv(channels, channels, 3, norm) for _ in in_channels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """``[n, c, z, y, x]`` of each scale to ``[n, channels, y, x]``, and one at half the size of the last."""
        levels = [lateral(collapse(x)) for lateral, collapse, x in zip(self.lateral, self.collapse, maps, strict=True)]
        for i in reversed(range(len(levels) - 1)):
            coarse = F.interpolate(levels[i + 1], scale_factor=2.0, mode="nearest")
            # A stride of 2 turns n into ceil(n / 2), so twice that is never too small.
            levels[i] = levels[i] + coarse[:, :, : levels[i].shape[2], : levels[i].shape[3]]
        levels = [smooth(x) for smooth, x in zip(self.smooth, levels, strict=True)]
        return [*levels, F.max_pool2d(levels[-1], 1, 2)]
