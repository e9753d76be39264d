"""Which cases train and which ones check: folds by patient, in a file that several trainings share.

The file has the form of nnU-Net's ``splits_final.json``, so either program can use the other's: a list with, for each
fold, ``{"train": [case names], "val": [case names]}``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from Med3DCore.errors import DataError, SettingError
from Med3DCore.io import written_beside
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import AnyCase, Case
from Med3DCore.training.cases.description import check_cases, read_json
from Med3DCore.training.cases.label import labels_in

Fold = dict[str, list[str]]


def make_folds(cases: Sequence[Case], shown: Mapping[str, set[str]], folds: int = 5, seed: int = 0) -> list[Fold]:
    """Divide the patients so that every one is checked on once and each label is spread evenly.

    Patients whose rarest label is rarest are placed first, each where the fewest patients show the same (the greedy
    stratification of Sechidis et al. 2011, for patients).

    Args:
        cases: All cases.
        shown: Case name to the labels that can be seen in it, see :func:`labels_shown`.
        folds: How many.
        seed: The same seed gives the same folds.

    Raises:
        SettingError: There are fewer than two folds or fewer patients than folds.
    """
    patients: dict[str, set[str]] = {}
    for case in cases:
        patients.setdefault(case.patient, set()).update(shown[case.name])
    if not 2 <= folds <= len(patients):
        raise SettingError(f"{len(patients)} patients cannot be divided into {folds} folds; ask for 2 to that many.")
    counts = Counter(label for labels in patients.values() for label in labels)
    names = sorted(patients)
    np.random.default_rng(seed).shuffle(names)
    names.sort(key=lambda name: min((counts[label] for label in patients[name]), default=len(patients) + 1))
    members: list[list[str]] = [[] for _ in range(folds)]
    having: list[Counter[str]] = [Counter() for _ in range(folds)]
    for name in names:
        rarest_first = sorted(patients[name], key=lambda label: (counts[label], label))
        best = min(range(folds), key=lambda f: ([having[f][label] for label in rarest_first], len(members[f])))
        members[best].append(name)
        having[best].update(patients[name])
    return [_fold(cases, set(held_out)) for held_out in members]


def _fold(cases: Sequence[Case], held_out: set[str]) -> Fold:
    return {
        "train": [case.name for case in cases if case.patient not in held_out],
        "val": [case.name for case in cases if case.patient in held_out],
    }


def hold_out(
    cases: Sequence[AnyCase], shown: Mapping[str, set[str]], folds: int, fold: int, seed: int
) -> list[AnyCase]:
    """Keep the patients of one of several folds for validation.

    Args:
        cases: All cases.
        shown: What to spread evenly over the folds, as for :func:`make_folds`.
        folds: How many; every patient is held out in one of them.
        fold: Which, from 0.
        seed: The same seed gives the same folds.

    Raises:
        SettingError: There is no such fold, or there are fewer patients than folds.
    """
    parts = make_folds(cases, shown, folds, seed)
    if not 0 <= fold < folds:
        raise SettingError(f"There are the folds 0 to {folds - 1}, not {fold}.")
    held_out = set(parts[fold]["val"])
    return [replace(case, split="validation" if case.name in held_out else "training") for case in cases]


def labels_shown(cases: Sequence[Case], progress: Progress | None = None) -> dict[str, set[str]]:
    """The labels of which a case's label file holds a voxel, by case name; reads the label files.

    Raises:
        DataError: There are values that nobody described.
        VolumeError: A file cannot be read.
    """
    progress = progress or Progress()
    shown: dict[str, set[str]] = {}
    with progress.stage("read labels", share=1.0):
        for done, case in enumerate(cases):
            progress.update(done / len(cases))
            shown[case.name] = labels_in(case)
    return shown


def write_splits(folds: Sequence[Fold], path: Path) -> None:
    """Write folds as JSON.

    Raises:
        OutputError: The file cannot be written.
    """
    with written_beside(Path(path), ".json") as temporary:
        temporary.write_text(json.dumps(folds, indent=1) + "\n", encoding="utf-8")


def apply_split(cases: Sequence[AnyCase], path: Path, fold: int) -> list[AnyCase]:
    """The cases with the split that one fold of a file says.

    Args:
        cases: All cases.
        path: File as :func:`write_splits` or nnU-Net writes it.
        fold: Which, from 0.

    Raises:
        SettingError: There is no such fold.
        DataError: The file cannot be read, names other cases, or has a patient on both sides.
    """
    folds = read_json(path)
    try:
        sides = [{str(name): side for side in ("train", "val") for name in part[side]} for part in folds]
    except (KeyError, TypeError) as error:
        raise DataError(f'{path} is no file of splits: a list of {{"train": [...], "val": [...]}}.') from error
    if not 0 <= fold < len(sides):
        raise SettingError(f"{path} has the folds 0 to {len(sides) - 1}, not {fold}.")
    side = sides[fold]
    strangers = sorted({case.name for case in cases} ^ side.keys())
    if strangers:
        raise DataError(f"{path} was made for other cases (see '{strangers[0]}'); make it again for this data set.")
    split = {"train": "training", "val": "validation"}
    divided = [replace(case, split=split[side[case.name]]) for case in cases]
    check_cases(divided, path)
    return divided
