"""3D DenseASPP, the decoder of Med3D's fine liver network (arXiv 1904.00625, section 4.3; papers.md A7).

DenseASPP is a 2D network (Yang et al., CVPR 2018); as in Med3D every kernel becomes 3D.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from Med3DCore.errors import SettingError
from Med3DCore.networks.blocked_conv import conv3x3x3
from Med3DCore.networks.checks import check_choice, check_counts
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.layers import Stride, enlarge

# (channels between a block's two convolutions, channels a block adds), named after DenseASPP's 2D backbones
PRESETS = {
    "densenet121": (128, 64),
    "densenet161": (512, 128),
    "densenet169": (336, 168),
    "densenet201": (480, 240),
}


class DenseASPPBlock(nn.Module):
    """Batch norm, ReLU, 1x1x1, batch norm, ReLU, dilated 3x3x3, dropout of whole channels."""

    def __init__(
        self, in_channels: int, middle: int, out_channels: int, dilation: int, dropout: float, norm_first: bool
    ) -> None:
        super().__init__()
        # The first ReLU of the first block sees the encoder's own map, which must not change.
        first = [nn.BatchNorm3d(in_channels), nn.ReLU(inplace=True)] if norm_first else [nn.ReLU()]
        self.layers = nn.Sequential(
            *first,
            Conv3d(in_channels, middle, 1),
            nn.BatchNorm3d(middle),
            nn.ReLU(inplace=True),
            conv3x3x3(middle, out_channels, dilation=dilation, bias=True),
            nn.Dropout3d(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[n, in_channels, z, y, x]`` to ``[n, out_channels, z, y, x]``."""
        return self.layers(x)


class DenseASPPDecoder(nn.Module):
    """Densely connected dilated convolutions, each seeing the encoder's map and all earlier results.

    New features are put in front of the old, as in the reference code. We depart from it in one thing: its batch
    norm has momentum 3e-4, so that a fine-tune of some hundred steps would leave the running statistics at their
    start and spoil inference; ours has torch's 0.1.

    Args:
        in_channels: Channels of the encoder's maps; only the last is used.
        strides: Their strides. DenseASPP means 8 or 16.
        out_channels: Number of classes.
        preset: ``"densenet121"``, ``"densenet161"``, ``"densenet169"`` or ``"densenet201"``: the blocks' channels.
            Med3D does not say which it used.
        dilations: One block each, in voxels of the encoder's map. A dilation as large as the map touches only
            padding, so small patches want smaller ones: at stride 8, a 96^3 patch has a map of 12^3.
        dropout: Probability of dropping a channel in training.

    Attributes:
        features: Channels before the last convolution: those of the encoder and what the blocks add.

    Raises:
        SettingError: The preset is unknown, a dilation is not a positive number or the dropout not in [0, 1).
    """

    uses_skips = False

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],
        out_channels: int,
        preset: str = "densenet121",
        dilations: Sequence[int] = (3, 6, 12, 18, 24),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_choice("preset of the decoder 'denseaspp'", preset, PRESETS)
        check_counts("dilations of the decoder 'denseaspp'", dilations)
        if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
            raise SettingError(f"dropout of the decoder 'denseaspp' is {dropout!r}; it must be 0 or more and below 1.")
        self.stride = strides[-1]
        self.features = in_channels[-1]
        middle, growth = PRESETS[preset]
        self.blocks = nn.ModuleList()
        for i, dilation in enumerate(dilations):
            self.blocks.append(DenseASPPBlock(self.features, middle, growth, dilation, dropout, norm_first=i > 0))
            self.features += growth
        self.dropout = nn.Dropout3d(dropout)
        self.logits = Conv3d(self.features, out_channels, 1)
        for m in self.modules():
            if isinstance(m, nn.Conv3d):
                nn.init.kaiming_uniform_(m.weight)

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """The encoder's last map to logits ``[n, out_channels, *size]``."""
        x = features[-1]
        for block in self.blocks:
            x = torch.cat((block(x), x), dim=1)
        return enlarge(self.logits(self.dropout(x)), self.stride, size)
