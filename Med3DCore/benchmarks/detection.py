"""Boxes around lesions in DeepLesion's layout, divided as published, and measured on its test part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from Med3DCore.benchmarks.held_out import Divided
from Med3DCore.benchmarks.results import Results
from Med3DCore.benchmarks.task import BenchmarkTask, check_object
from Med3DCore.errors import DataError, SettingError
from Med3DCore.evaluation.bootstrap import mean_with_interval
from Med3DCore.evaluation.classification import Estimate
from Med3DCore.evaluation.detection import evaluate_detection
from Med3DCore.evaluation.froc import froc
from Med3DCore.inference.detect import Detector
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.detection.detection import find_in_stacks
from Med3DCore.training.detection.key_slices import KeySlice, read_key_slices
from Med3DCore.training.detection.stacks import prepare_stacks

DEEP_LESION = "deep_lesion"


def divided_slices(task: BenchmarkTask, folder: Path, progress: Progress | None = None) -> Divided[KeySlice]:
    """The key slices, in the parts that the table's ``Train_Val_Test`` says.

    Raises:
        SettingError: The task's ``data`` is not as it must be.
        DataError: The data set is not as the task says, or has no slice for testing.
    """
    try:
        check_object(task.data, "'data'", {"reader": "a text"}, {"modality": "a text"})
        if task.data["reader"] != DEEP_LESION:
            raise ValueError(f"'data' names the reader {task.data['reader']!r}; of boxes there is {DEEP_LESION}")
    except ValueError as error:
        raise SettingError(f"The task {task.file}: {error}.") from None
    test = [case for case in read_key_slices(folder, "test") if case.split == "validation"]
    if not test:
        raise DataError(f"The table in {folder} has no slice for testing (Train_Val_Test 3).")
    return Divided(read_key_slices(folder, progress=progress), test)


def measure_detection(
    task: BenchmarkTask, detector: Detector, cases: Sequence[KeySlice], progress: Progress
) -> Results:
    """FROC on slices: a box finds a lesion that it overlaps by half (IoU), see :mod:`Med3DCore.evaluation.froc`.

    Args:
        task: The task.
        detector: The model.
        cases: Held-out slices.
        progress: Followed; may cancel.

    Raises:
        DataError: No slice has a lesion.
    """
    preprocessing = Preprocessing.from_dict(detector.stage.preprocessing)
    with progress.stage("prepare cases", share=0.3):
        stacks = prepare_stacks(cases, preprocessing, detector.stage.window[0], None, progress)
    with progress.stage("measure on held-out slices", share=0.7):
        found = find_in_stacks(detector.network, stacks, preprocessing.intensity, detector.device, progress)
    report = evaluate_detection(found, [case.diameters_mm for case in cases], [case.patient for case in cases])
    figures = {f"sensitivity at {rate:g} FP a slice": value for rate, value in report.sensitivity.items()}
    figures["mean sensitivity"] = Estimate(report.mean, None, None, report.lesions)
    rows: list[dict[str, Any]] = []
    best: list[tuple[float, str]] = []
    for case, each in zip(cases, found, strict=True):
        own = froc([each])
        row = {"case": case.name, "patient": case.patient, "lesions": len(case.boxes), "boxes": len(each.scores)}
        rows.append({**row, "highest false alarm": float(own.alarms.max(initial=0.0))})
        best += [(float(max(score, 0.0)), case.patient) for score in own.hits]
    figures["score of lesions"] = mean_with_interval([score for score, _ in best], [who for _, who in best])
    x, y = froc(found).points()
    boxes = {"score of lesions": [score for score, _ in best]}
    boxes["score of the highest false alarm"] = [row["highest false alarm"] for row in rows]
    axes = ("false alarms a slice", "sensitivity")
    curves = {"FROC": (x.tolist(), y.tolist())}
    return Results(task.name, detector.package.reference, report.patients, rows, figures, boxes, curves, axes)
