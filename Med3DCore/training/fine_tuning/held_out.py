"""A fair look at a fine-tuned model: the same patients before and after, of whom it saw nothing in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from Med3DCore.evaluation import CaseReport
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case, read_image
from Med3DCore.training.segmentation.publish import compare_with_truth
from Med3DCore.volume import LabelMap

AUTOMATIC = "automatic"
"""The split of a case of which the user did not say what it is for."""

Scores = dict[str, dict[str, float]]

_ENOUGH_PATIENTS = 3
_PATIENTS_FOR_ONE = 5
_FEW_TRAINING_CASES = 3
_WORSE = 0.01
_USELESS = 0.6
_CHANGED = 0.95
_ITS_OWN = 0.9995


@dataclass(frozen=True)
class Checked:
    """A held-out case and what a model finds in it.

    Args:
        case: The case.
        labels: All labels that the model knows.
        report: Comparison with what the user labelled; None if the model knows none of it.
    """

    case: Case
    labels: LabelMap
    report: CaseReport | None


def choose_held_out(cases: Sequence[Case], seed: int, shown_in: Mapping[str, set[str]] | None = None) -> list[Case]:
    """Decide for each case whether it is learned from, by patient.

    Where the user held out none and leaves the choice for three patients or more, one in five is held out; but never
    one without whom nobody would show a label to learn from.

    Args:
        cases: The cases; of split ``"automatic"`` are those that the user leaves to us.
        seed: Seed of the choice.
        shown_in: The labels of which a case shows a voxel, by its name; by default all that are annotated.

    Returns:
        The same cases in the same order, of split ``"training"`` or ``"validation"``.
    """
    by_user = {case.patient for case in cases if case.split == "validation"}
    learned = {case.patient for case in cases if case.split == "training"}
    free = sorted({case.patient for case in cases} - by_user - learned)
    everybody = len({case.patient for case in cases})
    held_out = set(by_user)
    if not by_user and free and everybody >= _ENOUGH_PATIENTS:
        count = min(len(free), max(1, everybody // _PATIENTS_FOR_ONE))
        shown: dict[str, set[str]] = {case.patient: set() for case in cases}
        for case in cases:
            shown[case.patient] |= set(case.annotated) if shown_in is None else shown_in[case.name]
        order = np.random.default_rng(seed).permutation(len(free))
        for patient in sorted((free[i] for i in order), key=lambda p: -len(shown[p])):
            others = set().union(*(shown[p] for p in shown.keys() - held_out - {patient}))
            if len(held_out) < count and shown[patient] <= others:
                held_out.add(patient)
    return [replace(case, split="validation" if case.patient in held_out else "training") for case in cases]


def check(pipeline: Pipeline, cases: Sequence[Case], progress: Progress, share: float) -> list[Checked]:
    """Segment the held-out cases with all labels of a model and compare them with the user's labels.

    Args:
        pipeline: The model.
        cases: All cases.
        progress: Followed, and may cancel.
        share: Part of its whole job.
    """
    checked, held_out = [], [case for case in cases if case.split == "validation"]
    for case in held_out:
        volume = read_image(case)
        names = pipeline.package.label_names
        # Of its own, since what a pipeline warns of here is about the case, not about the training.
        inner = Progress(is_cancelled=progress.is_cancelled)
        with progress.stage(f"check on {case.name}", share=share / len(held_out)):
            labels = pipeline.segment(volume, names, inner)
            known = [name for name in names if name in (*case.drawn, *case.absent)]
            report = compare_with_truth(labels, known, case) if known else None
            checked.append(Checked(case, labels, report))
    return checked


def scores(checked: Sequence[Checked]) -> Scores:
    """Dice of what the user labelled: ``{label: {case: Dice}}``; cases without the organ are left out."""
    found: Scores = {}
    for each in checked:
        for name, report in each.report.labels.items() if each.report else ():
            if report.measures["reference_volume_ml"]:
                found.setdefault(name, {})[each.case.name] = round(float(report.measures["dice"]), 4)
    return found


def false_positives(checked: Sequence[Checked]) -> Scores:
    """What a model finds of labels in cases without them: ``{label: {case: mL}}``."""
    found: Scores = {}
    for each in checked:
        for name, report in each.report.labels.items() if each.report else ():
            if not report.measures["reference_volume_ml"]:
                found.setdefault(name, {})[each.case.name] = round(float(report.measures["volume_ml"]), 2)
    return found


def agreement(before: Mapping[str, LabelMap], after: Sequence[Checked]) -> Scores:
    """How much alike both models find what the user did not label.

    Args:
        before: What the parent found, by name of the case.
        after: What the new model found.

    Returns:
        ``{label: {case: Dice of the two}}``.
    """
    found: Scores = {}
    for each in after:
        old = before.get(each.case.name)
        if old is None:
            continue
        for label in old.labels:
            if label.name not in (*each.case.annotated, *each.case.absent):
                a, b = old.mask(label.name), each.labels.mask(label.name)
                total = int(a.sum()) + int(b.sum())
                dice = 2 * int((a & b).sum()) / total if total else 1.0
                found.setdefault(label.name, {})[each.case.name] = round(dice, 4)
    return found


def verdict(cases: Sequence[Case], before: Scores, after: Scores, kept: Scores, title: Mapping[str, str]) -> list[str]:
    """What the user should know before trusting the new model.

    Args:
        cases: All cases.
        before: Scores of the parent.
        after: Scores of the new model.
        kept: Agreement of the two on what nobody labelled.
        title: Titles of the labels.
    """
    sentences = []
    training = sum(case.split == "training" for case in cases)
    if training < _FEW_TRAINING_CASES:
        sentences.append(f"It learned from {training} case{'s' * (training > 1)} only; three or more teach it better.")
    if training == len(cases):
        sentences.insert(
            0,
            "No case was held out, so nobody knows yet whether the new model is better: look at its results on scans "
            "that it has not seen, or add cases until there are three patients who show each label.",
        )
    else:
        sentences += [
            f"{title.get(name, name)} was checked on nobody: no case that was held out shows it. Look at its results, "
            "or label it in one more case."
            for name in dict.fromkeys(name for case in cases for name in case.annotated)
            if name not in after
        ]
    for name, cases_after in after.items():
        then, now = _mean(before[name]) if before.get(name) else None, _mean(cases_after)
        if then is not None and then >= _ITS_OWN:
            sentences.append(
                f"{title[name]} of what was held out is the result of the model from before, unchanged, so the figures "
                "do not say which model is better: hold out a case that you corrected."
            )
            continue
        if now < _USELESS:
            sentences.append(
                f"{title[name]} is not found well yet (Dice {now:.2f} on what was held out): train longer, or with "
                "more cases."
            )
        if then is not None and now < then - _WORSE:
            sentences.append(
                f"{title[name]} got worse on what was held out (Dice {then:.2f} before, {now:.2f} now): keep the model "
                "from before, or train longer or with more cases."
            )
    for name, alike in kept.items():
        if _mean(alike) < _CHANGED:
            sentences.append(
                f"{title[name]}, which nobody labelled, is found differently now (Dice {_mean(alike):.2f} between "
                "before and after): look at it, and keep the model from before for it if that was better."
            )
    return sentences


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)
