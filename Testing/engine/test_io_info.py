"""``med3d info``."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
from dicom_files import write_series
from test_io_dicom import GEOMETRY, PATIENT, three_series, write_ct
from test_io_formats import GEOMETRIES, a_volume

from Med3DCore.cli import info
from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io import write_volume
from Med3DCore.io.dicom import tags
from Med3DCore.io.orientation import orientation_letters, turned
from Med3DCore.volume import Volume


def told(capsys, *arguments: object) -> str:
    parser = argparse.ArgumentParser()
    info.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["info", *map(str, arguments)])
    assert parsed.run(parsed) == 0
    return capsys.readouterr().out


def a_ct(spacing: tuple = (1.5, 1.5, 3.0)) -> Volume:
    """Air with a block of soft tissue."""
    array = np.full((40, 200, 220), -1000, np.int16)
    array[5:35, 40:160, 40:180] = 40
    return Volume(array, Geometry((220, 200, 40), spacing))


@pytest.mark.parametrize(
    ("name", "letters", "degrees", "handed"),
    [
        ("plain", "LPS", 0.0, 1),
        ("half turn", "RAS", 0.0, 1),
        ("permuted", "PSL", 0.0, 1),
        ("left-handed", "LPI", 0.0, -1),
        ("one slice", "LPS", 5.83, 1),
    ],
)
def test_orientation(name, letters, degrees, handed):
    facts = info.describe(a_volume(GEOMETRIES[name]))
    assert facts["orientation"] == letters
    assert facts["oblique_degrees"] == pytest.approx(degrees, abs=0.01)
    assert facts["handedness"] == ("right" if handed > 0 else "left")


def test_oblique_angle_of_one_rotation():
    angle = np.radians(12.5)
    direction = (1, 0, 0, 0, np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle))
    assert info.oblique_degrees(Geometry((4, 4, 4), direction=direction)) == pytest.approx(12.5)


def test_text(tmp_path, capsys):
    write_volume(a_ct(), tmp_path / "ct.nii.gz")
    text = told(capsys, tmp_path / "ct.nii.gz")
    for part in (
        "NIfTI, 16-bit signed integer",
        "220 x 200 x 40 voxels",
        "1.5 x 1.5 x 3 mm",
        "330.0 x 300.0 x 120.0 mm",
        "LPS, right-handed",
        "Left/Right, Posterior/Anterior",
        "-1000 to 40",
        "4 MB as int16",
    ):
        assert part in text
    assert "Note" not in text


def test_json(tmp_path, capsys):
    write_volume(a_ct(), tmp_path / "ct.nrrd")
    facts = json.loads(told(capsys, tmp_path / "ct.nrrd", "--json"))
    assert facts["format"] == "NRRD"
    assert facts["size"] == [220, 200, 40]
    assert facts["spacing_mm"] == [1.5, 1.5, 3.0]
    assert facts["range"] == [-1000, 40]
    assert facts["percentiles_1_50_99"] == [-1000, -1000, 40]
    assert facts["unusual"] == []


def test_unusual_things_are_told():
    def notes(volume: Volume, modality: str | None = None) -> str:
        return " ".join(info.unusual(volume, modality))

    ct = a_ct()
    assert notes(ct) == ""
    assert notes(ct, "CT") == ""
    assert "MR, not CT" in notes(ct, "MR")
    assert "do not look like a CT" in notes(ct.with_array(ct.array + np.int16(1024)))
    assert "do not look like a CT" in notes(ct.with_array(np.where(ct.array < 0, ct.array, np.int16(2000))))
    assert "8 mm long" in notes(a_ct((1.5, 1.5, 8.0)))
    assert "100 mm wide" in notes(a_ct((0.5, 0.5, 3.0)))
    assert "only 5 slices" in notes(a_volume())
    assert "turned by" in notes(a_volume(GEOMETRIES["oblique"]))
    assert "left-handed" in notes(a_volume(GEOMETRIES["left-handed"]))


def test_a_folder_of_several_series_is_listed(tmp_path, capsys):
    three_series(tmp_path)
    text = told(capsys, tmp_path)
    assert "Series B     CT 'Venous" in text
    assert "such as --series B" in text, "the first is the scout"
    assert "Spacing" not in text
    assert "0.7 x 0.9 x 5 mm" in told(capsys, tmp_path, "--series", "C")
    facts = json.loads(told(capsys, tmp_path, "--series", "3", "--json"))
    assert [one["description"] for one in facts["series"]][2] == "Late"
    assert facts["modality"] == "CT"
    assert facts["uid"] == "1.5.23"
    with pytest.raises(VolumeError, match="none of them"):
        told(capsys, tmp_path, "--series", "8")


def test_dicom_and_privacy(tmp_path, capsys):
    write_ct(tmp_path)
    for arguments in ((tmp_path,), (tmp_path, "--json"), (tmp_path / "im1",)):
        text = told(capsys, *arguments)
        assert "DICOM" in text
        assert PATIENT not in text
        assert "Doe" not in text
    facts = json.loads(told(capsys, tmp_path, "--json"))
    assert facts["size"] == list(GEOMETRY.size)


def test_what_was_repaired_is_told(tmp_path, capsys):
    ct = a_ct()
    array = ct.array.astype(np.float32)
    array[0] = np.nan
    write_volume(ct.with_array(array), tmp_path / "ct.nii.gz")
    assert "NaN or infinite" in told(capsys, tmp_path / "ct.nii.gz")


def test_an_orientation_that_is_not_given_or_said(tmp_path, capsys):
    write_volume(a_ct(), tmp_path / "ct.nii")
    assert "not given" not in told(capsys, tmp_path / "ct.nii")
    assert "RAS as said by --orientation" in told(capsys, tmp_path / "ct.nii", "--orientation", "ras")
    data = bytearray((tmp_path / "ct.nii").read_bytes())
    data[252:256] = bytes(4)  # qform_code and sform_code
    (tmp_path / "ct.nii").write_bytes(data)
    text = told(capsys, tmp_path / "ct.nii")
    assert "not given, LPS assumed" in text
    assert "does not say how the patient lies" in text
    facts = json.loads(told(capsys, tmp_path / "ct.nii", "--json"))
    assert (facts["orientation"], facts["orientation_from"]) == ("LPS", "assumed")
    facts = json.loads(told(capsys, tmp_path / "ct.nii", "--json", "--orientation", "RAS"))
    assert (facts["orientation"], facts["orientation_from"]) == ("RAS", "option")
    assert not any("does not say how the patient lies" in sentence for sentence in facts["unusual"])
    for nonsense in ("RA", "RAP", "RASL", "xyz", "x" * 10000):
        with pytest.raises(SystemExit):
            told(capsys, tmp_path / "ct.nii", "--orientation", nonsense)
        error = capsys.readouterr().err
        assert "three letters" in error and len(error) < 1000


def test_a_turned_grid_keeps_its_centre():
    geometry = GEOMETRIES["oblique"]
    middle = [*(np.array(geometry.size) - 1) / 2, 1]
    for letters in ("LPS", "RAS", "ASL", "IRP"):
        lying = turned(geometry, letters)
        assert orientation_letters(lying) == letters
        assert np.allclose(lying.index_to_physical @ middle, geometry.index_to_physical @ middle)


def test_each_series_is_told_with_what_makes_it_unusable(tmp_path, capsys):
    hu = np.random.default_rng(0).integers(-1000, 1500, (12, 6, 5)).astype(np.int16)
    kinds = {
        "1": ({}, [3.0 * z for z in range(12)]),
        "2": ({tags.IMAGE_TYPE: "A\\B\\LOCALIZER"}, [3.0 * z for z in range(12)]),
        "3": ({}, [3.0 * z for z in range(6)] + [20 + 7.0 * z for z in range(6)]),
        "4": ({tags.MODALITY: "SEG"}, [3.0 * z for z in range(12)]),
        "5": ({tags.MODALITY: "MR"}, [3.0 * z for z in range(12)]),
    }
    for number, (said, places) in kinds.items():
        change = {tags.SERIES_NUMBER: f"1{number}", tags.SERIES_UID: number, tags.SERIES_DESCRIPTION: f"d{number}"}
        write_series(tmp_path / number, hu, places, lambda _, change=change | said: change)
    text = told(capsys, tmp_path)
    for part in (
        "Series A     CT 'd1' (series number 11), 12 slices, 5 x 6 x 12 voxels of 2 x 1.5 x 3 mm\n",
        "Series B     CT 'd2' (series number 12), 12 slices, 5 x 6 x 12 voxels of 2 x 1.5 x 3 mm, a scout\n",
        "12 slices, 5 x 6 x 12 voxels of 2 x 1.5 x 5 mm, has uneven slices (3 to 7 mm apart)\n",
        "mm, SEG is no scan\n",
        "Series E     MR 'd5' (series number 15), 12 slices",
        "such as --series A",
    ):
        assert part in text
    facts = json.loads(told(capsys, tmp_path, "--json"))["series"]
    assert [(one["letter"], one["series_number"], one["slices"], one["usable"]) for one in facts] == [
        ("A", 11, 12, True),
        ("B", 12, 12, False),
        ("C", 13, 12, False),
        ("D", 14, 12, False),
        ("E", 15, 12, True),
    ]
    assert facts[2]["problem"].startswith("has uneven slices")
    (tmp_path / "1" / "im003.dcm").write_bytes(bytes(500))
    text = told(capsys, tmp_path, "--series", "A")
    assert "im003.dcm" in text and "slice 3 is missing" in text


def test_an_offset_that_is_missing_is_offered(tmp_path, capsys):
    ct = a_ct()
    write_volume(ct.with_array(ct.array + np.int16(1024)), tmp_path / "raw.nrrd")
    assert "--offset -1024" in told(capsys, tmp_path / "raw.nrrd")
    text = told(capsys, tmp_path / "raw.nrrd", "--offset", "-1024")
    assert "--offset" not in text and "-1000 to 40" in text
