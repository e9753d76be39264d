"""The decoders of the Med3D paper: the branch of co-training and the lung decoder (papers.md A7)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from Med3DCore.errors import SettingError
from Med3DCore.networks.checks import check_choice
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.layers import Stride, conv_bn_relu, crop, enlarge, initialise

LUNG_CHANNELS = {
    "halving": ((256, 128), (128, 64), (64, 32)),
    "literal": ((256, 128), (512, 256), (1024, 512)),
}


class UpsampleDecoder(nn.Module):
    """One branch of Med3D: 1x1x1 convolution to the classes, then trilinear up-sampling to the input's size.

    Section 3.2 of the paper. MedicalNet's released demo has another decoder, with logits at a quarter of the size.

    Args:
        in_channels: Channels of the encoder's maps; only the last is used.
        strides: Their strides.
        out_channels: Number of classes.
    """

    uses_skips = False

    def __init__(self, in_channels: Sequence[int], strides: Sequence[Stride], out_channels: int) -> None:
        super().__init__()
        self.stride = strides[-1]
        self.logits = Conv3d(in_channels[-1], out_channels, 1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """The encoder's last map to logits ``[n, out_channels, *size]``."""
        return enlarge(self.logits(features[-1]), self.stride, size)


class LungDecoder(nn.Module):
    """The decoder of the paper's lung experiment: three groups of transposed convolution and convolution.

    Each group doubles the size, so the encoder's last map must have stride 8. The paper says that the groups' channels
    are "doubling"; read literally, a 96^3 patch needs 3.6 GB for one map of the last group, so the default halves them.
    Batch norm and ReLU after each convolution are our choice; the paper does not say.

    Args:
        in_channels: Channels of the encoder's maps; only the last is used.
        strides: Their strides; the last must be 8.
        out_channels: Number of classes.
        preset: ``"halving"``: (256, 128), (128, 64), (64, 32) channels; ``"literal"``: (256, 128), (512, 256),
            (1024, 512).

    Raises:
        SettingError: The preset is unknown or the encoder's stride is not 8.
    """

    uses_skips = False

    def __init__(
        self, in_channels: Sequence[int], strides: Sequence[Stride], out_channels: int, preset: str = "halving"
    ) -> None:
        super().__init__()
        check_choice("preset of the decoder 'lung'", preset, LUNG_CHANNELS)
        if strides[-1] != 8:
            raise SettingError(
                f"The decoder 'lung' needs an encoder of total stride 8, but this one has {strides[-1]}; "
                "set the encoder's output_stride to 8 and its stem_stride to 2."
            )
        layers, channels = [], in_channels[-1]
        for up, out in LUNG_CHANNELS[preset]:
            layers += [_double(channels, up), conv_bn_relu(up, out)]
            channels = out
        self.groups = nn.Sequential(*layers)
        self.logits = Conv3d(channels, out_channels, 1)
        initialise(self)

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """The encoder's last map to logits ``[n, out_channels, *size]``."""
        return self.logits(crop(self.groups(features[-1]), size))


def _double(in_channels: int, out_channels: int) -> nn.Sequential:
    # The output padding makes n voxels exactly 2n, not 2n - 1.
    up = nn.ConvTranspose3d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=False)
    return nn.Sequential(up, nn.BatchNorm3d(out_channels), nn.ReLU(inplace=True))
