"""From a detector's numbers to boxes: proposals to look at, and what is found in the end."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from Med3DCore.boxes import clipped, decode, suppress
from Med3DCore.networks.detector import DetectionDecoder, Proposals

BOX_DEVIATIONS = np.array([0.1, 0.1, 0.2, 0.2])
"""What the head for boxes gives is multiplied by these, so that its targets are about as large as its logits."""

_LEAST_SIDE = 1.0
_OVERLAP_OF_PROPOSALS = 0.7


class Limits(NamedTuple):
    """How many boxes are kept; those published are the defaults.

    Args:
        before: Likeliest anchors of each level that are looked at.
        proposals: Boxes of each picture for which the second head is asked.
        found: Boxes of each picture in the end.
        overlap: Of two found boxes that overlap more (IoU) the surer one stays.
    """

    before: int = 2000
    proposals: int = 1000
    found: int = 100
    overlap: float = 0.5


@torch.no_grad()
def propose(decoder: DetectionDecoder, said: Proposals, size: tuple[int, int], limits: Limits) -> list[np.ndarray]:
    """The boxes of each picture in which something may be, likeliest first, float64 ``[k, 4]``.

    Args:
        decoder: Whose anchors they are.
        said: What it said.
        size: Height and width of the picture in pixels.
        limits: How many.
    """
    anchors = decoder.anchors(said.maps)
    return [
        _propose_one(
            [level[picture].float().sigmoid().cpu().numpy() for level in said.objectness],
            [level[picture].float().cpu().numpy() for level in said.deltas],
            anchors,
            size,
            limits,
        )
        for picture in range(len(said.maps[0]))
    ]


def _propose_one(
    scores: list[np.ndarray],
    deltas: list[np.ndarray],
    anchors: list[np.ndarray],
    size: tuple[int, int],
    limits: Limits,
) -> np.ndarray:
    boxes, sure = [], []
    for score, delta, anchor in zip(scores, deltas, anchors, strict=True):
        likely = np.argsort(-score, kind="stable")[: limits.before]
        own = clipped(decode(delta[likely].astype(np.float64), anchor[likely]), size[1], size[0])
        large = (own[:, 2:] - own[:, :2]).min(axis=1) >= _LEAST_SIDE
        own, score = own[large], score[likely][large]
        kept = suppress(own, score, _OVERLAP_OF_PROPOSALS)
        boxes.append(own[kept])
        sure.append(score[kept])
    best = np.argsort(-np.concatenate(sure), kind="stable")[: limits.proposals]
    return np.concatenate(boxes)[best]


def conclude(
    logits: Tensor, deltas: Tensor, proposals: np.ndarray, size: tuple[int, int], limits: Limits
) -> tuple[np.ndarray, np.ndarray]:
    """What is found in the proposals of one picture.

    Args:
        logits: Of the classes ``[k, classes]``, background first; all others together are "something".
        deltas: From each proposal to the object ``[k, 4]``.
        proposals: ``[k, 4]``.
        size: Height and width of the picture.
        limits: How many.

    Returns:
        Boxes float64 ``[n, 4]`` and their scores ``[n]``, 0 to 1, surest first.
    """
    scores = 1 - logits.detach().double().softmax(dim=1)[:, 0].cpu().numpy()
    moves = deltas.detach().double().cpu().numpy() * BOX_DEVIATIONS
    boxes = clipped(decode(moves, proposals), size[1], size[0])
    kept = suppress(boxes, scores, limits.overlap)[: limits.found]
    return boxes[kept], scores[kept]
