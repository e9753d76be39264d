"""Label maps written as DICOM SEG and RTSTRUCT; judged by programs of others where they are installed."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from ct_series import PATIENT, write_ct_series
from dicom_drawing import LABELS, POSITIONS, SHAPE, drawing, grid, on_grid
from dicom_readers import as_slicer_reads, by_dcmqi, by_plastimatch, dice, errors_of
from scipy import ndimage

from Med3DCore.errors import OutputError, VolumeError
from Med3DCore.io import find_scan, read_label_map, read_volume, write_label_map, write_label_maps
from Med3DCore.io.dicom_results import require_origin
from Med3DCore.io.dicom_results.outlines import inside, outlines_of
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("name", ["r.seg.dcm", "label map.seg.dcm", "r.rtstruct.dcm"])
def test_what_is_written_lies_where_it_was(series, tmp_path, position, name):
    labels, origin = series(position)
    write_label_maps(labels, [tmp_path / name], replace(origin, labelmap=name.startswith("label")))
    told = Progress()
    read = read_label_map(tmp_path / name, progress=told, grid=origin.series.geometry)
    assert np.array_equal(on_grid(read, labels.geometry), labels.array)
    assert read.geometry.size[:2] == labels.geometry.size[:2] and not told.warnings
    assert [(label.name, label.title) for label in read.labels] == [("liver", "Liver"), ("left_lung", "Left lung")]
    wanted, colours = (np.array([label.colour for label in each]) for each in (LABELS, read.labels))
    assert np.abs(wanted - colours).max() <= 1
    assert [label.type for label in read.labels] == [label.type for label in LABELS]
    assert read.labels[1].modifier == LABELS[1].modifier


@pytest.mark.parametrize("position", ["axial", "sagittal", "oblique", "feet first"])
def test_dcmqi_reads_the_same(series, tmp_path, position):
    labels, origin = series(position)
    write_label_maps(labels, [tmp_path / "r.seg.dcm"], origin)
    for label, mask in zip(LABELS, by_dcmqi(tmp_path / "r.seg.dcm", labels.geometry, 2), strict=True):
        assert np.array_equal(mask, labels.mask(label.name))
    said = json.loads((tmp_path / "seg-meta.json").read_text())["segmentAttributes"]
    assert said[1][0]["SegmentedPropertyTypeModifierCodeSequence"]["CodeMeaning"] == "Left"
    assert said[0][0]["SegmentAlgorithmName"] == "liver-lungs"


@pytest.mark.parametrize("name", ["r.seg.dcm", "label map.seg.dcm"])
def test_slicers_own_reader_has_the_same(series, tmp_path, name):
    labels, origin = series("oblique")
    write_label_maps(labels, [tmp_path / name], replace(origin, labelmap=name.startswith("label")))
    found = as_slicer_reads(tmp_path / name, labels.geometry)
    assert list(found) == [label.title for label in LABELS]
    assert all(np.array_equal(found[label.title], labels.mask(label.name)) for label in LABELS)


@pytest.mark.parametrize("position", ["axial", "feet first"])
def test_plastimatch_reads_the_same_outlines_with_their_holes(series, tmp_path, position):
    labels, origin = series(position)
    write_label_maps(labels, [tmp_path / "r.rtstruct.dcm"], origin)
    masks = by_plastimatch(tmp_path / "r.rtstruct.dcm", tmp_path / "ct", labels.geometry, LABELS)
    assert all(dice(labels.mask(label.name), mask) >= 0.99 for label, mask in zip(LABELS, masks, strict=True))


@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])
def test_dciodvfy_finds_no_error(series, tmp_path, name):
    labels, origin = series()
    write_label_maps(labels, [tmp_path / name], origin)
    assert errors_of(tmp_path / name) == []


@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])
def test_it_belongs_to_the_study_and_tells_no_more_of_the_patient(series, tmp_path, name):
    labels, origin = series(PatientAddress="5 High Street", PatientAge="075Y", StudyDescription="a comment")
    write_label_maps(labels, [tmp_path / name], origin)
    made, image = pydicom.dcmread(tmp_path / name), pydicom.dcmread(origin.series.files[0])
    for keyword in (*PATIENT, "StudyInstanceUID", "FrameOfReferenceUID", "StudyDate", "AccessionNumber", "StudyID"):
        assert str(made[keyword].value) == str(image[keyword].value), keyword
    assert made.SeriesInstanceUID != image.SeriesInstanceUID
    text = str(made)
    assert not any(secret in text for secret in ("High Street", "075Y", "a comment"))
    uids = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in origin.series.files}
    assert all(uid in text for uid in uids if name.endswith("rtstruct.dcm"))
    assert "0123456789abcdef" in text and "liver-lungs" in text and "0.4.0" in text


def test_a_segment_points_to_its_slices_and_empty_frames_are_left_out(series, tmp_path):
    labels, origin = series()
    write_label_maps(labels, [tmp_path / "r.seg.dcm"], origin)
    made = highdicom.seg.segread(tmp_path / "r.seg.dcm")
    assert made.NumberOfFrames == 5 + 4
    assert {name for name, _ in made.get_tracking_ids()} == {f"{each.title} by liver-lungs-0.4.0" for each in LABELS}
    images = [pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in origin.series.files]
    pixels = made.get_pixels_by_source_instance([images[4]], segment_numbers=[1])
    assert np.array_equal(pixels[0, :, :, 0] > 0, labels.array[4] == 1)


@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])
def test_a_label_that_was_not_found_and_nothing_at_all(series, tmp_path, name):
    labels, origin = series()
    for array in (np.where(labels.array == 1, labels.array, 0), np.zeros_like(labels.array)):
        write_label_maps(replace(labels, array=array), [tmp_path / name], origin)
        made = pydicom.dcmread(tmp_path / name)
        assert len(made.get("SegmentSequence", None) or made.StructureSetROISequence) == 2
    nothing = pytest.raises(VolumeError, match="holds no closed contour") if "rt" in name else nullcontext()
    with nothing:
        assert not read_label_map(tmp_path / name, grid=origin.series.geometry).array.any()


def test_slices_that_were_filled_in_are_no_images_to_point_to(series, tmp_path):
    labels, origin = series()
    origin.series.files[4].unlink()
    scan = find_scan(tmp_path / "ct")
    assert scan.missing == (4,)
    for name in ("r.seg.dcm", "r.rtstruct.dcm"):
        write_label_maps(labels, [tmp_path / name], replace(origin, series=scan))
        read = read_label_map(tmp_path / name, progress=Progress(), grid=scan.geometry)
        there = np.arange(SHAPE[0]) != 4
        assert np.array_equal(on_grid(read, labels.geometry)[there], labels.array[there])


@pytest.mark.parametrize("lacking", ["FrameOfReferenceUID", "StudyInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_without_a_name_to_point_to_there_is_no_dicom(series, tmp_path, lacking):
    labels, origin = series(**{lacking: None})
    for name in ("r.seg.dcm", "r.rtstruct.dcm"):
        if lacking != "SOPClassUID":
            with pytest.raises(OutputError, match=f"no {lacking}"):  # before the work
                require_origin(origin.series, [tmp_path / name])
        with pytest.raises(OutputError, match=f"no {lacking}"):
            write_label_maps(labels, [tmp_path / "r.nii.gz", tmp_path / name], origin)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct"]


def test_slices_that_only_a_location_places_have_no_dicom_result(series, tmp_path):
    labels, origin = series()
    images = tuple(replace(image, located=True) for image in origin.series.images)
    located = replace(origin, series=replace(origin.series, images=images))
    with pytest.raises(OutputError, match="does not say how its slices lie"):
        write_label_maps(labels, [tmp_path / "r.seg.dcm"], located)


TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator", "Manufacturer", "SliceThickness"),
    "SeriesNumber",
)


@pytest.mark.parametrize("value", [None, ""], ids=["missing", "empty"])
@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])
def test_what_an_anonymizer_took_out_is_there_if_only_empty(series, tmp_path, name, value):
    labels, origin = series(**dict.fromkeys(TYPE_2, value))
    write_label_maps(labels, [tmp_path / name], origin)
    made = pydicom.dcmread(tmp_path / name)
    for keyword in TYPE_2[:9]:
        assert keyword in made and not made[keyword].value, keyword
    read = read_label_map(tmp_path / name, grid=origin.series.geometry)
    assert np.array_equal(on_grid(read, labels.geometry), labels.array)
    if name == "r.seg.dcm":
        measures = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        assert measures.SliceThickness == origin.series.geometry.spacing[2]
    assert errors_of(tmp_path / name) == []


def test_outlines_give_back_any_mask_and_a_piece_is_one_outline():
    random = np.random.default_rng(1)
    for _ in range(200):
        mask = random.random(random.integers(1, 14, 2)) < random.random()
        outlines = outlines_of(mask)
        assert np.array_equal(inside(outlines, mask.shape), mask)
        assert len(outlines) == ndimage.label(mask)[1]
        for outline in outlines:
            assert np.allclose(outline % 1, 0.5)


def test_the_command_writes_and_evaluates_them(med3d, work, capsys):
    from Med3DCore.cli.main import main

    scan = read_volume("scan.nii.gz")
    write_ct_series(work / "dicom", np.rint(scan.array).astype(np.int16), scan.geometry)
    code, out, err = med3d("dicom", "-o", "r.seg.dcm", "-o", "r.rtstruct.dcm", "-o", "r.nii.gz", "--seg-labelmap")
    assert code == 0 and "Wrote r.rtstruct.dcm" in out, err
    assert pydicom.dcmread("r.seg.dcm").SegmentationType == "LABELMAP"
    plain = read_label_map("r.nii.gz")
    shutil.copy("r.rtstruct.dcm", "dicom")
    for file in ("r.seg.dcm", "dicom/r.rtstruct.dcm"):
        assert np.array_equal(on_grid(read_label_map(file), plain.geometry), plain.array)
    for file in ("r.seg.dcm", "dicom/r.rtstruct.dcm"):
        assert main(["evaluate", file, "r.seg.dcm", "--json", "-"]) == 0
        (labels,) = (case["labels"] for case in json.loads(capsys.readouterr().out)["cases"])
        assert labels and all(measures["dice"] == 1.0 for measures in labels.values())


def test_a_scan_that_is_no_dicom_has_no_dicom_result(med3d):
    code, _, err = med3d("scan.nii.gz", "-o", "r.nii.gz", "-o", "r.seg.dcm")
    assert code == 2 and "which only a DICOM series knows" in err and not Path("r.nii.gz").exists()


def test_a_plain_label_map_cannot_become_dicom(tmp_path):
    labels = LabelMap(drawing(), grid(), "labels", LABELS)
    with pytest.raises(OutputError, match="only a DICOM series"):
        write_label_map(labels, tmp_path / "r.seg.dcm")
