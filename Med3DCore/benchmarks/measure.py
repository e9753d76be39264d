"""Measure the model of a run on the held-out cases, as the kind of the task asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from Med3DCore.benchmarks.results import Results
from Med3DCore.benchmarks.segmentation import measure_segmentation
from Med3DCore.benchmarks.task import BenchmarkTask
from Med3DCore.inference.device import Device
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.models.package_file import load_package
from Med3DCore.progress import Progress


def measure(
    task: BenchmarkTask, model: Path, cases: Sequence[Any], folder: Path, device: Device, progress: Progress
) -> Results:
    """What a model is worth on cases.

    Args:
        task: The task.
        model: The model's file.
        cases: Held-out cases of the task's data set.
        folder: For what was found.
        device: Where to compute.
        progress: Followed; may cancel.

    Raises:
        Med3DError: Model or data cannot be used.
    """
    return measure_segmentation(task, Pipeline(load_package(model), device), cases, folder / "found", progress)
