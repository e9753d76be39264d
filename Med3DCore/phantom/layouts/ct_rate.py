"""Chest CTs with a table of their reports' findings, in the folders of CT-RATE.

``train_fixed/train_1/train_1_a/train_1_a_1.nii.gz``, ``valid_fixed/...``, and in ``multi_abnormality_labels/``
``train_predicted_labels.csv`` and ``valid_predicted_labels.csv``: a column a finding, 0 or 1. In
``radiology_text_reports/`` is a sentence on each scan, in which the grade of an emphysema can be read.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from Med3DCore.phantom.chest_findings import FINDINGS, LABELS, ChestScan, paint_findings
from Med3DCore.phantom.emphysema import GRADES, paint_emphysema
from Med3DCore.phantom.make import make_phantom
from Med3DCore.phantom.settings import KERNELS, SIZES, PhantomSettings
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

COLUMNS: tuple[str, ...] = (
    "Medical material",
    "Arterial wall calcification",
    "Cardiomegaly",
    "Pericardial effusion",
    "Coronary artery wall calcification",
    "Hiatal hernia",
    "Lymphadenopathy",
    "Emphysema",
    "Atelectasis",
    "Lung nodule",
    "Lung opacity",
    "Pulmonary fibrotic sequela",
    "Pleural effusion",
    "Mosaic attenuation pattern",
    "Peribronchial thickening",
    "Consolidation",
    "Bronchiectasis",
    "Interlobular septal thickening",
)
"""Of the public table, after ``VolumeName``. Those that no phantom shows are 0."""

_HELD_OUT = 0.3  # share of patients in valid
EMPHYSEMA = "Emphysema"


def write_ct_rate(folder: Path, patients: int, seed: int, progress: Progress) -> None:
    """Each finding in a third of the patients, whatever else they have."""
    _write(folder, patients, seed, progress, dict.fromkeys((EMPHYSEMA, *FINDINGS), 0.35), 67)


def write_emphysema(folder: Path, patients: int, seed: int, progress: Progress) -> None:
    """Every second patient has an emphysema, mild as often as severe; other findings are rare."""
    chances = dict.fromkeys(FINDINGS, 0.1) | {EMPHYSEMA: 0.5}
    _write(folder, patients, seed, progress, chances, 71)


def make_chest(
    patient: int, chances: Mapping[str, float], rng: np.random.Generator, spacing: float = 3.0
) -> tuple[Volume, dict[str, np.ndarray], int]:
    """A chest CT with findings.

    Args:
        patient: Seed of the anatomy.
        chances: How likely an emphysema and each of ``FINDINGS`` is.
        rng: Source of all else.
        spacing: Voxel size in mm.

    Returns:
        int16 in HU; where each finding is, bool ``[z, y, x]``; the grade of the emphysema.
    """
    settings = PhantomSettings(
        spacing=(spacing,) * 3,
        region="chest",
        contrast="native",
        labels=LABELS,
        size=str(rng.choice(list(SIZES))),
        noise_hu=float(rng.uniform(8, 22)),
        kernel=str(rng.choice(list(KERNELS))),
        table=False,
    )
    phantom = make_phantom(patient, settings)
    hu = phantom.ct.array.astype(np.float32)
    scan = ChestScan(hu, phantom.labels.array, settings.spacing, rng)
    grade = int(rng.integers(1, len(GRADES))) if rng.random() < chances[EMPHYSEMA] else 0
    shown = {EMPHYSEMA: paint_emphysema(hu, scan.lungs, settings.spacing, grade, rng)} if grade else {}
    others = {name: bool(rng.random() < chance) for name, chance in chances.items() if name != EMPHYSEMA}
    shown |= paint_findings(scan, others)
    np.clip(hu, -1024, 3071, out=hu)
    return Volume(np.rint(hu).astype(np.int16), phantom.ct.geometry, f"patient {patient}"), shown, grade


def _write(
    folder: Path, patients: int, seed: int, progress: Progress, chances: Mapping[str, float], stream: int
) -> None:
    from Med3DCore.io import write_volume

    held_out = max(1, round(_HELD_OUT * patients))
    tables: dict[str, list[list[object]]] = {"train": [], "valid": []}
    reports: dict[str, list[list[object]]] = {"train": [], "valid": []}
    for number in range(patients):
        progress.update(number / patients)
        part = "valid" if number >= patients - held_out else "train"
        rng = np.random.default_rng([seed, number, stream])
        volume, shown, grade = make_chest(1000 * seed + 10 * stream + number, chances, rng)
        study = f"{part}_{len(tables[part]) + 1}_a"
        place = folder / f"{part}_fixed" / study.removesuffix("_a") / study
        place.mkdir(parents=True, exist_ok=True)
        write_volume(volume, place / f"{study}_1.nii.gz")
        name = f"{study}_1.nii.gz"
        tables[part].append([name, *(int(column in shown) for column in COLUMNS)])
        reports[part].append([name, _report(shown, grade)])
    for part, rows in tables.items():
        labels = folder / "multi_abnormality_labels" / f"{part}_predicted_labels.csv"
        _write_table(labels, ["VolumeName", *COLUMNS], rows)
        file = folder / "radiology_text_reports" / f"{'validation' if part == 'valid' else part}_reports.csv"
        _write_table(file, ["VolumeName", "Findings_EN"], reports[part])


def _report(shown: Mapping[str, np.ndarray], grade: int) -> str:
    words = [f"{GRADES[grade].capitalize()} emphysema" if name == EMPHYSEMA else name for name in shown]
    return " ".join(f"{word}." for word in words) or "No abnormality."


def _write_table(path: Path, columns: list[str], rows: list[list[object]]) -> None:
    from Med3DCore.io import written_beside

    path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path, ".csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])
