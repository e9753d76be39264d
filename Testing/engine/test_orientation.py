"""A header that lies is found by the anatomy; an honest one is left alone."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from test_worker_requests import make_stage, save_model

from Med3DCore.inference.orientation import LOOKS, check_orientation, doubted_axes
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
    assert found == (exchanged if any(exchanged) else None)
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


def test_sides_are_not_named_when_the_header_is_doubted(torso, tmp_path):
    save_model(tmp_path, "bright", [make_stage("only", ["lungs"], 5.0)])
    package = load_package(next(tmp_path.glob("*.zip")))
    honest = segment(torso, ["lungs"], package, "cpu", split_lungs=True)
    assert [label.name for label in honest.labels.labels] == ["left_lung", "right_lung"]
    doubted = segment(lying(torso, (True, False, False)), ["lungs"], package, "cpu", split_lungs=True)
    assert [label.name for label in doubted.labels.labels] == ["lungs"]
    assert {"orientation", "sides"} <= {flag["flag"] for flag in doubted.flags}


@pytest.mark.skipif(not DATA.is_dir(), reason="the real CTs are not here")
@pytest.mark.parametrize("case", ["lctsc_s1-203", "lidc_0001", "ohif_nlst101287"])
def test_real_scans(case):
    scan = read_volume(DATA / f"{case}_ct.nii.gz")
    assert doubted_axes(scan) is None
    assert all(doubted_axes(lying(scan, exchanged)) for exchanged in FLIPS[1:])
