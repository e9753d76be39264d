"""See whether a data set is as a task says, before a night is spent on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from Med3DCore.benchmarks.data import read_divided
from Med3DCore.benchmarks.held_out import Divided
from Med3DCore.benchmarks.task import SEGMENTATION, VOLUMES, BenchmarkTask
from Med3DCore.benchmarks.volumes import counted
from Med3DCore.errors import DataError, VolumeError
from Med3DCore.io import find_scan
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.label import labels_in


def check_data(task: BenchmarkTask, folder: Path, progress: Progress | None = None) -> tuple[list[str], list[str]]:
    """What a data set holds, and what is wrong with it; label files are read, of images the headers.

    Returns:
        Lines for people, and a sentence for each case that cannot be used.

    Raises:
        DataError: The data set is not as the task says at all.
        SettingError: The task's ``data`` is not as it must be.
    """
    progress = progress or Progress()
    divided = read_divided(task, folder, progress)
    lines = [_counted(divided)]
    if task.kind == VOLUMES:
        scans = [*divided.teaching, *divided.test]
        return [*lines, *counted(scans)], _unreadable(scans, progress)
    if task.kind != SEGMENTATION:
        return lines, []
    shown, wrong = Counter[str](), []
    cases = [*divided.teaching, *divided.test]
    with progress.stage("read labels", share=1.0):
        for done, case in enumerate(cases):
            progress.update(done / len(cases))
            try:
                _require_one_grid(case)
                shown.update(labels_in(case))
            except (DataError, VolumeError) as error:
                wrong.append(str(error))
    lines += [f"{name}: in {shown[name]} of {len(cases)} cases" for name in task.labels]
    return lines, wrong


def _unreadable(scans: Sequence[Case], progress: Progress) -> list[str]:
    """A sentence for each scan whose header cannot be read."""
    wrong = []
    with progress.stage("read headers", share=1.0):
        for done, scan in enumerate(scans):
            progress.update(done / len(scans))
            try:
                find_scan(scan.image)
            except VolumeError as error:
                wrong.append(f"Case '{scan.name}': {error}")
    return wrong


def _counted(divided: Divided) -> str:
    parts = {
        "to learn from": [case for case in divided.teaching if case.split == "training"],
        "to choose the best step on": [case for case in divided.teaching if case.split == "validation"],
        "to test on": divided.test,
    }
    counted = [
        f"{len(cases)} cases of {len({c.patient for c in cases})} patients {what}" for what, cases in parts.items()
    ]
    return ", ".join(counted)


def _require_one_grid(case: Case) -> None:
    """Refuse images of a case that do not lie over each other.

    Raises:
        DataError: One lies on another grid than the first.
    """
    first = find_scan(case.image).geometry
    for file in case.channels:
        if not find_scan(file).geometry.is_close(first, tolerance_mm=0.1):
            raise DataError(f"Case '{case.name}': {file} lies on another grid than {case.image}.")
