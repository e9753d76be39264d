"""The head of classification networks, of a point's surroundings or of a whole scan."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from Med3DCore.networks.checks import check_choice
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.layers import Stride

POOLS = ("average", "attention")


class ClassificationHead(nn.Module):
    """Global pooling and a 1x1x1 convolution to the classes: Med3D's nodule classifier (papers.md A7).

    With ``"attention"`` the mean is weighted: each place says by two small layers and a softmax over all places how
    much it counts (Ilse et al., arXiv 1802.04712, eq. 8), so that a small finding in a large scan need not be averaged
    away.

    Args:
        in_channels: Channels of the encoder's maps; only the last is used.
        strides: Not used; every decoder takes it.
        out_channels: Number of classes.
        pool: ``"average"`` or ``"attention"``.

    Raises:
        SettingError: The pooling is unknown.
    """

    uses_skips = False

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],  # noqa: ARG002
        out_channels: int,
        pool: str = "average",
    ) -> None:
        super().__init__()
        check_choice("pool of the decoder", pool, POOLS)
        features = in_channels[-1]
        if pool == "attention":
            hidden = max(4, features // 4)
            self.attention = nn.Sequential(Conv3d(features, hidden, 1), nn.Tanh(), Conv3d(hidden, 1, 1, bias=False))
        self.pool = pool
        self.logits = Conv3d(features, out_channels, 1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor:  # noqa: ARG002
        """The encoder's last map to logits ``[n, out_channels]``; ``size`` is not used."""
        return self.logits(self._weighted(features[-1]).mean(dim=(2, 3, 4), keepdim=True)).flatten(1)

    def class_maps(self, features: Sequence[Tensor]) -> Tensor:
        """What each place adds to the logits: class activation maps (Zhou et al., arXiv 1512.04150, eq. 2).

        Args:
            features: As for :meth:`forward`.

        Returns:
            Float ``[n, out_channels, z, y, x]`` at the stride of the encoder's last map. The mean over all places is
            the logit, but for the bias, which is of no place; exact for both poolings, since what follows is linear.
        """
        bias = self.logits.bias
        maps = self.logits(self._weighted(features[-1]))
        return maps if bias is None else maps - bias[:, None, None, None]

    def _weighted(self, last: Tensor) -> Tensor:
        """The encoder's last map, each place of it times how much it counts."""
        return last if self.pool == "average" else last * self._weights(last)

    def _weights(self, last: Tensor) -> Tensor:
        """How much each place counts, ``[n, 1, z, y, x]``; 1 on the average."""
        scores = self.attention(last).float()
        return (torch.softmax(scores.flatten(2), dim=2) * scores[0, 0].numel()).view_as(scores)
