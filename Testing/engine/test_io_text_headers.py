"""NRRD and MetaImage: read as ITK reads them where it is right, and never by ITK."""

from __future__ import annotations

import bz2
import gzip
import zlib

import numpy as np
import pytest
import SimpleITK as sitk
from test_io_formats import GEOMETRIES, a_volume, turned
from test_io_refusals import refusal
from text_headers import NRRD, VALUES, a_meta, a_nrrd, read

from Med3DCore.errors import SettingError, VolumeError
from Med3DCore.io import read_header, read_label_map, read_volume
from Med3DCore.volume import geometry_from_sitk


def assert_as_itk(path) -> None:
    volume, _ = read(path)
    image = sitk.ReadImage(str(path))
    assert np.array_equal(volume.array, sitk.GetArrayFromImage(image))
    assert volume.geometry.is_close(geometry_from_sitk(image), 1e-6)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_grid_and_the_values_are_those_that_itk_and_slicer_see(tmp_path, name, ending, compressed):
    image = a_volume(GEOMETRIES[name]).to_sitk()
    sitk.WriteImage(image, str(tmp_path / f"scan{ending}"), useCompression=compressed)
    assert_as_itk(tmp_path / f"scan{ending}")


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_every_type_of_number(tmp_path, kind, ending):
    array = np.arange(60).reshape(3, 4, 5).astype(kind)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"scan{ending}"))
    assert np.array_equal(read_volume(tmp_path / f"scan{ending}").array, array)


@pytest.mark.parametrize(
    ("encoding", "stored"),
    [
        ("raw", VALUES.tobytes()),
        ("gzip", gzip.compress(VALUES.tobytes())),
        ("gz", gzip.compress(VALUES.tobytes())),
        ("bzip2", bz2.compress(VALUES.tobytes())),
        ("ascii", " ".join(map(str, VALUES.ravel())).encode()),
        ("hex", VALUES.tobytes().hex().encode()),
    ],
)
def test_every_encoding_of_nrrd(tmp_path, encoding, stored):
    path = a_nrrd(tmp_path / "scan.nrrd", stored, encoding=encoding)
    assert np.array_equal(read(path)[0].array, VALUES)
    for kept in (0.2, 0.8, 0.98):
        a_nrrd(path, stored[: int(len(stored) * kept)], encoding=encoding)
        assert "truncated or damaged" in refusal(path)


@pytest.mark.parametrize("spaces", ["right-anterior-superior", "RAS", "left-anterior-superior", "LAS", "lps"])
def test_every_space_of_the_patient(tmp_path, spaces):
    path = a_nrrd(tmp_path / "scan.nrrd", space=spaces, space_directions="(0,0.9,0.1) (0.8,0,0) (0,-0.5,4.5)")
    volume, warnings = read(path)
    assert volume.geometry.is_close(geometry_from_sitk(sitk.ReadImage(str(path))), 1e-6)
    assert warnings == []


def test_big_endian_and_bytes_to_skip(tmp_path):
    swapped = VALUES.astype(">i2").tobytes()
    path = a_nrrd(tmp_path / "scan.nrrd", swapped, endian="big")
    assert np.array_equal(read(path)[0].array, VALUES)
    a_nrrd(path, b"x" * 7 + swapped, endian="big", byte_skip="7")
    assert np.array_equal(read(path)[0].array, VALUES)
    a_nrrd(path, b"a line\nanother\n" + swapped + b"", endian="big", byte_skip="-1")
    assert np.array_equal(read(path)[0].array, VALUES)
    a_nrrd(path, b"a line\nanother\n" + swapped, endian="big", line_skip="2")
    assert np.array_equal(read(path)[0].array, VALUES)
    a_nrrd(path, gzip.compress(b"head" + VALUES.tobytes()), encoding="gzip", byte_skip="4")
    assert np.array_equal(read(path)[0].array, VALUES)
    a_meta(path.with_suffix(".mha"), swapped, BinaryDataByteOrderMSB="True")
    assert np.array_equal(read(path.with_suffix(".mha"))[0].array, VALUES)


def test_compressed_metaimages_and_numbers_in_words(tmp_path):
    path = tmp_path / "scan.mha"
    packed = zlib.compress(VALUES.tobytes())
    a_meta(path, packed + b"behind", CompressedData="True", CompressedDataSize=str(len(packed)))
    assert np.array_equal(read(path)[0].array, VALUES)
    a_meta(path, packed, CompressedData="True", BinaryData="True")
    assert np.array_equal(read(path)[0].array, VALUES)
    a_meta(path, " ".join(map(str, VALUES.ravel())).encode(), BinaryData="False")
    assert np.array_equal(read(path)[0].array, VALUES)
    for word in (b"x", b"nan", b"0.5", b"40000"):
        a_meta(path, b"1 2 3 " + word + b" 5" * 200, BinaryData="False")
        assert "damaged" in refusal(path)


@pytest.mark.parametrize("first", [True, False])
def test_an_axis_of_one_volume_is_no_axis(tmp_path, first):
    own = NRRD["space directions"]
    changes = {
        "dimension": "4",
        "sizes": "1 6 5 4" if first else "6 5 4 1",
        "kinds": "list domain domain domain" if first else "domain domain domain list",
        "space_directions": f"none {own}" if first else f"{own} none",
    }
    volume, warnings = read(a_nrrd(tmp_path / "scan.nrrd", **changes))
    assert np.array_equal(volume.array, VALUES)
    assert volume.geometry.spacing == pytest.approx((0.8, 0.9, 5))
    assert warnings == []


def test_a_space_with_time_is_turned_like_one_without(tmp_path):
    path = a_nrrd(
        tmp_path / "scan.nrrd",
        dimension="4",
        sizes="6 5 4 1",
        space="right-anterior-superior-time",
        space_directions="(0.8,0,0,0) (0,0.9,0,0) (0,0,5,0) (0,0,0,1)",
        kinds="domain domain domain time",
        space_origin="(-10,20,30,0)",
        space_units='"mm" "mm" "mm" "s"',
    )
    volume, warnings = read(path)
    assert np.array_equal(volume.array, VALUES)
    assert volume.geometry.origin == (10, -20, 30)
    assert volume.geometry.direction == (-1, 0, 0, 0, -1, 0, 0, 0, 1)
    assert warnings == []


@pytest.mark.parametrize("frame", [0, 2])
@pytest.mark.parametrize("first", [True, False])
def test_one_volume_of_several(tmp_path, first, frame):
    stack = np.stack([VALUES, VALUES + 1, VALUES + 2], axis=-1 if first else 0)
    own = NRRD["space directions"]
    path = a_nrrd(
        tmp_path / "scan.nrrd",
        stack.astype("<i2").tobytes(),
        dimension="4",
        sizes="3 6 5 4" if first else "6 5 4 3",
        kinds="list domain domain domain" if first else "domain domain domain list",
        space_directions=f"none {own}" if first else f"{own} none",
    )
    assert np.array_equal(read_volume(path, frame=frame).array, VALUES + frame)
    assert "3 volumes" in refusal(path)
    with pytest.raises(VolumeError, match="no volume 3; it holds 3"):
        read_volume(path, frame=3)
    alone = a_nrrd(tmp_path / "alone.nrrd")
    assert np.array_equal(read_volume(alone, frame=0).array, VALUES)
    with pytest.raises(SettingError, match="one volume only, so its frame cannot be 2"):
        read_volume(alone, frame=2)


@pytest.mark.parametrize(("unit", "factor"), [("cm", 10), ("m", 1000), ("um", 0.001), ("mm", 1), ("???", 1)])
def test_units_of_length_count(tmp_path, unit, factor):
    size = " ".join(f"({', '.join(str(v / factor) for v in row)})" for row in np.diag([0.8, 0.9, 5]))
    origin = f"({-10 / factor},{20 / factor},{30 / factor})"
    path = a_nrrd(tmp_path / "a.nrrd", space_directions=size, space_origin=origin, space_units=f'"{unit}" ' * 3)
    volume, warnings = read(path)
    assert volume.geometry.spacing == pytest.approx((0.8, 0.9, 5))
    assert volume.geometry.origin == pytest.approx((-10, 20, 30))
    assert len(warnings) == (factor != 1)
    assert not warnings or f"gives lengths in {unit}" in warnings[0]


@pytest.mark.parametrize(("unit", "factor"), [("cm", 10), ("um", 0.001), ("mm", 1), ("?", 1)])
def test_units_of_length_count_in_metaimage(tmp_path, unit, factor):
    spacing, offset = (" ".join(str(v / factor) for v in values) for values in ((0.8, 0.9, 5), (-10, 20, 30)))
    volume, warnings = read(a_meta(tmp_path / "a.mha", DistanceUnits=unit, ElementSpacing=spacing, Offset=offset))
    assert volume.geometry.spacing == pytest.approx((0.8, 0.9, 5))
    assert volume.geometry.origin == pytest.approx((-10, 20, 30))
    assert len(warnings) == (factor != 1)


def test_an_unknown_unit_is_refused(tmp_path):
    assert "'furlong', a unit" in refusal(a_nrrd(tmp_path / "a.nrrd", space_units='"furlong" "furlong" "furlong"'))
    assert "'furlong', a unit" in refusal(a_meta(tmp_path / "a.mha", DistanceUnits="furlong"))


def test_slope_and_intercept_of_metaimage_count(tmp_path):
    path = tmp_path / "scan.mha"
    a_meta(path, ElementToIntensityFunctionSlope="2", ElementToIntensityFunctionOffset="-1024")
    volume, _ = read(path)
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, VALUES.astype(int) * 2 - 1024)
    for slope in ("0", "nan"):
        assert "ElementToIntensityFunction" in refusal(a_meta(path, ElementToIntensityFunctionSlope=slope))


@pytest.mark.parametrize(
    ("ending", "changes", "lacking"),
    [
        (".nrrd", {"space_directions": None, "space": None, "space_origin": None, "spacings": "0.8 0.9 5"}, "spacings"),
        (".nrrd", {"space": None, "space_dimension": "3"}, "no space of the patient"),
        (".nrrd", {"space": "scanner-xyz"}, "its space is scanner-xyz"),
        (".nrrd", {"space": "3D-right-handed"}, "its space is 3d-right-handed"),
        (".mha", {"TransformMatrix": None}, "no TransformMatrix"),
        (".mha", {"TransformMatrix": None, "AnatomicalOrientation": "???"}, "no TransformMatrix"),
    ],
)
def test_an_orientation_that_is_not_given_is_told(tmp_path, ending, changes, lacking):
    path = (a_nrrd if ending == ".nrrd" else a_meta)(tmp_path / f"scan{ending}", **changes)
    volume, warnings = read(path)
    assert len(warnings) == 1
    assert "does not say how the patient lies" in warnings[0]
    assert lacking in warnings[0]
    assert "LPS was assumed" in warnings[0]
    assert "--orientation" in warnings[0]
    assert not read_header(path).is_oriented
    assert volume.geometry.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)


def test_axes_and_anatomical_orientation_of_metaimage(tmp_path):
    path = tmp_path / "scan.mha"
    for agreeing in ("RAI", "LPS", "???"):  # where axes come from, or run to; both are written
        assert read(a_meta(path, AnatomicalOrientation=agreeing))[1] == []
    assert "AnatomicalOrientation is LAI, but LPS was taken" in read(a_meta(path, AnatomicalOrientation="LAI"))[1][0]
    assert read(a_meta(path, AnatomicalOrientation="RAI", TransformMatrix=None))[1] == []
    assert "two ways" in read(a_meta(path, AnatomicalOrientation="LAI", TransformMatrix=None))[1][0]


def test_positions_of_a_nrrd_without_directions(tmp_path):
    bare = {"space_directions": None, "space": None, "space_origin": None, "kinds": None, "spacings": "1 2 4"}
    path = a_nrrd(tmp_path / "a.nrrd", axis_mins="10 20 30", **bare)
    assert_as_itk(path)
    a_nrrd(path, axis_mins="10 20 30", centers="node node node", **bare)
    assert read(path)[0].geometry.origin == (10, 20, 30)
    a_nrrd(path, units='"cm" "cm" "cm"', **bare)
    assert read(path)[0].geometry.spacing == (10, 20, 40)


@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
@pytest.mark.parametrize("listed", [False, True])
def test_a_file_for_each_slice(tmp_path, ending, listed):
    for z, values in enumerate(VALUES):
        (tmp_path / f"s{z + 1:02d}.raw").write_bytes(values.tobytes() + b"more")
    names = "\n".join(f"s{z + 1:02d}.raw" for z in range(4))
    path = tmp_path / f"scan{ending}"
    if ending == ".mhd":
        a_meta(path, b"", f"LIST\n{names}" if listed else "s%02d.raw 1 4 1")
    else:
        a_nrrd(path, f"{names}\n".encode() if listed else b"", data_file="LIST" if listed else "s%02d.raw 1 4 1")
        path.write_bytes(path.read_bytes().replace(b"\n\n", b"\n"))
    assert np.array_equal(read(path)[0].array, VALUES)
    (tmp_path / "s03.raw").unlink()
    assert "'s03.raw', which is not there" in refusal(path)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_letters_of_an_old_code_page_in_keys_and_values(tmp_path, ending):
    path = (a_nrrd if ending == ".nrrd" else a_meta)(tmp_path / f"scan{ending}")
    first, _, rest = path.read_bytes().partition(b"\n")
    line = "Gr\u00f6\u00dfe:=\u00fcber" if ending == ".nrrd" else "Gr\u00f6\u00dfe = \u00fcber"
    path.write_bytes(b"\n".join([first, line.encode("latin-1"), rest]))
    assert np.array_equal(read(path)[0].array, VALUES)
    assert "\u00fcber" in read_header(path).metadata.values()


def test_cosines_with_three_decimals_are_taken_as_right_angles(tmp_path):
    exact = np.reshape(turned((3, 5, 7)), (3, 3))
    rounded = " ".join(f"({x:.3f},{y:.3f},{z:.3f})" for x, y, z in exact.T)
    volume, _ = read(a_nrrd(tmp_path / "scan.nrrd", space_directions=rounded))
    matrix = volume.geometry.direction_matrix
    assert np.abs(matrix.T @ matrix - np.eye(3)).max() < 1e-12
    assert np.abs(matrix - exact).max() < 1e-3


def test_itk_never_sees_a_text_header(tmp_path, monkeypatch):
    def forbidden(*_):
        raise AssertionError("ITK reads a text header")

    monkeypatch.setattr("SimpleITK.ReadImage", forbidden)
    monkeypatch.setattr("SimpleITK.ImageFileReader", forbidden)
    for path in (a_nrrd(tmp_path / "scan.nrrd"), a_meta(tmp_path / "scan.mha")):
        assert np.array_equal(read(path)[0].array, VALUES)
    labels = a_nrrd(tmp_path / "a.seg.nrrd", np.ones(120, np.uint8).tobytes(), type="uchar")
    head, _, voxels = labels.read_bytes().partition(b"\n\n")
    labels.write_bytes(head + b"\nSegment0_ID:=liver\nSegment0_LabelValue:=1\n\n" + voxels)
    assert read_label_map(labels).volume_ml("liver") > 0
