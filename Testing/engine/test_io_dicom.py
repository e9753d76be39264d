"""DICOM folders: the right slices in the right order, or a sentence that says why not."""

from __future__ import annotations

import os
import re
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from test_io_formats import turned

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import IDENTITY, Geometry
from Med3DCore.io import find_scan, list_series, read_found, read_volume
from Med3DCore.io.dicom import read_series
from Med3DCore.progress import Progress

NATIVE = Path(__file__).parents[3] / "shared" / "data" / "native"
GEOMETRY = Geometry((8, 7, 6), (0.7, 0.9, 2.5), (-120.5, -80.25, 900.0))
PATIENT = "Doe^Jane"


def hounsfield(geometry: Geometry = GEOMETRY) -> np.ndarray:
    return np.random.default_rng(3).integers(-1000, 1500, geometry.shape).astype(np.int16)


def write_slice(path: Path, values: np.ndarray, geometry: Geometry, **tags: str) -> None:
    """One DICOM file; ``tags`` are like ``x0008_103e="..."``."""
    image = sitk.GetImageFromArray(values[None])
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    fields = {
        "x0008_0060": "CT",
        "x0010_0010": PATIENT,
        "x0020_000e": "1.2.3",
        "x0028_1052": "-1024",
        "x0028_1053": "1",
    }
    for key, value in (fields | tags).items():
        image.SetMetaData(key[1:].replace("_", "|"), value)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetImageIO("GDCMImageIO")
    writer.SetFileName(str(path))
    writer.Execute(image)


def write_ct(
    folder: Path, geometry: Geometry = GEOMETRY, origins: list | None = None, leave_out: tuple = (), **tags: str
) -> np.ndarray:
    """A CT series; its file names tell nothing about its order."""
    folder.mkdir(parents=True, exist_ok=True)
    array = hounsfield(geometry)
    order = np.random.default_rng(5).permutation(len(array))
    for z, values in enumerate(array):
        if z in leave_out:
            continue
        start, stop = (0, 0, z), (*geometry.size[:2], z + 1)
        piece = geometry.crop(start, stop)
        if origins is not None:
            piece = Geometry(piece.size, piece.spacing, tuple(float(v) for v in origins[z]), piece.direction)
        uid = tags.get("x0020_000e", "1.2.3")
        write_slice(folder / f"im{order[z]}", values, piece, **({"x0008_0018": f"{uid}.{z + 1}"} | tags))
    return array


def refusal(path: Path, series: str | None = None) -> str:
    with pytest.raises(VolumeError) as caught:
        read_volume(path, series)
    assert "\n" not in str(caught.value)
    assert PATIENT not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "direction",
    [IDENTITY, turned((20, 0, 0)), turned((20, -15, 30)), (0, 0, -1, 1, 0, 0, 0, -1, 0)],
    ids=["axial", "tilted table", "oblique", "sagittal"],
)
def test_values_order_and_place(tmp_path, direction):
    geometry = Geometry(GEOMETRY.size, GEOMETRY.spacing, GEOMETRY.origin, direction)
    array = write_ct(tmp_path / "ct", geometry)
    volume = read_volume(tmp_path / "ct")
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, array)
    assert volume.geometry.is_close(geometry, 1e-3)
    assert volume.name == "ct"


def test_rescale_of_each_slice_is_applied(tmp_path):
    for z, slope in enumerate((1, 2, 4)):
        values = np.full((5, 6), 100 * slope, np.int16) + slope * np.arange(6, dtype=np.int16)
        piece = GEOMETRY.crop((0, 0, z), (6, 5, z + 1))
        tags = {"x0028_1053": str(slope), "x0028_1052": "0", "x0008_0018": f"1.{z + 1}"}
        write_slice(tmp_path / f"{z}.dcm", values, piece, **tags)
    volume = read_volume(tmp_path)
    assert volume.array[:, 0, 0].tolist() == [100, 200, 400]
    assert volume.array[2, 0].tolist() == [400, 404, 408, 412, 416, 420]


def test_folders_below_and_other_files_do_not_disturb(tmp_path):
    array = write_ct(tmp_path / "PAT" / "STUDY" / "SERIES")
    (tmp_path / "README.txt").write_text("viewer")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(50))
    (tmp_path / "picture.png").write_bytes(b"\x89PNG" + bytes(200))
    assert np.array_equal(read_volume(tmp_path).array, array)


def test_one_file_stands_for_its_series(tmp_path):
    array = write_ct(tmp_path)
    write_ct(tmp_path / "other", x0020_000e="9.9")
    assert np.array_equal(read_volume(tmp_path / "im3").array, array)


def test_a_copied_file_counts_once(tmp_path):
    array = write_ct(tmp_path)
    shutil.copy(tmp_path / "im2", tmp_path / "copy of im2")
    assert np.array_equal(read_volume(tmp_path).array, array)
    assert np.array_equal(read_volume(tmp_path / "copy of im2").array, array)


def test_a_single_slice_is_a_volume_as_thick_as_it_says(tmp_path):
    write_slice(tmp_path / "one.dcm", hounsfield()[0], GEOMETRY.crop((0, 0, 0), (8, 7, 1)), x0018_0050="4.5")
    volume = read_volume(tmp_path)
    assert volume.geometry.size == (8, 7, 1)
    assert volume.spacing == pytest.approx((0.7, 0.9, 4.5))


def test_a_multi_frame_file(tmp_path):
    array = np.random.default_rng(1).integers(0, 200, (5, 7, 8)).astype(np.uint8)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.7, 0.9, 2.5))
    sitk.WriteImage(image, str(tmp_path / "frames.dcm"))
    volume = read_volume(tmp_path)
    assert np.array_equal(volume.array, array)
    assert volume.spacing == pytest.approx((0.7, 0.9, 2.5))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"1\\2\\17.5": "1\\2\\18.7"}, "uneven slices"),
        ({"1\\2\\15": "1\\2\\10"}, "5 images at only 4 places"),
        ({"1\\2\\15": "1\\2\\xx"}, "where each of its 5 frames lies"),
    ],
    ids=["gap", "twice", "unsaid"],
)
def test_frames_that_do_not_lie_in_even_steps_are_refused(tmp_path, change, fault):
    frames_at(tmp_path / "frames.dcm", change)
    with pytest.raises(VolumeError, match=fault):
        read_volume(tmp_path)


def test_frames_in_any_order_stay_where_they_are(tmp_path):
    pairs = {"10": "20", "20": "10", "12.5": "17.5", "17.5": "12.5"}
    array = frames_at(tmp_path / "frames.dcm", {f"1\\2\\{old}": f"1\\2\\{new}" for old, new in pairs.items()})
    volume = read_volume(tmp_path)
    assert np.array_equal(volume.array, array[::-1])
    assert volume.geometry.origin == pytest.approx((1, 2, 10))
    array = frames_at(tmp_path / "frames.dcm", {"1\\2\\12.5": "1\\2\\17.5", "1\\2\\17.5": "1\\2\\12.5"})
    assert np.array_equal(read_volume(tmp_path).array, array[[0, 3, 2, 1, 4]])


def frames_at(path: Path, change: dict[str, str]) -> np.ndarray:
    """A multi-frame file with other positions than those that it was written with."""
    array = np.random.default_rng(1).integers(0, 200, (5, 7, 8)).astype(np.uint8)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.7, 0.9, 2.5))
    image.SetOrigin((1, 2, 10))
    sitk.WriteImage(image, str(path))
    positions = rb"(?<= \x002\x00[\x06\x08]\x00\x00\x00)1\\2\\(?:\d\d\.5|\d\d)"
    data, count = re.subn(positions, lambda m: change.get(m[0].decode(), m[0].decode()).encode(), path.read_bytes())
    assert count == 5
    path.write_bytes(data)
    return array


def test_a_slice_that_does_not_say_how_large_its_pixels_are_is_refused(tmp_path):
    write_ct(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes().replace(b"\x28\x00\x30\x00", b"\x28\x00\x31\x00"))
    with pytest.raises(VolumeError, match="does not say how large its pixels are"):
        read_volume(tmp_path)


def test_a_slice_with_too_few_pixels_is_not_filled_with_memory(tmp_path):
    write_ct(tmp_path)
    path = tmp_path / "im2"
    data = path.read_bytes()
    start = data.rindex(b"\xe0\x7f\x10\x00")
    header = 12 if data[start + 4 : start + 6].isalpha() else 8
    short = data[: start + header - 4] + struct.pack("<I", 20) + data[start + header :][:20]
    path.write_bytes(short)
    with pytest.warns(UserWarning, match="truncated"), pytest.warns(UserWarning, match="mean of the neighbours"):
        read_volume(tmp_path)


def test_slices_that_share_a_uid_by_mistake_stay_apart(tmp_path):
    array = write_ct(tmp_path, x0008_0018="1.2.3.4.5")
    assert np.array_equal(read_volume(tmp_path).array, array)


def three_series(folder: Path) -> dict[str, np.ndarray]:
    scout = Geometry((9, 4, 2), (1, 1, 1), direction=(0, 0, -1, 1, 0, 0, 0, -1, 0))
    tags = {
        "x0020_000e": "1.5.1",
        "x0020_0011": "1",
        "x0008_103e": "Scout",
        "x0008_0008": "ORIGINAL\\PRIMARY\\LOCALIZER",
    }
    write_ct(folder / "scout", scout, **tags)
    venous = {"x0020_000e": "1.5.22", "x0020_0011": "2", "x0008_103e": "Venous\n \u00e9"}
    thick = Geometry((8, 7, 4), (0.7, 0.9, 5.0))
    late = {"x0020_000e": "1.5.23", "x0020_0011": "3", "x0008_103e": "Late"}
    return {"venous": write_ct(folder / "venous", **venous), "late": write_ct(folder / "late", thick, **late)}


def test_several_series_are_listed_and_chosen(tmp_path):
    arrays = three_series(tmp_path)
    series = list_series(tmp_path)
    assert [one.number for one in series] == [1, 2, 3]
    assert [one.usable for one in series] == [False, True, True]
    assert series[1].description.startswith("Venous")
    assert series[1].modality == "CT"
    assert series[1].geometry.is_close(GEOMETRY, 1e-3)
    sentence = refusal(tmp_path)
    for part in (
        "--series",
        "A: CT 'Scout'",
        "scout",
        "B: CT 'Venous",
        "C: CT 'Late' (series number 3), 4 slices, 8 x 7 x 4 voxels of 0.7 x 0.9 x 5 mm",
    ):
        assert part in sentence
    for wanted in ("B", "b", "2", 2, "1.5.22"):
        assert np.array_equal(read_volume(tmp_path, wanted).array, arrays["venous"])
    assert np.array_equal(read_volume(tmp_path, "1.5.23").array, arrays["late"])
    assert "'D' means none" in refusal(tmp_path, "D")
    assert "'4' means none" in refusal(tmp_path, "4")
    assert "'1.5.2' means several" in refusal(tmp_path, "1.5.2")


def test_the_only_usable_series_is_taken(tmp_path):
    arrays = three_series(tmp_path)
    shutil.rmtree(tmp_path / "late")
    assert np.array_equal(read_volume(tmp_path).array, arrays["venous"])


def test_a_scout_inside_the_series_is_set_apart(tmp_path):
    array = write_ct(tmp_path)
    scout = Geometry((8, 7, 1), GEOMETRY.spacing, direction=(0, 0, -1, 1, 0, 0, 0, -1, 0))
    write_slice(tmp_path / "scout", hounsfield(scout)[0], scout, x0008_0018="1.2.3.99")
    assert len(list_series(tmp_path)) == 2
    with pytest.warns(UserWarning, match=r"were left out \(1\)"):
        assert np.array_equal(read_volume(tmp_path).array, array)


def test_missing_slices_are_refused(tmp_path):
    write_ct(tmp_path, leave_out=(2, 3))
    sentence = refusal(tmp_path)
    assert "lacks 2 slices" in sentence
    assert "7.5 mm" in sentence


def moved(offsets: np.ndarray) -> list:
    """Origins of the slices of GEOMETRY, moved by ``offsets`` (mm, LPS)."""
    z = np.arange(GEOMETRY.size[2])
    return list(np.asarray(GEOMETRY.origin) + np.outer(z * 2.5, (0, 0, 1)) + offsets)


def test_uneven_slices_are_refused_and_slight_unevenness_warned_of(tmp_path):
    uneven = np.zeros((6, 3))
    uneven[3:, 2] = 1.9
    write_ct(tmp_path / "uneven", origins=moved(uneven))
    assert "uneven slices (2.5 to 4.4 mm apart)" in refusal(tmp_path / "uneven")
    slight = np.zeros((6, 3))
    slight[3, 2] = 0.15
    array = write_ct(tmp_path / "slight", origins=moved(slight))
    progress = Progress()
    volume = read_volume(tmp_path / "slight", progress=progress)
    assert np.array_equal(volume.array, array)
    assert volume.geometry.is_close(GEOMETRY, 1e-3)
    assert len(progress.warnings) == 1
    assert "0.15 mm" in progress.warnings[0]


def test_rounded_positions_are_fine(tmp_path):
    array = write_ct(tmp_path, origins=moved(np.random.default_rng(0).uniform(-0.005, 0.005, (6, 3))))
    progress = Progress()
    assert np.array_equal(read_volume(tmp_path, progress=progress).array, array)
    assert progress.warnings == []


def test_several_phases_in_one_series_are_refused(tmp_path):
    write_ct(tmp_path / "a")
    array = hounsfield()
    for z, values in enumerate(array):
        piece = GEOMETRY.crop((0, 0, z), (8, 7, z + 1))
        write_slice(tmp_path / f"second{z}", values + 1, piece, x0008_0018=f"1.2.3.9{z}")
    assert "12 images at only 6 places" in refusal(tmp_path)


def test_colour_pictures_are_no_scan(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((1, 5, 6, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "report.dcm"))
    assert "colour pictures" in refusal(tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "empty"])
def test_a_damaged_last_slice_is_not_lost_silently(tmp_path, damage, capfd):
    array = write_ct(tmp_path)
    last = max(tmp_path.iterdir(), key=lambda path: sitk.ReadImage(str(path), imageIO="GDCMImageIO").GetOrigin()[2])
    last.write_bytes(b"" if damage == "empty" else last.read_bytes()[:-30])
    progress = Progress()
    volume = read_volume(tmp_path, progress=progress)
    assert np.array_equal(volume.array, array[:-1])
    assert last.name in progress.warnings[0]
    assert capfd.readouterr().err == ""


def test_a_damaged_file_by_itself(tmp_path):
    write_ct(tmp_path)
    path = tmp_path / "im1"
    path.write_bytes(path.read_bytes()[:-30])
    assert "truncated" in refusal(path)


def test_progress_can_be_shown_while_dicom_is_read(tmp_path, capfd):
    write_ct(tmp_path)
    progress = Progress(lambda stage, fraction, _left: os.write(2, f"{stage} {fraction:.0%}".encode()))
    with progress.stage("read", share=1.0):
        read_volume(tmp_path, progress=progress)
    assert capfd.readouterr().err == "read 0%read 100%"


def test_a_file_that_vanishes_while_reading(tmp_path):
    write_ct(tmp_path)
    series = list_series(tmp_path)[0]
    series.files[3].unlink()
    with pytest.raises(VolumeError, match=re.escape(str(series.files[3]))):
        read_series(series)


def test_no_such_folder(tmp_path):
    with pytest.raises(VolumeError, match="no folder"):
        list_series(tmp_path / "nothing")


@pytest.mark.skipif(not NATIVE.is_dir(), reason="the real scans of ../shared/data are not here")
@pytest.mark.parametrize(
    ("folder", "size", "spacing"),
    [
        ("chaos_eval_dicom", (512, 512, 78), (0.7265625, 0.7265625, 2.0)),  # raw, stored unsigned
        ("nlst101287_dicom", (512, 512, 143), (0.54, 0.54, 2.0)),  # JPEG-LS
    ],
)
def test_real_scans(folder, size, spacing):
    progress = Progress()
    volume = read_volume(NATIVE / folder, progress=progress)
    assert volume.geometry.size == size
    assert volume.spacing == pytest.approx(spacing)
    assert volume.array.dtype == np.int16
    assert -2100 < volume.array.min() <= -1000
    assert progress.warnings == []
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(NATIVE / folder))
    middle = len(names) // 2
    image = sitk.ReadImage(names[middle], imageIO="GDCMImageIO")
    assert np.array_equal(sitk.GetArrayFromImage(image)[0], volume.array[middle])
    assert np.allclose(image.GetOrigin(), (volume.geometry.index_to_physical @ [0, 0, middle, 1])[:3], atol=1e-3)


def test_slices_that_do_not_say_how_they_lie(tmp_path):
    array = write_ct(tmp_path / "ct")
    for path in (tmp_path / "ct").iterdir():  # another, unknown tag in the place of ImageOrientationPatient
        path.write_bytes(path.read_bytes().replace(b"\x20\0\x37\0", b"\x20\0\x38\0"))
    scan, progress = find_scan(tmp_path / "ct"), Progress()
    assert not scan.is_oriented
    assert np.array_equal(read_found(scan, tmp_path / "ct", progress).array, array)
    assert "does not say how the patient lies: its slices have no ImageOrientationPatient" in progress.warnings[0]
    progress = Progress()
    volume = read_found(scan, tmp_path / "ct", progress, "RAS")
    assert not progress.warnings
    assert volume.geometry.direction == (-1, 0, 0, 0, -1, 0, 0, 0, 1)


@pytest.mark.parametrize("spacing", [(1e-6, 1e-6, 2.5), (1e30, 1e30, 2.5), (900.0, 900.0, 2000.0)])
def test_sizes_that_no_patient_has_are_refused(tmp_path, spacing):
    write_ct(tmp_path / "ct", Geometry(GEOMETRY.size, spacing, (0.0, 0.0, 0.0)))
    assert f"spacing of {spacing[0]:g} x" in refusal(tmp_path / "ct")
