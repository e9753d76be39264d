"""Which anchors and proposals shall be what: the assignment of Faster R-CNN (papers.md B3.5), on the CPU."""

from __future__ import annotations

import numpy as np

from Med3DCore.boxes import overlaps

# Anchors: object from what the decoder says, background below 0.3, nothing between; the best of each object counts
# from 0.3.
_BACKGROUND = 0.3
_ANCHORS, _ANCHOR_OBJECTS = 256, 0.5  # drawn of each picture, and how many of them may be objects
# Proposals: object from 0.5, else background.
_FOUND = 0.5
_PROPOSALS, _PROPOSAL_OBJECTS = 512, 0.25


def draw_anchors(
    anchors: np.ndarray, boxes: np.ndarray, enough: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the anchors to learn from.

    Args:
        anchors: ``[n, 4]``.
        boxes: The objects of the picture ``[m, 4]``.
        enough: Overlap from which an anchor is an object.
        rng: Source of randomness.

    Returns:
        Numbers of anchors that are objects, the number of each one's object, and numbers of anchors that are
        background.
    """
    common = overlaps(anchors, boxes)
    best = common.max(axis=1, initial=0.0)
    owner = common.argmax(axis=1) if len(boxes) else np.zeros(len(anchors), int)
    is_object = best >= enough
    for number in range(len(boxes)):
        highest = common[:, number].max()
        if highest >= _BACKGROUND:
            nearest = common[:, number] == highest
            is_object |= nearest
            owner[nearest] = number
    background = np.flatnonzero(~is_object & (best < _BACKGROUND))
    objects, background = _drawn(np.flatnonzero(is_object), background, _ANCHORS, _ANCHOR_OBJECTS, rng)
    return objects, owner[objects], background


def draw_proposals(
    proposals: np.ndarray, boxes: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, int]:
    """Draw the proposals to learn from, the objects themselves among them.

    Args:
        proposals: ``[n, 4]``.
        boxes: The objects of the picture ``[m, 4]``.
        rng: Source of randomness.

    Returns:
        The drawn boxes, objects first; the true box of each object; and how many of them are objects.
    """
    proposals = np.concatenate([boxes, proposals])
    common = overlaps(proposals, boxes)
    is_object = common.max(axis=1, initial=0.0) >= _FOUND
    objects, background = _drawn(
        np.flatnonzero(is_object), np.flatnonzero(~is_object), _PROPOSALS, _PROPOSAL_OBJECTS, rng
    )
    truth = boxes[common[objects].argmax(axis=1)] if len(objects) else np.zeros((0, 4))
    return np.concatenate([proposals[objects], proposals[background]]), truth, len(objects)


def _drawn(
    objects: np.ndarray, background: np.ndarray, count: int, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """At most so many of both together, and of objects at most the share."""
    most = int(count * share)
    if len(objects) > most:
        objects = rng.choice(objects, most, replace=False)
    if len(background) > count - len(objects):
        background = rng.choice(background, count - len(objects), replace=False)
    return objects, background
