"""A header that lies is found by the anatomy; an honest one is left alone."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from bright_model import make_stage, save_model

from Med3DCore.geometry import Geometry
from Med3DCore.inference.orientation import LOOKS, check_orientation, doubted_axes
from Med3DCore.inference.proportions import axes_look_exchanged
from Med3DCore.inference.segment import segment
from Med3DCore.io import read_volume
from Med3DCore.models.package_file import load_package
from Med3DCore.phantom import PhantomSettings, make_phantom
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FLIPS = list(product((False, True), repeat=3))


def lying(scan: Volume, exchanged) -> Volume:
    """The same voxels stored the other way round along x, y, z, under the same header."""
    axes = tuple(axis for axis, is_exchanged in zip((2, 1, 0), exchanged, strict=True) if is_exchanged)
    return Volume(np.ascontiguousarray(np.flip(scan.array, axes)), scan.geometry, scan.name)


@pytest.fixture(scope="module")
def torso():
    return make_phantom(7, PhantomSettings(spacing=(5.0, 5.0, 5.0))).ct


@pytest.mark.parametrize("exchanged", FLIPS)
def test_a_lying_header_is_found_and_the_axes_are_named(torso, exchanged):
    progress = Progress()
    found = check_orientation(lying(torso, exchanged), progress)
    assert found == any(exchanged)
    sentence = " ".join(progress.warnings)
    assert [word in sentence for word in LOOKS] == list(exchanged)
    assert [flag["flag"] for flag in progress.flags] == ["orientation"] * any(exchanged)


def test_how_the_voxels_are_stored_does_not_matter(torso):
    grid = torso.geometry
    turned = np.diag([-1.0, -1.0, 1.0])
    far = grid.index_to_physical @ [*(n - 1 for n in grid.size[:2]), 0, 1]
    stored = Volume(torso.array[:, ::-1, ::-1], type(grid)(grid.size, grid.spacing, far[:3], turned.ravel()), "RAS")
    assert doubted_axes(stored) is None
    assert doubted_axes(lying(stored, (True, False, True))) == (True, False, True)


def test_nothing_is_said_of_what_is_no_body():
    grid = make_phantom(7, PhantomSettings(spacing=(20.0, 20.0, 20.0))).ct.geometry
    noise = np.random.default_rng(0).normal(-1000, 5, grid.shape).astype(np.int16)
    assert doubted_axes(Volume(noise, grid, "air")) is None


@pytest.mark.parametrize("seed", [2000, 2003])
def test_nothing_is_said_of_a_pelvis(seed):
    assert doubted_axes(make_phantom(seed, PhantomSettings(spacing=(5.0, 5.0, 5.0), region="pelvis")).ct) is None


def stored(scan: Volume, axes: tuple[int, int, int], spacing: tuple[float, float, float] | None = None) -> Volume:
    """The same voxels with their axes z, y, x in another order, under a header that knows nothing of it."""
    array = np.ascontiguousarray(scan.array.transpose(axes))
    return Volume(array, Geometry(array.shape[::-1], spacing or scan.spacing), scan.name)


def flags(scan: Volume) -> tuple[bool, list[str]]:
    progress = Progress()
    return check_orientation(scan, progress), [flag["flag"] for flag in progress.flags]


def test_exchanged_axes_are_found(torso):
    assert flags(stored(torso, (0, 1, 2))) == (False, [])
    assert flags(stored(torso, (2, 1, 0))) == (True, ["orientation"])


def test_a_body_deeper_than_wide_has_its_axes_exchanged_unless_its_sides_are_cut():
    y, x = np.mgrid[-1:1:22j, -1:1:30j]
    body = np.where(x**2 + y**2 < 1, np.float32(40), np.float32(-1000)) * np.ones((25, 1, 1), np.float32)
    assert not axes_look_exchanged(body) and axes_look_exchanged(body.swapaxes(1, 2))
    assert not axes_look_exchanged(body.swapaxes(1, 2)[:, :, 7:15])


def test_a_chest_too_small_for_an_adult_is_told_and_no_part_of_one(torso):
    progress, claimed = Progress(), stored(torso, (0, 1, 2), (1.0, 1.0, 1.0))
    assert not check_orientation(claimed, progress)
    assert [flag["flag"] for flag in progress.flags] == ["spacing"] and "cm wide" in progress.warnings[0]
    z, y, x = (n // 4 for n in torso.array.shape)
    array = np.ascontiguousarray(torso.array[z:-z, y:-y, x : 2 * x])
    assert flags(Volume(array, Geometry(array.shape[::-1], torso.spacing), "part")) == (False, [])


def test_sides_are_not_named_when_the_header_is_doubted(torso, tmp_path):
    save_model(tmp_path, "bright", [make_stage("only", ["lungs"], 5.0)])
    package = load_package(next(tmp_path.glob("*.zip")))
    honest = segment(torso, ["lungs"], package, "cpu", split_lungs=True)
    assert [label.name for label in honest.labels.labels] == ["left_lung", "right_lung"]
    doubted = segment(lying(torso, (True, False, False)), ["lungs"], package, "cpu", split_lungs=True)
    assert [label.name for label in doubted.labels.labels] == ["lungs"]
    assert {"orientation", "sides"} <= {flag["flag"] for flag in doubted.flags}


@pytest.mark.skipif(not DATA.is_dir(), reason="the real CTs are not here")
@pytest.mark.parametrize("case", ["lctsc_s1-203", "lidc_0001"])
def test_exchanged_axes_of_real_scans(case):
    scan = read_volume(DATA / f"{case}_ct.nii.gz")
    assert flags(scan) == (False, [])
    for axes in ((2, 1, 0), (0, 2, 1)):
        assert flags(stored(scan, axes)) == (True, ["orientation"])
    assert "spacing" in flags(stored(scan, (0, 1, 2), (1.0, 1.0, 1.0)))[1]


@pytest.mark.skipif(not DATA.is_dir(), reason="the real CTs are not here")
@pytest.mark.parametrize("case", ["lctsc_s1-203", "lidc_0001", "ohif_nlst101287"])
def test_real_scans(case):
    scan = read_volume(DATA / f"{case}_ct.nii.gz")
    assert doubted_axes(scan) is None
    assert all(doubted_axes(lying(scan, exchanged)) for exchanged in FLIPS[1:])
