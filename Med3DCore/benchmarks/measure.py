"""Measure the model of a run on the held-out cases, as the kind of the task asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from Med3DCore.benchmarks.detection import measure_detection
from Med3DCore.benchmarks.points import measure_points
from Med3DCore.benchmarks.results import Results
from Med3DCore.benchmarks.segmentation import measure_segmentation
from Med3DCore.benchmarks.task import DETECTION, POINTS, BenchmarkTask
from Med3DCore.inference.classify import Classifier
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

    Raises:
        Med3DError: Model or data cannot be used.
    """
    package = load_package(model)
    if task.kind == POINTS:
        return measure_points(task, Classifier(package, device), cases, data, progress)
    if task.kind == DETECTION:
        return measure_detection(task, Detector(package, device), cases, progress)
    return measure_segmentation(task, Pipeline(package, device), cases, folder / "found", progress)
