"""Part of the way from the old model to the new one: what was learned, without forgetting what nobody showed.

A handful of cases shows one kind of scan, and a network that learns from them forgets others. Weights halfway between
those before and those after fine-tuning keep both (WiSE-FT, Wortsman et al., CVPR 2022, arXiv:2109.01903, section 3;
measured here in ``docs/experiments.md``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def choose_ways(halfway: Scores, all_the_way: Scores, patients: Mapping[str, str]) -> tuple[float, dict[str, float]]:
    """How far to go: halfway, unless all the way is clearly better on the held-out cases.

    A case that had a say in the choice would look better than it is. So what is reported of a patient is of the way
    that the other held-out patients choose (cross-fitting); with one patient alone it is always halfway.

    Args:
        halfway: ``{label: {case: Dice}}`` of the model halfway.
        all_the_way: Of the one as it was learned, on the same cases.
        patients: Patient of each held-out case.

    Returns:
        The model's way, and for each case that of its patient's report.
    """
    if len(set(patients.values())) < 2:
        return HALFWAY, dict.fromkeys(patients, HALFWAY)

    def chosen_by(others: set[str]) -> float:
        better = _mean(all_the_way, others) > _mean(halfway, others) + _CLEARLY_BETTER
        return ALL_THE_WAY if better else HALFWAY

    without = {
        own: chosen_by({case for case, patient in patients.items() if patient != own}) for own in patients.values()
    }
    return chosen_by(set(patients)), {case: without[patient] for case, patient in patients.items()}


def on_other_weights(cases: Sequence[str], way: float) -> list[str]:
    """What to say of cases that were reported with another way's weights than the model's.

    Args:
        cases: Their names.
        way: The model's.
    """
    if not cases:
        return []
    theirs, model = ("as learned", "halfway") if way == HALFWAY else ("halfway", "as learned")
    return [
        f"What is shown after the training on {', '.join(cases)} was found {theirs}, as the other held-out cases "
        f"chose; the model is {model}, as all of them together chose."
    ]


def _mean(scores: Scores, cases: set[str]) -> float:
    """Over labels, of the mean over these cases; 0 where none of them shows a label."""
    known = [[dice for case, dice in of_label.items() if case in cases] for of_label in scores.values()]
    means = [sum(dices) / len(dices) for dices in known if dices]
    return sum(means) / len(means) if means else 0.0
