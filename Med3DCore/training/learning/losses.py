"""Losses that learn only from what somebody labelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from Med3DCore.training.cases.case import UNKNOWN

_SMOOTH = 1.0  # voxels added above and below in Dice
_TINY = 1e-38  # the least probability whose logarithm is taken


def supervised_loss(
    outputs: torch.Tensor | Sequence[torch.Tensor], target: torch.Tensor, activation: str = "sigmoid"
) -> torch.Tensor:
    """The loss of a network's output; with deep supervision a weighted mean over its levels.

    Args:
        outputs: Logits ``[n, c, z, y, x]``, or a list of them, finest first; each level counts half of the one before.
        target: uint8 ``[n, c, z, y, x]`` at the size of the finest.
        activation: ``"sigmoid"`` for :func:`partial_label_loss`, ``"softmax"`` for :func:`exclusive_label_loss`.
    """
    loss = exclusive_label_loss if activation == "softmax" else partial_label_loss
    if isinstance(outputs, torch.Tensor):
        return loss(outputs, target)
    weights = [0.5**level for level in range(len(outputs))]
    losses = [loss(logits, _at_size(target, logits.shape[2:])) for logits in outputs]
    nothing = losses[0].new_zeros(())
    return sum((w * loss for w, loss in zip(weights, losses, strict=True)), start=nothing) / sum(weights)


def _at_size(target: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """The nearest voxels of a target on a coarser grid."""
    if target.shape[2:] == tuple(size):
        return target
    return functional.interpolate(target.float(), tuple(size), mode="nearest-exact").to(target.dtype)


def partial_label_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy plus soft Dice, a channel per label, over known voxels.

    Each label is its own yes-or-no question, so that a case in which only the liver was labelled says nothing about the
    lungs. Dice is pooled over the batch, and left out for a label of which the batch holds no voxel: there it would
    reward nothing but the size of the patch.

    Args:
        logits: ``[n, c, z, y, x]``.
        target: uint8, same shape: 1 inside, 0 outside, 255 unknown.

    Returns:
        Scalar loss, float32. 0 (with a gradient of 0) when nothing is known.
    """
    return _PartialLabelLoss.apply(logits.float(), target)


def exclusive_label_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus soft Dice of labels that exclude each other (softmax), over known voxels.

    A voxel is known where one label is inside, or all are outside; where a label is unknown and no other inside, it
    could be background or that label, and teaches nothing. Dice is that of the labels, not of the background, pooled
    and left out as in :func:`partial_label_loss`.

    Args:
        logits: ``[n, 1 + c, z, y, x]``, the background first.
        target: uint8 ``[n, c, z, y, x]``: 1 inside, 0 outside, 255 unknown; no voxel is inside two.

    Returns:
        Scalar loss, float32. 0 (with a gradient of 0) when nothing is known.
    """
    logits, inside = logits.float(), (target == 1).float()
    drawn = inside.amax(dim=1)
    known = torch.maximum(drawn, (target == 0).all(dim=1).float())
    truth = torch.cat([1 - drawn[:, None], inside], dim=1)
    entropy = -(logits.log_softmax(dim=1) * truth).sum(dim=1) * known
    probability = logits.softmax(dim=1)[:, 1:] * known[:, None]
    sums = (0, 2, 3, 4)
    sizes = inside.sum(sums)
    dice = (2 * (probability * inside).sum(sums) + _SMOOTH) / (probability.sum(sums) + sizes + _SMOOTH)
    present = (sizes > 0).float()
    return entropy.sum() / known.sum().clamp(min=1) + (present * (1 - dice)).sum() / present.sum().clamp(min=1)


def marginal_label_loss(logits: torch.Tensor, target: torch.Tensor, channels: Sequence[int]) -> torch.Tensor:
    """Cross-entropy plus soft Dice of some of many labels that exclude each other, over known voxels.

    Where one of these labels is inside, it is asked for. Elsewhere a voxel may be of any class that is not known to be
    outside, the background or any label that nobody drew: what is asked of it is the sum of their probabilities, its
    marginal (Shi et al., Medical Image Analysis 70, 2021, arXiv:2007.03868, section 3.2). So classes that the cases do
    not show are not unlearned as background. Dice is pooled and left out as in :func:`partial_label_loss`.

    Args:
        logits: ``[n, classes, z, y, x]``, the background among them.
        target: uint8 ``[n, c, z, y, x]``: 1 inside, 0 outside, 255 unknown; no voxel is inside two.
        channels: Class of each of the target's labels.

    Returns:
        Scalar loss, float32. 0 (with a gradient of 0) when nothing is known.
    """
    logits, channels = logits.float(), list(channels)
    others = [channel for channel in range(logits.shape[1]) if channel not in channels]
    rest = logits[:, others].logsumexp(dim=1, keepdim=True)
    logs = torch.cat([rest, logits[:, channels]], dim=1).log_softmax(dim=1)
    inside, unknown = target == 1, target == UNKNOWN
    drawn = inside.any(dim=1, keepdim=True)
    possible = torch.cat([~drawn, inside | (unknown & ~drawn)], dim=1)
    known = (~unknown).any(dim=1).float()
    entropy = -logs.masked_fill(~possible, -torch.inf).logsumexp(dim=1) * known
    probability, truth = logs[:, 1:].exp() * ~unknown, inside.float()
    sums = (0, 2, 3, 4)
    sizes = truth.sum(sums)
    dice = (2 * (probability * truth).sum(sums) + _SMOOTH) / (probability.sum(sums) + sizes + _SMOOTH)
    present = (sizes > 0).float()
    return entropy.sum() / known.sum().clamp(min=1) + (present * (1 - dice)).sum() / present.sum().clamp(min=1)


class _PartialLabelLoss(torch.autograd.Function):
    """The loss and its gradient, a channel of an example at a time, which stays in the processor's cache.

    As torch's own functions, each of which goes through the whole batch, it takes three times as long on a CPU, a
    seventh of a step of a narrow network. With ``w`` the probability given to the wrong answer, ``k`` and ``t`` whether
    a voxel is known and inside, and ``p`` the probability of inside, the cross-entropy is ``-log(1 - w)``, and

        ``d entropy / d logit = w (k - 2 t)``, ``dp / d logit = w (1 - w)``,
        ``Dice = (2 sum(p t) + s) / (sum(p k) + sum(t) + s)``.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Scalar, as :func:`partial_label_loss` says."""
        wrong = torch.empty(logits.shape, device=logits.device)
        one = torch.ones((), device=logits.device)
        found: list[torch.Tensor] = []
        for example in np.ndindex(*logits.shape[:2]):
            known, truth = _known_and_truth(target[example])
            right = torch.mul(logits[example], 2 * truth - 1, out=wrong[example]).sigmoid_()
            entropy = right.clamp(min=_TINY).log_()
            torch.sub(one, right, out=wrong[example])
            pairs = ((entropy, known), (wrong[example], known), (wrong[example], truth))
            found += [torch.dot(a.flatten(), b.flatten()) for a, b in pairs] + [known.sum(), truth.sum()]
        sums = torch.stack(found).view(*logits.shape[:2], -1).sum(0).T
        entropy, wrong_known, wrong_inside, known, inside = sums
        overlap = inside - wrong_inside
        size = overlap + (wrong_known - wrong_inside) + inside + _SMOOTH
        dice = (2 * overlap + _SMOOTH) / size
        present = (inside > 0).float()
        weight, known = present / present.sum().clamp(min=1), known.sum().clamp(min=1)
        # Of -weight * Dice by p: what it is everywhere, and how much more inside.
        slopes = torch.stack([weight * dice / size, -2 * weight / size])
        ctx.save_for_backward(target, wrong, slopes, 1 / known)
        return (weight * (1 - dice)).sum() - entropy.sum() / known

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """By the logits."""
        target, wrong, slopes, share = ctx.saved_tensors
        share, slopes = float(share * gradient), (slopes * gradient).T.tolist()
        result = torch.empty_like(wrong)
        for example in np.ndindex(*wrong.shape[:2]):
            known, truth = _known_and_truth(target[example])
            everywhere, inside = slopes[example[1]]
            by_entropy = torch.sub(known, truth, alpha=2, out=result[example]).mul_(share)
            by_dice = truth.mul_(inside).add_(known, alpha=everywhere)
            by_dice.addcmul_(by_dice, wrong[example], value=-1)
            by_entropy.add_(by_dice).mul_(wrong[example])
        return result, None


def _known_and_truth(target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both 0 or 1, float32. Compared in place, as bytes: torch's masks of bools take five times as long on a CPU."""
    return target.clone().ne_(UNKNOWN).float(), target.clone().eq_(1).float()
