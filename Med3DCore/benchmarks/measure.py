"""Measure the model of a run on the held-out cases, as the kind of the task asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from Med3DCore.benchmarks.detection import measure_detection
from Med3DCore.benchmarks.points import measure_points
from Med3DCore.benchmarks.results import Results
from Med3DCore.benchmarks.scan_answers import measure_scans
from Med3DCore.benchmarks.segmentation import measure_segmentation
from Med3DCore.benchmarks.task import DETECTION, POINTS, VOLUMES, BenchmarkTask
from Med3DCore.errors import SettingError
from Med3DCore.inference.classify import Classifier
from Med3DCore.inference.classify_scan import ScanClassifier
from Med3DCore.inference.detect import Detector
from Med3DCore.inference.device import Device
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.models.package_file import load_package
from Med3DCore.progress import Progress


def measure(
    task: BenchmarkTask,
    model: Path,
    cases: Sequence[Any],
    data: Path,
    folder: Path,
    device: Device,
    progress: Progress,
    maps: bool = False,
) -> Results:
    """What a model is worth on cases.

    Args:
        task: The task.
        model: The model's file.
        cases: Held-out cases of the task's data set.
        data: The data set.
        folder: For what was found.
        device: Where to compute.
        progress: Followed; may cancel.
        maps: Whether to write class activation maps into the folder.

    Raises:
        SettingError: The task has no maps.
        Med3DError: Model or data cannot be used.
    """
    if maps and task.kind != VOLUMES:
        raise SettingError(
            f"The task {task.name} has no class activation maps; only whole scans that are classified have."
        )
    package = load_package(model)
    if task.kind == VOLUMES:
        return measure_scans(task, ScanClassifier(package, device), cases, folder / "maps" if maps else None, progress)
    if task.kind == POINTS:
        return measure_points(task, Classifier(package, device), cases, data, progress)
    if task.kind == DETECTION:
        return measure_detection(task, Detector(package, device), cases, progress)
    return measure_segmentation(task, Pipeline(package, device), cases, folder / "found", progress)
