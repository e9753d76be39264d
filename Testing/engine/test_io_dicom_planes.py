"""DICOM folders: distances and planes of the slices of a series, and what is done where one lacks or does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_frames, write_series
from dicom_scans import GEOMETRY, WRITERS, every, hounsfield, read, refusal, write

from Med3DCore.geometry import Geometry
from Med3DCore.io import find_scan
from Med3DCore.io.dicom import tags


def write_planes(folder: Path, stored: str, hu: np.ndarray, said: Callable[[int], dict]) -> None:
    """The same scan as slices or frames, of which ``said`` gives orientation or pixel spacing."""
    if stored == "slices":
        write_series(folder, hu, change=said)
        return
    sequences = {tags.ORIENTATION: tags.PLANE_ORIENTATION, tags.PIXEL_SPACING: tags.PIXEL_MEASURES}
    groups = [{sequences[tag]: [{tag: value}] for tag, value in said(z).items()} for z in range(len(hu))]
    write_frames(folder / "frames.dcm", hu, groups)


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


def by_location(position: str | None, step: float = 3.0, **more: str) -> Callable[[int], dict]:
    said = {tags.POSITION: position} | {getattr(tags, name): value for name, value in more.items()}
    return lambda z: said | {tags.SLICE_LOCATION: f"{step * z - 10:g}"}


@pytest.mark.parametrize("position", [None, "0\\0\\0", ""], ids=["none", "all the same", "empty"])
def test_slices_that_have_only_a_location_lie_by_it_which_is_told(tmp_path, position):
    write_series(tmp_path, hounsfield(), change=by_location(position))
    array, geometry, warnings = read(tmp_path)
    assert np.array_equal(array, hounsfield())
    assert geometry.is_close(Geometry(GEOMETRY.size, GEOMETRY.spacing, (0.0, 0.0, -10.0)), 1e-6)
    assert len(warnings) == 1 and "their SliceLocation was taken" in warnings[0] and "which end is up" in warnings[0]


@pytest.mark.parametrize(
    ("said", "direction"),
    [
        ("-1\\0\\0\\0\\1\\0", (-1, 0, 0, 0, 1, 0, 0, 0, -1)),
        ("1\\0\\0\\0\\0\\-1", (1, 0, 0, 0, 0, 1, 0, -1, 0)),
        ("0\\1\\0\\0\\0\\-1", (0, 0, -1, 1, 0, 0, 0, -1, 0)),
    ],
    ids=["feet first", "coronal", "sagittal"],
)
def test_locations_count_towards_the_head_the_back_or_the_left(tmp_path, said, direction):
    write_series(tmp_path, hounsfield(), change=by_location(None, ORIENTATION=said))
    array, geometry, _ = read(tmp_path)
    assert geometry.direction == direction
    upwards = max(direction[2::3], key=abs) > 0
    assert np.array_equal(array, hounsfield() if upwards else hounsfield()[::-1])


def test_a_location_that_does_not_tell_the_place_is_no_place(tmp_path):
    write_series(tmp_path, hounsfield(), change=by_location(None, step=0))
    assert "does not say where its slices lie (ImagePositionPatient is missing)" in refusal(tmp_path)
    write_series(
        tmp_path, hounsfield(), change=lambda z: by_location(None)(z) | ({tags.SLICE_LOCATION: "x"} if z == 4 else {})
    )
    assert "ImagePositionPatient is missing" in refusal(tmp_path)
    write_series(tmp_path, hounsfield(), change=lambda z: by_location(None)(z) if z else {})
    assert "ImagePositionPatient is missing" in refusal(tmp_path)
    uneven = lambda z: by_location(None)(z) | ({tags.SLICE_LOCATION: "100"} if z == 23 else {})  # noqa: E731
    write_series(tmp_path, hounsfield(), change=uneven)
    assert "uneven" in refusal(tmp_path) or "lacks" in refusal(tmp_path)


@pytest.mark.parametrize("position", [None, "0\\0\\0"])
def test_phases_that_have_only_locations_are_told_apart(tmp_path, position):
    for phase in (1, 2):
        change = by_location(position, ACQUISITION=str(phase))
        write_series(tmp_path, hounsfield(seed=phase), change=change, first=100 * phase)
    assert "--acquisition 1" in refusal(tmp_path)
    assert np.array_equal(read(tmp_path, acquisition=2)[0], hounsfield(seed=2))


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


@WRITERS
@pytest.mark.parametrize(
    ("size", "problem"),
    [
        (3e-3, r"not at right angles \(89.6 degrees\)"),
        (6e-3, r"turned up to 0.56 degrees from their mean, where up to 0.3"),
    ],
)
def test_slices_turned_too_much_are_refused_in_one_sentence_with_the_number(tmp_path, stored, size, problem):
    axes = np.array([1, 0, 0, 0, 1, 0]) + np.random.default_rng(0).normal(0, size, (24, 6))
    said = ["\\".join(f"{v:.8f}" for v in row) for row in axes]
    write_planes(tmp_path, stored, hounsfield(), lambda z: {tags.ORIENTATION: said[z]})
    sentence = refusal(tmp_path)
    assert re.search(problem, sentence) and len(sentence.replace(str(tmp_path), "")) < 200


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
    assert "rows and columns that are not at right angles (84.3 degrees)" in refusal(tmp_path)


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
    assert "16 slices" in sentence and "8 slices" in sentence and "--series A" in sentence
    assert np.array_equal(read(tmp_path, series="A")[0], hounsfield()[8:])
