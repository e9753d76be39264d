"""What a fine-tuning gives, and how it is kept in the run's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from Med3DCore.training.fine_tuning.held_out import Scores

HELD_OUT = "held_out"


@dataclass(frozen=True)
class HeldOut:
    """A case of which the new model saw nothing, as label maps on the scan's grid.

    Args:
        name: Of the case.
        before: What the parent finds; None if it finds no labels.
        after: What the new model finds.
    """

    name: str
    before: Path | None
    after: Path


@dataclass(frozen=True)
class FineTuned:
    """What fine-tuning gives.

    Args:
        package: The new model, in the run's folder.
        before: Dice of the parent on the held-out cases, ``{label: {case: Dice}}``; without labels it does not know.
        after: Dice of the new model on the same cases.
        false_positive_ml: What each finds of labels in held-out cases without them, ``{"before": {label: {case: mL}},
            "after": ...}``.
        kept: Dice between what both find of labels that nobody annotated.
        way: How far its weights went from the parent's (0) to those learned (1), see :mod:`.blend`.
        warnings: What the user should know before using it.
        steps: Steps done, all networks together.
        held_out: Where the results on the held-out cases are.
        curve: Picture of losses and scores; None without matplotlib.
    """

    package: Path
    before: Scores
    after: Scores
    kept: Scores
    way: float
    warnings: tuple[str, ...]
    steps: int
    held_out: tuple[HeldOut, ...]
    curve: Path | None
    false_positive_ml: dict[str, Scores]

    @classmethod
    def from_dict(cls, values: dict, folder: Path) -> FineTuned:
        """The result as ``result.json`` has it.

        Args:
            values: Its content; files are relative to the folder.
            folder: The run's folder.
        """

        def path(name: str | None) -> Path | None:
            return None if name is None else folder / name

        return cls(
            package=folder / values["package"],
            before=values["before"],
            after=values["after"],
            kept=values["kept"],
            way=values.get("way", 1.0),
            warnings=tuple(values["warnings"]),
            steps=values["steps"],
            held_out=tuple(
                HeldOut(each["name"], path(each["before"]), folder / each["after"]) for each in values["held_out"]
            ),
            curve=path(values["curve"]),
            false_positive_ml=values.get("false_positive_ml", {"before": {}, "after": {}}),
        )
