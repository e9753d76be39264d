"""A data set of lesions put into phantoms and into real CTs, in DeepLesion's layout, for ``med3d train``.

A patient is in one of the parts training, validation and test (70, 15 and 15 %), with all that was made of him.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from Med3DCore.errors import DataError, SettingError
from Med3DCore.geometry import Geometry, Triple, triple
from Med3DCore.phantom.data_set import random_settings
from Med3DCore.phantom.lesions import PaintedLesion, paint_lesions
from Med3DCore.phantom.make import make_phantom
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

TABLE, IMAGES = "DL_info.csv", "Images_png"
_SPACING: Triple = (1.25, 1.25, 2.5)
_SLICES = 13  # of a slab, the key slice in the middle
_SLABS = 8  # of a real scan, at most
_APART_MM = 30.0
_MOST = 4  # lesions of a slice
_HEIGHTS = (-120.0, 290.0)  # of key slices of phantoms, mm
_PARTS = (0.7, 0.85)
_SMOOTH_HU = (6.0, 14.0)  # noise added to real scans, which coarser voxels left without
_TYPES = {"lung": 5, "soft tissue": 7}  # DeepLesion's numbers
_COLUMNS: tuple[str, ...] = ("File_name", "Patient_index", "Study_index", "Series_ID", "Key_slice_index")
_COLUMNS += ("Measurement_coordinates", "Bounding_boxes", "Lesion_diameters_Pixel_", "Normalized_lesion_location")
_COLUMNS += ("Coarse_lesion_type", "Possibly_noisy", "Slice_range", "Spacing_mm_px_", "Image_size", "DICOM_windows")
_COLUMNS += ("Patient_gender", "Patient_age", "Train_Val_Test", "Difficulty", "Background")


@dataclass(frozen=True)
class Background:
    """A real CT to put lesions into.

    Args:
        patient: Whose it is; scans of one patient stay in one part.
        scan: The file.
    """

    patient: str
    scan: Path


def write_lesion_data_set(
    folder: Path,
    phantoms: int,
    backgrounds: Sequence[Background] = (),
    hard: float = 0.5,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write slices and the table.

    Args:
        folder: Where to; made if missing, and empty.
        phantoms: How many made-up patients, a key slice each.
        backgrounds: Real scans, of which up to eight key slices each are made.
        hard: Share of lesions that are hard to see.
        seed: The same seed and backgrounds give the same data set.
        progress: Follows and may cancel the work.

    Returns:
        The table, ``DL_info.csv``.

    Raises:
        SettingError: There is no patient, or ``hard`` is not 0 to 1.
        DataError: The folder holds such a data set already.
        VolumeError: A scan cannot be read.
    """
    from Med3DCore.io import written_beside

    patients = [*(f"phantom {number}" for number in range(phantoms)), *dict.fromkeys(b.patient for b in backgrounds)]
    if phantoms < 0 or not patients:
        raise SettingError("A data set of lesions needs at least one patient; ask for phantoms or give real scans.")
    if not 0 <= hard <= 1:
        raise SettingError(f"The share of hard lesions is {hard}; it must be from 0 to 1.")
    if (folder / IMAGES).exists() or (folder / TABLE).exists():
        raise DataError(f"{folder} holds a data set already; choose another folder.")
    progress, rows = progress or Progress(), []
    parts = _parts(patients, seed)
    studies = dict.fromkeys(patients, 0)
    total = phantoms + len(backgrounds)
    with progress.stage("phantoms", share=1.0):
        for done, (patient, slabs) in enumerate(_sources(phantoms, backgrounds, seed)):
            progress.update(done / total)
            for slab in slabs:
                studies[patient] += 1
                rng = np.random.default_rng([seed, patients.index(patient), studies[patient], 31])
                painted = paint_lesions(
                    slab.array, slab.spacing, _SLICES // 2, int(rng.integers(1, _MOST + 1)), hard, rng
                )
                who = (1 + patients.index(patient), studies[patient], 1)
                if painted:
                    _write_slices(slab.array, folder / IMAGES / _series(who))
                    rows += [_row(who, slab, lesion, parts[patient], patient) for lesion in painted]
    path = folder / TABLE
    with written_beside(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([_COLUMNS, *rows])
    return path


def _parts(patients: Sequence[str], seed: int) -> dict[str, int]:
    """DeepLesion's number of each patient's part; of phantoms and real patients alike shares of each part."""
    parts = {}
    for made in (True, False):
        own = [patient for patient in patients if patient.startswith("phantom ") == made]
        order = np.random.default_rng([seed, int(made), 17]).permutation(len(own))
        for place, number in enumerate(order):
            parts[own[number]] = 1 + int(np.searchsorted(_PARTS, (place + 0.5) / len(own), side="right"))
    return parts


def _sources(phantoms: int, backgrounds: Sequence[Background], seed: int) -> Iterator[tuple[str, Iterator[Volume]]]:
    """Patient and slabs of each scan."""
    for number in range(phantoms):
        yield f"phantom {number}", _of_phantom(number, seed)
    for number, background in enumerate(backgrounds):
        yield background.patient, _of_scan(background.scan, np.random.default_rng([seed, number, 29]))


def _of_phantom(number: int, seed: int) -> Iterator[Volume]:
    rng = np.random.default_rng([seed, number, 23])
    middle, half = rng.uniform(*_HEIGHTS), _SLICES * _SPACING[2] / 2
    settings = replace(
        random_settings(number, labels=("lungs",)),
        spacing=_SPACING,
        region=(middle - half, middle + half),
        pathology=(),
        noise_hu=float(rng.uniform(8, 20)),
        circle=False,
    )
    volume = make_phantom(number, settings).ct
    yield Volume(
        volume.array[:_SLICES].astype(np.float32), volume.geometry.crop((0, 0, 0), (*volume.geometry.size[:2], _SLICES))
    )


def _of_scan(path: Path, rng: np.random.Generator) -> Iterator[Volume]:
    """Slabs of a real scan, far enough from each other and from its ends."""
    from Med3DCore.io import read_volume

    scan = read_volume(path)
    low, high = scan.geometry.bounds()
    half = _SLICES * _SPACING[2] / 2
    if high[2] - low[2] < 2 * half:
        return
    count = int(min(_SLABS, 1 + (high[2] - low[2] - 2 * half) // _APART_MM))
    size = np.maximum(np.round((high - low) / _SPACING), 1).astype(int)
    for middle in np.linspace(low[2] + half, high[2] - half, count):
        origin = (low[0] + _SPACING[0] / 2, low[1] + _SPACING[1] / 2, middle - _SLICES // 2 * _SPACING[2])
        grid = Geometry((int(size[0]), int(size[1]), _SLICES), _SPACING, triple(float(v) for v in origin))
        hu = scan.sampled(grid, -1024.0).astype(np.float32)
        hu += np.float32(rng.uniform(*_SMOOTH_HU)) * rng.standard_normal(hu.shape, dtype=np.float32)
        yield Volume(hu, grid, scan.name)


def _write_slices(hu: np.ndarray, folder: Path) -> None:
    from Med3DCore.io.hounsfield_png import write_hounsfield_png

    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(hu, start=1):
        write_hounsfield_png(np.clip(picture, -1024, 3071), folder / f"{number:03}.png")


def _series(who: tuple[int, int, int]) -> str:
    return "{:06}_{:02}_{:02}".format(*who)


def _row(who: tuple[int, int, int], slab: Volume, lesion: PaintedLesion, part: int, patient: str) -> list:
    """A row as published, and what was made of which scan."""
    height, width = slab.array.shape[1:]
    key = _SLICES // 2 + 1
    x, y = (lesion.box[0] + lesion.box[2]) / 2, (lesion.box[1] + lesion.box[3]) / 2
    return [
        f"{_series(who)}_{key:03}.png",
        *who,
        key,
        _listed(lesion.ends),
        _listed(lesion.box),
        _listed(lesion.diameters),
        _listed((x / width, y / height, 0.5)),
        _TYPES[lesion.tissue],
        0,
        f"1, {_SLICES}",
        _listed(slab.spacing),
        f"{width}, {height}",
        "-1350, 150" if lesion.tissue == "lung" else "-175, 275",
        "",
        "",
        part,
        "hard" if lesion.hard else "easy",
        "phantom" if patient.startswith("phantom ") else "real",
    ]


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
