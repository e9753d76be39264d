"""From logits on the network's grid to labels on a finer one, as if every class had been enlarged.

Enlarged as nnU-Net does it, 118 classes of a CT of 512x512x300 are 37 GB of floats. But linear interpolation is a mean
of up to eight neighbours with weights that are not negative. So where a class is nowhere above another, it wins at no
voxel between them, and where all corners of a block have the same winner, so has the whole block: nothing needs to be
interpolated. That is most of a scan, and near borders two or three classes are left. The labels are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from Med3DCore.inference.nnunet.logits import Logits
from Med3DCore.preprocessing.nnunet.axis import Neighbours
from Med3DCore.system.threads import in_threads

# Voxels of the network's grid along an edge of a block: larger ones have more borders, smaller ones cost Python's time.
_EDGE = 8
_TOGETHER = 16  # classes that are interpolated in one go; as many as the processor's cache holds


@dataclass(frozen=True, eq=False)
class Piece:
    """Voxels of the result along an axis that lie in the same few cells of the network's grid.

    Args:
        voxels: Which.
        corners: Of these cells.
        weights: Float32 ``[voxels, corners]``: each row gives a voxel from the corners.
    """

    voxels: slice
    corners: slice
    weights: np.ndarray


Block = tuple[Piece, Piece, Piece]
Fill = Callable[[Piece, Piece], None]
"""Fills a block of the result, of the slab that it was made for."""


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
    matters = np.ones(256, bool) if wanted is None else np.isin(np.arange(256), list(wanted))
    scratch = logits.scratch(_EDGE + 1)

    def fill_slab(z: Piece) -> Fill:
        slab = logits.slab(z.corners, scratch)
        coarse, tops = _argmax(slab), _tops(slab)

        def fill(y: Piece, x: Piece) -> None:
            target, near = result[z.voxels, y.voxels, x.voxels], (slice(None), y.corners, x.corners)
            winners = coarse[near]
            first = winners.flat[0]
            if (winners == first).all():
                target[:] = first
                return
            likely, part = np.unique(winners), slab[(slice(None), *near)]
            if 2 * len(likely) > len(part):  # then looking for the others, too, costs more than to take all
                target[:] = _of_classes(part, np.arange(len(part)), (z, y, x))[1]
                return
            best, label = _of_classes(part, likely, (z, y, x))
            # Between its corners no class is above the highest of them.
            highest = tops[near].reshape(len(part), -1).max(axis=1)
            left = np.union1d(likely, np.flatnonzero(highest > best.min()))
            if matters[left].any():
                target[:] = label if len(left) == len(likely) else _of_classes(part, left, (z, y, x))[1]

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

    def fill_slab(z: Piece) -> Fill:
        def fill(y: Piece, x: Piece) -> None:
            target = result[z.voxels, y.voxels, x.voxels]
            for value, logit in enumerate(logits, start=1):
                part = logit[z.corners, y.corners, x.corners]
                inside = part > 0
                if inside.all():
                    target[:] = value
                elif inside.any():
                    np.copyto(target, np.uint8(value), where=_interpolated(part[None], (z, y, x))[0] > 0)

        return fill

    _in_blocks(fill_slab, axes)
    return result


def _in_blocks(fill_slab: Callable[[Piece], Fill], axes: Sequence[Neighbours]) -> None:
    """Fill all blocks, slab after slab, each by the function that ``fill_slab`` gives."""
    slabs, rows, columns = (_pieces(axis) for axis in axes)
    for z in slabs:
        fill = fill_slab(z)

        def row(y: Piece, fill: Fill = fill) -> None:
            for x in columns:
                fill(y, x)

        in_threads(row, rows)


def _pieces(axis: Neighbours) -> list[Piece]:
    """All of an axis."""
    groups = axis.low // _EDGE
    starts = [0, *(np.flatnonzero(np.diff(groups)) + 1), len(groups)]
    return [_piece(axis, slice(a, b)) for a, b in pairwise(starts)]


def _piece(axis: Neighbours, voxels: slice) -> Piece:
    low, high, part = axis.low[voxels], axis.high[voxels], axis.part[voxels]
    first, stop = int(low[0]), int(high[-1]) + 1
    return Piece(voxels, slice(first, stop), Neighbours(low - first, high - first, part).matrix(stop - first))


def _of_classes(part: np.ndarray, classes: np.ndarray, block: Block) -> tuple[np.ndarray, np.ndarray]:
    """The highest interpolated logit of some classes at each voxel of a block, and whose it is; the first of equals.

    Args:
        part: float32 ``[classes, z, y, x]`` at the block's corners.
        classes: Which, ascending.
        block: Where.
    """
    groups = np.array_split(classes, range(_TOGETHER, len(classes), _TOGETHER))
    return _highest(pair for group in groups for pair in zip(group, _interpolated(part[group], block), strict=True))


def _interpolated(values: np.ndarray, block: Block) -> np.ndarray:
    """Maps ``[maps, z, y, x]`` of a block's corners at its voxels.

    These products are too small for numpy's library to use threads, which would wait by spinning.
    """
    z, y, x = (piece.weights for piece in block)
    maps = len(values)
    values = (z @ values.reshape(maps, z.shape[1], -1)).reshape(maps, -1, x.shape[1]) @ x.T
    return y @ values.reshape(maps, len(z), y.shape[1], len(x))


def _highest(maps: Iterable[tuple[int, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The highest of float32 maps at each voxel, and its number, uint8; of equals the first.

    Args:
        maps: Each with its number; these ascend.
    """
    rest = iter(maps)
    first, values = next(rest)
    best, label, higher = values.copy(), np.full(values.shape, first, np.uint8), np.empty(values.shape, bool)
    as_number = higher.view(np.uint8)
    for number, values in rest:
        np.greater(values, best, out=higher)
        # The highest number is the last one; writing it only where it belongs takes several times as long.
        np.maximum(label, np.multiply(as_number, np.uint8(number), out=as_number), out=label)
        np.maximum(best, values, out=best)
    return best, label


def _tops(logits: np.ndarray) -> np.ndarray:
    """The highest along z: float32 ``[classes, y, x]``. Blocks that ask for their own have less to look through."""
    result = np.empty((len(logits), *logits.shape[2:]), np.float32)

    def find(label: int) -> None:
        np.max(logits[label], axis=0, out=result[label])

    in_threads(find, range(len(logits)))
    return result


def _argmax(logits: np.ndarray) -> np.ndarray:
    """The winner at each voxel of the network's grid; uint8."""
    return np.stack(in_threads(lambda z: _highest(enumerate(logits[:, z]))[1], range(logits.shape[1])))
