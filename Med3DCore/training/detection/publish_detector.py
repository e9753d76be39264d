"""Make a model package of a trained detector: measure it on the held-out slices, say where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.evaluation.detection import DetectionReport, evaluate_detection
from Med3DCore.inference.detect import Detector
from Med3DCore.inference.device import Device
from Med3DCore.models.package import ModelPackage
from Med3DCore.progress import Progress
from Med3DCore.training.detection.detection import DetectionTask, detector_stage
from Med3DCore.training.detection.key_slices import KeySlice
from Med3DCore.training.learning.one_stage import card, describe, publish
from Med3DCore.training.learning.provenance import nameless
from Med3DCore.training.learning.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor


def describe_detector(recipe: Recipe, cases: Sequence[KeySlice], start: str, name_cases: bool = False) -> ModelPackage:
    """The package as far as it is known before the training.

    Args:
        recipe: The recipe.
        cases: All key slices.
        start: Where the training started, such as ``"random weights"``.
        name_cases: Whether it names slices and patients as the data set does; only for public data.

    Raises:
        ModelError: The recipe's description of the model is not complete.
        SettingError: It is no recipe for a detector.
    """
    return describe(recipe, detector_stage(recipe), cases if name_cases else nameless(cases), start)


def publish_detector(
    package: ModelPackage,
    task: DetectionTask,
    weights: dict[str, Tensor],
    folder: Path,
    device: Device,
    progress: Progress | None = None,
) -> tuple[Path, DetectionReport | None]:
    """Write the package with what it is worth inside.

    Args:
        package: As described before the training.
        task: What was learned; its held-out slices are measured.
        weights: State dict of the network.
        folder: Where the package goes.
        device: Where to measure.
        progress: Followed, and may cancel.

    Returns:
        The package's file, and how good the detector is; None if no lesion was held out.
    """

    def measure(loaded: ModelPackage) -> tuple[DetectionReport | None, dict]:
        report = _measure(Detector(loaded, device), task, progress or Progress())
        return report, {} if report is None else {"held_out": report.to_dict()}

    return publish(package, weights, folder, measure, partial(_card, task))


def _measure(detector: Detector, task: DetectionTask, progress: Progress) -> DetectionReport | None:
    cases = [each.case for each in task.validation]
    if not any(case.boxes for case in cases):
        return None
    with progress.stage("measure on held-out slices"):
        found = task.found(detector.network, detector.device, progress)
    return evaluate_detection(found, [case.diameters_mm for case in cases], [case.patient for case in cases])


def summary(report: DetectionReport | None) -> str:
    """What was measured, for people."""
    if report is None:
        return "No lesion was held out, so nobody knows how good it is."
    lines = [f"{report.lesions} lesions in {report.pictures} held-out slices of {report.patients} patients"]
    lines += [f"sensitivity at {rate:g} false alarms a slice: {each}" for rate, each in report.sensitivity.items()]
    lines += [
        f"{name} mm: {count} lesions, {', '.join(f'{value:.2f}' for value in found.values())}"
        for name, (count, found) in report.by_size.items()
    ]
    return "\n".join(lines)


def _card(task: DetectionTask, package: ModelPackage, report: DetectionReport | None) -> str:
    stage, training = package.stages[0], [each.case for each in task.training]
    x, y, z = stage.preprocessing["spacing"]
    return card(
        package,
        f"It looks at {stage.window[0]} slices {z:g} mm apart, of pixels of {x:g} x {y:g} mm, and puts boxes with "
        "scores around what it takes for a lesion in the middle one.",
        _measured(report),
        f"{sum(len(case.boxes) for case in training)} lesions in {len(training)} slices of "
        f"{len({case.patient for case in training})} patients.",
    )


def _measured(report: DetectionReport | None) -> str:
    if report is None:
        return summary(report)
    head = "| lesions | number | " + " | ".join(f"at {rate:g}" for rate in report.sensitivity) + " |"
    rows = [("all", report.lesions, [str(each) for each in report.sensitivity.values()])]
    rows += [
        (f"{name} mm", count, [f"{value:.3f}" for value in found.values()])
        for name, (count, found) in report.by_size.items()
    ]
    table = "\n".join(f"| {name} | {count} | {' | '.join(values)} |" for name, count, values in rows)
    return (
        f"Share of lesions found at so many false alarms a slice, in {report.pictures} slices of {report.patients} "
        "patients; 95 % intervals by drawing patients; a box must overlap the true one by half (IoU).\n\n"
        f"{head}\n|---|---|{'---|' * len(report.sensitivity)}\n{table}"
    )
