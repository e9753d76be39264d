"""Patches of thick slices are turned, zoomed and bent in mm, and stay within the few slices that there are."""

import numpy as np
import pytest
import torch

from Med3DCore.geometry import Geometry
from Med3DCore.preprocessing import Window
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.prepared import PreparedCase
from Med3DCore.training.patches.augmentation import Augmentation
from Med3DCore.training.patches.sampling import PatchSampler

SPACING = (0.8, 0.8, 5.0)
SCAN, PATCH = (20, 256, 256), (16, 160, 160)
CUBES = ((2.3, 2.3, 2.3), (10, 30, 40))
TURNED = Augmentation(rotation=30, scale=1, stretch=1, probability=0)


def edges(positions):
    """The first edge (z, y, x) of a patch as vectors (x, y, z) in mm."""
    mm = positions.numpy().astype(float) * SPACING
    return np.array([mm[-1, 0, 0] - mm[0, 0, 0], mm[0, -1, 0] - mm[0, 0, 0], mm[0, 0, -1] - mm[0, 0, 0]])


def test_lengths_and_right_angles_are_kept_in_mm():
    whole = (np.array(PATCH) - 1) * SPACING[::-1]
    for seed in range(20):
        found = edges(TURNED.positions(np.array([9.0, 120, 130]), PATCH, np.random.default_rng(seed), SPACING))
        assert np.linalg.norm(found, axis=1) == pytest.approx(whole, rel=1e-4)
        assert np.abs(found @ found.T / np.outer(whole, whole) - np.eye(3)).max() < 1e-4
        assert np.abs(found[0, 0]) > 0.01  # turned at all


def test_the_elastic_deformation_is_as_large_along_all_axes_in_mm():
    still = {"rotation": 0, "scale": 1, "stretch": 1, "bend": 4.0}
    bent, straight = (
        Augmentation(probability=chance, **still).positions(np.zeros(3), PATCH, np.random.default_rng(3), SPACING)
        for chance in (1, 0)
    )
    largest = (np.abs((bent - straight).numpy()) * SPACING).max(axis=(0, 1, 2))
    assert (largest > 3).all() and (largest <= 4 * np.prod(SPACING) ** (1 / 3)).all()


def test_cubes_are_changed_as_if_nothing_was_known_of_mm():
    change, centre = Augmentation(mirror=(2,), probability=1), np.array([3.0, 15, 18])
    plain, cubic = (change.positions(centre, (8, 12, 16), np.random.default_rng(1), *args) for args in ((), CUBES))
    assert torch.equal(plain, cubic)


def beyond(positions):
    """Part of a patch that lies beyond the scan."""
    return 1 - np.mean(np.all((positions.numpy() > -0.5) & (positions.numpy() < np.array(SCAN[::-1]) - 0.5), axis=-1))


def test_a_turned_patch_stays_within_the_slices_as_far_as_possible():
    # Turned as voxels, a third of such patches lay beyond the scan.
    change, shares = Augmentation(), []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        centre = np.array([rng.uniform(0, 19), 128, 128])
        shares.append(beyond(change.positions(centre, PATCH, rng, SPACING, SCAN)))
    assert np.mean(shares) < 0.04
    low = TURNED.positions(np.array([0.0, 128, 128]), (4, 8, 8), np.random.default_rng(0), SPACING, SCAN)
    assert -0.01 < low[..., 2].min() < 0.01  # at the first slice, no further than needed


def test_the_sampler_knows_the_size_of_the_voxels():
    grid = Geometry((64, 64, 20), SPACING)
    image = np.broadcast_to(np.arange(64, dtype=np.float32) * 10 - 300, (20, 64, 64))  # 12.5 HU a mm along x
    target = np.zeros((1, *image.shape), np.uint8)
    target[:, 9:11, 28:36, 28:36] = 1  # so that patches lie in the middle
    case = Case("c", None, None, {"liver": 1}, ("liver",), "p")
    case = PreparedCase(case, image, target, grid, Window(-1000, 1000).measure(None))
    change = Augmentation(rotation=30, scale=1, stretch=1, shift=0, contrast=1, noise=0, probability=0)
    drawn, _ = PatchSampler([case], Window(-1000, 1000), (4, 8, 8), 8, 1.0, change, 1, 0.0).draw(0)
    values = drawn[:, 0].double() * 1000
    # Along the patch's own axes, in HU a mm: together they are the image's gradient, however it was turned.
    slopes = [values.diff(dim=axis + 1).mean((1, 2, 3)) / step for axis, step in enumerate(SPACING[::-1])]
    assert torch.stack(slopes).norm(dim=0).numpy() == pytest.approx(12.5, rel=0.02)
    assert slopes[0].abs().max() > 1


def test_the_end_of_a_scan_tilts_in_mm():
    cut, tilts = Augmentation(cut=1.0), []
    for seed in range(40):
        image, target = torch.zeros(1, 1, 16, 96, 96), torch.ones(1, 1, 16, 96, 96, dtype=torch.uint8)
        cut.end_scan(image, target, [-1000.0], np.random.default_rng(seed), SPACING)
        edge = (image[0, 0] == 0).sum(dim=0).float()  # slices that are left, where the scan ends across them
        middle = edge[1:-1, 1:-1]
        if middle.min() > 0 and middle.max() < 16:
            tilts.append(float(edge.max() - edge.min()) * SPACING[2])
    assert len(tilts) > 2 and max(tilts) < 0.5 * 2 * 96 * SPACING[0]  # a slope of 0.15 is its standard deviation
