"""Programs of others that read and judge DICOM results; a test that needs one is skipped where it is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from Med3DCore.geometry import Geometry
from Med3DCore.labels import Label
from Med3DCore.volume import LabelMap

_HERE = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def program(name: str, package: str) -> str:
    """The full name of a program."""
    found = shutil.which(name, path=_HERE)
    return found or pytest.skip(f"{name} is not installed ({package})")


def errors_of(path: Path) -> list[str]:
    """What dciodvfy finds wrong with a file."""
    said = subprocess.run(
        [program("dciodvfy", "apt-get install dicom3tools"), str(path)], capture_output=True, text=True, check=False
    )
    lines = (said.stdout + said.stderr).splitlines()
    assert any("Segmentation" in line or "RTStructure" in line for line in lines), lines
    return [line for line in lines if line.startswith("Error")]


def by_dcmqi(path: Path, grid: Geometry | None, count: int) -> list[np.ndarray]:
    """What dcmqi marks for each segment of a SEG, bool ``[z, y, x]`` on a grid, or on its own; files beside it."""
    command = [program("segimage2itkimage", "pip install dcmqi"), "-t", "nrrd", "-p", "seg"]
    command += ["--outputDirectory", str(path.parent), "--inputDICOM", str(path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "absent in" not in said.stderr, said.stderr  # what it misses in the file
    return [_on_grid(path.parent / f"seg-{number}.nrrd", grid) for number in range(1, count + 1)]


def as_slicer_reads(path: Path, grid: Geometry) -> dict[str, np.ndarray]:
    """Name and mask of each segment, as Slicer's DICOMSegmentationPlugin reads a SEG; files beside it.

    It runs dcmqi with merged segments and takes, of each file of labels, the segments that ``meta.json`` lists for it;
    a file more or less than that, or one of these keys that is missing, and it loads nothing (Slicer 5.13, 2026).
    """
    command = [program("segimage2itkimage", "pip install dcmqi"), "--inputDICOM", str(path)]
    folder = path.parent / "slicer"
    folder.mkdir()
    subprocess.run([*command, "--outputDirectory", str(folder), "--mergeSegments"], check=True, capture_output=True)
    listed = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["segmentAttributes"]
    assert len(list(folder.glob("*.nrrd"))) == len(listed)
    found = {}
    for number, segments in enumerate(listed, start=1):
        values = _values(folder / f"{number}.nrrd", grid)
        for segment in segments:
            assert segment["SegmentDescription"] is not None and len(segment["recommendedDisplayRGBValue"]) == 3
            if segment["labelID"]:  # 0 is the background of a label map
                found[segment["SegmentLabel"]] = values == segment["labelID"]
    return found


def by_plastimatch(path: Path, series: Path, grid: Geometry, labels: Sequence[Label]) -> list[np.ndarray]:
    """What plastimatch marks for each structure of an RTSTRUCT, bool ``[z, y, x]`` on a grid; files beside it."""
    command = [program("plastimatch", "apt-get install plastimatch"), "convert", "--input", path]
    command += ["--referenced-ct", series, "--output-prefix", path.parent / "out", "--prefix-format", "nii.gz"]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    masks = []
    for label in labels:
        (file,) = (path.parent / "out").glob(f"{label.title.replace(' ', '?')}.nii.gz")
        masks.append(_on_grid(file, grid))
    return masks


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Of two masks."""
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def _on_grid(path: Path, grid: Geometry | None) -> np.ndarray:
    return _values(path, grid) > 0


def _values(path: Path, grid: Geometry | None) -> np.ndarray:
    image = sitk.ReadImage(str(path))
    if grid is not None:
        place = LabelMap(np.zeros(grid.shape, np.uint8), grid, "grid", ()).to_sitk()
        image = sitk.Resample(image, place, sitk.Transform(), sitk.sitkNearestNeighbor)
    return sitk.GetArrayFromImage(image)
