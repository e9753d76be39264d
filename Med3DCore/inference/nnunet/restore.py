"""Labels of a scan from slices of the network's grid as they are finished: those that lie between them are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from Med3DCore.preprocessing.nnunet.axis import Neighbours

Decide = Callable[[np.ndarray, list[Neighbours]], np.ndarray]
"""Labels of the scan from maps ``[maps, z, y, x]`` of the network, and the interpolation along each axis."""


class Restorer:
    """Writes labels, slice by slice along the network's first axis.

    Args:
        decide: What makes them.
        axes: Interpolation of the whole from the network's grid.
        target: ``[z, y, x]`` of the interpolation's shape; is filled.
    """

    def __init__(self, decide: Decide, axes: Sequence[Neighbours], target: np.ndarray) -> None:
        self._decide, self._axes, self._target = decide, axes, target
        self._first, self._written = 0, 0  # the first slice that is held, and how many of the scan are written
        self._held: np.ndarray | None = None

    @property
    def part(self) -> float:
        """How much of the scan is written, 0..1."""
        return self._written / len(self._target)

    def add(self, maps: np.ndarray) -> None:
        """Take the next slices of the network's grid; write the scan's that need no further ones.

        Args:
            maps: float32 ``[maps, some, y, x]``.
        """
        held = maps if self._held is None else np.concatenate([self._held, maps], axis=1)
        along, *across = self._axes
        end = self._first + held.shape[1]
        a, b = self._written, int(np.searchsorted(along.high, end))
        if b > a:
            local = Neighbours(along.low[a:b] - self._first, along.high[a:b] - self._first, along.part[a:b])
            self._target[a:b] = self._decide(held, [local, *across])
        needed = min(int(along.low[b]), end) if b < len(along.low) else end
        self._held, self._first, self._written = held[:, needed - self._first :].copy(), needed, b
