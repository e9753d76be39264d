"""3D ultrasounds of uteri with a table of their anomalies: ``volumes/uterus_001.nii.gz`` and ``labels.csv``."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from Med3DCore.phantom.uterus import ANOMALIES, make_uterus
from Med3DCore.progress import Progress

COMMON = 0.36
"""Share of normal uteri; the anomalies share the others alike."""


def write_uterine_anomalies(folder: Path, patients: int, seed: int, progress: Progress) -> None:
    """A volume of each patient; ``labels.csv`` has the columns ``volume``, ``patient`` and ``anomaly``."""
    from Med3DCore.io import write_volume, written_beside

    place = folder / "volumes"
    place.mkdir(parents=True, exist_ok=True)
    rows: list[list[str]] = []
    kinds = list(ANOMALIES)
    chances = [COMMON] + [(1 - COMMON) / (len(kinds) - 1)] * (len(kinds) - 1)
    for number in range(patients):
        progress.update(number / patients)
        rng = np.random.default_rng([seed, number, 73])
        # Those that come first show one kind each, so that even a small set has all of them.
        anomaly = kinds[number] if number < len(kinds) else str(rng.choice(kinds, p=chances))
        volume, _ = make_uterus(anomaly, rng)
        write_volume(volume, place / f"uterus_{number + 1:03}.nii.gz")
        rows.append([f"uterus_{number + 1:03}.nii.gz", f"patient_{number + 1:03}", anomaly])
    with written_beside(folder / "labels.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([["volume", "patient", "anomaly"], *rows])
