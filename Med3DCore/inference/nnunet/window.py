"""The sliding window of imported models: the weighted mean of what their patches give, as slices are finished.

Patches lie in rows along the first axis. A slice that no further row reaches is handed on and its memory is given back,
so a long scan needs no more than a short one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
import torch

from Med3DCore.inference.device import Device
from Med3DCore.inference.nnunet.logits import Member
from Med3DCore.inference.nnunet.tiling import NNUNET, Shape, Tiling
from Med3DCore.inference.sliding_window import combinations
from Med3DCore.progress import Progress

TOGETHER = 16
"""Slices that are handed on at once."""


class WindowMean:
    """What networks give together for a whole volume, their mean, from patches of the size that it was taught.

    The size must not change, since instance norm takes mean and spread from a patch. A volume that is smaller gets
    zeros around it, which is the mean of what was normalised.

    Args:
        members: The networks; each adds what it gives, so they take the memory of one.
        array: float32 ``[c, z, y, x]``.
        patch: Size (z, y, x).
        device: Where to run, and in which precision.
        channels: What is kept of each.
        mirror_axes: Also average over mirroring along these axes (0=z, 1=y, 2=x) and their combinations.
        tiling: Where patches lie, and their weights.

    Attributes:
        rows: Of patches that begin at one slice.
    """

    def __init__(
        self,
        members: Sequence[Member],
        array: np.ndarray,
        patch: Shape,
        device: Device,
        channels: int,
        mirror_axes: tuple[int, ...] = (),
        tiling: Tiling = NNUNET,
    ) -> None:
        self._members, self._device, self._channels, self._patch = members, device, channels, patch
        self._array, (depth, *self._inner) = _padded(array, patch)
        self._depth = range(depth.start, depth.stop)  # of the volume among all slices
        axes = zip(self._array.shape[1:], patch, strict=True)
        self._starts, *self._across = (tiling.starts(n, size) for n, size in axes)
        self._flips = [[axis + 2 for axis in axes] for axes in combinations(mirror_axes)]
        self._weight = torch.from_numpy(tiling.weights(patch))
        self._sums: dict[int, torch.Tensor] = {}  # of slices that were not handed on
        self.rows = len(self._starts)

    def __iter__(self) -> Iterator[np.ndarray]:
        """All rows, one after the other; see :meth:`finished`."""
        for row in range(self.rows):
            self.run(row)
            yield from self.finished(row)

    @torch.inference_mode()
    def run(self, row: int, progress: Progress | None = None) -> None:
        """Run the patches of a row, after those before it.

        Args:
            row: Its number.
            progress: Told after each patch; may cancel.
        """
        progress, first = progress or Progress(), self._starts[row]
        steps = list(product(product(*self._across), self._members))
        for z in range(first, first + self._patch[0]):
            if z not in self._sums:
                self._sums[z] = torch.zeros((self._channels, *self._array.shape[2:]))
        for number, (corner, member) in enumerate(steps):
            progress.update(number / len(steps))
            self._add((first, *corner), member)

    def _add(self, corner: Sequence[int], member: Member) -> None:
        """Run a patch. A function of its own, so that its maps are gone before those of the next one are made."""
        place = tuple(slice(a, a + size) for a, size in zip(corner, self._patch, strict=True))
        values = torch.from_numpy(np.ascontiguousarray(self._array[(slice(None), *place)]))[None]
        maps = _mean(member.body, values.to(self._device.torch_device), self._flips, self._device)
        for z, weight in enumerate(self._weight):
            total = self._sums[corner[0] + z][(slice(None), *place[1:])]
            total.addcmul_(member.kept(maps[:, z]), weight)

    def finished(self, row: int) -> Iterator[np.ndarray]:
        """The slices that this row was the last to reach: float32 ``[channels, some, y, x]``, each of them once."""
        stop = self._starts[row + 1] if row + 1 < self.rows else self._array.shape[1]
        ready = [z for z in sorted(self._sums) if z < stop and z in self._depth]
        for some in (ready[i : i + TOGETHER] for i in range(0, len(ready), TOGETHER)):
            yield np.stack([self._finish(z) for z in some], axis=1)[(slice(None), slice(None), *self._inner)]

    @torch.inference_mode()
    def _finish(self, z: int) -> np.ndarray:
        """The mean of a slice; its sum is given back. Its weights are made here, since those of all would be a map."""
        weights = torch.zeros(self._array.shape[2:])
        for first in self._starts:
            if first <= z < first + self._patch[0]:
                for y, x in product(*self._across):
                    weights[y : y + self._patch[1], x : x + self._patch[2]] += self._weight[z - first]
        return self._sums.pop(z).div_(weights.mul_(len(self._members))).numpy()


def _mean(network: Callable, values: torch.Tensor, flips: list[list[int]], device: Device) -> torch.Tensor:
    """Of mirrored copies: float32 ``[maps, z, y, x]``; of a single one in the network's precision."""

    def answer(axes: list[int]) -> torch.Tensor:
        with device.autocast():
            maps = network(values.flip(axes) if axes else values)[0]
        return maps.flip([axis - 1 for axis in axes]) if axes else maps

    first, *others = flips
    total = answer(first)
    if others:
        total = total.float()
        for axes in others:
            total.add_(answer(axes))
        total.div_(len(flips))
    return total.cpu()


def _padded(array: np.ndarray, patch: Shape) -> tuple[np.ndarray, tuple[slice, slice, slice]]:
    """With zeros on both sides up to the patch, the odd one behind."""
    extra = [max(0, size - n) for n, size in zip(array.shape[1:], patch, strict=True)]
    before = [e // 2 for e in extra]
    around = [(b, e - b) for b, e in zip(before, extra, strict=True)]
    inner = tuple(slice(b, b + n) for b, n in zip(before, array.shape[1:], strict=True))
    return np.pad(array, [(0, 0), *around]) if any(extra) else array, (inner[0], inner[1], inner[2])
