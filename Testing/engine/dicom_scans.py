"""Scans as DICOM slices or frames, and what is read of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_files import SPACING, write_frames, write_series

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io import read_volume
from Med3DCore.io.dicom import tags
from Med3DCore.progress import Progress

SIZE = (24, 6, 5)
GEOMETRY = Geometry(SIZE[::-1], (*SPACING, 3.0), (-100.0, -80.0, 0.0))
WRITERS = pytest.mark.parametrize("stored", ["slices", "frames"])


def hounsfield(slices: int = SIZE[0], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 1500, (slices, *SIZE[1:])).astype(np.int16)


def write(folder: Path, stored: str, hu: np.ndarray, places: list, frame_marks: dict | None = None) -> None:
    """The same scan as single slices or as frames; ``frame_marks`` gives the acquisition of each slice."""
    marks = frame_marks or {}
    if stored == "slices":
        write_series(folder, hu, places, lambda z: {tags.ACQUISITION: str(marks.get(z, 1))})
        return
    groups = [
        {
            tags.PLANE_POSITION: [{tags.POSITION: f"-100\\-80\\{place:g}"}],
            tags.FRAME_CONTENT: [{tags.FRAME_ACQUISITION: marks.get(z, 1)}],
        }
        for z, place in enumerate(places)
    ]
    write_frames(folder / "frames.dcm", hu, groups)


def read(path: Path, **choice: object) -> tuple[np.ndarray, Geometry, list[str]]:
    progress = Progress()
    volume = read_volume(path, progress=progress, **choice)
    return volume.array, volume.geometry, progress.warnings


def refusal(path: Path, **choice: object) -> str:
    with pytest.raises(VolumeError) as caught:
        read_volume(path, progress=Progress(), **choice)
    return str(caught.value)


def every(count: int = SIZE[0], step: float = 3.0) -> list[float]:
    return [step * z for z in range(count)]
