"""Volumes come back from every format with the same values at the same place."""

from __future__ import annotations

import gzip
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import IDENTITY, Geometry
from Med3DCore.io import read_volume, write_volume
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha")


def turned(degrees: tuple[float, float, float], mirrored: bool = False) -> tuple[float, ...]:
    """Row-major direction matrix of three rotations; mirrored ones are left-handed."""
    a, b, c = np.radians(degrees)
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    matrix = z @ y @ x
    if mirrored:
        matrix[:, 2] *= -1
    return tuple(matrix.ravel())


GEOMETRIES = {
    "plain": Geometry((7, 6, 5)),
    "anisotropic": Geometry((7, 6, 5), (0.7421875, 0.91, 5.0), (-183.4, -201.25, 1034.5)),
    "oblique": Geometry((7, 6, 5), (0.8, 0.8, 2.5), (-250.1, 100.3, -900.7), turned((20, -15, 30))),
    "half turn": Geometry((7, 6, 5), (0.8, 0.8, 2.5), (250.1, 180.3, -900.7), (-1, 0, 0, 0, -1, 0, 0, 0, 1)),
    "permuted": Geometry((7, 6, 5), (1.5, 0.8, 2.5), (10, 20, 30), (0, 0, 1, 1, 0, 0, 0, 1, 0)),
    "left-handed": Geometry((7, 6, 5), (0.8, 0.9, 2.5), (-10, 20, 700), (1, 0, 0, 0, 1, 0, 0, 0, -1)),
    "oblique left-handed": Geometry((7, 6, 5), (0.8, 0.9, 2.5), (-99, 20, 700), turned((170, 40, -100), True)),
    "one slice": Geometry((7, 6, 1), (0.8, 0.9, 2.5), (-99, 20, 700), turned((5, 0, 3))),
}


def a_volume(geometry: Geometry = GEOMETRIES["plain"], dtype: type = np.int16) -> Volume:
    values = np.random.default_rng(7).integers(0, 200, geometry.shape)
    return Volume(values.astype(dtype) + dtype(0.25 if dtype is np.float32 else 0), geometry, "sample")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_geometry_survives_every_format(tmp_path, name, ending):
    volume = a_volume(GEOMETRIES[name])
    path = tmp_path / f"scan{ending}"
    write_volume(volume, path)
    back = read_volume(path)
    assert back.geometry.is_close(volume.geometry, tolerance_mm=1e-3)
    assert np.array_equal(back.array, volume.array)
    assert back.name == path.name


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ["oblique", "oblique left-handed", "permuted", "one slice"])
def test_other_programs_read_what_is_written(tmp_path, name, ending):
    volume = a_volume(GEOMETRIES[name])
    write_volume(volume, tmp_path / f"scan{ending}")
    image = sitk.ReadImage(str(tmp_path / f"scan{ending}"))
    assert np.array_equal(sitk.GetArrayFromImage(image), volume.array)
    for index in ((0, 0, 0), (6, 5, volume.geometry.size[2] - 1)):
        expected = volume.geometry.index_to_physical @ [*index, 1.0]
        assert np.allclose(image.TransformIndexToPhysicalPoint(index), expected[:3], atol=1e-3)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_types_are_kept(tmp_path, dtype, ending):
    volume = a_volume(dtype=dtype)
    write_volume(volume, tmp_path / f"scan{ending}")
    back = read_volume(tmp_path / f"scan{ending}")
    assert back.array.dtype == dtype
    assert np.array_equal(back.array, volume.array)


def test_gzip_files_of_several_members_and_with_padding(tmp_path):
    volume = a_volume(Geometry((70, 60, 5)))
    write_volume(volume, tmp_path / "plain.nii")
    raw, path = (tmp_path / "plain.nii").read_bytes(), tmp_path / "scan.nii.gz"
    path.write_bytes(gzip.compress(raw[:10_000]) + gzip.compress(raw[10_000:]) + bytes(300))
    assert np.array_equal(read_volume(path).array, volume.array)
    path.write_bytes(gzip.compress(raw)[:-4])  # all voxels are there, but not the end of the checksum
    with pytest.raises(VolumeError, match="truncated or damaged"):
        read_volume(path)


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize(
    ("stored", "highest", "expected"),
    [
        (np.int8, 100, np.int16),
        (np.uint16, 3000, np.int16),
        (np.int32, 3000, np.int16),
        (np.float64, 3000, np.int16),
        (np.float32, 3000, np.int16),
        (np.uint16, 40000, np.float32),
        (np.int32, -40000, np.float32),
    ],
)
def test_whole_numbers_that_fit_become_int16(tmp_path, stored, highest, expected, ending):
    array = np.arange(60).reshape(3, 4, 5).astype(stored)
    array[-1, 0, 0] = highest  # in the last slice, when the first are already stored
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"scan{ending}"))
    back = read_volume(tmp_path / f"scan{ending}").array
    assert back.dtype == expected
    assert np.array_equal(back, array)


def test_fractions_anywhere_make_float32(tmp_path):
    array = np.arange(60, dtype=np.float64).reshape(3, 4, 5)
    array[1, 2, 3] = 0.5
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "scan.nrrd"))
    back = read_volume(tmp_path / "scan.nrrd").array
    assert back.dtype == np.float32
    assert np.array_equal(back, array)


@pytest.mark.parametrize(
    ("slope", "intercept", "expected", "dtype"),
    [
        (1, -1024, -1024, np.int16),
        (2, 1, 1, np.int16),
        (0.5, 0.25, 0.25, np.float32),
        (0, 99, 0, np.int16),
        (np.nan, np.nan, 0, np.int16),
    ],
)
@pytest.mark.parametrize("big_endian", [False, True])
def test_nifti_slope_intercept_and_byte_order(tmp_path, slope, intercept, expected, dtype, big_endian):
    volume = a_volume()
    path = tmp_path / "scan.nii"
    write_volume(volume, path)
    data = bytearray(path.read_bytes())
    np.frombuffer(data, "<f4", 2, 112)[:] = slope, intercept
    if big_endian:
        for offset, kind, count in ((0, "i4", 1), (40, "i2", 8), (70, "i2", 2), (76, "f4", 11), (252, "i2", 2)):
            np.frombuffer(data, f"<{kind}", count, offset).byteswap(inplace=True)
        np.frombuffer(data, "<f4", 18, 256).byteswap(inplace=True)
        np.frombuffer(data, "<i2", volume.array.size, 352).byteswap(inplace=True)
    path.write_bytes(data)
    back = read_volume(path)
    factor = slope if slope and np.isfinite(slope) else 1
    assert back.array.dtype == dtype
    assert np.allclose(back.array, volume.array * factor + expected)
    assert back.geometry.is_close(volume.geometry, 1e-3)


@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_headers_with_their_voxels_in_another_file(tmp_path, ending):
    volume = a_volume(GEOMETRIES["oblique"])
    sitk.WriteImage(volume.to_sitk(), str(tmp_path / f"scan{ending}"))
    assert len(list(tmp_path.iterdir())) == 2
    back = read_volume(tmp_path / f"scan{ending}")
    assert np.array_equal(back.array, volume.array)
    assert back.geometry.is_close(volume.geometry, 1e-6)


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_a_fourth_dimension_of_one_is_no_dimension(tmp_path, ending):
    volume = a_volume(GEOMETRIES["oblique"])
    sitk.WriteImage(sitk.JoinSeries([volume.to_sitk()]), str(tmp_path / f"scan{ending}"))
    back = read_volume(tmp_path / f"scan{ending}")
    assert np.array_equal(back.array, volume.array)
    assert back.geometry.is_close(volume.geometry, 1e-3)


def test_progress_runs_to_the_end_and_can_cancel(tmp_path):
    write_volume(a_volume(), tmp_path / "scan.nii.gz")
    seen = []
    progress = Progress(lambda _stage, fraction, _left: seen.append(fraction))
    with progress.stage("read", share=1.0):
        read_volume(tmp_path / "scan.nii.gz", progress=progress)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_importing_is_light():
    code = "import sys, Med3DCore.io, Med3DCore.cli.info; print({'SimpleITK', 'torch', 'scipy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_identity_is_the_default_direction():
    assert a_volume().geometry.direction == IDENTITY
