"""The data set of a task, read and divided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from Med3DCore.benchmarks.detection import divided_slices
from Med3DCore.benchmarks.held_out import Divided, divide
from Med3DCore.benchmarks.labelled import labelled_cases
from Med3DCore.benchmarks.points import divided_points
from Med3DCore.benchmarks.task import DETECTION, POINTS, VOLUMES, BenchmarkTask
from Med3DCore.benchmarks.volumes import divided_scans
from Med3DCore.progress import Progress


def read_divided(task: BenchmarkTask, folder: Path, progress: Progress | None = None) -> Divided[Any]:
    """The cases of a task's data set, those to learn from and those to test on.

    Raises:
        DataError: The data set is not as the task says, or has too few patients.
        SettingError: The task's ``data`` is not as it must be.
    """
    if task.kind == POINTS:
        return divided_points(task, folder, progress)
    if task.kind == DETECTION:
        return divided_slices(task, folder, progress)
    if task.kind == VOLUMES:
        return divided_scans(task, folder, progress)
    return divide(labelled_cases(task, folder, progress), task.split)
