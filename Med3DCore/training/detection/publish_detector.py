"""Make a model package of a trained detector: measure it on the held-out slices, say where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.evaluation.detection import DetectionReport, evaluate_detection
from Med3DCore.inference.detect import Detector
from Med3DCore.inference.device import Device
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import check_description, load_package, save_package
from Med3DCore.progress import Progress
from Med3DCore.training.detection.detection import DetectionTask, detector_stage
from Med3DCore.training.detection.key_slices import KeySlice
from Med3DCore.training.learning.recipe import Recipe, package_of
from Med3DCore.training.segmentation.publish import nameless, provenance

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
    stage = detector_stage(recipe)
    known = provenance({stage.stage.name: stage.training}, recipe.seed, cases if name_cases else nameless(cases))
    package = package_of(recipe.model, stages=(stage.stage,), provenance={**known, "started_from": start})
    check_description(package)
    return package


def publish_detector(
    package: ModelPackage,
    task: DetectionTask,
    weights: dict[str, Tensor],
    folder: Path,
    device: Device,
    progress: Progress | None = None,
) -> tuple[Path, DetectionReport | None]:
    """Write the package with what it is worth inside.

    It is written once without metrics and loaded as a user's computer would, so what is measured are the weights in
    half precision.

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
    parts, progress = {package.stages[0].name: weights}, progress or Progress()
    path, report = save_package(package, parts, folder), None
    if any(each.case.boxes for each in task.validation):
        detector = Detector(load_package(path), device)
        with progress.stage("measure on held-out slices"):
            found = task.found(detector.network, device, progress)
        cases = [each.case for each in task.validation]
        report = evaluate_detection(found, [case.diameters_mm for case in cases], [case.patient for case in cases])
        package = replace(package, metrics={"held_out": report.to_dict()})
    card = _card(package, report, [each.case for each in task.training])
    return save_package(replace(package, card=card), parts, folder), report


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


def _card(package: ModelPackage, report: DetectionReport | None, training: Sequence[KeySlice]) -> str:
    """The model card, Markdown."""
    stage, known = package.stages[0], package.provenance
    x, y, z = stage.preprocessing["spacing"]
    slices = stage.window[0]
    parts = [
        f"# {package.title} ({package.reference})",
        package.description,
        "For research and teaching. Not a medical device; not for diagnosis or treatment.",
        f"Licence of the weights: {package.licence}. Modality: {package.modality}.",
        f"It looks at {slices} slices {z:g} mm apart, of pixels of {x:g} x {y:g} mm, and puts boxes with scores around "
        "what it takes for a lesion in the middle one.",
        f"## Held-out patients\n\n{_measured(report)}",
        f"## Training data\n\n{sum(len(case.boxes) for case in training)} lesions in {len(training)} slices of "
        f"{len({case.patient for case in training})} patients. Started from {known['started_from']}. Seed "
        f"{known['seed']}.",
        "\n".join(f"- {source['name']}: {source['licence']}" for source in known["data_sets"]),
    ]
    return "\n\n".join(parts) + "\n"


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
