"""Make a model package of a trained classifier: measure it on the held-out nodules, say where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.evaluation.classification import ClassificationReport, evaluate_classification
from Med3DCore.inference.classify import Classifier, class_probabilities, taught_prevalence
from Med3DCore.inference.device import Device
from Med3DCore.models.package import ModelPackage
from Med3DCore.progress import Progress
from Med3DCore.training.cases.prepared import Prepared
from Med3DCore.training.classification.classification import ClassificationTask, classifier_stage
from Med3DCore.training.classification.nodules import CLASSES, Nodule
from Med3DCore.training.learning.one_stage import card, describe, publish
from Med3DCore.training.learning.provenance import nameless
from Med3DCore.training.learning.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

_MEASURES = ("accuracy", "sensitivity", "specificity", "auc")


def describe_classifier(recipe: Recipe, nodules: Sequence[Nodule], rule: str, start: str) -> ModelPackage:
    """The package as far as it is known before the training.

    Args:
        recipe: The recipe.
        nodules: All nodules.
        rule: How ratings became benign or malignant.
        start: Where the training started, such as ``"random weights"``.

    Raises:
        ModelError: The recipe's description of the model is not complete.
        SettingError: It is no recipe for a classifier.
    """
    stage = classifier_stage(recipe, nodules[0].classes if nodules else CLASSES)
    return describe(recipe, stage, nameless(nodules), start, rule_of_ratings=rule)


def publish_classifier(
    package: ModelPackage,
    task: ClassificationTask,
    weights: dict[str, Tensor],
    folder: Path,
    device: Device,
    progress: Progress | None = None,
) -> tuple[Path, ClassificationReport | None]:
    """Write the package with what it is worth inside.

    Args:
        package: As described before the training.
        task: What was learned; its held-out nodules are measured.
        weights: State dict of the network.
        folder: Where the package goes.
        device: Where to measure.
        progress: Followed, and may cancel.

    Returns:
        The package's file, and how good the classifier is; None if no nodule was held out.
    """

    def measure(loaded: ModelPackage) -> tuple[ClassificationReport | None, dict]:
        if not task.validation:
            return None, {}
        report, metrics = _measure(Classifier(loaded, device), task, progress or Progress())
        return report, _without_names(metrics, package)

    return publish(package, weights, folder, measure, partial(_card, task))


def _measure(classifier: Classifier, task: ClassificationTask, progress: Progress) -> tuple[ClassificationReport, dict]:
    """How good it is, and for the package also every held-out nodule by itself."""
    held_out: Sequence[Prepared[Nodule]] = task.validation
    with progress.stage("measure on held-out nodules"):
        found = class_probabilities(
            classifier.network, map(task.seen, held_out), classifier.device, len(held_out), progress
        )
    nodules, scores = [each.case for each in held_out], [float(row[1]) for row in found]
    truths, patients = [nodule.malignant for nodule in nodules], [nodule.patient for nodule in nodules]
    report = evaluate_classification(scores, truths, patients)
    single = {
        nodule.name: {"patient": nodule.patient, "truth": nodule.kind, nodule.classes[1]: round(score, 4)}
        for nodule, score in zip(nodules, scores, strict=True)
    }
    return report, {"held_out": report.to_dict(), "nodules": single}


def _without_names(metrics: dict, package: ModelPackage) -> dict:
    """What was measured, with nodules and patients called as in the package's provenance."""
    known, nodules = package.provenance["validation_cases"], metrics["nodules"].values()
    single = {
        name: {**nodule, "patient": case["patient"]}
        for (name, case), nodule in zip(known.items(), nodules, strict=True)
    }
    return {**metrics, "nodules": single}


def _card(task: ClassificationTask, package: ModelPackage, report: ClassificationReport | None) -> str:
    stage, training = package.stages[0], [each.case for group in task.by_class for each in group]
    second, positive = stage.labels[1], sum(nodule.malignant for nodule in training)
    spacing, window = stage.preprocessing["spacing"][0], stage.window[0]
    return card(
        package,
        f"It looks at a cube of {window} voxels of {spacing:g} mm around a point and answers with the probability of "
        f"'{second}', {_world(taught_prevalence(package), second)}",
        _measured(report),
        f"{len(training)} points of {len({n.patient for n in training})} patients, {positive} of them '{second}'. "
        f"Ratings or tables become classes by the rule '{package.provenance['rule_of_ratings']}'.",
    )


def _world(prevalence: float | None, second: str) -> str:
    if prevalence is None:
        return "as common as it was in its training."
    return (
        f"where {100 * prevalence:g} % of the points are, as in its training. '{second}' is rarer in most places "
        "where it is used: `med3d classify run --prevalence` gives the probability there."
    )


def _measured(report: ClassificationReport | None) -> str:
    if report is None:
        return "None was held out, so nobody knows how good it is."
    rows = "\n".join(f"| {name} | {getattr(report, name)} |" for name in _MEASURES)
    return (
        f"{report.n} points of {report.patients} patients, {report.positives} positive; 95 % intervals: Wilson's, "
        f"for the AUC by drawing patients. Always giving the commoner answer has accuracy {report.majority:.3f}.\n\n"
        f"| measure | value (interval) |\n|---|---|\n{rows}" + "".join(f"\n\n{w}" for w in report.warnings)
    )
