"""NIfTI headers: read as ITK and Slicer read them, with a word where they leave open how the patient lies."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import SimpleITK as sitk
from test_io_formats import GEOMETRIES, a_volume, turned
from test_io_refusals import patched, refusal

from Med3DCore.io import read_header, read_volume, write_volume
from Med3DCore.progress import Progress
from Med3DCore.volume import geometry_from_sitk

CODES, QUATERNION, QOFFSET, SROW = 252, 256, 268, 280


@pytest.fixture
def nifti(tmp_path):
    write_volume(a_volume(GEOMETRIES["oblique"]), tmp_path / "scan.nii")
    return tmp_path / "scan.nii"


def read(path):
    """The volume and the warnings."""
    progress = Progress()
    return read_volume(path, progress=progress), progress.warnings


def by_itk(path):
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return geometry_from_sitk(reader)


@pytest.mark.parametrize("qform", range(4))
@pytest.mark.parametrize("sform", range(4))
def test_of_two_placements_the_one_is_taken_that_slicer_shows(nifti, qform, sform):
    patched(nifti, CODES, "h", qform, sform)
    patched(nifti, SROW + 12, "f", 400.0)  # x of the sform's origin
    volume, warnings = read(nifti)
    assert volume.geometry.is_close(by_itk(nifti), 1e-3)
    assert len(warnings) == (bool(qform) == bool(sform))
    if qform and sform:
        assert f"its sform (code {sform}) it lies shifted by" in warnings[0]
        assert f"The {'sform' if sform == 1 else 'qform'} was taken" in warnings[0]


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (1, 1)])
def test_the_grid_is_the_one_that_itk_sees(tmp_path, name, codes):
    path = tmp_path / "scan.nii"
    write_volume(a_volume(GEOMETRIES[name]), path)
    patched(path, CODES, "h", *codes)
    volume, warnings = read(path)
    assert volume.geometry.is_close(by_itk(path), 1e-3)
    assert volume.geometry.is_close(GEOMETRIES[name], 1e-3)
    assert warnings == []


def test_no_placement_at_all(nifti):
    patched(nifti, CODES, "h", 0, 0)
    volume, (warning,) = read(nifti)
    assert volume.geometry.is_close(by_itk(nifti), 1e-3)
    assert volume.geometry.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert "does not say how the patient lies: the qform_code and sform_code of its header are 0" in warning
    assert "LPS was assumed" in warning
    assert "nibabel would take LAS" in warning
    assert not read_header(nifti).is_oriented


def test_a_mirrored_and_a_turned_placement_are_named(tmp_path):
    path = tmp_path / "scan.nii"
    write_volume(a_volume(), path)
    patched(path, SROW, "f", 1.0, 0.0, 0.0, -6.0)  # the same box, x the other way round
    assert "lies mirrored against its qform" in read(path)[1][0]
    turn = np.diag((-1.0, -1.0, 1.0)) @ np.reshape(turned((0, 0, 30)), (3, 3))
    patched(path, SROW, "f", *np.hstack([turn, [[0], [0], [0]]]).ravel())
    assert "turned by 30.0 degrees" in read(path)[1][0]


@pytest.mark.parametrize(
    ("offset", "kind", "value"),
    [(QUATERNION, "f", np.nan), (QUATERNION + 8, "f", np.inf), (QOFFSET + 4, "f", np.nan), (SROW + 28, "f", np.inf)],
)
def test_numbers_that_are_none_give_no_place(nifti, offset, kind, value):
    patched(nifti, offset, kind, value)
    assert "where its voxels lie" in refusal(nifti)


@pytest.mark.parametrize(("offset", "value"), [(80, 1e-6), (88, 1e30)])
@pytest.mark.parametrize("codes", [(0, 0), (1, 0)])
def test_spacings_that_no_scan_has(nifti, offset, value, codes):
    patched(nifti, CODES, "h", *codes)
    patched(nifti, offset, "f", value)
    assert f"{value:g}" in refusal(nifti)
    assert "spacing" in refusal(nifti)


def test_an_origin_far_from_every_patient(nifti):
    patched(nifti, CODES, "h", 1, 0)
    patched(nifti, QOFFSET, "f", 1e30)
    assert "cannot be in a patient" in refusal(nifti)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_an_axis_of_no_voxels(nifti, axis):
    patched(nifti, 40 + 2 * axis, "h", 0)
    assert "no voxels" in refusal(nifti)


@pytest.mark.parametrize(("code", "said"), [(32, "complex numbers"), (1, "single bits"), (1536, "type 1536")])
def test_types_that_are_no_plain_numbers(nifti, code, said):
    patched(nifti, 70, "h", code)
    assert said in refusal(nifti)


def test_half_of_a_pair_is_no_nifti_file(nifti):
    patched(nifti, 344, "b", *b"ni1\0")
    assert "half of a pair" in refusal(nifti)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["oblique", "left-handed", "permuted"])
def test_nifti_2(tmp_path, name, order):
    volume = a_volume(GEOMETRIES[name])
    write_volume(volume, tmp_path / "one.nii")
    one = (tmp_path / "one.nii").read_bytes()
    head = bytearray(544)
    struct.pack_into(f"{order}i8s", head, 0, 540, b"n+2\0\r\n\x1a\n")
    struct.pack_into(f"{order}hh8q", head, 12, 4, 16, 3, *volume.geometry.size, 1, 1, 1, 1)
    struct.pack_into(f"{order}8d", head, 104, *struct.unpack_from("<8f", one, 76))
    struct.pack_into(f"{order}qdd", head, 168, 544, 2.0, -100.0)
    struct.pack_into(f"{order}2i6d12d", head, 344, 1, 1, *struct.unpack_from("<18f", one, QUATERNION))
    struct.pack_into(f"{order}i", head, 500, 2)
    path = tmp_path / "scan.nii"
    path.write_bytes(bytes(head) + volume.array.astype(f"{order}i2").tobytes())
    back, warnings = read(path)
    assert np.array_equal(back.array, volume.array * 2 - 100)
    assert back.geometry.is_close(volume.geometry, 1e-3)
    assert warnings == []
    path.write_bytes(path.read_bytes()[:500])
    assert "damaged" in refusal(path)


@pytest.mark.parametrize(("unit", "factor"), [(1, 1e-3), (3, 1e3), (0, 1), (2, 1)])
def test_units_of_length(nifti, unit, factor):
    original = read(nifti)[0].geometry
    for offset, count in ((80, 3), (QOFFSET, 3), (SROW, 12)):
        values = np.frombuffer(nifti.read_bytes(), "<f4", count, offset) * factor
        patched(nifti, offset, "f", *values)
    patched(nifti, 123, "B", unit)
    assert read(nifti)[0].geometry.is_close(original, 1e-2)
    assert by_itk(nifti).is_close(original, 1e-2)
