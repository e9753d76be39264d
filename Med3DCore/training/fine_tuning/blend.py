"""Part of the way from the old model to the new one: what was learned, without forgetting what nobody showed.

A handful of cases shows one kind of scan, and a network that learns from them forgets others. Weights halfway between
those before and those after fine-tuning keep both (WiSE-FT, Wortsman et al., CVPR 2022, arXiv:2109.01903, section 3;
measured here in ``docs/experiments.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from Med3DCore.training.fine_tuning.held_out import Scores

if TYPE_CHECKING:
    from torch import Tensor

HALFWAY, ALL_THE_WAY = 0.5, 1.0

# A gain on the held-out cases from which on going all the way is worth what may be forgotten.
_CLEARLY_BETTER = 0.02


def blend(before: Mapping[str, Tensor], after: Mapping[str, Tensor], way: float) -> dict[str, Tensor]:
    """Weights on the straight line from some to others of the same network.

    Args:
        before: State dict at 0.
        after: State dict at 1, with the same names and shapes.
        way: How far to go, 0 to 1.
    """
    return {
        name: before[name] + way * (value - before[name]) if value.is_floating_point() else value
        for name, value in after.items()
    }


def choose_way(halfway: Scores, all_the_way: Scores) -> float:
    """Halfway, unless all the way is clearly better on the held-out cases.

    Args:
        halfway: ``{label: {case: Dice}}`` of the model halfway.
        all_the_way: Of the one as it was learned, on the same cases.
    """
    return ALL_THE_WAY if _mean(all_the_way) > _mean(halfway) + _CLEARLY_BETTER else HALFWAY


def _mean(scores: Scores) -> float:
    """Over labels, of the mean over cases; 0 where nothing was held out."""
    means = [sum(cases.values()) / len(cases) for cases in scores.values() if cases]
    return sum(means) / len(means) if means else 0.0
