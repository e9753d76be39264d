"""What cannot be a scan is refused in one sentence that names the file and says what to do."""

from __future__ import annotations

import gzip
import os
import re
import struct
import zipfile
import zlib

import numpy as np
import pytest
import SimpleITK as sitk
from test_io_formats import a_volume

from Med3DCore.errors import ResourceError, SettingError, VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io import read_volume, write_volume
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

ALL = (".nii", ".nii.gz", ".nrrd", ".mha")


def refusal(path, error=VolumeError) -> str:
    """The sentence with which a file is refused; it must be one, name the file, and hold nothing of C++."""
    with pytest.raises(error) as caught:
        read_volume(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert path.name in sentence
    assert sentence.endswith(".")
    assert not any(word in sentence for word in ("sitk::", "ITK ERROR", ".cxx", "0x", "Traceback"))
    return sentence


def patched(path, offset: int, kind: str, *values) -> None:
    """Overwrite numbers in the header of a NIfTI file."""
    data = bytearray(path.read_bytes())
    struct.pack_into(f"<{len(values)}{kind}", data, offset, *values)
    path.write_bytes(data)


@pytest.fixture
def nifti(tmp_path):
    write_volume(a_volume(), tmp_path / "scan.nii")
    return tmp_path / "scan.nii"


def test_missing_and_empty(tmp_path):
    assert "no file or folder" in refusal(tmp_path / "scan.nii.gz")
    (tmp_path / "empty.nii.gz").touch()
    assert "0 bytes" in refusal(tmp_path / "empty.nii.gz")
    (tmp_path / "folder").mkdir()
    assert "no DICOM image" in refusal(tmp_path / "folder")


def test_a_folder_with_an_image_points_to_it(tmp_path):
    (tmp_path / "case").mkdir()
    write_volume(a_volume(), tmp_path / "case" / "ct.nii.gz")
    assert "ct.nii.gz" in refusal(tmp_path / "case")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_permission(nifti):
    nifti.chmod(0)
    assert "may not be read" in refusal(nifti)


def test_permission_told_by_the_system(nifti, monkeypatch):
    def denied(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", denied)
    assert "may not be read" in refusal(nifti)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.nii")
    assert "neither a file nor a folder" in refusal(tmp_path / "pipe.nii")


@pytest.mark.parametrize("ending", ALL)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.97])
def test_truncated(tmp_path, ending, kept):
    noise = np.random.default_rng(1).integers(-1000, 1000, (30, 40, 50)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(tmp_path / f"whole{ending}"), useCompression=True)
    data = (tmp_path / f"whole{ending}").read_bytes()
    (tmp_path / f"scan{ending}").write_bytes(data[: int(len(data) * kept)])
    assert "damaged" in refusal(tmp_path / f"scan{ending}")


@pytest.mark.parametrize("ending", ALL)
def test_only_a_few_bytes_left(tmp_path, ending):
    write_volume(a_volume(), tmp_path / f"whole{ending}")
    (tmp_path / f"scan{ending}").write_bytes((tmp_path / f"whole{ending}").read_bytes()[:40])
    assert "damaged" in refusal(tmp_path / f"scan{ending}")


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_one_wrong_byte_in_compressed_voxels(tmp_path, ending):
    noise = np.random.default_rng(1).integers(-1000, 1000, (30, 40, 50)).astype(np.int16)
    path = tmp_path / f"scan{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(path), useCompression=True)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    assert "damaged" in refusal(path)


def test_a_wrong_checksum(tmp_path):
    path = tmp_path / "scan.nii.gz"
    write_volume(a_volume(Geometry((300, 300, 2))), path)  # slices larger than the buffers of gzip
    data = bytearray(path.read_bytes())
    data[-8] ^= 1
    path.write_bytes(data)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize(
    ("name", "start", "expected"),
    [
        ("scan.nii.gz", b"\x89PNG\r\n\x1a\n", "PNG picture"),
        ("scan.nrrd", b"\xff\xd8\xff\xe0", "JPEG picture"),
        ("scan.mha", b"%PDF-1.7", "PDF"),
        ("scan.nii", b"7z\xbc\xaf\x27\x1c", "7z archive"),
        ("scan.dcm", b"\x30\x82\x10\x00", "encrypted"),
        ("scan.txt", b"hello", "not an image that Med3D knows"),
        ("scan.nii", b"hello" * 200, "cannot be read as NIfTI"),
        ("scan.nrrd", b"hello" * 200, "cannot be read as NRRD"),
        ("scan.mha", b"hello" * 200, "cannot be read as MetaImage"),
        ("scan.nii.gz", b"hello" * 200, "rename it to end in .nii"),
        ("scan.nii", gzip.compress(b"hello", mtime=0), "rename it to end in .nii.gz"),
    ],
)
def test_other_things_under_an_image_name(tmp_path, name, start, expected, capfd):
    (tmp_path / name).write_bytes(start + bytes(100))
    assert expected in refusal(tmp_path / name)
    assert capfd.readouterr().err == ""


def test_zip_archives(tmp_path):
    path = tmp_path / "scan.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ct.nii", "x" * 100)
    assert "a zip archive" in refusal(path)
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag that the member is encrypted
    path.write_bytes(data)
    assert "password-protected" in refusal(path)


def test_pictures_and_2d_images(tmp_path, nifti):
    sitk.WriteImage(sitk.Image(20, 10, sitk.sitkUInt8), str(tmp_path / "slice.png"))
    assert "PNG picture" in refusal(tmp_path / "slice.png")
    sitk.WriteImage(sitk.Image(20, 10, sitk.sitkInt16), str(tmp_path / "slice.nrrd"))
    assert "2D picture" in refusal(tmp_path / "slice.nrrd")
    patched(nifti, 40, "h", 2, 7, 6, 1, 1, 1, 1, 1)
    assert "2D picture" in refusal(nifti)


@pytest.mark.parametrize("ending", ALL)
def test_several_volumes_in_one_file(tmp_path, ending):
    image = a_volume().to_sitk()
    sitk.WriteImage(sitk.JoinSeries([image, image, image]), str(tmp_path / f"scan{ending}"))
    assert "3 volumes" in refusal(tmp_path / f"scan{ending}")


@pytest.mark.parametrize("ending", ALL)
def test_colour_and_vectors(tmp_path, ending):
    image = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(tmp_path / f"scan{ending}"))
    assert "3 values in each voxel" in refusal(tmp_path / f"scan{ending}")


def test_complex_numbers(tmp_path):
    sitk.WriteImage(sitk.Image((4, 4, 4), sitk.sitkComplexFloat32), str(tmp_path / "scan.nrrd"))
    assert "stored as" in refusal(tmp_path / "scan.nrrd")


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_constant_image(tmp_path, ending):
    volume = a_volume()
    write_volume(volume.with_array(np.full_like(volume.array, -1024)), tmp_path / f"scan{ending}")
    assert "-1024" in refusal(tmp_path / f"scan{ending}")


def test_slices_of_one_value_each_are_no_constant_image(tmp_path):
    volume = a_volume()
    array = np.zeros_like(volume.array)
    array[-1] = 1
    write_volume(volume.with_array(array), tmp_path / "scan.nii.gz")
    assert np.array_equal(read_volume(tmp_path / "scan.nii.gz").array, array)


def test_some_voxels_not_a_number_are_air_with_a_warning(tmp_path):
    volume = a_volume(dtype=np.float32)
    array = volume.array.copy()
    array[0, :2] = np.nan
    array[1, 0, 0] = np.inf
    array[1, 0, 1] = -900.5
    write_volume(volume.with_array(array), tmp_path / "scan.nii.gz")
    progress = Progress()
    back = read_volume(tmp_path / "scan.nii.gz", progress=progress).array
    bad = ~np.isfinite(array)
    assert np.all(back[bad] == -900.5)
    assert np.array_equal(back[~bad], array[~bad])
    assert len(progress.warnings) == 1
    assert f"{bad.sum()} of its 210 voxels" in progress.warnings[0]
    with pytest.warns(UserWarning, match="NaN or infinite"):
        read_volume(tmp_path / "scan.nii.gz")


def test_mostly_not_a_number(tmp_path):
    volume = a_volume(dtype=np.float32)
    array = volume.array.copy()
    array[:4] = np.nan
    write_volume(volume.with_array(array), tmp_path / "scan.nii.gz")
    assert "80.0 %" in refusal(tmp_path / "scan.nii.gz")


@pytest.mark.parametrize("value", [0.0, -2.0, np.nan])
@pytest.mark.parametrize("sform", [0, 1])
def test_spacing_that_cannot_be_in_nifti(nifti, value, sform):
    patched(nifti, 84, "f", value)
    patched(nifti, 254, "h", sform)
    assert "spacing" in refusal(nifti)


@pytest.mark.parametrize("value", ["0", "-1"])
def test_spacing_that_cannot_be_in_metaimage(tmp_path, value):
    path = tmp_path / "scan.mha"
    write_volume(a_volume(), path)
    path.write_bytes(path.read_bytes().replace(b"ElementSpacing = 1 1 1", f"ElementSpacing = 1 {value} 1".encode()))
    assert "spacing" in refusal(path)


@pytest.mark.parametrize(
    ("ending", "old", "new"),
    [
        (".mha", b"ElementSpacing = 1 1 1\n", b""),
        (".nrrd", b"(0,0,1)", b"none"),
        (".nrrd", b"space directions: (1,0,0) (0,1,0) (0,0,1)", b"spacings: 1 nan 1"),
    ],
)
def test_spacing_that_is_not_said_is_not_guessed(tmp_path, ending, old, new):
    path = tmp_path / f"scan{ending}"
    write_volume(a_volume(), path)
    data = path.read_bytes()
    data = (
        data.replace(b"space: left-posterior-superior\n", b"").replace(b"space origin: (0,0,0)\n", b"")
        if b"spac" in new
        else data
    )
    assert old in data
    path.write_bytes(data.replace(old, new))
    assert "does not say how large its voxels are" in refusal(path)


def test_a_compressed_metaimage_with_too_few_voxels_is_not_filled_with_memory(tmp_path):
    path = tmp_path / "scan.mha"
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(60_000, dtype=np.int16).reshape(30, 40, 50)), str(path), True)
    data = path.read_bytes()
    start = data.index(b"LOCAL\n") + 6
    short = zlib.compress(zlib.decompress(data[start:])[:5000])
    head = re.sub(rb"CompressedDataSize = \d+", b"CompressedDataSize = %d" % len(short), data[:start])
    path.write_bytes(head + short)
    assert "damaged" in refusal(path)


def test_no_voxels_along_an_axis(tmp_path):
    path = tmp_path / "scan.mha"
    write_volume(a_volume(), path)
    path.write_bytes(re.sub(rb"DimSize = (\d+ \d+) \d+", rb"DimSize = \1 0", path.read_bytes()))
    assert "no voxels" in refusal(path)


def test_spacing_zero_in_nrrd(tmp_path):
    path = tmp_path / "scan.nrrd"
    write_volume(a_volume(), path)
    path.write_bytes(path.read_bytes().replace(b"(0,0,1)", b"(0,0,0)"))
    assert "spacing" in refusal(path)


@pytest.mark.parametrize("qform", [0, 1])
def test_sheared_nifti(nifti, qform):
    patched(nifti, 252, "h", qform)
    patched(nifti, 280, "f", -1.0, 0.01, 0.0, 0.0)
    assert "right angles" in refusal(nifti)


def test_nifti_that_contradicts_itself(nifti):
    patched(nifti, 280, "f", -0.7, 0.0, 0.0, 0.0)
    assert "contradicts itself" in refusal(nifti)


def test_nifti_without_a_place(nifti, capfd):
    patched(nifti, 280, "f", *[np.nan] * 12)
    assert "where its voxels lie" in refusal(nifti)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("ending", "old"), [(".nrrd", b"(1,0,0)"), (".mha", b"TransformMatrix = 1 0 0")])
def test_sheared_nrrd_and_metaimage(tmp_path, ending, old):
    path = tmp_path / f"scan{ending}"
    write_volume(a_volume(), path)
    new = old.replace(b"1,0,0", b"1,0.01,0").replace(b"1 0 0", b"1 0.01 0")
    path.write_bytes(path.read_bytes().replace(old, new))
    assert "right angles" in refusal(path)


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_shear_below_the_tolerance_is_rounding(tmp_path, ending):
    path = tmp_path / f"scan{ending}"
    direction = (1.0, 1e-4, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    volume = a_volume()
    write_volume(Volume(volume.array, Geometry(volume.geometry.size, direction=direction)), path)
    assert np.array_equal(read_volume(path).array, volume.array)


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_too_large_for_the_memory_is_found_in_the_header(tmp_path, ending, monkeypatch):
    path = tmp_path / f"scan{ending}"
    write_volume(a_volume(), path)
    monkeypatch.setattr("Med3DCore.io.memory.free_memory", lambda: 100)
    monkeypatch.setattr("SimpleITK.ReadImage", lambda *_: pytest.fail("voxels were read"))
    assert "memory" in refusal(path, ResourceError)


def test_a_header_that_promises_too_much(nifti):
    patched(nifti, 40, "h", 3, 9000, 9000, 9000, 1, 1, 1, 1)
    assert "truncated or damaged" in refusal(nifti)


def test_a_series_of_something_that_has_none(nifti):
    with pytest.raises(SettingError, match=r"scan\.nii"):
        read_volume(nifti, series="2")
