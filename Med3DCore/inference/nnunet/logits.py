"""Logits of many classes, kept as what the network's last layer makes them of.

That layer is linear, voxel by voxel: the weighted mean of the logits of overlapping patches, and of mirrored copies, is
what it makes of the mean of its inputs. Of 118 classes and 32 maps before them, the maps are a quarter of the memory,
and the layer runs once, a few slices at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from Med3DCore.networks.network import Network
from Med3DCore.networks.nnunet_decoder import NnunetDecoder
from Med3DCore.networks.segresnet import SegResNetDecoder

Body = Callable[[Tensor], Tensor]
Last = tuple[Tensor, Tensor]
"""Weights ``[classes, maps]`` and bias ``[classes]`` of a last layer."""


@dataclass(frozen=True, eq=False)
class Logits:
    """Of a whole volume.

    Args:
        maps: float32 ``[maps, z, y, x]``: logits, or what the last layer gets.
        last: That layer; None if the maps are logits.
        softmax: Whether they are asked for as probabilities: what MONAI interpolates, where nnU-Net does logits.
    """

    maps: np.ndarray
    last: Last | None = None
    softmax: bool = False

    @property
    def is_linear(self) -> bool:
        """Whether interpolated maps give interpolated logits."""
        return self.last is not None and not self.softmax

    def highest(self, maps: np.ndarray) -> np.ndarray:
        """The class with the highest logit, of the shape of the maps without channels.

        Args:
            maps: float32 ``[maps, z, y, x]``, what the last layer gets.
        """
        if self.last is None:
            raise ValueError("the maps are logits")
        weight, bias = self.last
        flat = torch.from_numpy(maps.reshape(len(maps), -1)).T
        return torch.addmm(bias, flat, weight.T).numpy().argmax(axis=1).reshape(maps.shape[1:])

    def scratch(self, slices: int) -> Tensor:
        """Memory for so many slices, to be used again for each slab; nothing where slabs need none."""
        classes = 0 if self.last is None else len(self.last[0])
        return torch.empty(classes * slices * int(np.prod(self.maps.shape[2:])))

    def slab(self, z: slice, scratch: Tensor | None = None) -> np.ndarray:
        """The logits, or probabilities, of some slices: float32 ``[classes, z, y, x]``.

        Args:
            z: Which slices.
            scratch: Where to put them, from :meth:`scratch`; memory that is asked for anew takes about as long to be
                given as the layer takes to run.
        """
        maps = self.maps[:, z]
        if self.last is not None:
            weight, bias = self.last
            flat = torch.from_numpy(maps.reshape(len(maps), -1))
            shape = len(weight), flat.shape[1]
            out = None if scratch is None else scratch[: shape[0] * shape[1]].view(shape)
            maps = torch.addmm(bias[:, None], weight, flat, out=out).numpy().reshape(-1, *maps.shape[1:])
        return torch.from_numpy(maps).softmax(dim=0).numpy() if self.softmax else maps


def without_last_layer(network: nn.Module, classes: int) -> tuple[Body, int, Last | None]:
    """What to run in place of a network, the maps that it gives, and the last layer that makes logits of them.

    Where the last layer gets no fewer maps than it gives, that is the network itself, its logits, and None.
    """
    if not isinstance(network, Network) or not isinstance(network.decoder, NnunetDecoder | SegResNetDecoder):
        return network, classes, None
    encoder, decoder = network.encoder, network.decoder
    last = decoder.last
    if last.in_channels >= classes:
        return network, classes, None

    def body(x: Tensor) -> Tensor:
        return decoder.finest(encoder.features(x), x.shape[2:])

    bias = torch.zeros(classes) if last.bias is None else last.bias.detach().float().cpu()
    return body, last.in_channels, (last.weight.detach().float().cpu().flatten(1), bias)
