"""Fluid along the border of a liver is no liver; dark tumours are."""

from pathlib import Path

import numpy as np
import pytest
from bright_model import make_stage, save_model

from Med3DCore.geometry import Geometry
from Med3DCore.inference.device import choose_device
from Med3DCore.inference.fluid import fluid_in, leave_out_fluid, warn_of_fluid
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.inference.segment import segment
from Med3DCore.inference.stage_result import StageResult
from Med3DCore.io import read_volume
from Med3DCore.labels import find_labels
from Med3DCore.models import Catalogue, load_package
from Med3DCore.phantom import PhantomSettings, make_phantom
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

GRID = Geometry((60, 60, 60), (2.5, 2.5, 2.5))
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
AROUND = np.stack(np.meshgrid(*[np.arange(60) - 29.5] * 3, indexing="ij"))
FAR = np.sqrt((AROUND**2).sum(axis=0))
FOUND = FAR < 24  # 60 mm


def scan(fluid, hu=100.0, water=12.0):
    """HU of a liver in fat, noise in all, with fluid in it; what was found is liver and fluid."""
    values = np.where(FOUND, hu, -100.0)
    values[fluid] = water
    return values + 8 * np.random.default_rng(0).standard_normal(values.shape)


SHELL = FOUND & (FAR > 20.5)
BEHIND = SHELL & (AROUND[1] > 8)  # as of somebody lying on the back
MUCH = FOUND & (FAR > 16)  # 20 mm of it
LUMP = FOUND & (np.sqrt(((AROUND - np.array([0, 0, 20])[:, None, None, None]) ** 2).sum(axis=0)) < 14)
INSIDE = FAR < 10


@pytest.mark.parametrize("layer", [SHELL, BEHIND, MUCH], ids=["all around", "behind", "much"])
@pytest.mark.parametrize("hu", [60.0, 100.0, 150.0])
def test_a_layer_of_fluid_is_found_and_no_more(layer, hu):
    fluid = fluid_in(FOUND, scan(layer, hu), GRID.spacing)
    assert np.count_nonzero(fluid & layer) > 0.9 * np.count_nonzero(layer)
    assert np.count_nonzero(fluid & ~layer) < 0.01 * np.count_nonzero(FOUND)
    assert not (fluid & ~FOUND).any()


@pytest.mark.parametrize("lesion", [LUMP, INSIDE, FOUND & False], ids=["at the border", "inside", "none"])
def test_lumps_are_no_layers(lesion):
    assert not fluid_in(FOUND, scan(lesion), GRID.spacing).any()


def test_a_fatty_liver_is_no_fluid():
    assert not fluid_in(FOUND, scan(SHELL, hu=30.0), GRID.spacing).any()
    assert not fluid_in(FOUND, scan(FOUND, hu=100.0), GRID.spacing).any(), "all of it is as dark"


def test_what_fluid_parts_from_the_liver_goes_with_it():
    values = scan(SHELL)
    beyond = SHELL & (AROUND[0] > 19) & (FAR > 22.5)
    values[beyond] = 100.0  # a thin piece of something behind the fluid
    fluid = fluid_in(FOUND, values, GRID.spacing)
    assert np.count_nonzero(fluid & beyond) > 0.8 * np.count_nonzero(beyond)


def test_no_part_of_a_liver_is_lost_to_a_band_of_fluid_through_it():
    band = FOUND & (np.abs(AROUND[2] - 8) < 1.6)
    values = scan(SHELL | band)
    left = FOUND & ~fluid_in(FOUND, values, GRID.spacing)
    liver = FOUND & ~SHELL & ~band
    for part in (liver & (AROUND[2] > 8), liver & (AROUND[2] < 8)):
        assert np.count_nonzero(left & part) > 0.95 * np.count_nonzero(part)


def test_dark_lesions_below_fluid_stay():
    lesion = np.sqrt(((AROUND - np.array([0, 0, 10])[:, None, None, None]) ** 2).sum(axis=0)) < 6
    fluid = fluid_in(FOUND, scan(SHELL | lesion), GRID.spacing)
    assert np.count_nonzero(fluid & lesion) < 0.1 * np.count_nonzero(lesion) < np.count_nonzero(fluid & SHELL)


def test_fluid_is_left_out_of_what_a_stage_found_in_the_scan():
    whole = scan(SHELL)
    part = Volume(whole[10:].astype(np.int16), GRID.crop((0, 0, 10), (60, 60, 60)))  # the network sees beyond its end
    score, count = FOUND.astype(np.float32), int(FOUND.sum())
    result = StageResult({"liver": score, "lungs": score.copy()}, GRID, {"liver": count})
    ml = leave_out_fluid("liver", result, part)
    left = result.scores["liver"] > 0.5
    assert np.array_equal(left[:10], FOUND[:10])
    expected = np.count_nonzero(SHELL[10:]) * GRID.voxel_volume_ml
    assert ml == np.count_nonzero(FOUND & ~left) * GRID.voxel_volume_ml and 0.9 * expected < ml < 1.1 * expected
    assert result.found["liver"] == np.count_nonzero(left)
    for name, last in (("lungs", result), ("liver", None)):
        assert leave_out_fluid(name, last, part) == 0.0
    thick = StageResult({"liver": FOUND.astype(np.float32)}, Geometry((60, 60, 60), (5.0, 5.0, 5.0)), {"liver": 1})
    assert leave_out_fluid("liver", thick, Volume(whole, thick.grid)) == 0.0, "two voxels are no layer"


def test_what_was_left_out_is_told():
    label, progress = find_labels(["liver"])[0], Progress()
    warn_of_fluid(label, 1.0, progress)
    assert not progress.flags
    warn_of_fluid(label, 289.4, progress)
    assert [flag["flag"] for flag in progress.flags] == ["fluid"] and "289 mL" in progress.warnings[0]


@pytest.mark.parametrize("mm", [2.5, 4.0])
def test_a_model_that_finds_all_that_is_bright_leaves_fluid_out_and_says_so(tmp_path, mm):
    stage = make_stage("only", ("liver",), mm)
    stage.preprocessing["intensity"] |= {"low": -300, "high": 100}  # all but fat is bright
    file = save_model(tmp_path, "bright", [stage])
    pipeline, progress = Pipeline(load_package(file), choose_device("cpu")), Progress()
    values = np.where(FOUND, scan(SHELL), -150.0).astype(np.int16)
    found = pipeline.segment(Volume(values, GRID, "scan"), ["liver"], progress).mask("liver")
    assert "fluid" in [flag["flag"] for flag in progress.flags]
    assert np.count_nonzero(found & SHELL) < (0.15 if mm < 3 else 0.3) * np.count_nonzero(SHELL)
    inner = FOUND & ~SHELL
    assert np.count_nonzero(found & inner) > 0.9 * np.count_nonzero(inner)


def test_a_scan_padded_with_the_value_of_water_has_no_fluid():
    phantom = make_phantom(1, PhantomSettings(spacing=(4.0, 4.0, 4.0)))
    below = int(np.median(np.flatnonzero((phantom.labels.mask("liver")).any(axis=(1, 2)))))
    progress, padded = Progress(), phantom.ct.array.copy()
    padded[:below] = 0
    found = segment(phantom.ct.with_array(padded), ["liver"], Catalogue().default_for(["liver"]), progress=progress)
    assert [flag["flag"] for flag in progress.flags] == ["cut"] and found.labels.volume_ml("liver") > 300


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the CTs of ../shared/data")
def test_an_effusion_above_a_real_liver_is_left_out_and_told():
    progress = Progress()
    scan_ = read_volume(DATA / "lidc_0314_ct.nii.gz")
    found = segment(scan_, ["liver"], Catalogue().default_for(["liver"]), progress=progress).labels.mask("liver")
    flags = [flag["flag"] for flag in progress.flags]
    assert "fluid" in flags and "scattered" not in flags
    values = scan_.array[found]
    assert np.count_nonzero((values > -20) & (values < 35)) < 0.12 * len(values)
