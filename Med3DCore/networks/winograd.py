"""A convolution by half of its products: Winograd's F(4, 3) along z (Lavin and Gray 2016, arXiv:1509.09308, section 4).

Four slices of the result are made of six slices of the map by a kernel of three planes: twelve convolutions of a slice
with a plane. Six are enough if sums of slices are convolved with sums of planes; sums of what comes of them are the
result. Nearly all of the time is in these convolutions, and a slice is read a few times only: here the direct way
takes 1.5 times as long with 32 channels, and 1.7 times with more. The rounding of float32 becomes twice as large (for
numbers about 1, 1e-6 in place of 5e-7 from the exact result), that of bfloat16 would be felt.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_TILE, _READ = 4, 6  # slices that are made together, and read for them
_SLICES = torch.tensor(
    [
        [4.0, 0.0, -5.0, 0.0, 1.0, 0.0],
        [0.0, -4.0, -4.0, 1.0, 1.0, 0.0],
        [0.0, 4.0, -4.0, -1.0, 1.0, 0.0],
        [0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
        [0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
        [0.0, 4.0, 0.0, -5.0, 0.0, 1.0],
    ]
)
_PLANES = torch.tensor(
    [
        [1 / 4, 0.0, 0.0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0.0, 0.0, 1.0],
    ],
    dtype=torch.float64,
)
_RESULT = torch.tensor(
    [
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
        [0.0, 1.0, -1.0, 2.0, -2.0, 0.0],
        [0.0, 1.0, 1.0, 4.0, 4.0, 0.0],
        [0.0, 1.0, -1.0, 8.0, -8.0, 1.0],
    ]
)
_ONCE_IN_EACH = 1  # the sum that goes into each slice of the result as it is: it brings the bias


class Winograd:
    """A convolution that keeps the size of planes, of slices whose channels lie next to each other.

    Args:
        conv: Float32, of three planes.
        plane: Size (y, x) of the slices.
    """

    def __init__(self, conv: nn.Conv3d, plane: tuple[int, int]) -> None:
        planes = torch.einsum("kz,oizyx->koiyx", _PLANES, conv.weight.double()).float()
        self._planes = [plane.contiguous(memory_format=torch.channels_last) for plane in planes]
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
            slices: ``[at least two more, y, x, in_channels]``, up to a multiple of four and two; the first belongs
                before the target's first.
        """
        for first in range(0, len(target), _TILE):
            torch.mm(_SLICES, slices[first : first + _READ].flatten(1), out=self._sums.flatten(1))
            for number, (plane, kernel) in enumerate(zip(self._sums, self._planes, strict=True)):
                bias = self._bias if number == _ONCE_IN_EACH else None
                product = F.conv2d(plane[None].permute(0, 3, 1, 2), kernel, bias, padding=self._padding)
                self._products[number] = product[0].permute(1, 2, 0)
            made = target[first : first + _TILE]
            torch.mm(_RESULT[: len(made)], self._products.flatten(1), out=made.flatten(1))
