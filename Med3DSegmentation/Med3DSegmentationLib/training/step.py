"""The request ``train``: what goes to the engine, and what its answer does to the scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DCore.labels import Label
from Med3DCore.worker.exchange import read_volume_array
from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.training.cases import SceneCase, TrainingCase, uniqueNames
from Med3DSegmentationLib.training.comparison import AFTER, BEFORE, addComparison, markedVolume, markVolume


@dataclass(frozen=True)
class TrainingChoices:
    """What the user chose.

    Args:
        title: Of the new model.
        model: Name or file of the model or encoder to start from; None leaves it to the engine.
        minutes: Time for all of it.
        quality: ``"fast"``, ``"balanced"`` or ``"thorough"``.
        seed: Of all random numbers.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        settings: Advanced ones by name, such as ``{"learning_rate": 1e-3}``.
        takeUntouched: Whether results of a model that nobody has changed may be learned from; else they are refused.
    """

    title: str
    model: str | None = None
    minutes: float = 10.0
    quality: str = "balanced"
    seed: int = 0
    device: str = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)
    takeUntouched: bool = False

    def toFields(self) -> dict[str, Any]:
        """Fields of the request."""
        fields = {**vars(self), "settings": dict(self.settings)}
        return fields | {"take_untouched": fields.pop("takeUntouched")}


@dataclass(frozen=True)
class ScoreRow:
    """Dice of an organ in a case that was held out; None where it is not known.

    Args:
        organ: For people.
        case: Name of the case.
        before: Of the model that the training began with.
        after: Of the new model.
    """

    organ: str
    case: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class FalsePositive:
    """What was found of an organ in a case that was held out and does not show it.

    Args:
        organ: For people.
        case: Name of the case.
        before: mL that the model found that the training began with; None where it is not known.
        after: mL that the new model finds.
    """

    organ: str
    case: str
    before: float | None
    after: float


@dataclass(frozen=True)
class Comparison:
    """A held-out case in the scene.

    Args:
        case: Its name.
        volumeNode: Its volume.
        before: Segmentation by the model that the training began with, or None.
        after: Segmentation by the new model, or None.
    """

    case: str
    volumeNode: slicer.vtkMRMLScalarVolumeNode
    before: slicer.vtkMRMLSegmentationNode | None
    after: slicer.vtkMRMLSegmentationNode | None


@dataclass(frozen=True)
class TrainingResult:
    """A new model.

    Args:
        model: name-version.
        title: For people.
        rows: Its Dice on held-out cases; empty if there were none.
        comparisons: Those of the held-out cases whose volumes are in the scene.
        warnings: What the user should know.
        steps: How many steps were done.
        folder: Of the training.
        unproven: Why nobody should use it who did not choose it himself, or "".
        falsePositives: What it finds in held-out cases where there is none.
    """

    model: str
    title: str
    rows: tuple[ScoreRow, ...]
    comparisons: tuple[Comparison, ...]
    warnings: tuple[str, ...]
    steps: int
    folder: str
    unproven: str = ""
    falsePositives: tuple[FalsePositive, ...] = ()


@dataclass(eq=False)
class TrainStep:
    """Train a model, or go on with a training.

    Args:
        scene: The scene of the cases.
        folder: Of the training.
        cases: What to train with; None goes on with the training in the folder.
        modelLabels: Labels of the model to start from, by name.
        choices: What the user chose; None when it goes on.
        finish: Make a model of what it has, without training on.
        options: See :class:`.jobs.Step`.
    """

    scene: slicer.vtkMRMLScene
    folder: str
    cases: Sequence[TrainingCase] | None
    modelLabels: Mapping[str, Label]
    choices: TrainingChoices | None
    finish: bool
    options: dict[str, Any]
    type: str = field(default="train", init=False)
    isSent: bool = field(default=False, init=False)

    @property
    def title(self) -> str:
        """That of the model."""
        return self.choices.title if self.choices else _("The training")

    def prepare(self, folder: str) -> Pieces[dict[str, Any]]:
        """Write the cases one by one."""
        fields: dict[str, Any] = {"folder": self.folder, "cases": None, "finish": self.finish}
        if self.cases is not None:
            fields |= {**self.choices.toFields(), "cases": []}
            for name, case in zip(uniqueNames(self.cases), self.cases, strict=True):
                fields["cases"].append((yield from case.fields(name, folder, self.modelLabels)))
                if isinstance(case, SceneCase):
                    markVolume(case.volumeNode, self.folder, name)
        self.isSent = True
        return fields

    def place(self, answer: dict[str, Any]) -> Pieces[TrainingResult]:
        """Show what the model found before and after in the held-out cases."""
        found = []
        for held in answer["held_out"]:
            found.append((yield from self._compare(held)))
        comparisons = tuple(comparison for comparison in found if comparison is not None)
        warnings = list(answer["warnings"])
        hidden = [held["name"] for held, shown in zip(answer["held_out"], found, strict=True) if shown is None]
        if hidden:
            sentence = _(
                "Before and after are shown only on the volumes that were in the scene when the training began;"
                " not on {cases}."
            )
            warnings.append(sentence.format(cases=", ".join(hidden)))
        return TrainingResult(
            model=answer["model"]["reference"],
            title=answer["model"]["model"]["title"],
            rows=_rows(answer),
            comparisons=comparisons,
            warnings=tuple(warnings),
            steps=answer["steps"],
            folder=answer["folder"],
            unproven=answer["model"].get("unproven") or "",
            falsePositives=_falsePositives(answer),
        )

    def needs(self, node: slicer.vtkMRMLNode) -> bool:  # noqa: ARG002 - one signature for all steps
        """Nothing: a case that is gone before it was read says so itself, and one that was read is with the engine."""
        return False

    def _compare(self, held: dict[str, Any]) -> Pieces[Comparison | None]:
        volumeNode = markedVolume(self.scene, self.folder, held["name"])
        shown = {BEFORE: None, AFTER: None}
        for when in shown:
            yield _("Showing {case}").format(case=held["name"])
            if volumeNode is None or volumeNode.GetScene() is None:
                return None
            if held[when]:
                labels = read_volume_array(held[when])
                shown[when] = yield from addComparison(self.scene, volumeNode, labels, when)
        return Comparison(held["name"], volumeNode, shown[BEFORE], shown[AFTER])


def _titles(answer: dict[str, Any]) -> dict[str, str]:
    return {label["name"]: label["title"] for label in answer["model"]["model"]["labels"]}


def _falsePositives(answer: dict[str, Any]) -> tuple[FalsePositive, ...]:
    titles, found = _titles(answer), answer["false_positive_ml"]
    return tuple(
        FalsePositive(titles.get(label, label), case, found["before"].get(label, {}).get(case), volume)
        for label, cases in found["after"].items()
        for case, volume in cases.items()
    )


def _rows(answer: dict[str, Any]) -> tuple[ScoreRow, ...]:
    titles = _titles(answer)
    before, after = answer["before"] or {}, answer["after"] or {}
    return tuple(
        ScoreRow(titles.get(label, label), case, before.get(label, {}).get(case), after.get(label, {}).get(case))
        for label in {**after, **before}
        for case in {**after.get(label, {}), **before.get(label, {})}
    )
