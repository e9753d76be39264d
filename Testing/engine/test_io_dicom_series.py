"""DICOM folders: which images make a volume, and that no other series than the expected one is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_files import SPACING, write_frames, write_series

from Med3DCore.errors import SettingError, VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io import find_scan, list_series, read_volume
from Med3DCore.io.dicom import tags
from Med3DCore.io.dicom.files import named
from Med3DCore.progress import Progress

SIZE = (24, 6, 5)
GEOMETRY = Geometry(SIZE[::-1], (*SPACING, 3.0), (-100.0, -80.0, 0.0))
WRITERS = pytest.mark.parametrize("stored", ["slices", "frames"])


def hounsfield(slices: int = SIZE[0], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 1500, (slices, *SIZE[1:])).astype(np.int16)


def write(folder: Path, stored: str, hu: np.ndarray, places: list, frame_marks: dict | None = None) -> None:
    """The same scan as single slices or as frames; ``frame_marks`` gives the acquisition of each slice."""
    marks = frame_marks or {}
    if stored == "slices":
        write_series(folder, hu, places, lambda z: {tags.ACQUISITION: str(marks.get(z, 1))})
        return
    groups = [
        {
            tags.PLANE_POSITION: [{tags.POSITION: f"-100\\-80\\{place:g}"}],
            tags.FRAME_CONTENT: [{tags.FRAME_ACQUISITION: marks.get(z, 1)}],
        }
        for z, place in enumerate(places)
    ]
    write_frames(folder / "frames.dcm", hu, groups)


def write_planes(folder: Path, stored: str, hu: np.ndarray, said: Callable[[int], dict]) -> None:
    """The same scan as slices or frames, of which ``said`` gives orientation or pixel spacing."""
    if stored == "slices":
        write_series(folder, hu, change=said)
        return
    sequences = {tags.ORIENTATION: tags.PLANE_ORIENTATION, tags.PIXEL_SPACING: tags.PIXEL_MEASURES}
    groups = [{sequences[tag]: [{tag: value}] for tag, value in said(z).items()} for z in range(len(hu))]
    write_frames(folder / "frames.dcm", hu, groups)


def read(path: Path, **choice: object) -> tuple[np.ndarray, Geometry, list[str]]:
    progress = Progress()
    volume = read_volume(path, progress=progress, **choice)
    return volume.array, volume.geometry, progress.warnings


def refusal(path: Path, **choice: object) -> str:
    with pytest.raises(VolumeError) as caught:
        read_volume(path, progress=Progress(), **choice)
    return str(caught.value)


def every(count: int = SIZE[0], step: float = 3.0) -> list[float]:
    return [step * z for z in range(count)]


# -- steps -------------------------------------------------------------------------------------------------------------


@WRITERS
def test_a_missing_slice_is_the_mean_of_its_neighbours(tmp_path, stored):
    hu = hounsfield()
    write(tmp_path, stored, np.delete(hu, 9, 0), np.delete(every(), 9).tolist())
    array, geometry, warnings = read(tmp_path)
    assert geometry.is_close(GEOMETRY, 1e-6)
    assert np.array_equal(np.delete(array, 9, 0), np.delete(hu, 9, 0))
    assert np.array_equal(array[9], np.rint((hu[8].astype(float) + hu[10]) / 2))
    assert len(warnings) == 1 and "slice 10 is missing" in warnings[0] and "neighbours" in warnings[0]
    assert find_scan(tmp_path).facts()["slices"] == 23


@WRITERS
@pytest.mark.parametrize(
    ("lost", "problem"),
    [([9, 10], "lacks 2 slices (a gap of 9 mm where slices are 3 mm apart)"), ([5, 9, 13], "lacks 3 slices")],
)
def test_more_missing_slices_are_refused(tmp_path, stored, lost, problem):
    write(tmp_path, stored, np.delete(hounsfield(), lost, 0), np.delete(every(), lost).tolist())
    assert problem in refusal(tmp_path)


@WRITERS
@pytest.mark.parametrize(
    ("places", "distance"),
    [
        ([round(1.25 * z + 0.4) for z in range(24)], 1.25),
        ([z + 0.12 * (-1) ** z for z in range(24)], 1.0),
        ([round(0.625 * z, 1) for z in range(24)], 0.625),
    ],
    ids=["rounded to 1 mm", "table shakes", "rounded to 0.1 mm"],
)
def test_no_slice_lacks_where_positions_are_rounded_or_shaky(tmp_path, stored, places, distance):
    hu = hounsfield()
    write(tmp_path, stored, hu, places)
    array, geometry, warnings = read(tmp_path)
    assert np.array_equal(array, hu) and geometry.spacing[2] == pytest.approx(distance, abs=0.015)
    middle = geometry.origin[2] + geometry.spacing[2] * np.arange(24)
    assert np.abs(middle - places).max() < 0.6
    assert all("even steps were taken" in sentence for sentence in warnings)


@WRITERS
def test_two_distances_are_no_missing_slices(tmp_path, stored):
    write(tmp_path, stored, hounsfield(), [3.0 * z if z < 12 else 36 + 9.0 * (z - 12) for z in range(24)])
    assert "has uneven slices (3 to 9 mm apart)" in refusal(tmp_path)


@pytest.mark.parametrize("thickness", [("0", "-3"), (None, "-3"), ("-3", None), ("0", None), (None, "0"), ("nan", "x")])
def test_thickness_is_not_used_where_there_are_positions(tmp_path, thickness):
    said = {tags.THICKNESS: thickness[0], tags.SPACING_BETWEEN: thickness[1]}
    hu = hounsfield()
    write_series(tmp_path, hu, change=lambda _: said)
    array, geometry, warnings = read(tmp_path)
    assert np.array_equal(array, hu) and geometry.is_close(GEOMETRY, 1e-6) and warnings == []


@pytest.mark.parametrize(("thickness", "taken"), [("4.5", 4.5), ("-3", 1.0), ("0", 1.0), (None, 1.0), ("inf", 1.0)])
def test_a_single_slice_is_as_thick_as_it_says_or_1_mm_with_a_word(tmp_path, thickness, taken):
    write_series(tmp_path, hounsfield(1), change=lambda _: {tags.THICKNESS: thickness})
    _, geometry, warnings = read(tmp_path)
    assert geometry.spacing[2] == taken and bool(warnings) == (taken == 1.0)


def test_slices_without_a_place_are_refused(tmp_path):
    write_series(tmp_path, hounsfield(), change=lambda _: {tags.POSITION: None})
    assert "does not say where its slices lie (ImagePositionPatient is missing)" in refusal(tmp_path)
    write_series(tmp_path, hounsfield(), change=lambda _: {tags.POSITION: "0\\0\\0"})
    assert "has 24 images at only 1 place" in refusal(tmp_path)


# -- planes ------------------------------------------------------------------------------------------------------------


@WRITERS
def test_slices_turned_a_little_are_one_series(tmp_path, stored):
    noise = np.random.default_rng(0).normal(0, 8e-4, (24, 6))
    axes = np.array([1, 0, 0, 0, 1, 0]) + noise
    hu = hounsfield()
    write_planes(tmp_path, stored, hu, lambda z: {tags.ORIENTATION: "\\".join(f"{v:.8f}" for v in axes[z])})
    array, geometry, warnings = read(tmp_path)
    matrix = geometry.direction_matrix
    assert np.array_equal(array, hu) and geometry.spacing == pytest.approx(GEOMETRY.spacing, abs=1e-3)
    assert np.allclose(matrix.T @ matrix, np.eye(3), atol=1e-12) and np.abs(matrix - np.eye(3)).max() < 1e-3
    assert len(warnings) == 1 and "turned a little against each other" in warnings[0]


def test_cosines_of_three_decimals_are_the_nearest_rotation(tmp_path):
    angles = np.radians([3, 5, 7])
    rotation = np.eye(3)
    for (j, k), angle in zip(((1, 2), (0, 2), (0, 1)), angles, strict=True):
        turn = np.eye(3)
        turn[j, j] = turn[k, k] = np.cos(angle)
        turn[j, k], turn[k, j] = -np.sin(angle), np.sin(angle)
        rotation = rotation @ turn
    said = "\\".join(f"{value:.3f}" for value in (*rotation[:, 0], *rotation[:, 1]))
    places = [np.array((-100, -80, 0)) + 3 * z * rotation[:, 2] for z in range(24)]
    change = lambda z: {tags.ORIENTATION: said, tags.POSITION: "\\".join(f"{v:.3f}" for v in places[z])}  # noqa: E731
    hu = hounsfield()
    write_series(tmp_path, hu, change=change)
    array, geometry, _ = read(tmp_path)
    matrix = geometry.direction_matrix
    assert np.array_equal(array, hu) and np.allclose(matrix.T @ matrix, np.eye(3), atol=1e-12)
    assert np.abs(matrix - rotation).max() < 1e-3


def test_rows_and_columns_that_are_not_at_right_angles_are_refused(tmp_path):
    write_series(tmp_path, hounsfield(), change=lambda _: {tags.ORIENTATION: "1\\0\\0\\0.1\\0.995\\0"})
    assert "rows and columns that are not at right angles" in refusal(tmp_path)


def test_what_does_not_say_how_it_lies_is_told(tmp_path):
    write_series(tmp_path, hounsfield(), change=lambda _: {tags.ORIENTATION: None})
    array, geometry, warnings = read(tmp_path)
    assert np.array_equal(array, hounsfield()) and geometry.is_close(GEOMETRY, 1e-6)
    assert len(warnings) == 1 and "does not say how the patient lies" in warnings[0]


def test_impossible_geometry_is_refused(tmp_path):
    write_series(tmp_path, hounsfield(), change=lambda _: {tags.PIXEL_SPACING: "1e30\\1e30"})
    assert "cannot be" in refusal(tmp_path)


@WRITERS
@pytest.mark.parametrize("what", [{tags.ORIENTATION: "0\\1\\0\\0\\0\\-1"}, {tags.PIXEL_SPACING: "1\\1"}])
def test_slices_that_do_not_fit_are_named_and_never_a_good_part(tmp_path, stored, what):
    write_planes(tmp_path, stored, hounsfield(), lambda z: what if z < 1 else {})
    array, geometry, warnings = read(tmp_path)
    assert np.array_equal(array, hounsfield()[1:]) and geometry.origin[2] == 3
    assert len(warnings) == 1 and "were left out (1)" in warnings[0]
    told = find_scan(tmp_path).facts()["left_out"]
    assert len(told) == 1 and "1 slice" in told[0]
    write_planes(tmp_path, stored, hounsfield(), lambda z: what if z < 8 else {})
    sentence = refusal(tmp_path)
    assert "16 slices" in sentence and "8 slices" in sentence and "--series 1" in sentence
    assert np.array_equal(read(tmp_path, series=1)[0], hounsfield()[8:])


# -- acquisitions and copies -------------------------------------------------------------------------------------------


@WRITERS
def test_two_phases_are_told_apart_and_chosen(tmp_path, stored):
    both = np.concatenate([hounsfield(), hounsfield(seed=1)])
    write(tmp_path, stored, both, every() * 2, {z: 1 + z // 24 for z in range(48)})
    assert [one.slices for one in list_series(tmp_path)] == [24, 24]
    sentence = refusal(tmp_path)
    assert "--series 1" in sentence and "--acquisition 1" in sentence and "acquisition 2 (series number 3)" in sentence
    for choice in ({"acquisition": 2}, {"series": 2}, {"series": "1.2.3", "acquisition": "2"}):
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
    assert np.array_equal(read(tmp_path, series=2)[0], hounsfield(seed=1))


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
    assert np.array_equal(read(tmp_path, series=2)[0], hounsfield(seed=1))


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


# -- the right series --------------------------------------------------------------------------------------------------


def other(modality: str) -> dict:
    return {tags.SERIES_UID: "1.7", tags.SERIES_NUMBER: "9", tags.MODALITY: modality, tags.SERIES_DESCRIPTION: "Second"}


@pytest.mark.parametrize(("slices", "modality"), [(5, "MR"), (24, "MR"), (24, "CT"), (14, "CT"), (24, "PT")])
def test_a_flaw_of_the_main_series_never_lets_another_one_win(tmp_path, slices, modality):
    write_series(tmp_path / "main", np.delete(hounsfield(), [9, 10], 0), np.delete(every(), [9, 10]).tolist())
    write_series(tmp_path / "other", hounsfield(slices, 1), change=lambda _: other(modality))
    sentence = refusal(tmp_path)
    assert "1: CT 'Thorax' (series number 3), 22 slices" in sentence and "lacks 2 slices" in sentence
    assert "--series 2" in sentence
    assert np.array_equal(read(tmp_path, series=2)[0], hounsfield(slices, 1))


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
        write_series(tmp_path / str(number), hounsfield(2), change=lambda _, change=change: change)
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


# -- files that cannot be read -----------------------------------------------------------------------------------------


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
