"""Losses that learn only from what somebody labelled."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from Med3DCore.training.cases.case import UNKNOWN


def supervised_loss(outputs: torch.Tensor | Sequence[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
    """:func:`partial_label_loss` of a network's output; with deep supervision a weighted mean over its levels.

    Args:
        outputs: Logits ``[n, c, z, y, x]``, or a list of them, finest first; each level counts half of the one before.
        target: uint8 ``[n, c, z, y, x]`` at the size of the finest.
    """
    if isinstance(outputs, torch.Tensor):
        return partial_label_loss(outputs, target)
    weights = [0.5**level for level in range(len(outputs))]
    losses = [partial_label_loss(logits, _at_size(target, logits.shape[2:])) for logits in outputs]
    return sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)


def _at_size(target: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """The nearest voxels of a target on a coarser grid."""
    if target.shape[2:] == tuple(size):
        return target
    return functional.interpolate(target.float(), tuple(size), mode="nearest-exact").to(target.dtype)


def partial_label_loss(logits: torch.Tensor, target: torch.Tensor, dice_weight: float = 1.0) -> torch.Tensor:
    """Binary cross-entropy plus soft Dice, a channel per label, over known voxels.

    Each label is its own yes-or-no question, so that a case in which only the liver was labelled says nothing about the
    lungs. Dice is pooled over the batch, and left out for a label of which the batch holds no voxel: there it would
    reward nothing but the size of the patch.

    Args:
        logits: ``[n, c, z, y, x]``.
        target: uint8, same shape: 1 inside, 0 outside, 255 unknown.
        dice_weight: Weight of the Dice term.

    Returns:
        Scalar loss, float32. 0 (with a gradient of 0) when nothing is known.
    """
    logits = logits.float()
    known = (target != UNKNOWN).float()
    truth = (target == 1).float()
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, weight=known, reduction="sum")
    entropy = entropy / known.sum().clamp(min=1)
    dice = soft_dice(logits.sigmoid() * known, truth)
    present = truth.sum(dim=(0, 2, 3, 4)) > 0
    if not bool(present.any()):
        return entropy
    return entropy + dice_weight * (1 - dice[present].mean())


def soft_dice(probability: torch.Tensor, truth: torch.Tensor, smooth: float = 1.0) -> torch.Tensor:
    """Soft Dice of each channel over the whole batch.

    Args:
        probability: ``[n, c, z, y, x]`` in 0..1, 0 where unknown.
        truth: Same shape, 0 or 1.
        smooth: Added above and below, in voxels.

    Returns:
        ``[c]``.
    """
    dims = (0, 2, 3, 4)
    intersection = (probability * truth).sum(dims)
    return (2 * intersection + smooth) / (probability.sum(dims) + truth.sum(dims) + smooth)
