"""From logits on the network's grid to labels on a finer one, as if every class had been enlarged.

Enlarged as nnU-Net does it, 118 classes of a CT of 512x512x300 are 37 GB of floats. But linear interpolation is a mean
of up to eight neighbours with weights that are not negative. So where a class is nowhere above another, it wins at no
voxel between them, and where all corners of a block have the same winner, so has the whole block: nothing needs to be
interpolated. That is most of a scan, and near borders two or three classes are left. The labels are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

import numpy as np

from Med3DCore.inference.nnunet.logits import Logits
from Med3DCore.preprocessing.nnunet.axis import Neighbours
from Med3DCore.system.threads import in_threads

Block = tuple[slice, slice, slice]
Fill = Callable[[Block, Block], None]
"""Fills a block of the result; also gets the slices of the network's grid between whose voxels it lies."""

# Voxels of the network's grid along an edge of a block: larger ones have more borders, smaller ones cost Python's time.
_EDGE = 8
# With more classes than this part of the maps that they are made of, the maps are interpolated, since the last layer is
# linear.
_FEW = 0.7
_TOGETHER = 16  # classes that are interpolated in one go; as many as the processor's cache holds


def exclusive_labels(
    logits: Logits,
    axes: Sequence[Neighbours],
    wanted: Collection[int] | None = None,
) -> np.ndarray:
    """The class with the highest interpolated logit, the first one among equals.

    Args:
        logits: Of all classes, on the network's grid.
        axes: Linear or nearest interpolation along z, y, x.
        wanted: Classes that matter; where none of them can win, the result is left 0. None for all.

    Returns:
        uint8 of the interpolation's shape.
    """
    result = np.zeros([len(axis.low) for axis in axes], np.uint8)
    most = _FEW * len(logits.maps) if logits.is_linear else np.inf
    matters = np.ones(256, bool) if wanted is None else np.isin(np.arange(256), list(wanted))
    scratch = logits.scratch(_EDGE + 1)

    def fill_slab(near: slice) -> Fill:
        slab = logits.slab(near, scratch)
        coarse, tops = _argmax(slab), _tops(slab)

        def fill(block: Block, corners: Block) -> None:
            place = (slice(None), *corners[1:])
            winners = coarse[place]
            first = winners.flat[0]
            if (winners == first).all():
                result[block] = first
                return
            part, inner = slab[(slice(None), *place)], _inner(axes, block, corners)
            likely = np.unique(winners)
            if len(likely) > most:
                result[block] = _of_maps(logits, corners, inner)
                return
            best, label = _highest(part, likely, inner)
            # Between its corners no class is above the highest of them.
            highest = tops[(slice(None), *corners[1:])].reshape(len(part), -1).max(axis=1)
            left = np.union1d(likely, np.flatnonzero(highest > best.min()))
            if not matters[left].any():
                return
            if len(left) > most:
                result[block] = _of_maps(logits, corners, inner)
            else:
                result[block] = label if len(left) == len(likely) else _highest(part, left, inner)[1]

        return fill

    _in_blocks(fill_slab, axes)
    return result


def painted_regions(logits: Sequence[np.ndarray], axes: Sequence[Neighbours]) -> np.ndarray:
    """The last of several regions, which may overlap, whose interpolated logit is above 0; 0 where there is none.

    Args:
        logits: float32 ``[z, y, x]`` of each region; the first one has the value 1.
        axes: As for :func:`exclusive_labels`.
    """
    result = np.zeros([len(axis.low) for axis in axes], np.uint8)

    def fill(block: Block, corners: Block) -> None:
        target = result[block]
        for value, logit in enumerate(logits, start=1):
            part = logit[corners]
            inside = part > 0
            if inside.all():
                target[:] = value
            elif inside.any():
                np.copyto(target, np.uint8(value), where=_interpolated(part, _inner(axes, block, corners)) > 0)

    _in_blocks(lambda _near: fill, axes)
    return result


def _in_blocks(fill_slab: Callable[[slice], Fill], axes: Sequence[Neighbours]) -> None:
    """Fill all blocks, slab after slab, each by the function that ``fill_slab`` gives for its slices of the network."""
    slabs, rows, columns = (_pieces(axis) for axis in axes)
    for z, near_z in slabs:
        fill = fill_slab(near_z)

        def row(piece: tuple[slice, slice], z: slice = z, near_z: slice = near_z, fill: Fill = fill) -> None:
            for x, near_x in columns:
                fill((z, piece[0], x), (near_z, piece[1], near_x))

        in_threads(row, rows)


def _pieces(axis: Neighbours) -> list[tuple[slice, slice]]:
    """Runs of voxels of the result that lie in the same few cells of the network's grid, and these cells' corners."""
    groups = axis.low // _EDGE
    starts = [0, *(np.flatnonzero(np.diff(groups)) + 1), len(groups)]
    return [(slice(a, b), slice(int(axis.low[a]), int(axis.high[b - 1]) + 1)) for a, b in pairwise(starts)]


def _inner(axes: Sequence[Neighbours], block: Block, corners: Block) -> list[Neighbours]:
    """The interpolation of a block from its own corners."""
    return [
        Neighbours(axis.low[place] - near.start, axis.high[place] - near.start, axis.part[place])
        for axis, place, near in zip(axes, block, corners, strict=True)
    ]


def _of_maps(logits: Logits, corners: Block, axes: Sequence[Neighbours]) -> np.ndarray:
    """The highest of all classes at each voxel of a block: the last layer of interpolated maps."""
    return logits.highest(_interpolated(logits.maps[(slice(None), *corners)], axes))


def _highest(part: np.ndarray, classes: np.ndarray, axes: Sequence[Neighbours]) -> tuple[np.ndarray, np.ndarray]:
    """The highest interpolated logit of some classes at each voxel of a block, and whose it is; the first of equals."""
    best: np.ndarray | None = None
    for group in np.array_split(classes, range(_TOGETHER, len(classes), _TOGETHER)):
        for candidate, values in zip(group, _interpolated(part[group], axes), strict=True):
            if best is None:
                best, label = values.copy(), np.full(values.shape, candidate, np.uint8)
                continue
            np.copyto(label, np.uint8(candidate), where=values > best)
            np.maximum(best, values, out=best)
    if best is None:
        raise ValueError("there must be a class")
    return best, label


def _interpolated(values: np.ndarray, axes: Sequence[Neighbours]) -> np.ndarray:
    """Maps ``[..., z, y, x]``, interpolated along their first axis first: the longest runs in memory stay whole."""
    for number, axis in enumerate(axes, start=-3):
        part = axis.part.reshape([-1 if number == other else 1 for other in (-3, -2, -1)])
        low, high = values.take(axis.low, axis=number), values.take(axis.high, axis=number)
        high -= low
        high *= part
        values = np.add(low, high, out=low)
    return values


def _tops(logits: np.ndarray) -> np.ndarray:
    """The highest along z: float32 ``[classes, y, x]``. Blocks that ask for their own have less to look through."""
    result = np.empty((len(logits), *logits.shape[2:]), np.float32)

    def find(label: int) -> None:
        np.max(logits[label], axis=0, out=result[label])

    in_threads(find, range(len(logits)))
    return result


def _argmax(logits: np.ndarray) -> np.ndarray:
    """The winner at each voxel of the network's grid; uint8."""
    result = np.zeros(logits.shape[1:], np.uint8)

    def decide(z: int) -> None:
        best = logits[0, z].copy()
        for label in range(1, len(logits)):
            np.copyto(result[z], np.uint8(label), where=logits[label, z] > best)
            np.maximum(best, logits[label, z], out=best)

    in_threads(decide, range(logits.shape[1]))
    return result
