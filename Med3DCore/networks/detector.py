"""Faster R-CNN's heads over a pyramid of few slices: where may something be, and what is it (papers.md B3.5).

Positions are those of the middles of pixels: a voxel of a map of stride s lies over pixel s times its number, as our
strided layers place it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from Med3DCore.errors import SettingError
from Med3DCore.networks.checks import check_choice, check_count
from Med3DCore.networks.layers import Stride, per_axis
from Med3DCore.networks.pyramid import COLLAPSES, FeaturePyramid, flat_conv

_POOLED = 7  # cells along each side of a box
_SAMPLES = 2  # along each side of a cell
_AT_ONCE = 128  # boxes, to bound the memory
_FINEST = 14.0  # boxes up to twice so many strides of a level are looked at on it


class Proposals(NamedTuple):
    """What a detector says of a picture before it looks at boxes; lists of the pyramid's levels, fine to coarse.

    Args:
        maps: ``[n, channels, y, x]``.
        objectness: Logit of each anchor, ``[n, anchors]``.
        deltas: From each anchor to its object, ``[n, anchors, 4]``, see :func:`Med3DCore.boxes.encode`.
    """

    maps: list[Tensor]
    objectness: list[Tensor]
    deltas: list[Tensor]


class DetectionDecoder(nn.Module):
    """Pyramid, proposals and a head for boxes, on the encoder's layers 1 to 4.

    The published detectors have ``channels`` 256, ``hidden`` 1024, ``anchor_scale`` 4, ``slices`` 9.

    Args:
        in_channels: Channels of the encoder's five maps, fine to coarse.
        strides: Their strides; within the slice each layer must halve the one before (``output_stride`` 32).
        out_channels: Number of classes, the first of them background.
        slices: How many slices it sees, an odd number.
        channels: Of the pyramid.
        hidden: Of the two layers of the head for boxes.
        collapse: How slices become one: ``"group"``, MP3D's, for an encoder that keeps all of them, or ``"centre"``,
            P3D's.
        proposals: For how many boxes of a picture the head for boxes is asked; published are 1000.
        anchor_scale: Side of an anchor in strides of its level.
        ratios: Height by width of the anchors.
        norm: Whether batch norm follows each layer but the last ones. The published ones have none, and start from
            weights that learned before; from random ones Adam soon silences nearly all units of the head for boxes.
        anchor_overlap: Overlap (IoU) with an object from which an anchor learns to be one; published is 0.7. With less,
            each object has more of them, which teaches faster where there are few objects.

    Raises:
        SettingError: An argument makes no sense, or the encoder has other strides.
    """

    uses_skips = True

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],
        out_channels: int,
        slices: int = 9,
        channels: int = 256,
        hidden: int = 1024,
        collapse: str = "group",
        proposals: int = 1000,
        anchor_scale: float = 4.0,
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        norm: bool = False,
        anchor_overlap: float = 0.7,
    ) -> None:
        super().__init__()
        for name, value in (("slices", slices), ("channels", channels), ("hidden", hidden), ("proposals", proposals)):
            check_count(f"{name} of the decoder 'detection'", value)
        check_choice("norm of the decoder 'detection'", norm, (True, False))
        check_choice("collapse of the decoder 'detection'", collapse, COLLAPSES)
        if slices % 2 == 0:
            raise SettingError(f"slices of the decoder 'detection' is {slices}; it must be odd, to have a middle one.")
        if not isinstance(anchor_scale, int | float) or not anchor_scale > 0:
            raise SettingError(f"anchor_scale of the decoder 'detection' is {anchor_scale!r}; it must be above 0.")
        if not ratios or not all(isinstance(ratio, int | float) and ratio > 0 for ratio in ratios):
            raise SettingError(f"ratios of the decoder 'detection' are {ratios!r}; give numbers above 0.")
        if not isinstance(anchor_overlap, int | float) or not 0.3 < anchor_overlap <= 1:
            raise SettingError(
                f"anchor_overlap of the decoder 'detection' is {anchor_overlap!r}; it must be above 0.3, below which "
                "an anchor is background, and at most 1."
            )
        self.strides, self.anchor_overlap = _planar(strides), float(anchor_overlap)
        self.slices, self.proposals = slices, proposals
        self.anchor_scale, self.ratios = float(anchor_scale), tuple(float(ratio) for ratio in ratios)
        self.pyramid = FeaturePyramid(in_channels[1:], channels, collapse, slices, norm)
        self.proposal = flat_conv(channels, channels, 3, norm)
        self.objectness = nn.Conv2d(channels, len(ratios), 1)
        self.proposal_deltas = nn.Conv2d(channels, 4 * len(ratios), 1)
        self.hidden = nn.Sequential(
            *_linear_relu(channels * _POOLED**2, hidden, norm), *_linear_relu(hidden, hidden, norm)
        )
        self.logits = nn.Linear(hidden, out_channels)
        self.box_deltas = nn.Linear(hidden, 4)
        plain: list[nn.Conv2d | nn.Linear] = [self.objectness, self.proposal_deltas, self.logits, self.box_deltas]
        if isinstance(self.proposal, nn.Conv2d):
            plain.append(self.proposal)
        for layer in plain:
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            if not layer.weight.is_meta:  # see initialise()
                nn.init.normal_(layer.weight, std=0.001 if layer is self.box_deltas else 0.01)

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Proposals:  # noqa: ARG002 - as all decoders
        """The encoder's five maps of ``[n, 1, slices, y, x]``, fine to coarse, to what may be an object."""
        maps = self.pyramid(features[1:])
        objectness, deltas = [], []
        for level in maps:
            seen = F.relu(self.proposal(level))
            objectness.append(self.objectness(seen).permute(0, 2, 3, 1).flatten(1))
            deltas.append(self.proposal_deltas(seen).permute(0, 2, 3, 1).reshape(len(seen), -1, 4))
        return Proposals(maps, objectness, deltas)

    def anchors(self, maps: Sequence[Tensor]) -> list[np.ndarray]:
        """The anchors ``[n, 4]`` of each level, in the order of its objectness."""
        return [
            _anchors(level.shape[2], level.shape[3], stride, self.anchor_scale, self.ratios)
            for level, stride in zip(maps, self.strides, strict=True)
        ]

    def look_at(self, maps: Sequence[Tensor], boxes: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """What is in boxes.

        Args:
            maps: Of the pyramid, as in :class:`Proposals`.
            boxes: ``[k, 4]`` of each picture.

        Returns:
            Logits of the classes ``[all k, out_channels]``, and the way from each box to the object's ``[all k, 4]``.
        """
        seen = self.hidden(self._pooled(maps, boxes).flatten(1))
        return self.logits(seen), self.box_deltas(seen)

    def _pooled(self, maps: Sequence[Tensor], boxes: Sequence[np.ndarray]) -> Tensor:
        """The maps within each box, on the level that suits its size (RoIAlign), ``[all k, channels, 7, 7]``."""
        parts, order, start = [], [], 0
        for picture, own in enumerate(boxes):
            levels = self._levels(own)
            for number, (level, stride) in enumerate(zip(maps[:-1], self.strides[:-1], strict=True)):
                chosen = np.flatnonzero(levels == number)
                if chosen.size:
                    parts.append(_aligned(level[picture], own[chosen] / stride))
                    order.append(chosen + start)
            start += len(own)
        if not parts:
            return maps[0].new_zeros((0, maps[0].shape[1], _POOLED, _POOLED))
        back = torch.from_numpy(np.argsort(np.concatenate(order))).to(parts[0].device)
        return torch.cat(parts)[back]

    def _levels(self, boxes: np.ndarray) -> np.ndarray:
        """Number of the level on which each box is looked at; the coarsest one is for proposals alone."""
        side = np.sqrt(np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 1e-3, None), axis=1))
        level = np.floor(np.log2(side / (_FINEST * self.strides[0]) + 1e-6))
        return np.clip(level, 0, len(self.strides) - 2).astype(int)


def _linear_relu(in_features: int, out_features: int, norm: bool) -> list[nn.Module]:
    linear = nn.Linear(in_features, out_features, bias=not norm)
    return [linear, *([nn.BatchNorm1d(out_features)] if norm else []), nn.ReLU(inplace=True)]


def _planar(strides: Sequence[Stride]) -> list[int]:
    """Strides within the slice of the pyramid's levels.

    Raises:
        SettingError: Each is not twice the one before.
    """
    planes = [per_axis(stride)[1:] for stride in strides[1:]]
    found = [plane[1] for plane in planes]
    if any(y != x for y, x in planes) or any(b != 2 * a for a, b in pairwise(found)):
        raise SettingError("The decoder 'detection' needs an encoder whose layers halve the map: output_stride 32.")
    return [*found, 2 * found[-1]]


@lru_cache(maxsize=64)
def _anchors(height: int, width: int, stride: int, scale: float, ratios: tuple[float, ...]) -> np.ndarray:
    """Boxes around every voxel of a map, float64 ``[height * width * ratios, 4]``; not to be changed."""
    half = [(scale * stride / ratio**0.5 / 2, scale * stride * ratio**0.5 / 2) for ratio in ratios]
    y, x = np.meshgrid(np.arange(height) * stride, np.arange(width) * stride, indexing="ij")
    boxes = np.stack([np.stack([x - w, y - h, x + w, y + h], axis=-1) for w, h in half], axis=2).reshape(-1, 4)
    boxes.setflags(write=False)
    return boxes


def _aligned(level: Tensor, boxes: np.ndarray) -> Tensor:
    """Means of four samples in each of 7 x 7 cells of boxes, given in voxels of a map ``[channels, y, x]``.

    Interpolation is a small matrix an axis, of weights: they bear bfloat16, in which places of samples would be off by
    half a pixel. Two products of matrices take a third of the time of ``grid_sample``, forward and backward.
    """
    pooled = []
    for some in np.split(boxes, range(_AT_ONCE, len(boxes), _AT_ONCE)):
        along_y, along_x = (
            torch.from_numpy(_cell_weights(some[:, axis], some[:, axis + 2], level.shape[2 - axis])).to(level)
            for axis in (1, 0)
        )
        rows = along_y.flatten(0, 1) @ level.transpose(0, 1).flatten(1)
        rows = rows.unflatten(0, (len(some), _POOLED)).unflatten(2, (len(level), -1))
        pooled.append((rows @ along_x.transpose(1, 2)[:, None]).transpose(1, 2))
    return torch.cat(pooled)


def _cell_weights(low: np.ndarray, high: np.ndarray, size: int) -> np.ndarray:
    """How much each voxel of an axis counts in each cell of boxes from low to high, float64 ``[boxes, 7, size]``."""
    count = _POOLED * _SAMPLES
    places = low[:, None] + (np.arange(count) + 0.5) / count * (high - low)[:, None]
    distances = np.abs(np.clip(places, 0, size - 1)[..., None] - np.arange(size))
    return np.clip(1 - distances, 0, None).reshape(len(low), _POOLED, _SAMPLES, size).mean(axis=2)
