"""A DICOM RT structure set as a label map. Source: PS3.3, C.8.8.5 and C.8.8.6."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io.dicom.series import list_series
from Med3DCore.io.dicom_results.codes import code_of
from Med3DCore.io.dicom_results.outlines import inside
from Med3DCore.io.dicom_results.references import references_of
from Med3DCore.io.label_names import described_label, distinct
from Med3DCore.io.overlay import Overlay
from Med3DCore.labels import Code, Label
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap

if TYPE_CHECKING:
    from pydicom import Dataset

# Slices in a row that are filled between two drawn ones; people who draw every third slice leave two out.
_LONGEST_GAP = 3
_ONE_PLANE = 0.02  # slices; as exact as contours are written
_CLOSED = {"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"}


def read_structure_set(path: Path, grid: Geometry | None, warn: Callable[[str], None]) -> LabelMap:
    """The structures of an RTSTRUCT as the labels 1, 2, ... in the order of its structures.

    A voxel is inside where its centre is. A contour within another one is a hole, whether it is one of its own or
    joined to it by a keyhole. Of planes that lie closer together than slices each slice takes the nearest, with a
    warning. Slices left out between drawn ones are filled by the mean of the distances to both outlines (Raya and
    Udupa, IEEE TMI 1990), with a warning. Where structures overlap both are kept.

    Args:
        path: The file.
        grid: Of the scan; None looks for the series in the folder of the file.
        warn: Told what is lost or was filled.

    Raises:
        VolumeError: It is damaged, holds no structure in the scan, or its series is not to be found.
    """
    import pydicom

    made = pydicom.dcmread(path)
    grid = grid or _grid_beside(path, made)
    structures = list(_structures(made))
    found = [_marked(contours, grid) for _, contours in structures]
    if not any(slices for slices, _, _ in found):
        raise VolumeError(f"{path} holds no closed contour inside of the scan; is it of another series?")
    if len(structures) > 255:
        raise VolumeError(f"{path} holds {len(structures)} structures; Med3D reads at most 255, split the file.")
    overlay = Overlay(grid.shape, len(structures), str(path))
    for value, ((label, _), (slices, lost, passed)) in enumerate(zip(structures, found, strict=True), start=1):
        filled = _fill_gaps(slices)
        _tell(path, label, slices, filled, lost, passed, warn)
        for z, marked in filled.items():
            overlay.lay((marked * np.uint8(value))[None], (slice(z, z + 1), slice(None), slice(None)))
    labels = tuple(distinct(label for label, _ in structures))
    return LabelMap(overlay.array, grid, path.name, labels, overlay.overlaps)


def structure_labels(path: Path) -> tuple[Label, ...]:
    """The labels, in the order of their values.

    Raises:
        VolumeError: It is damaged.
    """
    import pydicom

    return tuple(distinct(label for label, _ in _structures(pydicom.dcmread(path))))


def _grid_beside(path: Path, made: Dataset) -> Geometry:
    """Of the series that a structure set was drawn on."""
    try:
        series = [one for one in list_series(path.parent, Progress()) if one.scan and not one.problem]
    except VolumeError:
        series = []
    meant = references_of(made).meant(series)
    if meant is None:
        raise VolumeError(
            f"{path} is an RTSTRUCT, whose outlines need the series that they were drawn on; put both into one folder, "
            "or load them in 3D Slicer and save the segmentation as .seg.nrrd."
        )
    return meant.geometry


def _structures(made: Dataset) -> Iterator[tuple[Label, list[np.ndarray]]]:
    """Each structure and its closed contours, float ``[n, 3]`` LPS mm."""
    outlines = {item.ReferencedROINumber: item for item in made.get("ROIContourSequence", [])}
    seen = {item.ReferencedROINumber: item for item in made.get("RTROIObservationsSequence", [])}
    for position, roi in enumerate(made.StructureSetROISequence):
        outline = outlines.get(roi.ROINumber)
        title = str(roi.get("ROIName") or f"structure {position + 1}")[:200]
        rgb = outline.get("ROIDisplayColor") if outline else None
        label = described_label(title, position, _codes(seen.get(roi.ROINumber)), list(rgb) if rgb else None)
        contours = outline.get("ContourSequence", []) if outline else []
        closed = (each for each in contours if each.ContourGeometricType in _CLOSED)
        yield label, [np.asarray(each.ContourData, np.float64).reshape(-1, 3) for each in closed]


def _codes(observation: Dataset | None) -> tuple[Code, Code, Code | None] | None:
    codes = observation.get("RTROIIdentificationCodeSequence") if observation else None
    if not codes:
        return None
    modifiers = codes[0].get("SegmentedPropertyTypeModifierCodeSequence")
    return ("", "", ""), code_of(codes[0]), code_of(modifiers[0]) if modifiers else None


def _marked(contours: list[np.ndarray], grid: Geometry) -> tuple[dict[int, np.ndarray], int, int]:
    """What contours mark in each slice of a grid, bool ``[y, x]``.

    Also how many lie across its slices or beyond, and how many on a plane that is not the nearest to its slice.
    """
    to_voxels = np.linalg.inv(grid.index_to_physical)
    by_slice: dict[int, list[np.ndarray]] = {}
    lost = 0
    for points in contours:
        voxels = points @ to_voxels[:3, :3].T + to_voxels[:3, 3]
        z = int(np.rint(voxels[:, 2].mean()))
        if np.abs(voxels[:, 2] - z).max() > 0.51 or not 0 <= z < grid.size[2]:
            lost += 1
        elif not any(np.array_equal(voxels, other) for other in by_slice.get(z, [])):
            by_slice.setdefault(z, []).append(voxels)
    near = {z: _of_nearest_plane(z, outlines) for z, outlines in sorted(by_slice.items())}
    passed = sum(map(len, by_slice.values())) - sum(map(len, near.values()))
    return {z: inside(outlines, grid.shape[1:]) for z, outlines in near.items()}, lost, passed


def _of_nearest_plane(z: int, outlines: list[np.ndarray]) -> list[np.ndarray]:
    """(x, y) of the outlines on the plane nearest to a slice; those of two planes would be holes in each other."""
    heights = np.array([voxels[:, 2].mean() for voxels in outlines])
    nearest = heights[np.abs(heights - z).argmin()]
    at_it = np.abs(heights - nearest) < _ONE_PLANE
    return [voxels[:, :2] for voxels, here in zip(outlines, at_it, strict=True) if here]


def _fill_gaps(slices: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """With short gaps between drawn slices filled, where what is drawn on both sides overlaps."""
    filled = dict(slices)
    places = sorted(slices)
    for low, high in pairwise(places):
        if not 1 < high - low <= _LONGEST_GAP + 1 or not (slices[low] & slices[high]).any():
            continue
        first, last = (_distance(slices[z]) for z in (low, high))
        for z in range(low + 1, high):
            share = (z - low) / (high - low)
            filled[z] = (1 - share) * first + share * last > 0
    return filled


def _distance(mask: np.ndarray) -> np.ndarray:
    """Voxels to the border, positive inside."""
    return ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)


def _tell(
    path: Path,
    label: Label,
    slices: Mapping[int, np.ndarray],
    filled: Mapping[int, np.ndarray],
    lost: int,
    passed: int,
    warn: Callable[[str], None],
) -> None:
    if lost:
        warn(
            f"{lost} contours of '{label.title}' in {path} lie beyond the scan or across its slices; they are left out."
        )
    if passed:
        warn(
            f"'{label.title}' in {path} is drawn on planes closer together than the scan's slices; each slice took the "
            f"nearest plane, {passed} contours of others were left out."
        )
    if len(filled) > len(slices):
        warn(
            f"'{label.title}' in {path} is drawn on {len(slices)} slices only; {len(filled) - len(slices)} between "
            "them were filled by what lies between both outlines."
        )
