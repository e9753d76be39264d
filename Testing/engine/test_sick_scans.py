"""The benchmarks of ill livers paint what they say, the same each time, and border_place finds borders."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from Med3DCore.geometry import Geometry
from Med3DCore.volume import Volume

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from border_place import border_offsets
from hard_scans import Scan
from sickness import SICK

MM = 2.5


def ball(radius_mm):
    """Which voxels lie in a ball in the middle of 48 voxels a side."""
    z, y, x = (np.indices((48, 48, 48)) - 23.5) * MM
    return np.sqrt(z**2 + y**2 + x**2) < radius_mm


@pytest.fixture(scope="module")
def scan():
    """A liver of 100 HU and 45 mm in fat."""
    values = ndimage.gaussian_filter(np.where(ball(45), 100.0, -100.0), 0.5).astype(np.int16)
    return Scan(Volume(values, Geometry((48, 48, 48), (MM,) * 3), "ball"), "liver", ball(45))


@pytest.mark.parametrize("kind", SICK)
def test_each_kind_changes_the_scan_the_same_each_time(scan, kind):
    sick, again = SICK[kind](scan), SICK[kind](scan)
    assert np.array_equal(sick.volume.array, again.volume.array) and np.array_equal(sick.truth, again.truth)
    change = sick.volume.array - scan.volume.array.astype(float)
    assert np.abs(change[scan.truth]).max() > (0 if "8-bit" in kind else 10)
    assert sick.volume.array.dtype == np.int16 and (sick.truth <= scan.truth).all()
    assert np.array_equal(sick.truth, scan.truth) == ("ascites" not in kind)
    if "lesion" in kind or "oil" in kind:
        assert not change[~scan.truth].any() and (np.abs(change[scan.truth]) > 20).mean() > 0.01


def test_noise_of_thin_slices_is_weaker_on_thick_voxels_and_fluid_is_fluid(scan):
    noise = (SICK["noise, 1 mm, 60 HU"](scan).volume.array - scan.volume.array.astype(float))[scan.truth]
    assert 5 < noise.std() < 40 and abs(noise.mean()) < 2
    sick = SICK["ascites, 8 mm"](scan)
    gap = scan.truth & ~sick.truth
    assert 0.3 < gap.sum() / scan.truth.sum() < 0.6
    assert np.median(sick.volume.array[gap & ndimage.binary_erosion(scan.truth)]) == pytest.approx(10, abs=10)


@pytest.mark.parametrize(("radius_mm", "outside_mm"), [(45, 0.0), (41, 4.0), (48, -3.0)])
def test_the_border_beside_fat_is_found_to_half_a_millimetre(scan, radius_mm, outside_mm):
    offsets = border_offsets(scan.volume, ball(radius_mm))
    assert len(offsets) > 500 and np.median(offsets) == pytest.approx(outside_mm, abs=0.5)
