"""What an imported model says of labels that the cases do not show stays what it was.

A marginal loss alone pushes no class down that nobody drew, but it holds none either: all that lies outside of a taught
label may become any other one. So the parent, frozen, says on each patch what is there: unbiased distillation (Cermelli
et al., CVPR 2020, arXiv:2002.00718, section 3.3), for which taught labels count as background.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def keeping_loss(logits: Tensor, parent: Tensor, target: Tensor, taught: Sequence[int], activation: str) -> Tensor:
    """How far the labels that are not taught are from what the parent says of them, where no taught one is drawn.

    Args:
        logits: ``[n, classes, z, y, x]``; new classes come last.
        parent: Logits of the parent, ``[n, old classes, z, y, x]``.
        target: uint8 ``[n, c, z, y, x]``: 1 where a taught label is inside.
        taught: Class of each of the target's labels.
        activation: ``"softmax"`` (the background first) or ``"sigmoid"``.

    Returns:
        Scalar, float32: the mean divergence of a voxel, 0 where both agree.
    """
    logits, parent = logits.float(), parent.float()
    others = [channel for channel in range(parent.shape[1]) if channel not in taught]
    if activation == "sigmoid":
        before, now = parent[:, others], logits[:, others]
        truth = before.sigmoid()
        entropy = functional.binary_cross_entropy_with_logits
        found = entropy(now, truth, reduction="none") - entropy(before, truth, reduction="none")
        return found.mean() if others else logits.new_zeros(())
    before, now = (_merged(each, taught, others) for each in (parent, logits))
    free = (~(target == 1).any(dim=1)).float()
    return ((before.exp() * (before - now)).sum(dim=1) * free).sum() / free.sum().clamp(min=1)


def _merged(logits: Tensor, taught: Sequence[int], others: Sequence[int]) -> Tensor:
    """Logarithms of probabilities of the classes that are not taught; the background has those of the taught ones."""
    background = [0, *(channel for channel in taught if channel < logits.shape[1])]
    nothing = logits[:, background].logsumexp(dim=1, keepdim=True)
    return torch.cat([nothing, logits[:, [channel for channel in others if channel]]], dim=1).log_softmax(dim=1)
