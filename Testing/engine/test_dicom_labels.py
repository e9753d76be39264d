"""DICOM SEG and RTSTRUCT as labels, also as others write them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from ct_series import write_ct_series
from dicom_drawing import LABELS, SHAPE, drawing, grid, on_grid
from scipy import ndimage

from Med3DCore.errors import VolumeError
from Med3DCore.io import find_scan, read_label_map, write_label_maps
from Med3DCore.io.dicom_results import Origin
from Med3DCore.progress import Progress
from Med3DCore.training.cases.label import read_label
from Med3DCore.training.data_sets import list_cases
from Med3DCore.volume import LabelMap


def test_what_others_write_as_seg(series, tmp_path):
    """Fractional, in another order of frames, of a part of the slices."""
    labels, origin = series()
    images = [pydicom.dcmread(path) for path in origin.series.files][2:7][::-1]
    mask = (labels.array[2:7] == 1)[::-1]
    described = highdicom.seg.SegmentDescription(
        1,
        "Leber",
        highdicom.sr.CodedConcept("85756007", "SCT", "Tissue"),
        highdicom.sr.CodedConcept("85756007", "SCT", "Tissue"),
        "MANUAL",
    )
    for kind, pixels in (("FRACTIONAL", np.where(mask, 0.6, 0.3)), ("BINARY", mask)):
        made = highdicom.seg.Segmentation(
            images, pixels, kind, [described], highdicom.UID(), 1, highdicom.UID(), 1, "M", "N", "1", "2"
        )
        made.save_as(tmp_path / "other.dcm")
        read = read_label_map(tmp_path / "other.dcm")
        assert np.array_equal(on_grid(read, labels.geometry), labels.array == 1)
        assert [(label.name, label.title) for label in read.labels] == [("liver", "Leber")]


def test_overlapping_segments_are_whole(series, tmp_path):
    labels, origin = series()
    images = [pydicom.dcmread(path) for path in origin.series.files]
    masks = np.stack([labels.array == 1, ndimage.binary_erosion(labels.array == 1)], axis=-1).astype(np.uint8)
    described = [
        highdicom.seg.SegmentDescription(
            number,
            title,
            highdicom.sr.CodedConcept("85756007", "SCT", "Tissue"),
            highdicom.sr.CodedConcept("85756007", "SCT", "Tissue"),
            "MANUAL",
        )
        for number, title in ((1, "Liver"), (2, "Tumour"))
    ]
    highdicom.seg.Segmentation(
        images, masks, "BINARY", described, highdicom.UID(), 1, highdicom.UID(), 1, "M", "N", "1", "2"
    ).save_as(tmp_path / "two.dcm")
    read = read_label_map(tmp_path / "two.dcm")
    back = on_grid(read, labels.geometry)
    for value, name in enumerate(("liver", "tumour"), start=1):
        assert read.value(name) == value
        assert np.array_equal(np.isin(back, read.with_overlaps((value,))), masks[..., value - 1] > 0)


def edited(path: Path, change) -> Path:
    """A structure set with its first structure's contours changed."""
    made = pydicom.dcmread(path)
    change(made)
    made.save_as(path)
    return path


def test_holes_that_are_contours_of_their_own_and_contours_given_twice(series, tmp_path):
    labels, origin = series()
    path = tmp_path / "r.rtstruct.dcm"
    write_label_maps(labels, [path], origin)

    def change(made):
        contours = made.ROIContourSequence[0].ContourSequence
        z = contours[0].ContourData[2] + 2.5
        at = [each for each in contours if abs(each.ContourData[2] - z) < 0.1]
        outer, hole = pydicom.Dataset(), pydicom.Dataset()
        for made_here, (low, high) in ((outer, ((4, 4), (22, 20))), (hole, ((7, 8), (16, 12)))):
            corners = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
            points = [
                value
                for x, y in corners
                for value in labels.geometry.index_to_physical[:3, :3] @ (x, y, 3) + labels.geometry.origin
            ]
            made_here.ContourGeometricType, made_here.NumberOfContourPoints = "CLOSED_PLANAR", 4
            made_here.ContourData = [f"{value:.3f}" for value in points]
        for each in at:
            contours.remove(each)
        contours.extend([outer, hole, outer])

    read = read_label_map(edited(path, change), grid=origin.series.geometry)
    assert read.array[3, 5, 5] == 1 and read.array[3, 10, 10] == 0 and read.array[3, 17, 20] == 1


def _of_every_slice_another(series, folder):
    """A structure that every slice cuts otherwise, its scan, and the RTSTRUCT of it."""
    labels, origin = series()
    array = np.zeros(SHAPE, np.uint8)
    for z in range(SHAPE[0]):
        array[z, 4 + z : 14 + z // 2, 3:20] = 1
    path, labels = folder / "r.rtstruct.dcm", replace(labels, array=array)
    write_label_maps(labels, [path], origin)
    return labels, origin, path


def test_planes_closer_together_than_slices_make_no_holes_in_each_other(series, tmp_path):
    labels, _, path = _of_every_slice_another(series, tmp_path)
    told, grid = Progress(), labels.geometry
    # Slices three times as thick, whose middles are those of the second of every three
    thick = replace(
        grid,
        size=(*grid.size[:2], SHAPE[0] // 3),
        spacing=(*grid.spacing[:2], 3 * grid.spacing[2]),
        origin=tuple(grid.index_to_physical[:3] @ (0, 0, 1, 1)),
    )
    assert np.array_equal(read_label_map(path, progress=told, grid=thick).array, labels.array[1::3])
    assert "took the nearest plane, 6 contours of others were left out" in told.warnings[0]


def test_slices_left_out_between_drawn_ones_are_filled_and_told(series, tmp_path):
    labels, origin, path = _of_every_slice_another(series, tmp_path)

    def change(made):
        sequence = made.ROIContourSequence[0].ContourSequence
        made.ROIContourSequence[0].ContourSequence = sequence[::2]

    told = Progress()
    read = read_label_map(edited(path, change), progress=told, grid=origin.series.geometry)
    assert any("drawn on 5 slices only; 4 between them" in sentence for sentence in told.warnings)
    assert 2 * np.count_nonzero(read.array & labels.array) / (read.array.sum() + labels.array.sum()) > 0.95


def test_contours_beyond_the_scan_are_told_and_another_series_is_refused(series, tmp_path):
    labels, origin = series()
    path = tmp_path / "r.rtstruct.dcm"
    write_label_maps(labels, [path], origin)
    told, near = Progress(), replace(labels.geometry, origin=(-20.5, 13.25, 101.0 + 10.0))
    read_label_map(path, progress=told, grid=near)
    assert f"4 contours of 'Liver' in {path} lie beyond the scan" in told.warnings[0] and len(told.warnings) == 1
    with pytest.raises(VolumeError, match="no closed contour inside of the scan"):
        read_label_map(path, grid=replace(labels.geometry, origin=(0.0, 0.0, 900.0)))


def test_a_structure_set_finds_its_series_beside_it(series, tmp_path):
    labels, origin = series()
    write_label_maps(labels, [tmp_path / "ct" / "r.rtstruct.dcm", tmp_path / "alone.rtstruct.dcm"], origin)
    assert np.array_equal(read_label_map(tmp_path / "ct" / "r.rtstruct.dcm").array, labels.array)
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(tmp_path / "alone.rtstruct.dcm", tmp_path / "elsewhere")
    with pytest.raises(VolumeError, match="need the series that they were drawn on"):
        read_label_map(tmp_path / "elsewhere" / "alone.rtstruct.dcm")


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: data[:600]])
@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])
def test_a_damaged_file_is_a_sentence(series, tmp_path, damage, name):
    labels, origin = series()
    write_label_maps(labels, [tmp_path / name], origin)
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    with pytest.raises(VolumeError, match=name):
        read_label_map(tmp_path / name, grid=origin.series.geometry)


@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])
@pytest.mark.parametrize("among", [True, False])
def test_dicom_labels_in_folders_and_tables(tmp_path, name, among):
    data, geometry = tmp_path / "data", grid()
    write_ct_series(data / "p1" / "ct", 100 * drawing().astype(np.int16), geometry)
    scan = find_scan(data / "p1" / "ct")
    labels = LabelMap(drawing(), scan.geometry, "labels", LABELS)
    target = data / "p1" / ("ct" if among else "") / name.replace("r.", "manual.")
    write_label_maps(labels, [target], Origin(scan, "somebody-1.0.0", ""))
    (case,) = list_cases(data)
    assert case.name == "p1" and case.image == data / "p1" / "ct" and case.label == target
    assert np.array_equal(read_label(case, geometry).mask("liver"), drawing() == 1)
    shutil.copy(target, tmp_path / "elsewhere.dcm")
    (tmp_path / "list.csv").write_text("image,label\ndata/p1/ct,elsewhere.dcm\n", encoding="utf-8")
    (case,) = list_cases(tmp_path / "list.csv")
    assert set(case.values) == {"liver", "left_lung"}
    assert np.array_equal(read_label(case, geometry).mask("left_lung"), drawing() == 2)
