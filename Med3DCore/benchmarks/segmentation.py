"""Measure a segmentation on the held-out cases of a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from Med3DCore.benchmarks.results import Results
from Med3DCore.benchmarks.task import BenchmarkTask
from Med3DCore.benchmarks.usage import Usage
from Med3DCore.errors import DataError
from Med3DCore.evaluation import LabelPair, evaluate
from Med3DCore.evaluation.bootstrap import mean_with_interval
from Med3DCore.evaluation.report import LabelReport
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.io import write_volume
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case, read_channels, read_image
from Med3DCore.training.cases.label import read_label
from Med3DCore.volume import LabelMap, Volume

_USUAL_TOLERANCE_MM = 2.0
_TITLES = {"dice": "Dice", "jaccard": "IoU", "nsd": "NSD", "assd_mm": "ASSD mm", "hd95_mm": "HD95 mm"}


def measure_segmentation(
    task: BenchmarkTask, pipeline: Pipeline, cases: Sequence[Case], folder: Path, progress: Progress
) -> Results:
    """Segment cases, keep what was found in ``folder`` with the data set's own values, and compare it.

    Empty labels count as FLARE 2022 counts them: right if neither has the label, all wrong if one of both has it.

    Args:
        task: The task.
        pipeline: The model.
        cases: The held-out cases.
        folder: For the label maps, ``NAME.nii.gz``.
        progress: Followed; may cancel.

    Raises:
        DataError: There is no case, or an image and its label do not fit.
    """
    if not cases:
        raise DataError("No case is held out, so there is nothing to measure.")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with progress.stage("measure on held-out cases", share=1.0):
        for done, case in enumerate(cases):
            progress.update(done / len(cases))
            device = pipeline.networks.device.name
            with Usage(device if device.startswith("cuda") else None) as usage:
                image = read_image(case)
                channels = read_channels(case, image, pipeline.inputs)
                found = pipeline.segment(image, list(task.labels), channels=channels)
            write_volume(_as_stored(found, task), folder / f"{case.name}.nii.gz")
            truth = read_label(case, found.geometry)
            for name in task.judged:
                report = judge(task, name, found, truth)
                values = {measure: _counted(report, measure) for measure in task.measures}
                rows.append({"case": case.name, "patient": case.patient, "label": name, **values, **usage.to_dict()})
    return _results(task, pipeline.package.reference, rows)


def judge(task: BenchmarkTask, name: str, found: LabelMap, truth: LabelMap) -> LabelReport:
    """Compare one label or region of a result with the data set's.

    Args:
        task: The task.
        name: One of what it judges.
        found: The labels of the task, numbered in its order.
        truth: With the data set's values, on the same grid.
    """
    members = task.judged[name]
    values = tuple(int(value) for member in members for value in np.atleast_1d(task.labels[member]))
    pair = LabelPair(name, tuple(found.value(member) for member in members), values)
    if name in task.within_reference_slices:
        found = _within_slices(found, np.isin(truth.array, values))
    tolerance = task.nsd_tolerance_mm.get(name, _USUAL_TOLERANCE_MM)
    return evaluate(found, truth, [pair], tolerance).labels[name]


def _within_slices(found: LabelMap, truth: np.ndarray) -> LabelMap:
    """What was found between the reference's lowest and highest slice; all of it where the reference is empty.

    FLARE 2022 judges aorta, vena cava and esophagus so, since people end them anywhere. Its code leaves the highest
    labelled slice out, too.
    """
    toward_head = np.abs(found.geometry.direction_matrix[2])
    axis = 2 - int(toward_head.argmax())
    used = np.flatnonzero(truth.any(axis=tuple(other for other in range(3) if other != axis)))
    if not used.size:
        return found
    array = np.zeros_like(found.array)
    place = tuple(slice(used[0], used[-1] + 1) if each == axis else slice(None) for each in range(3))
    array[place] = found.array[place]
    return LabelMap(array, found.geometry, found.name, found.labels)


def _counted(report: LabelReport, measure: str) -> float:
    both_empty = report.overlap.prediction == report.overlap.reference == 0
    return 1.0 if both_empty and measure == "nsd" else report.measures[measure]


def _as_stored(found: LabelMap, task: BenchmarkTask) -> Volume:
    """The result with the data set's values; of a label with several the first."""
    table = np.zeros(256, np.uint8)
    for name, value in task.labels.items():
        table[found.value(name)] = np.atleast_1d(value)[0]
    return Volume(table[found.array], found.geometry, found.name)


def _results(task: BenchmarkTask, model: str, rows: list[dict[str, Any]]) -> Results:
    patients = {row["patient"] for row in rows}
    figures, boxes = {}, {}
    for measure in task.measures:
        for name in task.judged:
            own = [row for row in rows if row["label"] == name]
            figures[f"{measure} {name}"] = mean_with_interval(
                [row[measure] for row in own], [row["patient"] for row in own]
            )
            boxes[f"{_TITLES[measure]} {name}"] = [row[measure] for row in own]
        if len(task.judged) > 1:
            cases: dict[str, list[dict[str, Any]]] = {}
            for row in rows:
                cases.setdefault(row["case"], []).append(row)
            means = [float(np.mean([row[measure] for row in own])) for own in cases.values()]
            figures[f"mean {measure}"] = mean_with_interval(means, [own[0]["patient"] for own in cases.values()])
    first = [row for row in rows if row["label"] == next(iter(task.judged))]
    for key in ("seconds", "cpu_percent_seconds", "memory_mb", "gpu_memory_mb_seconds"):
        if all(row[key] is not None for row in first):
            figures[key] = mean_with_interval([row[key] for row in first], [row["patient"] for row in first])
    return Results(task.name, model, len(patients), rows, figures, boxes)
