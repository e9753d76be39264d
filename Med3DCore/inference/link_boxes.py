"""From boxes in slices to lesions: boxes that lie over each other in neighbouring slices are one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from Med3DCore.boxes import Box, overlaps

_SAME = 0.3  # overlap (IoU) of boxes of one lesion in neighbouring slices
_INSIDE = 0.5  # part of a box that lies in a lesion's, so that it says nothing new
_GAP = 2  # slices from one box of a lesion to the next, at most


@dataclass(frozen=True)
class LinkedBox:
    """A lesion as boxes of several slices.

    Args:
        box: In the slice where it is surest.
        score: There.
        key: That slice.
        first: Its first slice.
        last: Its last slice.
    """

    box: Box
    score: float
    key: int
    first: int
    last: int


def link_boxes(slices: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> list[LinkedBox]:
    """Join the boxes of a scan into lesions.

    From the surest box left, the lesion is followed up and down: in each next slice to the box that overlaps the last
    one most. Boxes that then lie within a lesion, in its slices, belong to it and are no lesions of their own.

    Args:
        slices: Number of the slice of each box, int ``[n]``.
        boxes: ``[n, 4]``.
        scores: ``[n]``.

    Returns:
        The lesions, surest first.
    """
    left = np.ones(len(boxes), bool)
    lesions = []
    for seed in np.argsort(-scores, kind="stable"):
        if not left[seed]:
            continue
        left[seed] = False
        ends = [_follow(seed, step, slices, boxes, left) for step in (-1, 1)]
        lesion = LinkedBox(_box(boxes[seed]), float(scores[seed]), int(slices[seed]), ends[0], ends[1])
        near = left & (slices >= lesion.first - 1) & (slices <= lesion.last + 1)
        near[near] = overlaps(boxes[near], boxes[seed][None], "iobb")[:, 0] >= _INSIDE
        left &= ~near
        lesions.append(lesion)
    return lesions


def _follow(seed: int, step: int, slices: np.ndarray, boxes: np.ndarray, left: np.ndarray) -> int:
    """The last slice to which a lesion can be followed; what is passed is no longer left."""
    current = seed
    while True:
        away = (slices - slices[current]) * step
        for distance in range(1, _GAP + 1):
            there = np.flatnonzero(left & (away == distance))
            common = overlaps(boxes[there], boxes[current][None])[:, 0]
            if common.size and common.max() >= _SAME:
                current = int(there[common.argmax()])
                left[current] = False
                break
        else:
            return int(slices[current])


def _box(values: np.ndarray) -> Box:
    x1, y1, x2, y2 = (float(value) for value in values)
    return x1, y1, x2, y2
