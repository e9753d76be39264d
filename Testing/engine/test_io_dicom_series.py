"""DICOM folders: which images make a volume, and that no other series than the expected one is read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_frames, write_series
from dicom_scans import GEOMETRY, WRITERS, every, hounsfield, read, refusal, write

from Med3DCore.errors import SettingError
from Med3DCore.io import find_scan, list_series, read_volume
from Med3DCore.io.dicom import tags
from Med3DCore.io.dicom.files import named
from Med3DCore.progress import Progress


@WRITERS
def test_two_phases_are_told_apart_and_chosen(tmp_path, stored):
    both = np.concatenate([hounsfield(), hounsfield(seed=1)])
    write(tmp_path, stored, both, every() * 2, {z: 1 + z // 24 for z in range(48)})
    assert [one.slices for one in list_series(tmp_path)] == [24, 24]
    sentence = refusal(tmp_path)
    assert "--series A" in sentence and "--acquisition 1" in sentence and "acquisition 2 (series number 3)" in sentence
    for choice in ({"acquisition": 2}, {"series": "b"}, {"series": "1.2.3", "acquisition": "2"}):
        array, geometry, warnings = read(tmp_path, **choice)
        assert np.array_equal(array, both[24:]) and geometry.is_close(GEOMETRY, 1e-6) and warnings == []
    assert "no acquisition 7; it knows 1, 2" in refusal(tmp_path, acquisition=7)
    file = next(tmp_path.iterdir())
    assert "--acquisition 1" in refusal(file) if stored == "frames" else len(read(file)[0]) == 24


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ({tags.ACQUISITION_TIME: "101500"}, {tags.ACQUISITION_TIME: "101530"}),
        ({tags.TEMPORAL_POSITION: "1"}, {tags.TEMPORAL_POSITION: "2"}),
        ({}, {}),
    ],
    ids=["time", "temporal position", "instance number"],
)
def test_phases_without_an_acquisition_number(tmp_path, early, late):
    write_series(tmp_path, hounsfield(), change=lambda _: early)
    write_series(tmp_path, hounsfield(seed=1), change=lambda _: late, first=101)
    found = list_series(tmp_path)
    assert [one.slices for one in found] == [24, 24]
    assert np.array_equal(read(tmp_path, series="B")[0], hounsfield(seed=1))


def test_frames_are_told_apart_by_their_stack(tmp_path):
    both = np.concatenate([hounsfield(), hounsfield(seed=1)])
    groups = [
        {
            tags.PLANE_POSITION: [{tags.POSITION: f"-100\\-80\\{3 * (z % 24)}"}],
            tags.FRAME_CONTENT: [{tags.STACK: "ab"[z // 24]}],
        }
        for z in range(48)
    ]
    write_frames(tmp_path / "frames.dcm", both, groups)
    assert np.array_equal(read(tmp_path, acquisition="b")[0], hounsfield(seed=1))


def test_two_studies_that_share_a_uid_are_told_apart(tmp_path):
    write_series(tmp_path / "a", hounsfield())
    write_series(tmp_path / "b", hounsfield(seed=1), change=lambda _: {tags.STUDY_UID: "1.8"})
    assert [one.part_kind for one in list_series(tmp_path)] == ["study", "study"]
    assert "--acquisition" not in refusal(tmp_path)
    assert np.array_equal(read(tmp_path, series="B")[0], hounsfield(seed=1))


def test_phases_that_nothing_tells_apart_are_refused(tmp_path):
    write_series(tmp_path, hounsfield(), change=lambda _: {tags.INSTANCE: "1"})
    write_series(tmp_path, hounsfield(seed=1), change=lambda _: {tags.INSTANCE: "1"}, first=101)
    assert "48 images at only 24 places" in refusal(tmp_path)


@WRITERS
def test_one_position_twice_leaves_one_image_out(tmp_path, stored):
    hu = hounsfield(25)
    write(tmp_path, stored, hu, [*every(), 30.0], {24: 2})
    array, geometry, warnings = read(tmp_path)
    assert np.array_equal(array, hu[:24]) and geometry.is_close(GEOMETRY, 1e-6)
    assert len(warnings) == 1 and "were left out (1)" in warnings[0]


def test_copies_with_names_of_their_own_count_once(tmp_path):
    write_series(tmp_path, hounsfield())
    write_series(tmp_path, hounsfield(), first=101)
    array, _, warnings = read(tmp_path)
    assert np.array_equal(array, hounsfield())
    assert len(warnings) == 1 and "24 of its images are copies of others and count once" in warnings[0]


@pytest.mark.parametrize("late", [1, 101], ids=["files mixed", "one after the other"])
def test_a_copy_in_another_study_is_the_same_series_and_of_one_study(tmp_path, late):
    copy = {tags.STUDY_UID: "1.8", tags.FRAME_OF_REFERENCE: "1.9", tags.ACQUISITION: "2"}
    write_series(tmp_path, hounsfield())
    write_series(tmp_path / "made", hounsfield(), change=lambda z: copy | {tags.IMAGE_UID: f"1.7.{z}"})
    for path in (tmp_path / "made").iterdir():
        path.rename(tmp_path / f"{path.stem}-{late}{path.suffix}" if late == 1 else tmp_path / f"z{path.name}")
    array, geometry, warnings = read(tmp_path)
    assert np.array_equal(array, hounsfield()) and geometry.is_close(GEOMETRY, 1e-6)
    assert len(warnings) == 1 and "24 of its images are copies of others and count once" in warnings[0]
    assert len({image.kin for image in list_series(tmp_path)[0].images}) == 1
    for path in tmp_path.glob("*.dcm"):
        assert np.array_equal(read(path)[0], hounsfield())


def test_phases_that_were_copied_are_told_apart_and_empty_slices_are_no_copies(tmp_path):
    late = hounsfield(seed=1)
    late[[0, 23]] = hounsfield()[[0, 23]]
    for study, first in (("1.2", 1), ("1.8", 201)):
        for phase, hu in enumerate((hounsfield(), late)):
            change = {tags.STUDY_UID: study, tags.ACQUISITION: str(phase)}
            write_series(tmp_path, hu, change=lambda _, change=change: change, first=first + 100 * phase)
    assert [one.slices for one in list_series(tmp_path)] == [24, 24]
    for phase, hu in enumerate((hounsfield(), late)):
        array, _, warnings = read(tmp_path, acquisition=phase)
        assert np.array_equal(array, hu) and "copies of others" in warnings[0]


def test_a_series_that_was_copied_whole_is_read_once_and_can_be_named(tmp_path):
    copy = {tags.SERIES_UID: "1.9", tags.STUDY_UID: "1.8", tags.SERIES_NUMBER: "7"}
    write_series(tmp_path / "a", hounsfield())
    write_series(tmp_path / "b", hounsfield(), change=lambda _: copy)
    array, _, warnings = read(tmp_path)
    assert np.array_equal(array, hounsfield())
    assert len(warnings) == 1 and "2 series are equal to the last voxel; the first of them was taken" in warnings[0]
    assert find_scan(tmp_path).uid == "1.2.3" and read(tmp_path, series="1.9")[2] == []
    other_values = hounsfield()
    other_values[20, 3, 3] += 1
    write_series(tmp_path / "b", other_values, change=lambda _: copy)
    assert "choose one" in refusal(tmp_path)


def test_images_of_one_name_and_place_that_show_different_things_are_not_copies(tmp_path):
    same = {tags.IMAGE_UID: "1.2.3.4", tags.INSTANCE: "1"}
    write_series(tmp_path, hounsfield(), change=lambda _: same)
    write_series(tmp_path, hounsfield(seed=1), change=lambda _: same, first=101)
    assert "48 images at only 24 places" in refusal(tmp_path)


def test_step_and_shoot_is_one_series_though_each_turn_has_a_number(tmp_path):
    write_series(
        tmp_path, hounsfield(), change=lambda z: {tags.ACQUISITION: str(z // 4), tags.ACQUISITION_TIME: str(z)}
    )
    assert len(list_series(tmp_path)) == 1
    for lost in (9, 10):
        (tmp_path / f"im{lost:03d}.dcm").unlink()
    assert len(list_series(tmp_path)) == 1 and "lacks 2 slices" in refusal(tmp_path)


def test_a_uid_for_each_slice_is_one_series(tmp_path):
    write_series(tmp_path, hounsfield(), change=lambda z: {tags.SERIES_UID: f"1.9.{z}"})
    array, geometry, warnings = read(tmp_path)
    assert np.array_equal(array, hounsfield()) and geometry.is_close(GEOMETRY, 1e-6)
    assert len(warnings) == 1 and "a series UID of its own" in warnings[0]


def other(modality: str) -> dict:
    return {tags.SERIES_UID: "1.7", tags.SERIES_NUMBER: "9", tags.MODALITY: modality, tags.SERIES_DESCRIPTION: "Second"}


@pytest.mark.parametrize(("slices", "modality"), [(5, "MR"), (24, "MR"), (24, "CT"), (14, "CT"), (24, "PT")])
def test_a_flaw_of_the_main_series_never_lets_another_one_win(tmp_path, slices, modality):
    write_series(tmp_path / "main", np.delete(hounsfield(), [9, 10], 0), np.delete(every(), [9, 10]).tolist())
    write_series(tmp_path / "other", hounsfield(slices, 1), change=lambda _: other(modality))
    sentence = refusal(tmp_path)
    assert "A: CT 'Thorax' (series number 3), 22 slices" in sentence and "lacks 2 slices" in sentence
    assert "--series B" in sentence
    assert np.array_equal(read(tmp_path, series="B")[0], hounsfield(slices, 1))


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        ({tags.SAMPLES: 3, tags.BITS: 8, tags.BITS_USED: 8, tags.HIGH_BIT: 7}, "holds colour pictures"),
        ({tags.IMAGE_TYPE: "DERIVED\\SECONDARY\\SCREEN SAVE", tags.POSITION: None}, "does not say where"),
    ],
)
def test_pictures_of_screens_beside_the_scan_are_left_out(tmp_path, picture, why):
    write_series(tmp_path / "main", hounsfield())
    places = [0.0] * 30
    wide = hounsfield(30).repeat(2, axis=1)
    write_series(tmp_path / "other", wide, places, lambda _: other("CT") | {tags.ROWS: 6} | picture)
    array, _, warnings = read(tmp_path)
    assert np.array_equal(array, hounsfield()) and warnings == []
    assert why in find_scan(tmp_path).facts()["left_out"][0]


def test_something_small_and_flawed_beside_the_scan_is_left_out_by_name(tmp_path):
    write_series(tmp_path / "main", hounsfield())
    write_series(tmp_path / "other", hounsfield(4, 1), [0, 3, 20, 60], lambda _: other("CT"))
    array, _, warnings = read(tmp_path)
    assert np.array_equal(array, hounsfield()) and warnings == []
    told = find_scan(tmp_path, progress=Progress()).facts()
    assert (told["series_number"], told["description"], told["slices"]) == (3, "Thorax", 24)
    assert len(told["left_out"]) == 1 and "Second" in told["left_out"][0] and "uneven" in told["left_out"][0]


def test_a_long_list_is_cut(tmp_path):
    for number in range(12):
        change = {tags.SERIES_UID: f"1.{number}", tags.SERIES_NUMBER: str(number)}
        write_series(tmp_path / str(number), hounsfield(2, number), change=lambda _, change=change: change)
    assert "4 more, which `med3d info` lists" in refusal(tmp_path)


def test_frame_and_acquisition_are_for_what_has_them(tmp_path):
    write_series(tmp_path, hounsfield())
    assert "not parted into acquisitions" in refusal(tmp_path, acquisition=1)
    with pytest.raises(SettingError, match="choose a series or acquisition"):
        read_volume(tmp_path, frame=1)


@pytest.mark.parametrize(
    ("said", "coding", "shown"),
    [("ISO_IR 100", "latin_1", "Schädel"), ("ISO_IR 192", "utf_8", "頭部"), ("\\ISO 2022 IR 87", "iso2022_jp", "胸部")],
)
def test_descriptions_in_other_letters(tmp_path, said, coding, shown):
    text = shown.encode(coding).decode("latin_1")
    write_series(tmp_path, hounsfield(2), change=lambda _: {tags.CHARACTER_SET: said, tags.SERIES_DESCRIPTION: text})
    assert list_series(tmp_path)[0].description == shown


def test_a_description_is_one_line_of_what_can_be_printed(tmp_path):
    change = {tags.SERIES_DESCRIPTION: "Tho\nrax \x1b[31m\x07" + 5000 * "x"}
    write_series(tmp_path, hounsfield(2), change=lambda _: change)
    description = list_series(tmp_path)[0].description
    assert description.startswith("Tho rax [31mxxx") and len(description) == 128 and description.isprintable()


def test_every_folder_and_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    write_series(tmp_path / "a", hounsfield()[:12])
    write_series(tmp_path / "b", hounsfield()[12:], every()[12:], first=13)
    scan = os.scandir

    def locked(folder):
        if str(folder).endswith("b"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", locked)
    array, _, warnings = read(tmp_path)
    assert len(array) == 12 and len(warnings) == 1 and str(tmp_path / "b") in warnings[0]
    monkeypatch.undo()
    assert len(read(tmp_path)[0]) == 24
    (tmp_path / "b" / "im024.dcm").write_bytes(bytes(5000))
    (tmp_path / "b" / "im023.dcm").write_bytes((tmp_path / "b" / "im023.dcm").read_bytes()[:300])
    (tmp_path / "a" / "im001.dcm").write_bytes(b"")
    array, _, warnings = read(tmp_path)
    assert len(array) == 21 and len(warnings) == 2
    assert "im001.dcm" in warnings[0] and "im023.dcm, im024.dcm" in warnings[1]


def test_a_refusal_names_the_files_that_may_be_what_the_series_lacks(tmp_path):
    write_series(tmp_path, hounsfield())
    for number in (10, 11, 12):
        path = tmp_path / f"im{number:03d}.dcm"
        path.write_bytes(path.read_bytes()[:300])
    sentence = refusal(tmp_path)
    assert "lacks 3 slices" in sentence and "im010.dcm to im012.dcm" in sentence
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:300])
    sentence = refusal(tmp_path)
    assert "no DICOM image that can be read" in sentence and "im001.dcm to im024.dcm" in sentence


def test_names_of_files_are_all_told_and_short():
    def text(*names: str, most: int = 100) -> str:
        return named([Path(name) for name in names], most)

    assert text("a1.dcm", "a2.dcm", "a3.dcm", "a5.dcm", "b6.dcm") == "a1.dcm to a3.dcm, a5.dcm, b6.dcm"
    assert text("im09", "im10", "im11", "im12") == "im09 to im12"
    assert text("x1", "x2", "1.2.840.7", "1.2.840.8", "README") == "x1, x2, 1.2.840.7, 1.2.840.8, README"
    assert text(*[f"im{number}" for number in range(0, 40, 2)], most=2) == "im0, im2 and 18 more"


@pytest.mark.skipif(os.name == "nt", reason="Windows makes links for administrators only")
def test_linked_folders_are_followed_once(tmp_path):
    write_series(tmp_path / "elsewhere", hounsfield())
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "scan").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "given")
    array, _, warnings = read(tmp_path / "given")
    assert np.array_equal(array, hounsfield()) and warnings == []
