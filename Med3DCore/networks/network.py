"""An encoder and a decoder joined."""

from __future__ import annotations

from torch import Tensor, nn

from Med3DCore.networks.layers import Stride


class Encoder(nn.Module):
    """Makes feature maps of a picture.

    Attributes:
        channels: Channels of each of its maps, from fine to coarse.
        strides: Input voxels per voxel of each of these maps: a number, or z, y, x where the axes differ.
    """

    channels: list[int]
    strides: list[Stride]

    def features(self, x: Tensor) -> list[Tensor]:
        """Float ``[n, c, z, y, x]`` to its maps, from fine to coarse."""
        raise NotImplementedError


class Network(nn.Module):
    """One encoder, one decoder.

    Args:
        encoder: Gives ``features(x)``, its feature maps from fine to coarse; called, it gives the last of them.
        decoder: Turns that list (only the last map unless it sets ``uses_skips``) and the input's size into logits.
    """

    def __init__(self, encoder: Encoder, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def encoders(self) -> list[nn.Module]:
        """All encoders in it: the one."""
        return [self.encoder]

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Float ``[n, c, z, y, x]`` to logits; a list of them, finest first, under deep supervision in training."""
        # Fine maps are kept in memory only for a decoder that needs them.
        features = self.encoder.features(x) if self.decoder.uses_skips else [self.encoder(x)]
        return self.decoder(features, x.shape[2:])
