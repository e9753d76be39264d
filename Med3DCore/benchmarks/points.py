"""Points of scans and their classes: read, thinned for learning, and measured on those held out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from Med3DCore.benchmarks.held_out import Divided, divide
from Med3DCore.benchmarks.lidc import read_lidc
from Med3DCore.benchmarks.luna16 import Luna16, fewer_negatives, read_luna16
from Med3DCore.benchmarks.results import Results
from Med3DCore.benchmarks.task import BenchmarkTask, check_object
from Med3DCore.errors import SettingError
from Med3DCore.evaluation.candidates import candidate_froc, sensitivities
from Med3DCore.evaluation.classification import Estimate, evaluate_classification, roc_points
from Med3DCore.evaluation.froc import pooled
from Med3DCore.inference.classify import Classifier
from Med3DCore.io import read_volume
from Med3DCore.progress import Progress
from Med3DCore.training.classification.malignancy import RULES
from Med3DCore.training.classification.nodules import Nodule

LIDC, LUNA16 = "lidc", "luna16"


def divided_points(task: BenchmarkTask, folder: Path, progress: Progress | None = None) -> Divided[Nodule]:
    """The points of a task's data set; those to learn from are fewer where the classes are far from equally common.

    Raises:
        SettingError: The task's ``data`` is not as it must be.
        DataError: The data set is not as the task says.
    """
    data = _checked(task)
    if data["reader"] == LIDC:
        nodules = read_lidc(task, folder, progress)
        kinds: dict[str, str] = {}
        for nodule in nodules:  # a patient with a malignant nodule is of that kind
            kinds[nodule.patient] = max(kinds.get(nodule.patient, ""), nodule.kind)
        return divide(nodules, task.split, kinds)
    luna = read_luna16(task, folder, progress)
    own = {scan for scan, subset in luna.subsets.items() if subset in data.get("test_subsets", [])}
    test = own & {candidate.patient for candidate in luna.candidates} or None
    divided = divide(luna.candidates, task.split, test=test)
    return Divided(fewer_negatives(divided.teaching, int(data["negatives_per_scan"]), task.split.seed), divided.test)


def _checked(task: BenchmarkTask) -> dict[str, Any]:
    data, texts = task.data, {"reader": "a text"}
    try:
        reader = data.get("reader")
        if reader == LIDC:
            check_object(data, "'data'", {**texts, "rule": "a text"}, {"modality": "a text"})
            if data["rule"] not in RULES:
                raise ValueError(f"the rule '{data['rule']}' is unknown; known are {', '.join(RULES)}")
        elif reader == LUNA16:
            optional = {"test_subsets": "a list", "modality": "a text"}
            check_object(data, "'data'", {**texts, "negatives_per_scan": "a number"}, optional)
        else:
            raise ValueError(f"'data' names the reader {reader!r}; of points there are {LIDC} and {LUNA16}")
    except ValueError as error:
        raise SettingError(f"The task {task.file}: {error}.") from None
    return data


def measure_points(
    task: BenchmarkTask, classifier: Classifier, points: Sequence[Nodule], data: Path, progress: Progress
) -> Results:
    """Ask a classifier about points that were held out; each scan is read once.

    Args:
        task: The task.
        classifier: The model.
        points: Held-out points.
        data: The data set's folder, for LUNA16's reference.
        progress: Followed; may cancel.

    Raises:
        DataError: A point lies outside of its scan, or there is none.
    """
    rows: list[dict[str, Any]] = []
    scans = list(dict.fromkeys(point.image for point in points))
    with progress.stage("look at the points", share=1.0):
        for done, scan in enumerate(scans):
            progress.update(done / len(scans))
            own = [point for point in points if point.image == scan]
            answers = classifier.classify(read_volume(scan), [(point.name, point.centre) for point in own])
            for point, answer in zip(own, answers, strict=True):
                score = answer.probabilities[classifier.stage.labels[1]]
                place = dict(zip("xyz", point.centre, strict=True))
                row = {"case": point.name, "patient": point.patient, **place, "truth": int(point.malignant)}
                rows.append({**row, "score": score})
    scores, truths = [row["score"] for row in rows], [bool(row["truth"]) for row in rows]
    report = evaluate_classification(scores, truths, [row["patient"] for row in rows])
    figures = {name: getattr(report, name) for name in ("auc", "accuracy", "sensitivity", "specificity")}
    figures["accuracy of the commoner answer"] = Estimate(report.majority, None, None, report.n)
    curves, axes = {"ROC": roc_points(np.array(scores), np.array(truths))}, ("false positive rate", "sensitivity")
    if task.data["reader"] == LUNA16:
        found, cpm, curve = _of_luna16(read_luna16(task, data), rows)
        figures |= {"CPM": cpm, **found}
        curves, axes = {"FROC": curve}, ("false alarms a scan", "sensitivity")
    boxes = {
        f"score {name}": [s for s, t in zip(scores, truths, strict=True) if t == second]
        for second, name in enumerate(classifier.stage.labels)
    }
    model = classifier.package.reference
    return Results(task.name, model, report.patients, rows, figures, boxes, curves, axes, report.warnings)


def _of_luna16(
    luna: Luna16, rows: Sequence[dict[str, Any]]
) -> tuple[dict[str, Estimate], Estimate, tuple[list[float], list[float]]]:
    """Sensitivities, CPM and the curve by LUNA16's rules."""
    scans = []
    for scan in dict.fromkeys(row["patient"] for row in rows):
        nodules = [each for each in luna.nodules if each.scan == scan]
        ignored = [each for each in luna.excluded if each.scan == scan]
        hits, alarms = [-np.inf] * len(nodules), []
        for row in (row for row in rows if row["patient"] == scan):
            place = (row["x"], row["y"], row["z"])
            hit = [number for number, nodule in enumerate(nodules) if nodule.is_hit(place)]
            for number in hit:
                hits[number] = max(hits[number], row["score"])
            if not hit and not any(each.is_hit(place) for each in ignored):
                alarms.append(row["score"])
        scans.append(candidate_froc(hits, alarms))
    found, cpm = sensitivities(scans)
    x, y = pooled(scans).points()
    named = {f"sensitivity at {rate:g} FP a scan": value for rate, value in found.items()}
    return named, cpm, (x.tolist(), y.tolist())
