"""The head of classification networks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.layers import Stride


class ClassificationHead(nn.Module):
    """Global average pooling and a 1x1x1 convolution to the classes: Med3D's nodule classifier (papers.md A7).

    Args:
        in_channels: Channels of the encoder's maps; only the last is used.
        strides: Not used; every decoder takes it.
        out_channels: Number of classes.
    """

    uses_skips = False

    def __init__(self, in_channels: Sequence[int], strides: Sequence[Stride], out_channels: int) -> None:  # noqa: ARG002
        super().__init__()
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.logits = Conv3d(in_channels[-1], out_channels, 1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor:  # noqa: ARG002
        """The encoder's last map to logits ``[n, out_channels]``; ``size`` is not used."""
        return self.logits(self.pool(features[-1])).flatten(1)
