"""Measure a classifier of whole scans on those held out; its class activation maps, where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from Med3DCore.benchmarks.results import Curve, Results
from Med3DCore.benchmarks.task import BenchmarkTask
from Med3DCore.drawing.class_map import write_class_map
from Med3DCore.evaluation.classes import evaluate_classes
from Med3DCore.evaluation.classification import roc_points
from Med3DCore.inference.classify_scan import MUCH_UNSEEN, ScanAnswer, ScanClassifier
from Med3DCore.io import read_volume, write_volume
from Med3DCore.models.package import name_from_title
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import UNKNOWN
from Med3DCore.training.classification.classified import Scan
from Med3DCore.volume import Volume


def measure_scans(
    task: BenchmarkTask, classifier: ScanClassifier, scans: Sequence[Scan], maps: Path | None, progress: Progress
) -> Results:
    """Ask a classifier about scans that were held out.

    Args:
        task: The task.
        classifier: The model.
        scans: Held-out scans.
        maps: Folder for a map, and a picture of it, of all that each scan is said to show; None for none.
        progress: Followed; may cancel.

    Raises:
        VolumeError: A scan cannot be read.
        SettingError: Maps are wanted, and matplotlib is not installed.
    """
    names = classifier.stage.labels
    rows: list[dict[str, Any]] = []
    found, unseen = [], 0
    with progress.stage("look at the scans", share=1.0):
        for done, scan in enumerate(scans):
            progress.update(done / len(scans))
            volume = read_volume(scan.image)
            answer = classifier.classify(volume)
            unseen += classifier.unseen(volume) > MUCH_UNSEEN
            if maps is not None:
                write_maps(classifier, volume, answer, answer.called, maps, scan.name)
            found.append([answer.probabilities[name] for name in names])
            row: dict[str, Any] = {"case": scan.name, "patient": scan.patient}
            if answer.exclusive:
                row |= {"truth": scan.kind, "answer": answer.likeliest, **answer.probabilities}
            else:
                for name, shown in zip(names, scan.shown, strict=True):
                    row |= {f"{name} truth": None if shown == UNKNOWN else shown}
                    row |= {f"{name} score": answer.probabilities[name]}
            rows.append(row)
    scores, answers = np.array(found), np.array([scan.shown for scan in scans], np.uint8)
    report = evaluate_classes(scores, answers, names, [scan.patient for scan in scans], classifier.exclusive)
    notes = list(report.warnings)
    if unseen:
        notes.append(f"Of {unseen} scans more than a quarter lies outside of what the network looks at.")
    curves, boxes = _drawn(scores, answers, names)
    axes = ("false positive rate", "sensitivity")
    reference = classifier.package.reference
    return Results(task.name, reference, report.patients, rows, report.figures(), boxes, curves, axes, tuple(notes))


def _drawn(
    scores: np.ndarray, answers: np.ndarray, names: Sequence[str]
) -> tuple[dict[str, Curve], dict[str, list[float]]]:
    """ROC curves, and scores of the scans that show a label beside those that do not."""
    curves, boxes = dict[str, Curve](), dict[str, list[float]]()
    for column, name in enumerate(names):
        told = answers[:, column] != UNKNOWN
        own, shown = scores[told, column], answers[told, column] == 1
        curve = roc_points(own, shown)
        if curve[0]:
            curves[name] = curve
            boxes[f"score {name}: not shown"] = own[~shown].tolist()
            boxes[f"score {name}: shown"] = own[shown].tolist()
    return curves, boxes


def write_maps(
    classifier: ScanClassifier, volume: Volume, answer: ScanAnswer, labels: Sequence[str], folder: Path, name: str
) -> list[Path]:
    """Write ``NAME_LABEL.nii.gz``, a map on the scan's grid, and ``NAME_LABEL.png`` of each label.

    Raises:
        SettingError: matplotlib is not installed.
        OutputError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    statistics = classifier.preprocessing.intensity.measure(volume)
    written = []
    for label in labels:
        file = folder / f"{name}_{name_from_title(label)}.nii.gz"
        evidence = Volume(answer.map_on(label, volume.geometry), volume.geometry, label)
        write_volume(evidence, file)
        picture = file.with_name(file.name.removesuffix(".nii.gz") + ".png")
        title = f"{name}: {label} {answer.probabilities[label]:.2f}"
        write_class_map(volume, evidence, (statistics.low, statistics.high), title, picture)
        written += [file, picture]
    return written
