"""Brain tumours as BraTS gives them away: gliomas of 2019 and metastases of 2023."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from Med3DCore.geometry import Triple, triple
from Med3DCore.phantom.brain import CORE, ENHANCING, OEDEMA, Tumour, brain_grid, make_brain
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

_ROOM = np.array([44.0, 56.0, 40.0])  # half the box in which a tumour's middle may lie, mm
_HIGH_GRADE = 0.7


def write_brats2019(folder: Path, patients: int, seed: int, progress: Progress) -> None:
    """Gliomas: ``HGG/BraTS19_X_1/BraTS19_X_1_flair.nii.gz``, ``_t1``, ``_t1ce``, ``_t2``, ``_seg``; labels 1, 2, 4."""
    for number in range(patients):
        progress.update(number / patients)
        rng = np.random.default_rng([seed, number, 41])
        is_high = bool(rng.random() < _HIGH_GRADE)
        radius = float(rng.uniform(10, 22))
        tumour = Tumour(
            _place(rng),
            radius,
            necrosis=float(rng.uniform(0.4, 0.75)),
            oedema=float(rng.uniform(6, 16)),
            enhances=is_high,
        )
        name = f"BraTS19_PHA_{number:03}_1"
        place = folder / ("HGG" if is_high else "LGG") / name
        files = {contrast: place / f"{name}_{contrast}.nii.gz" for contrast in ("t1", "t1ce", "t2", "flair")}
        values = {CORE: 1, OEDEMA: 2, ENHANCING: 4}
        _write(1000 * seed + number, [tumour], files, place / f"{name}_seg.nii.gz", values)


def write_brats_mets(folder: Path, patients: int, seed: int, progress: Progress) -> None:
    """Metastases: ``BraTS-MET-00001-000/BraTS-MET-00001-000-t1c.nii.gz``, ``-t1n``, ``-t2f``, ``-t2w``, ``-seg``."""
    for number in range(patients):
        progress.update(number / patients)
        rng = np.random.default_rng([seed, number, 43])
        tumours = [
            Tumour(
                _place(rng),
                float(np.clip(rng.lognormal(2.0, 0.35), 5, 15)),
                necrosis=float(rng.uniform(0.2, 0.6)),
                oedema=float(rng.uniform(3, 10)),
            )
            for _ in range(int(rng.integers(2, 7)))
        ]
        name = f"BraTS-MET-{number + 1:05}-000"
        files = {
            contrast: folder / name / f"{name}-{ending}.nii.gz"
            for contrast, ending in (("t1ce", "t1c"), ("t1", "t1n"), ("flair", "t2f"), ("t2", "t2w"))
        }
        values = {CORE: 1, OEDEMA: 2, ENHANCING: 3}
        _write(1000 * seed + 500 + number, tumours, files, folder / name / f"{name}-seg.nii.gz", values)


def _place(rng: np.random.Generator) -> Triple:
    return triple(float(v) for v in rng.uniform(-1, 1, 3) * _ROOM)


def _write(seed: int, tumours: list[Tumour], files: dict[str, Path], label: Path, values: dict[str, int]) -> None:
    from Med3DCore.io import write_volume

    label.parent.mkdir(parents=True, exist_ok=True)
    grid, (pictures, parts) = brain_grid(), make_brain(seed, tumours, tuple(files))
    for contrast, file in files.items():
        write_volume(Volume(pictures[contrast], grid, file.name), file)
    array = np.zeros(grid.shape, np.uint8)
    for part, value in values.items():
        array[parts[part]] = value
    write_volume(Volume(array, grid, label.name), label)
