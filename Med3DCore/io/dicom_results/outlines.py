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
    return [piece + first - 0.5 for piece in _joined(loops)]


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


def _joined(loops: list[np.ndarray]) -> list[np.ndarray]:
    """Pieces with their holes: from a hole's leftmost corner a way leads left to the next border.

    That is the piece around it, or a hole further to the left, which is joined likewise.
    """
    is_hole = [_area(loop) < 0 for loop in loops]
    loops = [_from_the_left(loop) if hole else loop for loop, hole in zip(loops, is_hole, strict=True)]
    here, after = np.concatenate(loops), np.concatenate([np.roll(loop, -1, axis=0) for loop in loops])
    low, high = np.minimum(here[:, 1], after[:, 1]), np.maximum(here[:, 1], after[:, 1])
    upright = here[:, 0] == after[:, 0]
    starts = np.cumsum([0, *map(len, loops)])
    joined: dict[int, list[tuple[int, int, np.ndarray]]] = {number: [] for number in range(len(loops))}
    holes = (number for number, hole in enumerate(is_hole) if hole)
    for number in sorted(holes, key=lambda number: -loops[number][0, 0]):  # a hole's own holes are further to the right
        x, y = loops[number][0]
        beside = np.flatnonzero(upright & (here[:, 0] < x) & (low <= y) & (high >= y))
        edge = int(beside[here[beside, 0].argmax()])
        owner = int(np.searchsorted(starts, edge, side="right")) - 1
        joined[owner].append((edge - int(starts[owner]), int(y), _with_holes(loops[number], joined[number])))
    return [_with_holes(loops[number], joined[number]) for number, hole in enumerate(is_hole) if not hole]


def _from_the_left(hole: np.ndarray) -> np.ndarray:
    """A hole that begins at its leftmost corner, the upper one of several."""
    return np.roll(hole, -int(np.lexsort((hole[:, 1], hole[:, 0]))[0]), axis=0)


def _with_holes(loop: np.ndarray, holes: list[tuple[int, int, np.ndarray]]) -> np.ndarray:
    """A loop that visits holes on its way: each from an upright edge (its number) at a height, there and back."""
    parts, done = [], 0
    down = np.roll(loop[:, 1], -1) > loop[:, 1]
    for edge, y, hole in sorted(holes, key=lambda one: (one[0], one[1] if down[one[0]] else -one[1])):
        touch = np.array([[loop[edge, 0], y]])
        parts += [loop[done : edge + 1], touch, hole, hole[:1], touch]
        done = edge + 1
    return np.concatenate([*parts, loop[done:]])
