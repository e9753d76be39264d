"""Logits of many classes, kept as what the network's last layer makes them of.

That layer is linear, voxel by voxel: the weighted mean of the logits of overlapping patches, and of mirrored copies, is
what it makes of the mean of its inputs. Of 118 classes and 32 maps before them, the maps are a quarter of the memory,
and the layer runs once, a few slices at a time. Where the logits are fewer, or networks answer together, which have
last layers of their own, the logits of each patch are summed, slice by slice: those of a whole patch are never there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from Med3DCore.networks.average import Average
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


@dataclass(frozen=True)
class Member:
    """A network that answers alone, or one of several that answer together.

    Args:
        body: From a patch ``[1, c, z, y, x]`` to maps ``[1, maps, z, y, x]``; ready to run on the device.
        maps: How many it gives.
        last: What makes of them what is kept; None if they are kept.
    """

    body: Body
    maps: int
    last: Last | None = None

    def kept(self, maps: Tensor) -> Tensor:
        """What is kept of a slice of its maps, of any precision: float32 ``[channels, y, x]``."""
        maps = maps.float()
        if self.last is None:
            return maps
        weight, bias = self.last
        return torch.addmm(bias[:, None], weight, maps.flatten(1)).unflatten(1, maps.shape[1:])


def members_of(network: nn.Module, classes: int, as_logits: bool) -> tuple[list[Member], int, Last | None]:
    """The networks that answer together, how many channels are kept of them, and what makes logits of these.

    Args:
        network: An :class:`.Average`, or one that answers alone.
        classes: Channels of its logits.
        as_logits: Whether logits must be kept.
    """
    networks = network.members if isinstance(network, Average) else [network]
    members = [Member(*without_last_layer(each, classes)) for each in networks]
    alone = members[0]
    if as_logits or len(members) > 1 or alone.maps >= classes:
        return members, classes, None
    return [replace(alone, last=None)], alone.maps, alone.last


def without_last_layer(network: nn.Module, classes: int) -> tuple[Body, int, Last | None]:
    """What to run in place of a network, the maps that it gives, and the last layer that makes logits of them.

    That is the network itself, its logits, and None where its last layer is not known; and on a GPU, to which the layer
    is nothing, where it gets no fewer maps than it gives: more of them would have to be held and fetched.
    """
    if not isinstance(network, Network) or not isinstance(network.decoder, NnunetDecoder | SegResNetDecoder):
        return network, classes, None
    encoder, decoder = network.encoder, network.decoder
    last = decoder.last
    if last.in_channels >= classes and last.weight.device.type != "cpu":
        return network, classes, None

    def body(x: Tensor) -> Tensor:
        return decoder.finest(encoder.features(x), x.shape[2:])

    bias = torch.zeros(classes) if last.bias is None else last.bias.detach().float().cpu()
    return body, last.in_channels, (last.weight.detach().float().cpu().flatten(1), bias)
