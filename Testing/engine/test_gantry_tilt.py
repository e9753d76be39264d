"""Slices of a tilted gantry, put back over each other: where things are, for the scan and its results."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from ct_series import write_ct_series
from test_dicom_results import LABELS, POSITIONS, grid

from Med3DCore.geometry import Geometry
from Med3DCore.io import find_scan, list_series, read_label_map, read_volume, write_label_maps
from Med3DCore.io.dicom.tilt import find_tilt
from Med3DCore.io.dicom_results import Origin
from Med3DCore.io.dicom_results.outlines import inside
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap

SHAPE = (24, 52, 56)
STEP = 2.5


def aside(degrees: float, along: tuple[float, float] = (0.0, 1.0)) -> tuple[float, float]:
    """mm from one slice to the next, along rows and columns."""
    x, y = np.asarray(along) / np.linalg.norm(along) * STEP * np.tan(np.radians(degrees))
    return float(x), float(y)


def slice_places(place: Geometry, drift: tuple[float, float]) -> np.ndarray:
    """LPS mm of all voxels of slanted slices, ``[z, y, x, 3]``."""
    z, y, x = np.meshgrid(*(np.arange(n) for n in place.shape), indexing="ij")
    steps = np.stack([x * place.spacing[0] + z * drift[0], y * place.spacing[1] + z * drift[1], z * place.spacing[2]])
    return np.einsum("ij,jzyx->zyxi", place.direction_matrix, steps) + place.origin


def phantom(places: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Hounsfield units of two ellipsoids, nothing symmetric, in air: 60 and 300, their edges 2 mm wide."""
    hu = np.full(places.shape[:3], -1000.0)
    for shift, radii, value in (((0, 0, 0), (18, 14, 20), 60), ((4, -4, 7), (9, 7, 10), 300)):
        inside_mm = (1 - np.linalg.norm((places - centre - shift) / radii, axis=-1)) * min(radii)
        share = np.clip(inside_mm / 2 + 0.5, 0, 1)
        hu = (1 - share) * hu + share * value
    return np.rint(hu).astype(np.int16)


def middle(place: Geometry, drift: tuple[float, float]) -> np.ndarray:
    places = slice_places(place, drift)
    return places.reshape(-1, 3).mean(axis=0)


@pytest.fixture
def slanted(tmp_path):
    """A phantom on slanted slices; the folder, its centre, and what the slices hold."""

    def make(position: str = "axial", drift: tuple[float, float] = (0, 0), **changes: object):
        place, folder = grid(position, SHAPE), tmp_path / "ct"
        centre = middle(place, drift)
        hu = phantom(slice_places(place, drift), centre)
        write_ct_series(folder, hu, place, aside=drift, **changes)
        return folder, centre, hu

    return make


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize("degrees", [12.3, -12.3, 25])
@pytest.mark.parametrize("position", POSITIONS)
def test_an_organ_lies_where_it_was(slanted, position, degrees):
    folder, centre, _ = slanted(position, aside(degrees))
    told = Progress()
    read = read_volume(folder, progress=told)
    assert any(f"gantry tilt of {abs(degrees):.1f} degrees, sheared back" in sentence for sentence in told.warnings)
    assert read.array.dtype == np.int16
    truth = phantom(slice_places(read.geometry, (0, 0)), centre)
    for low in (-470, 180):
        found, wanted = read.array > low, truth > low
        assert dice(found, wanted) > 0.97
        apart = np.argwhere(found).mean(axis=0) - np.argwhere(wanted).mean(axis=0)
        assert np.abs(apart).max() < 0.25


@pytest.mark.parametrize("along", [(0, 1), (1, 0), (1, 2)], ids=["columns", "rows", "both"])
@pytest.mark.parametrize("degrees", [12.3, -20])
def test_itk_with_sheared_axes_gives_the_same(slanted, degrees, along):
    drift = aside(degrees, along)
    noise = np.random.default_rng(1).integers(-900, 900, SHAPE).astype(np.int16)
    place = grid("oblique", SHAPE)
    folder, _, _ = slanted("oblique", drift)
    write_ct_series(folder, noise, place, aside=drift)
    read = read_volume(folder, progress=Progress())
    image = sitk.GetImageFromArray(noise.astype(np.float64))
    way = place.direction_matrix @ (*drift, STEP)
    length = float(np.linalg.norm(way))
    axes = np.column_stack([place.direction_matrix[:, :2], way / length])
    image.SetOrigin(place.origin)
    image.SetSpacing((*place.spacing[:2], length))
    image.SetDirection(axes.ravel().tolist())
    goal = sitk.Cast(read.to_sitk(), sitk.sitkFloat64)
    wanted = sitk.GetArrayFromImage(sitk.Resample(image, goal, sitk.Transform(), sitk.sitkLinear, -5000.0))
    inside = sitk.GetArrayFromImage(sitk.Resample(image * 0, goal, sitk.Transform(), sitk.sitkLinear, 1.0)) == 0
    assert inside.sum() > 0.93 * noise.size
    off = np.abs(read.array - wanted)[inside]
    assert off.max() <= 1.01  # rounded along rows, then along columns
    outside = (
        sitk.GetArrayFromImage(sitk.Resample(image * 0, goal, sitk.Transform(), sitk.sitkNearestNeighbor, 1.0)) > 0
    )
    assert (read.array[outside] == -1000).mean() > 0.99


def test_nothing_is_cut_off_and_the_rest_is_air(slanted):
    folder, _, hu = slanted(drift=aside(25))
    filled = np.full_like(hu, 40)
    filled[0, 0, 0] = -1000
    write_ct_series(folder, filled, grid(shape=SHAPE), aside=aside(25))
    read = read_volume(folder, progress=Progress())
    assert read.array.size > hu.size and (read.array == 40).sum() == hu.size - 1
    assert (read.array == -1000).sum() == read.array.size - hu.size + 1


def test_what_is_no_ct_ends_in_its_lowest_value(slanted):
    folder, _, hu = slanted(drift=aside(15))
    write_ct_series(folder, hu + 1007, grid(shape=SHAPE), aside=aside(15), Modality="MR")
    read = read_volume(folder, progress=Progress())
    assert read.array.min() == 7 and (read.array == 7).sum() > (hu == -1000).sum()


def test_a_missing_slice_of_a_tilted_series_is_filled_in(slanted):
    folder, centre, _ = slanted(drift=aside(15))
    (folder / "im013.dcm").unlink()
    told = Progress()
    read = read_volume(folder, progress=told)
    assert [word in " ".join(told.warnings) for word in ("slice 13 is missing", "tilt of 15.0")] == [True, True]
    assert dice(read.array > -470, phantom(slice_places(read.geometry, (0, 0)), centre) > -470) > 0.97


def test_rounded_positions_of_a_tilt_are_a_tilt_and_straight_ones_are_none():
    z = 2.5 * np.arange(60.0)
    straight = np.stack([0 * z + 10, 0 * z - 40, z], axis=1)
    assert find_tilt(straight, np.eye(3), (0.8, 0.8)) == (None, None)
    shaken = straight + np.random.default_rng(2).uniform(-0.07, 0.07, straight.shape) * (1, 1, 0)
    assert find_tilt(shaken, np.eye(3), (0.8, 0.8)) == (None, None)
    tilted = straight + np.outer(z * np.tan(np.radians(8)), (0, 1, 0))
    for decimals in (0, 1, 3):
        tilt, problem = find_tilt(np.round(tilted, decimals) * (1, 1, 0) + tilted * (0, 0, 1), np.eye(3), (0.8, 0.8))
        assert problem is None and tilt.degrees == pytest.approx(8, abs=0.1)


@pytest.mark.parametrize(
    "bend, reason",
    [(lambda z: 20 * np.sin(z / 20), "do not lie over each other"), (lambda z: 3 * z, "lie beside each other")],
)
def test_slices_aside_by_no_tilt_are_refused(tmp_path, bend, reason):
    z = 2.5 * np.arange(60.0)
    origins = np.stack([bend(z), 0 * z, z], axis=1)
    tilt, problem = find_tilt(origins, np.eye(3), (0.8, 0.8))
    assert tilt is None and reason in problem


def test_memory_is_that_of_a_few_slices():
    z = 2.5 * np.arange(200.0)
    tilt, _ = find_tilt(np.stack([0 * z, 0.3 * z, z], axis=1), np.eye(3), (0.8, 0.8))
    plane = np.zeros((256, 256), np.int16)
    tracemalloc.start()
    for straight in tilt.straightened((plane for _ in z), is_ct=True):
        assert straight.shape == (256 + tilt.growth[1], 256)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * plane.nbytes


def test_the_tilt_is_told_in_lists_and_json(slanted):
    folder, _, _ = slanted(drift=aside(-12.3))
    (scan,) = list_series(folder)
    assert "gantry tilt of 12.3 degrees" in str(scan) and scan.usable
    assert scan.facts()["gantry_tilt_degrees"] == pytest.approx(12.3, abs=0.01)


@pytest.mark.parametrize("degrees", [12.3, -20])
@pytest.mark.parametrize("position", ["axial", "sagittal", "feet first", "oblique"])
@pytest.mark.parametrize("name", ["r.seg.dcm", "label map.seg.dcm", "r.rtstruct.dcm"])
def test_results_lie_on_the_slices_as_they_were_taken(slanted, tmp_path, position, degrees, name):
    folder, centre, hu = slanted(position, aside(degrees))
    scan = find_scan(folder)
    origin = Origin(scan, "liver-lungs-0.4.0", "0123456789abcdef" * 4, labelmap=name.startswith("label"))
    straight = phantom(slice_places(scan.geometry, (0, 0)), centre)
    array = np.where(straight > 180, 2, straight > -470).astype(np.uint8)
    labels = LabelMap(array, scan.geometry, "labels", LABELS)
    write_label_maps(labels, [tmp_path / name], origin)
    for value, marked in enumerate(frames_of(tmp_path / name, scan, hu.shape), start=1):
        wanted = np.where(hu > 180, 2, hu > -470) == value
        assert dice(marked, wanted) > 0.95
        apart = np.argwhere(marked).mean(axis=0) - np.argwhere(wanted).mean(axis=0)
        assert np.abs(apart).max() < 0.3
    told = Progress()
    read = read_label_map(tmp_path / name, progress=told, grid=scan.geometry)
    assert read.geometry.is_close(scan.geometry) and not told.warnings
    assert all(dice(read.mask(label.name), labels.mask(label.name)) > 0.99 for label in LABELS)


def frames_of(path: Path, scan, shape: tuple[int, ...]) -> list[np.ndarray]:
    """What each segment or structure marks in the images that it points to, told by pydicom alone."""
    import pydicom

    made = pydicom.dcmread(path)
    number_of = {image.image_uid: number for number, image in enumerate(scan.images)}
    found = [np.zeros(shape, bool) for _ in LABELS]
    if made.Modality == "RTSTRUCT":
        for mask, structure in zip(found, made.ROIContourSequence, strict=True):
            for contour in structure.ContourSequence:
                number = number_of[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
                image = scan.images[number]
                points = np.array(contour.ContourData, float).reshape(-1, 3) - image.position
                assert np.abs(points @ np.cross(*image.axes)).max() < 1e-3  # in the plane of the image
                pixels = points @ image.axes.T / image.spacing
                mask[number] ^= inside([pixels], shape[1:])
        return found
    per_frame = made.PerFrameFunctionalGroupsSequence
    for plane, frame in zip(made.pixel_array, per_frame, strict=True):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        number = number_of[source]
        where = [float(v) for v in frame.PlanePositionSequence[0].ImagePositionPatient]
        assert np.allclose(where, scan.images[number].position, atol=1e-3)
        if "SegmentIdentificationSequence" in frame:
            found[frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1][number] = plane > 0
        else:
            for value, mask in enumerate(found, start=1):
                mask[number] = plane == value
    return found


def test_a_seg_of_a_tilted_scan_is_read_without_the_scan(slanted, tmp_path):
    folder, centre, _ = slanted("oblique", aside(-15))
    scan = find_scan(folder)
    array = (phantom(slice_places(scan.geometry, (0, 0)), centre) > -470).astype(np.uint8)
    labels = LabelMap(array, scan.geometry, "labels", LABELS)
    write_label_maps(labels, [tmp_path / "r.seg.dcm"], Origin(scan, "m-1.0.0", "0"))
    read = read_label_map(tmp_path / "r.seg.dcm")
    on = LabelMap(read.array, read.geometry, "read", ()).sampled(scan.geometry, 0, nearest=True)
    assert dice(on == 1, array == 1) > 0.95
    apart = np.argwhere(on == 1).mean(axis=0) - np.argwhere(array == 1).mean(axis=0)
    assert np.abs(apart).max() < 0.3
