"""DICOM results of unusual series, read by programs of others: many frames a file, a tilted gantry, a missing slice."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from ct_series import write_ct_series, write_enhanced_ct
from dicom_drawing import LABELS, SHAPE, drawing, grid, on_grid
from dicom_readers import by_dcmqi, by_plastimatch, errors_of

from Med3DCore.errors import OutputError
from Med3DCore.io import find_scan, read_label_map, read_volume, write_label_maps
from Med3DCore.io.dicom_results import Origin
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap

NAMES = pytest.mark.parametrize("name", ["r.seg.dcm", "label map.seg.dcm", "r.rtstruct.dcm"])
ORDER = [3, 0, 8, 1, 2, 7, 4, 6, 5]
THICK = 4.0  # mm, which dcmqi takes for the distance of slices where a SEG does not tell it


@pytest.fixture
def enhanced(tmp_path):
    """An enhanced CT whose frames are in no order, and a label map on it."""
    hu = np.random.default_rng(0).integers(-900, 900, SHAPE)
    write_enhanced_ct(tmp_path / "ct" / "all.dcm", hu, grid(), ORDER)
    scan = find_scan(tmp_path / "ct")
    assert np.array_equal(read_volume(tmp_path / "ct").array, hu)
    return LabelMap(drawing(), scan.geometry, "labels", LABELS), scan


@NAMES
def test_results_of_an_enhanced_ct_lie_on_its_frames(enhanced, tmp_path, name):
    labels, scan = enhanced
    path = tmp_path / name
    write_label_maps(labels, [path], Origin(scan, "liver-lungs-0.4.0", "", name.startswith("label")))
    read = read_label_map(path, grid=scan.geometry)
    assert np.array_equal(on_grid(read, labels.geometry), labels.array)
    made, image = pydicom.dcmread(path), pydicom.dcmread(scan.files[0])
    for frames, place in frames_pointed_to(made):
        number = (place[2] - grid().origin[2]) / grid().spacing[2]
        assert ORDER[frames - 1] == pytest.approx(number, abs=0.01)
    assert image.SOPInstanceUID in str(made)


def frames_pointed_to(made):
    """Of each frame of a SEG or contour of an RTSTRUCT, the number of its source frame and a place in it."""
    for frame in made.get("PerFrameFunctionalGroupsSequence", []):
        (source,) = frame.DerivationImageSequence[0].SourceImageSequence
        yield source.ReferencedFrameNumber, frame.PlanePositionSequence[0].ImagePositionPatient
    for structure in made.get("ROIContourSequence", []):
        for contour in structure.ContourSequence:
            yield contour.ContourImageSequence[0].ReferencedFrameNumber, contour.ContourData[:3]


@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])  # Debian's dciodvfy knows no label map SEG yet
def test_dciodvfy_finds_no_error_in_results_of_an_enhanced_ct(enhanced, tmp_path, name):
    labels, scan = enhanced
    write_label_maps(labels, [tmp_path / name], Origin(scan, "liver-lungs-0.4.0", ""))
    assert errors_of(tmp_path / name) == []


def test_dcmqi_reads_the_seg_of_an_enhanced_ct(enhanced, tmp_path):
    labels, scan = enhanced
    write_label_maps(labels, [tmp_path / "r.seg.dcm"], Origin(scan, "liver-lungs-0.4.0", ""))
    for label, mask in zip(LABELS, by_dcmqi(tmp_path / "r.seg.dcm", labels.geometry, 2), strict=True):
        assert np.array_equal(mask, labels.mask(label.name))


def test_frames_in_several_files_have_no_seg_but_a_sentence(tmp_path):
    hu = np.random.default_rng(0).integers(-900, 900, SHAPE)
    for part, name in ((ORDER[:5], "one"), (ORDER[5:], "two")):
        write_enhanced_ct(tmp_path / name / "part.dcm", hu, grid(), part)
        made = pydicom.dcmread(tmp_path / name / "part.dcm")
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"1.2.{len(part)}"
        made.save_as(tmp_path / name / "part.dcm")
    scan = find_scan(tmp_path)
    labels, origin = LabelMap(drawing(), scan.geometry, "labels", LABELS), Origin(scan, "liver-lungs-0.4.0", "")
    with pytest.raises(OutputError, match="spread over 2 files of several frames each"):
        write_label_maps(labels, [tmp_path / "r.seg.dcm"], origin)
    write_label_maps(labels, [tmp_path / "r.rtstruct.dcm"], origin)
    read = read_label_map(tmp_path / "r.rtstruct.dcm", grid=scan.geometry)
    assert np.array_equal(read.array, labels.array)


def test_a_series_without_one_slice_in_other_readers(tmp_path):
    """Where nothing was taken, dcmqi has nothing; plastimatch draws on its own, evenly spaced slices."""
    hu, truth = np.random.default_rng(0).integers(-900, 900, SHAPE), drawing()
    write_ct_series(tmp_path / "ct", hu, grid(), SliceThickness=THICK)
    (tmp_path / "ct" / "im005.dcm").unlink()
    scan = find_scan(tmp_path / "ct", progress=Progress())
    labels, there = LabelMap(truth, scan.geometry, "labels", LABELS), np.arange(SHAPE[0]) != 4
    write_both(labels, Origin(scan, "liver-lungs-0.4.0", ""), tmp_path)
    for value, mask in enumerate(by_dcmqi(tmp_path / "r.seg.dcm", labels.geometry, 2), start=1):
        assert np.array_equal(mask[there], truth[there] == value) and not mask[4].any()
    masks = by_plastimatch(tmp_path / "r.rtstruct.dcm", tmp_path / "ct", labels.geometry, LABELS)
    for value, mask in enumerate(masks, start=1):
        assert np.array_equal(mask[there], truth[there] == value)


def test_a_tilted_series_in_other_readers(tmp_path):
    """Contours lie where they are in the patient; dcmqi has the pixels of each slice, but stacks slices upright."""
    hu, truth = np.random.default_rng(0).integers(-900, 900, SHAPE), drawing()
    aside = 0.0, grid().spacing[1]  # a voxel from slice to slice
    write_ct_series(tmp_path / "ct", hu, grid(), aside=aside, SliceThickness=THICK)
    scan = find_scan(tmp_path / "ct", progress=Progress())
    array = np.zeros(scan.geometry.shape, np.uint8)
    for z, plane in enumerate(truth):
        array[z, z : z + SHAPE[1]] = plane
    labels = LabelMap(array, scan.geometry, "labels", LABELS)
    write_both(labels, Origin(scan, "liver-lungs-0.4.0", ""), tmp_path)
    marked = [np.flatnonzero((truth == value).any(axis=(1, 2))) for value in (1, 2)]
    first, last = min(at[0] for at in marked), max(at[-1] for at in marked)
    for value, mask in enumerate(by_dcmqi(tmp_path / "r.seg.dcm", None, 2), start=1):
        assert np.array_equal(mask, truth[first : last + 1] == value)
    masks = by_plastimatch(tmp_path / "r.rtstruct.dcm", tmp_path / "ct", labels.geometry, LABELS)
    for value, mask in enumerate(masks, start=1):  # on the rows of the first slice, beyond which it has none
        assert np.array_equal(mask[:, : SHAPE[1]], array[:, : SHAPE[1]] == value)


def write_both(labels, origin, folder):
    """SEG and RTSTRUCT, without an error."""
    paths = [folder / "r.seg.dcm", folder / "r.rtstruct.dcm"]
    write_label_maps(labels, paths, origin)
    assert [errors_of(path) for path in paths] == [[], []]
