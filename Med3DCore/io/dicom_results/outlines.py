"""Outlines of what is marked in a slice, and back: along the edges of voxels, so that nothing moves by half a voxel.

An outline is float ``[n, 2]``: corners (x, y) in voxels, where voxel 0 reaches from -0.5 to 0.5. Outlines of voxels
have their corners at halves, no centre of a voxel lies on one, and marking what is inside gives the same voxels again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Steps along x, y, -x, -y. The marked voxel is always on the right of a step (y runs down the picture).
_STEPS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])


def outlines_of(mask: np.ndarray) -> list[np.ndarray]:
    """The outlines of what is marked, one for each piece; voxels that touch at a corner only are pieces of their own.

    A hole is part of its piece's outline, which leads there along a voxel's edge and back on the same way (a keyhole,
    as in PS3.3, C.8.8.6.3), since many programs fill holes that are outlines of their own.

    Args:
        mask: bool ``[y, x]``.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return []
    first = np.array([columns[0], rows[0]])
    loops = _loops(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    pieces = [loop for loop in loops if _area(loop) > 0]
    for hole in sorted((loop for loop in loops if _area(loop) < 0), key=lambda loop: loop[:, 0].min()):
        _join(hole, pieces)
    return [piece + first - 0.5 for piece in pieces]


def inside(outlines: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Which voxels have their centre inside of outlines, even-odd: an outline within another one is a hole.

    Args:
        outlines: Float ``[n, 2]`` each, closed by themselves; parts beyond the slice are cut off.
        shape: (rows, columns) of the slice.

    Returns:
        bool ``[y, x]``.
    """
    rows, columns = shape
    crossings = np.zeros((rows, columns + 1), np.uint8)
    for outline in outlines:
        start, stop = outline, np.roll(outline, -1, axis=0)
        low, high = np.minimum(start[:, 1], stop[:, 1]), np.maximum(start[:, 1], stop[:, 1])
        lowest = np.clip(np.ceil(low), 0, rows).astype(int)
        counts = np.clip(np.ceil(high), 0, rows).astype(int) - lowest  # rows whose centre the edge passes, its top in
        edge = np.repeat(np.arange(len(outline)), counts)
        y = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + lowest[edge]
        share = (y - start[edge, 1]) / (stop[edge, 1] - start[edge, 1])
        x = start[edge, 0] + share * (stop[edge, 0] - start[edge, 0])
        np.add.at(crossings, (y, np.clip(np.ceil(x), 0, columns).astype(int)), 1)
    return np.bitwise_xor.accumulate(crossings & 1, axis=1)[:, :columns].astype(bool)


def _loops(mask: np.ndarray) -> list[np.ndarray]:
    """All borders of a mask as int ``[n, 2]`` corners (x, y): clockwise around pieces, the other way around holes."""
    framed = np.pad(mask, 1)
    above, here = framed[:-1], framed[1:]
    down, up = here & ~above, above & ~here  # of each voxel edge along x, whether what is below or above it is marked
    before, after = framed[:, :-1], framed[:, 1:]
    right, left = after & ~before, before & ~after
    # Which steps begin at each corner (x, y) of the voxels, [step, y, x]
    steps = np.stack([down[:, 1:], left[1:], up[:, :-1], right[:-1]])
    starts = np.argwhere(steps)
    number = np.full(steps.shape, -1)
    number[steps] = np.arange(len(starts))
    kind, corners = starts[:, 0], starts[:, :0:-1]
    ends = corners + _STEPS[kind]
    follower = np.full(len(starts), -1)
    for turn in (-1, 0, 1):  # the last that is there counts: to the right, so that pieces that touch at a corner part
        there = number[(kind + turn) % 4, ends[:, 1], ends[:, 0]]
        follower = np.where(there >= 0, there, follower)
    return [_without_straights(corners[loop]) for loop in _cycles(follower.tolist())]


def _cycles(follower: list[int]) -> list[list[int]]:
    seen, cycles = bytearray(len(follower)), []
    for first in range(len(follower)):
        cycle, at = [], first
        while not seen[at]:
            seen[at] = 1
            cycle.append(at)
            at = follower[at]
        if cycle:
            cycles.append(cycle)
    return cycles


def _without_straights(loop: np.ndarray) -> np.ndarray:
    """Only the corners at which a loop turns."""
    straight = (np.roll(loop, 1, axis=0) == np.roll(loop, -1, axis=0)).any(axis=1)
    return loop[~straight]


def _area(loop: np.ndarray) -> float:
    (x, y), (next_x, next_y) = loop.T, np.roll(loop, -1, axis=0).T
    return float(x @ next_y - next_x @ y) / 2


def _join(hole: np.ndarray, pieces: list[np.ndarray]) -> None:
    """Make a hole part of the outline that is next to the left of its leftmost corner.

    Holes come from left to right, so that this is either the piece around it or a hole that is part of that already.
    """
    turned = np.roll(hole, -int(np.lexsort((hole[:, 1], hole[:, 0]))[0]), axis=0)
    x, y = turned[0]
    number, edge = max(
        ((number, edge) for number, piece in enumerate(pieces) for edge in _upright_beside(piece, x, y)),
        key=lambda found: pieces[found[0]][found[1], 0],
    )
    piece = pieces[number]
    touch = np.array([[piece[edge, 0], y]])
    pieces[number] = np.concatenate([piece[: edge + 1], touch, turned, turned[:1], touch, piece[edge + 1 :]])


def _upright_beside(outline: np.ndarray, x: int, y: int) -> list[int]:
    """The upright edge of an outline that is the next to the left of a point, if there is one."""
    following = np.roll(outline, -1, axis=0)
    low, high = np.minimum(outline[:, 1], following[:, 1]), np.maximum(outline[:, 1], following[:, 1])
    edges = np.flatnonzero((outline[:, 0] == following[:, 0]) & (outline[:, 0] < x) & (low <= y) & (high >= y))
    return [int(edges[outline[edges, 0].argmax()])] if edges.size else []
