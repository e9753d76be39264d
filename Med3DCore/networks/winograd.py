"""A convolution by four ninths of its products: Winograd's F(6, 3) along z (Lavin and Gray 2016, arXiv:1509.09308).

Six slices of the result are made of eight slices of the map by a kernel of three planes: eighteen convolutions of a
slice with a plane. Eight are enough if sums of slices are convolved with sums of planes; sums of what comes of them are
the result (ibid., section 4; the sums are those of Toom and Cook: slices and planes are the numbers of polynomials,
whose product is known by its values at seven points and at infinity). Nearly all of the time is in these convolutions,
and a slice is read a few times only. The rounding of float32 becomes three times as large (for values about 1, 8e-7 in
place of 2.6e-7 from the exact result; 5.9e-7 with four slices and nine products of eighteen, 2.7e-6 with eight slices),
that of bfloat16 would be felt.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

TILE = 6
"""Slices that are made together."""

_READ = TILE + 2  # slices that are read for them
_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
_ONCE_IN_EACH = 1  # the sum at point 1 goes into each slice of the result as it is: it brings the bias


def _sums() -> tuple[Tensor, Tensor, Tensor]:
    """Of slices ``[8, 8]``, of planes ``[8, 3]``, and of products ``[6, 8]``."""
    slices, planes, result = np.zeros((_READ, _READ)), np.zeros((_READ, 3)), np.zeros((TILE, _READ))
    for row, point in enumerate(_POINTS):
        others = [other for other in _POINTS if other != point]
        slices[row, :-1] = np.poly(others)[::-1]
        planes[row] = point ** np.arange(3) / np.prod(point - np.array(others))
        result[:, row] = point ** np.arange(TILE)
    slices[-1] = np.poly(_POINTS)[::-1]
    planes[-1, -1] = result[-1, -1] = 1  # infinity
    return torch.from_numpy(slices).float(), torch.from_numpy(planes).float(), torch.from_numpy(result).float()


_SLICES, _PLANES, _RESULT = _sums()


class Winograd:
    """A convolution that keeps the size of planes, of slices whose channels lie next to each other.

    Args:
        conv: Float32, of three planes.
        plane: Size (y, x) of the slices.
    """

    def __init__(self, conv: nn.Conv3d, plane: tuple[int, int]) -> None:
        planes = conv.weight.permute(2, 0, 3, 4, 1)  # z, out, y, x, in: as a plane lies in memory
        sums = torch.mm(_PLANES, planes.flatten(1)).unflatten(1, planes.shape[1:])
        self._planes = list(sums.permute(0, 1, 4, 2, 3))
        self._bias, self._padding = conv.bias, (conv.kernel_size[1] // 2, conv.kernel_size[2] // 2)
        self._sums = torch.empty(_READ, *plane, conv.in_channels)  # asked for once: new memory costs time
        self._products = torch.empty(_READ, *plane, conv.out_channels)

    @staticmethod
    def takes(x: Tensor, conv: nn.Conv3d) -> bool:
        """Whether it is for a convolution of a map like ``x``."""
        exact = x.dtype == conv.weight.dtype == torch.float32 and not torch.is_autocast_enabled(x.device.type)
        return exact and conv.kernel_size[0] == 3 and conv.groups == 1

    def write(self, target: Tensor, slices: Tensor) -> None:
        """Convolve slices.

        Args:
            target: ``[some, y, x, out_channels]``, is written.
            slices: ``[two more, y, x, in_channels]`` or more; the first belongs before the target's first.
        """
        for first in range(0, len(target), TILE):
            read = slices[first : first + _READ].flatten(1)
            torch.mm(_SLICES[:, : len(read)], read, out=self._sums.flatten(1))
            for number, (plane, kernel) in enumerate(zip(self._sums, self._planes, strict=True)):
                bias = self._bias if number == _ONCE_IN_EACH else None
                product = F.conv2d(plane[None].permute(0, 3, 1, 2), kernel, bias, padding=self._padding)
                self._products[number] = product[0].permute(1, 2, 0)
            made = target[first : first + TILE]
            torch.mm(_RESULT[: len(made)], self._products.flatten(1), out=made.flatten(1))
