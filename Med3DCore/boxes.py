"""Boxes in a picture: how much they overlap, and which of several overlapping ones to keep.

A box is x1, y1, x2, y2 in pixels, upper left before lower right; several are float64 ``[n, 4]``. All of it is numpy on
the CPU: torchvision's compiled operators need a build that fits torch's to the letter (docs/decisions.md).
"""

from __future__ import annotations

import numpy as np

from Med3DCore.errors import SettingError

Box = tuple[float, float, float, float]
MEASURES = ("iou", "iobb")
_MOST_GROWTH = float(np.log(1000 / 16))


def areas(boxes: np.ndarray, pixel: float = 0.0) -> np.ndarray:
    """Area of each box ``[n]``; nothing where a box is turned inside out.

    Args:
        boxes: Boxes.
        pixel: What is added to each side: 1 where coordinates are those of the outermost pixels, as in MULAN's code.
    """
    sides = np.clip(boxes[:, 2:] - boxes[:, :2] + pixel, 0, None)
    return sides[:, 0] * sides[:, 1]


def overlaps(boxes: np.ndarray, others: np.ndarray, measure: str = "iou", pixel: float = 0.0) -> np.ndarray:
    """How much of boxes and others is common, 0 to 1, float64 ``[n, m]``.

    Args:
        boxes: Boxes ``[n, 4]``, such as those found.
        others: Boxes ``[m, 4]``, such as the true ones.
        measure: ``"iou"``, common area by that of both together (papers.md C), or ``"iobb"``, by that of the first box.
        pixel: As for :func:`areas`.

    Raises:
        SettingError: The measure is unknown.

    Examples:
        >>> overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]])).round(3)
        array([[0.333]])
    """
    if measure not in MEASURES:
        raise SettingError(f"Unknown measure '{measure}' of overlap; choose one of {', '.join(MEASURES)}.")
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = np.prod(np.clip(high - low + pixel, 0, None), axis=-1)
    whole = np.broadcast_to(areas(boxes, pixel)[:, None], common.shape)
    if measure == "iou":
        whole = whole + areas(others, pixel) - common
    return np.divide(common, whole, out=np.zeros(common.shape), where=whole > 0)


def suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Which boxes stay when each takes away those that overlap it (IoU) by more than a threshold and score less.

    Args:
        boxes: Boxes ``[n, 4]``.
        scores: ``[n]``.
        threshold: 0 to 1.

    Returns:
        Their numbers, best first; of equal scores the first comes first.
    """
    order, kept = np.argsort(-scores, kind="stable"), []
    close = overlaps(boxes[order], boxes[order]) > threshold
    gone = np.zeros(len(order), bool)
    for place, number in enumerate(order):
        if not gone[place]:
            kept.append(number)
            gone |= close[place]
    return np.array(kept, dtype=np.intp)


def encode(boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Boxes as seen from anchors: shift of the middle by the anchor's sides, logarithm of the sides' ratio.

    Args:
        boxes: ``[n, 4]``, each with sides above 0.
        anchors: Of each box, ``[n, 4]``.

    Returns:
        Float64 ``[n, 4]``: dx, dy, dw, dh (Faster R-CNN's coding).
    """
    middle, sides = _middle_and_sides(boxes)
    anchor_middle, anchor_sides = _middle_and_sides(anchors)
    return np.concatenate([(middle - anchor_middle) / anchor_sides, np.log(sides / anchor_sides)], axis=1)


def decode(deltas: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """The inverse of :func:`encode`; a side grows 62.5 times at most."""
    anchor_middle, anchor_sides = _middle_and_sides(anchors)
    middle = anchor_middle + deltas[:, :2] * anchor_sides
    half = anchor_sides * np.exp(np.minimum(deltas[:, 2:], _MOST_GROWTH)) / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def clipped(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Boxes cut off at the border of a picture of so many pixels."""
    return np.clip(boxes, 0, np.array([width, height, width, height]) - 1.0)


def _middle_and_sides(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
