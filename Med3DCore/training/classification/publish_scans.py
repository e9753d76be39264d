"""Make a model package of a trained classifier of whole scans: measured on the held-out ones, with its card."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.evaluation.classes import ClassesReport, evaluate_classes
from Med3DCore.inference.classify_scan import ScanClassifier
from Med3DCore.inference.device import Device
from Med3DCore.models.package import ModelPackage
from Med3DCore.progress import Progress
from Med3DCore.training.classification.classified import Scan, answers_of
from Med3DCore.training.classification.scan_task import ScanTask, scan_stage
from Med3DCore.training.learning.one_stage import card, describe, publish
from Med3DCore.training.learning.provenance import nameless
from Med3DCore.training.learning.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor


def describe_scan_classifier(recipe: Recipe, scans: Sequence[Scan], start: str) -> ModelPackage:
    """The package as far as it is known before the training.

    Args:
        recipe: The recipe.
        scans: All scans.
        start: Where the training started, such as ``"random weights"``.

    Raises:
        ModelError: The recipe's description of the model is not complete.
        SettingError: It is no recipe for a classifier of whole scans.
    """
    stage = scan_stage(recipe, scans[0].classes if scans else recipe.stages[0].stage.labels)
    return describe(recipe, stage, nameless(scans), start)


def publish_scan_classifier(
    package: ModelPackage,
    task: ScanTask,
    weights: dict[str, Tensor],
    folder: Path,
    device: Device,
    progress: Progress | None = None,
) -> tuple[Path, ClassesReport | None]:
    """Write the package with what it is worth inside.

    Args:
        package: As described before the training.
        task: What was learned; its held-out scans are measured.
        weights: State dict of the network.
        folder: Where the package goes.
        device: Where to measure.
        progress: Followed, and may cancel.

    Returns:
        The package's file, and how good the classifier is; None if no scan was held out.
    """

    def measure(loaded: ModelPackage) -> tuple[ClassesReport | None, dict]:
        report = _measure(ScanClassifier(loaded, device), task, progress or Progress())
        return report, {} if report is None else {"held_out": report.to_dict()}

    return publish(package, weights, folder, measure, partial(_card, task))


def _measure(classifier: ScanClassifier, task: ScanTask, progress: Progress) -> ClassesReport | None:
    if not task.validation:
        return None
    with progress.stage("measure on held-out scans"):
        found = task.probabilities(classifier.network, classifier.device, progress)
    answers, patients = answers_of(task.validation), [each.case.patient for each in task.validation]
    return evaluate_classes(found, answers, classifier.package.stages[0].labels, patients, task.exclusive)


def _card(task: ScanTask, package: ModelPackage, report: ClassesReport | None) -> str:
    stage, scans = package.stages[0], [each.case for each in task.training]
    size = " x ".join(f"{n * s:g}" for n, s in zip(stage.window[::-1], stage.preprocessing["spacing"], strict=True))
    shown = (task.weights, stage.labels, (answers_of(task.training) == 1).sum(axis=0).tolist())
    rows = [f"| {name} | {count} | {weight:.2f} |" for weight, name, count in zip(*shown, strict=True)]
    answer = "one of its classes" if task.exclusive else "the probability of each label by itself"
    return card(
        package,
        f"It looks at {size} mm (x, y, z) around the middle of a scan and answers with {answer}. Rare classes weighed "
        "more in training, so probabilities are as if all were equally common, and too high where they are rare.",
        _measured(report),
        f"{len(scans)} scans of {len({scan.patient for scan in scans})} patients.\n\n| shown | scans | weight |\n"
        "|---|---|---|\n" + "\n".join(rows),
    )


def _measured(report: ClassesReport | None) -> str:
    if report is None:
        return "None was held out, so nobody knows how good it is."
    rows = "\n".join(f"| {name} | {figure} | {figure.n} |" for name, figure in report.figures().items())
    return (
        f"{report.n} scans of {report.patients} patients; 95 % intervals by drawing patients.\n\n"
        f"| figure | value (interval) | n |\n|---|---|---|\n{rows}" + "".join(f"\n\n{w}" for w in report.warnings)
    )
