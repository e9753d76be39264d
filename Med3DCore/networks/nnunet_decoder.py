"""The decoder of nnU-Net's networks: transposed convolution, skip, plain convolutions (Isensee 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import cast

from torch import Tensor, nn

from Med3DCore.errors import SettingError
from Med3DCore.networks.checks import check_choice, check_counts
from Med3DCore.networks.conv import Conv3d, enlarged
from Med3DCore.networks.layers import Stride, crop, per_axis, ratio
from Med3DCore.networks.nnunet_encoders import conv_stack
from Med3DCore.networks.nnunet_layers import ACTIVATIONS, ConvStack


class NnunetDecoder(nn.Module):
    """Climbs from the coarsest map to the finest; each level has logits of its own, as the published weights have.

    Args:
        in_channels: Channels of the encoder's maps, fine to coarse.
        strides: Input voxels per voxel of these maps.
        out_channels: Number of classes.
        kernels: Sizes (z, y, x) of the convolutions of each level, coarse to fine.
        convs: Number of convolutions of each level, coarse to fine.
        bias: Whether convolutions have one.
        norm: ``"instance"`` or ``"batch"``.
        activation: ``"leaky_relu"`` or ``"relu"``.
        deep_supervision: In training also give the logits of the coarser levels.

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
        convs: Sequence[int],
        bias: bool = True,
        norm: str = "instance",
        activation: str = "leaky_relu",
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        levels = len(in_channels) - 1
        check_counts("convs of the decoder", convs, levels)
        check_choice("activation of the decoder", activation, ACTIVATIONS)
        if len(kernels) != levels:
            raise SettingError(f"kernels of the decoder must be a list of {levels}, one a level, not {kernels!r}.")
        self.deep_supervision = deep_supervision
        self.climbs, self.stages, self.logits = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        slope = ACTIVATIONS[activation]
        for level, (kernel, count) in enumerate(zip(kernels, convs, strict=True), start=1):
            check_counts("kernels of the decoder", kernel, 3)
            below, width = in_channels[-level], in_channels[-level - 1]
            step = per_axis(ratio(strides[-level], strides[-level - 1]))
            self.climbs.append(nn.ConvTranspose3d(below, width, step, step, bias=bias))
            self.stages.append(conv_stack(count, 2 * width, width, kernel, (1, 1, 1), bias, norm, slope))
            self.logits.append(Conv3d(width, out_channels, 1))

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor | list[Tensor]:
        """Maps, fine to coarse, to logits of ``size``; a list of them, finest first, under deep supervision.

        Where no gradient is wanted, the maps may be written over.
        """
        if self.deep_supervision and self.training:
            climbed = zip(self.logits, self._climb(features), strict=True)
            return [logits(x) for logits, x in climbed][::-1]
        return self.last(self.finest(features, size))

    @property
    def last(self) -> nn.Conv3d:
        """The last layer, which makes logits of the finest maps."""
        layer = self.logits[-1]
        if not isinstance(layer, nn.Conv3d):
            raise TypeError(f"the last layer is a {type(layer).__name__}")
        return layer

    def finest(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """The maps of ``size`` that the last layer makes logits of."""
        *_, last = self._climb(features)
        return crop(last, size)

    def _climb(self, features: Sequence[Tensor]) -> Iterator[Tensor]:
        """The maps of each level, coarse to fine."""
        x = features[-1]
        for climb, stage, skip in zip(self.climbs, self.stages, reversed(features[:-1]), strict=True):
            climbed = partial(_climbed, cast(nn.ConvTranspose3d, climb), x, skip.shape[3:])
            x = cast(ConvStack, stage).over(skip, climbed)
            yield x


def _climbed(climb: nn.ConvTranspose3d, x: Tensor, size: Sequence[int], first: int, stop: int) -> Tensor:
    """Some slices of a map that was climbed to, of ``size`` (y, x)."""
    step = climb.stride[0]
    low = first // step
    fine = enlarged(x[:, :, low : -(-stop // step)], climb)
    return fine[:, :, first - low * step : stop - low * step, : size[0], : size[1]]
