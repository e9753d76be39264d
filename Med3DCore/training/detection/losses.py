"""The four losses of Faster R-CNN: is there something, where; what is it, where exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from Med3DCore.boxes import encode
from Med3DCore.networks.choose_boxes import BOX_DEVIATIONS, Limits, propose
from Med3DCore.networks.detector import DetectionDecoder, Proposals
from Med3DCore.training.detection.targets import draw_anchors, draw_proposals

_BETA_OF_ANCHORS, _BETA_OF_BOXES = 1 / 9, 1.0  # where the smooth L1 losses become straight


def detection_loss(
    decoder: DetectionDecoder,
    said: Proposals,
    boxes: Sequence[np.ndarray],
    size: tuple[int, int],
    limits: Limits,
    rng: np.random.Generator,
) -> Tensor:
    """The sum of the four losses, each a mean over what was drawn.

    Args:
        decoder: Of the network.
        said: What it said of the pictures.
        boxes: The objects of each picture, ``[m, 4]``.
        size: Height and width of the pictures.
        limits: How many proposals.
        rng: Source of randomness.
    """
    return _proposal_loss(decoder, said, boxes, rng) + _box_loss(decoder, said, boxes, size, limits, rng)


def _proposal_loss(
    decoder: DetectionDecoder, said: Proposals, boxes: Sequence[np.ndarray], rng: np.random.Generator
) -> Tensor:
    """Cross-entropy of the anchors drawn, smooth L1 of those that are objects."""
    anchors = np.concatenate(decoder.anchors(said.maps))
    scores, deltas = torch.cat(said.objectness, dim=1).float(), torch.cat(said.deltas, dim=1).float()
    logits, wanted, moves, moves_wanted = [], [], [], []
    for picture, own in enumerate(boxes):
        objects, owners, background = draw_anchors(anchors, own, decoder.anchor_overlap, rng)
        logits.append(scores[picture, np.concatenate([objects, background])])
        wanted.append(np.repeat([1.0, 0.0], [len(objects), len(background)]))
        moves.append(deltas[picture, objects])
        moves_wanted.append(encode(own[owners], anchors[objects]))
    target = _like(scores, np.concatenate(wanted))
    entropy = functional.binary_cross_entropy_with_logits(torch.cat(logits), target)
    return entropy + _moved(torch.cat(moves), np.concatenate(moves_wanted), _BETA_OF_ANCHORS, len(target))


def _box_loss(
    decoder: DetectionDecoder,
    said: Proposals,
    boxes: Sequence[np.ndarray],
    size: tuple[int, int],
    limits: Limits,
    rng: np.random.Generator,
) -> Tensor:
    """Cross-entropy of the proposals drawn, smooth L1 of those that are objects."""
    drawn = [
        draw_proposals(own, truth, rng) for own, truth in zip(propose(decoder, said, size, limits), boxes, strict=True)
    ]
    logits, deltas = decoder.look_at(said.maps, [own for own, _, _ in drawn])
    is_object = np.concatenate([np.arange(len(own)) < count for own, _, count in drawn])
    classes = torch.from_numpy(is_object.astype(np.int64)).to(logits.device)
    entropy = functional.cross_entropy(logits.float(), classes)
    wanted = np.concatenate([encode(truth, own[:count]) / BOX_DEVIATIONS for own, truth, count in drawn])
    return entropy + _moved(deltas.float()[np.flatnonzero(is_object)], wanted, _BETA_OF_BOXES, len(classes))


def _moved(moves: Tensor, wanted: np.ndarray, beta: float, count: int) -> Tensor:
    return functional.smooth_l1_loss(moves, _like(moves, wanted), beta=beta, reduction="sum") / max(1, count)


def _like(tensor: Tensor, values: np.ndarray) -> Tensor:
    return torch.from_numpy(values).to(tensor.device, tensor.dtype)
