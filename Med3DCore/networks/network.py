"""An encoder and a decoder joined."""

from __future__ import annotations

from torch import Tensor, nn


class Network(nn.Module):
    """One encoder, one decoder.

    Args:
        encoder: Gives ``features(x)``, its feature maps from fine to coarse; called, it gives the last of them.
        decoder: Turns that list (only the last map unless it sets ``uses_skips``) and the input's size into logits.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
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
