"""Label maps as DICOM SEG and RTSTRUCT, and back; judged by programs of others where they are installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from ct_series import PATIENT, write_ct_series
from scipy import ndimage

from Med3DCore.errors import OutputError, VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io import find_scan, read_label_map, read_volume, write_label_map, write_label_maps
from Med3DCore.io.dicom_results import Origin
from Med3DCore.io.dicom_results.outlines import inside, outlines_of
from Med3DCore.progress import Progress
from Med3DCore.tasks import find_labels
from Med3DCore.training.cases.label import read_label
from Med3DCore.training.data_sets import list_cases
from Med3DCore.volume import LabelMap

SHAPE = (9, 24, 30)
LABELS = find_labels(["liver", "left_lung"])
TILT = np.cos(0.3), np.sin(0.3)
POSITIONS = {  # columns: how rows, columns and slices run in the patient
    "axial": ((1, 0, 0), (0, 1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "prone": ((-1, 0, 0), (0, -1, 0)),
    "feet first": ((-1, 0, 0), (0, 1, 0)),
    "oblique": ((TILT[0], TILT[1], 0), (-TILT[1] * 0.8, TILT[0] * 0.8, 0.6)),
}


def grid(position: str = "axial", shape: tuple[int, int, int] = SHAPE) -> Geometry:
    rows, columns = (np.array(axis, float) / np.linalg.norm(axis) for axis in POSITIONS[position])
    matrix = np.stack([rows, columns, np.cross(rows, columns)], axis=1)
    return Geometry(shape[::-1], (0.8, 0.9, 2.5), (-20.5, 13.25, 101.0), tuple(matrix.ravel().tolist()))


def drawing() -> np.ndarray:
    """Nothing symmetric: an organ with a hole that has an island, a piece that touches at a corner, another organ."""
    array = np.zeros(SHAPE, np.uint8)
    array[2:7, 4:18, 5:20] = 1
    array[3:6, 7:13, 8:15] = 0
    array[4, 9:11, 10:12] = 1
    array[2:4, 18:20, 20:23] = 1
    array[5:9, 1:3, 22:29] = 2
    return array


@pytest.fixture
def series(tmp_path):
    """A CT in a position, its label map, and where that came from."""
    digest = "0123456789abcdef" * 4

    def make(position: str = "axial", **changes):
        folder = tmp_path / "ct"
        place = grid(position)
        write_ct_series(folder, np.random.default_rng(0).integers(-900, 900, SHAPE), place, **changes)
        scan = find_scan(folder)
        assert scan.geometry.is_close(place, 1e-3)
        return LabelMap(drawing(), scan.geometry, "labels", LABELS), Origin(scan, "liver-lungs-0.4.0", digest)

    return make


def on_grid(read: LabelMap, place: Geometry) -> np.ndarray:
    """Label map on a part of a grid, or turned, on all of it."""
    return LabelMap(read.array, read.geometry, "read", ()).sampled(place, 0, nearest=True)


def as_itk_reads(path: Path, labels: LabelMap) -> np.ndarray:
    """What a file of others marks on the grid of a label map."""
    image = sitk.ReadImage(str(path))
    return (
        sitk.GetArrayFromImage(sitk.Resample(image, labels.to_sitk(), sitk.Transform(), sitk.sitkNearestNeighbor)) > 0
    )


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
    program = shutil.which("segimage2itkimage", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip("dcmqi is not installed (pip install dcmqi)")
    labels, origin = series(position)
    write_label_maps(labels, [tmp_path / "r.seg.dcm"], origin)
    command = [
        program,
        "-t",
        "nrrd",
        "-p",
        "seg",
        "--outputDirectory",
        tmp_path,
        "--inputDICOM",
        tmp_path / "r.seg.dcm",
    ]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    for value, label in enumerate(LABELS, start=1):
        image = sitk.Resample(
            sitk.ReadImage(str(tmp_path / f"seg-{value}.nrrd")),
            labels.to_sitk(),
            sitk.Transform(),
            sitk.sitkNearestNeighbor,
        )
        assert np.array_equal(sitk.GetArrayFromImage(image) > 0, labels.mask(label.name))
    said = json.loads((tmp_path / "seg-meta.json").read_text())["segmentAttributes"]
    assert said[1][0]["SegmentedPropertyTypeModifierCodeSequence"]["CodeMeaning"] == "Left"
    assert said[0][0]["SegmentAlgorithmName"] == "liver-lungs"


@pytest.mark.parametrize("position", ["axial", "feet first"])
def test_plastimatch_reads_the_same_outlines_with_their_holes(series, tmp_path, position):
    program = shutil.which("plastimatch")
    if program is None:
        pytest.skip("plastimatch is not installed (apt-get install plastimatch)")
    labels, origin = series(position)
    write_label_maps(labels, [tmp_path / "r.rtstruct.dcm"], origin)
    command = [program, "convert", "--input", tmp_path / "r.rtstruct.dcm", "--referenced-ct", tmp_path / "ct"]
    command += ["--output-prefix", tmp_path / "out", "--prefix-format", "nii.gz"]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    for label in LABELS:
        (file,) = (tmp_path / "out").glob(f"{label.title.replace(' ', '?')}.nii.gz")
        truth, found = labels.mask(label.name), as_itk_reads(file, labels)
        assert 2 * np.count_nonzero(truth & found) / (truth.sum() + found.sum()) >= 0.99


@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])
def test_dciodvfy_finds_no_error(series, tmp_path, name):
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is not installed (apt-get install dicom3tools)")
    labels, origin = series()
    write_label_maps(labels, [tmp_path / name], origin)
    said = subprocess.run([program, str(tmp_path / name)], capture_output=True, text=True, check=False)
    assert "Error" not in said.stdout + said.stderr and ("Segmentation" in said.stderr or "RTStructure" in said.stderr)


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


def test_without_a_frame_of_reference_there_is_no_dicom(series, tmp_path):
    labels, origin = series(FrameOfReferenceUID=None)
    for name in ("r.seg.dcm", "r.rtstruct.dcm"):
        with pytest.raises(OutputError, match="no FrameOfReferenceUID"):
            write_label_maps(labels, [tmp_path / "r.nii.gz", tmp_path / name], origin)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct"]


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


def test_slices_left_out_between_drawn_ones_are_filled_and_told(series, tmp_path):
    labels, origin = series()
    array = np.zeros(SHAPE, np.uint8)
    for z in range(SHAPE[0]):
        array[z, 4 + z : 14 + z // 2, 3:20] = 1
    path = tmp_path / "r.rtstruct.dcm"
    write_label_maps(replace(labels, array=array), [path], origin)

    def change(made):
        sequence = made.ROIContourSequence[0].ContourSequence
        made.ROIContourSequence[0].ContourSequence = sequence[::2]

    told = Progress()
    read = read_label_map(edited(path, change), progress=told, grid=origin.series.geometry)
    assert any("drawn on 5 slices only; 4 between them" in sentence for sentence in told.warnings)
    assert 2 * np.count_nonzero(read.array & array) / (read.array.sum() + array.sum()) > 0.95


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
