"""Surface distances against a cube that can be summed by hand and against brute force."""

from itertools import product
from math import inf, isnan

import numpy as np
import pytest

from Med3DCore.errors import DataError
from Med3DCore.evaluation import measure_surfaces
from Med3DCore.evaluation.surface import bounding_box

NEIGHBOURS = [offset for offset in product((-1, 0, 1), repeat=3) if 1 <= np.abs(offset).sum() <= 2]


def brute_surface(mask: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Indices (z, y, x) of known mask voxels with known background, or the image's end, among their 18 neighbours.

    An image of one slice does not end along it.
    """
    inside, trusted = np.pad(mask, 1), np.pad(known, 1, constant_values=True)
    neighbours = [n for n in np.array(NEIGHBOURS) if not n[np.array(mask.shape) == 1].any()]
    return np.array(
        [
            index
            for index in np.argwhere(mask & known)
            if any(trusted[tuple(index + n + 1)] and not inside[tuple(index + n + 1)] for n in neighbours)
        ]
    ).reshape(-1, 3)


def brute_distances(prediction, reference, known, axes):
    """Both directed distances; ``axes`` are the mm steps of the z, y and x index as rows."""
    a, b = brute_surface(prediction, known) @ axes, brute_surface(reference, known) @ axes
    distances = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=-1))
    return distances.min(axis=1, initial=inf), distances.min(axis=0, initial=inf)


def shifted_cubes(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    prediction, reference = np.zeros((n + 4, n + 4, n + 4 + k), bool), np.zeros((n + 4, n + 4, n + 4 + k), bool)
    prediction[2 : n + 2, 2 : n + 2, 2 : n + 2] = True
    reference[2 : n + 2, 2 : n + 2, 2 + k : n + 2 + k] = True
    return prediction, reference


def shifted_cube_distances(n: int, k: int, spacing: tuple[float, float, float]) -> np.ndarray:
    """Distances of a hollow n^3 cube to the same moved by k voxels along x, worked out face by face."""
    sx, sy, sz = spacing
    trailing_face = [k * sx] * n**2
    trailing_rims = [(k - x) * sx for x in range(1, k) for _ in range(4 * (n - 1))]
    shared_rims = [0.0] * ((n - k) * 4 * (n - 1))
    leading_face = [
        min(k * sx, (n - 1 - k) * sx, min(y, n - 1 - y) * sy, min(z, n - 1 - z) * sz)
        for y in range(1, n - 1)
        for z in range(1, n - 1)
    ]
    return np.array(trailing_face + trailing_rims + shared_rims + leading_face)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_measured_along_its_outline(axis):
    """Two squares moved by three pixels: the outline's distances, not zeros for all that both have in common."""
    prediction, reference = (np.zeros((16, 16), bool) for _ in range(2))
    prediction[2:12, 2:12] = reference[2:12, 5:15] = True
    surfaces = measure_surfaces(np.expand_dims(prediction, axis), np.expand_dims(reference, axis), (2.0, 2.0, 2.0))
    assert surfaces.from_prediction.size == surfaces.from_reference.size == 4 * 10 - 4
    assert surfaces.mssd == surfaces.hd95 == 6.0
    same = measure_surfaces(np.expand_dims(prediction, axis), np.expand_dims(prediction, axis), (2.0, 2.0, 2.0))
    assert same.mssd == 0 and same.nsd(0.0) == 1


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.9, 5.0), (3.0, 1.0, 0.5)])
def test_shifted_cubes(spacing):
    n, k = 9, 3
    expected = shifted_cube_distances(n, k, spacing)
    assert expected.size == n**3 - (n - 2) ** 3
    distances = measure_surfaces(*shifted_cubes(n, k), spacing)
    assert distances.assd == pytest.approx(expected.mean(), rel=1e-6)
    assert distances.rmsd == pytest.approx(np.sqrt((expected**2).mean()), rel=1e-6)
    assert distances.mssd == pytest.approx(k * spacing[0], rel=1e-6)
    assert distances.hd95 == pytest.approx(np.percentile(expected, 95), rel=1e-6)
    assert distances.nsd(1.4) == pytest.approx((expected <= 1.4).mean(), rel=1e-6)


@pytest.mark.parametrize("shape", [(6, 7, 8), (1, 6, 5), (2, 3, 2), (1, 1, 1)])
@pytest.mark.parametrize("density", [0.02, 0.2, 0.6, 0.97, 1.0])
@pytest.mark.parametrize("partly_known", [False, True])
def test_brute_force_on_oblique_anisotropic_grids(shape, density, partly_known):
    rng = np.random.default_rng(7)
    for _ in range(4):
        prediction, reference = rng.random(shape) < density, rng.random(shape) < density
        known = rng.random(shape) < 0.7 if partly_known else np.ones(shape, bool)
        spacing = tuple(rng.uniform(0.5, 5, 3))
        rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        steps = (rotation * spacing).T[::-1]
        a, b = brute_distances(prediction, reference, known, steps)
        distances = measure_surfaces(prediction, reference, spacing, known if partly_known else None)
        np.testing.assert_allclose(distances.from_prediction, a, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(distances.from_reference, b, rtol=1e-5, atol=1e-5)
        if a.size and b.size:
            pooled = np.concatenate([a, b])
            assert distances.assd == pytest.approx(pooled.mean(), rel=1e-5)
            assert distances.rmsd == pytest.approx(np.sqrt((pooled**2).mean()), rel=1e-5)
            assert distances.mssd == pytest.approx(pooled.max(), rel=1e-5)
            assert distances.hd95 == pytest.approx(max(np.percentile(a, 95), np.percentile(b, 95)), rel=1e-5)
            assert distances.nsd(2.0) == pytest.approx((pooled <= 2.0).mean())


def test_identical_masks_are_0_mm_apart():
    mask = np.ones((3, 4, 5), np.uint8)
    distances = measure_surfaces(mask, mask, (1, 1, 1))
    assert (distances.assd, distances.rmsd, distances.mssd, distances.hd95, distances.nsd(0)) == (0, 0, 0, 0, 1)


def test_one_empty_mask_is_infinitely_far():
    mask, empty = np.ones((3, 4, 5), bool), np.zeros((3, 4, 5), bool)
    for pair in ((mask, empty), (empty, mask)):
        distances = measure_surfaces(*pair, (1, 1, 1))
        assert (distances.assd, distances.rmsd, distances.mssd, distances.hd95) == (inf, inf, inf, inf)
        assert distances.nsd(2) == 0


def test_two_empty_masks_are_undefined():
    distances = measure_surfaces(np.zeros((3, 4, 5)), np.zeros((3, 4, 5)), (1, 1, 1))
    assert all(map(isnan, (distances.assd, distances.rmsd, distances.mssd, distances.hd95, distances.nsd(2))))


def test_a_border_against_unknown_voxels_is_no_surface():
    reference, prediction = np.zeros((9, 9, 12), bool), np.zeros((9, 9, 12), bool)
    known = np.ones((9, 9, 12), bool)
    reference[2:7, 2:7, 2:7] = True
    known[:, :, 6:] = False
    prediction[2:7, 2:7, 2:11] = True  # goes on where nobody looked
    distances = measure_surfaces(prediction, reference, (1, 1, 1), known)
    assert distances.mssd == 0
    assert distances.from_reference.size == 5 * 5 * 4 - 3 * 3 * 3
    assert measure_surfaces(prediction, reference, (1, 1, 1)).mssd == 4


def test_rounded_spacing_stays_within_the_tolerance():
    distances = measure_surfaces(*shifted_cubes(9, 1), (2.0000002, 2.0000002, 2.0000002))
    assert distances.mssd > 2
    assert distances.nsd(2.0) == 1


def test_bounding_box():
    mask = np.zeros((5, 6, 7), bool)
    mask[1, 2:4, 6] = True
    assert bounding_box(mask) == (slice(1, 2), slice(2, 4), slice(6, 7))
    assert mask[bounding_box(mask, margin=2)].shape == (4, 6, 3)
    assert mask[bounding_box(np.zeros_like(mask), margin=2)].size == 0


def test_a_spacing_of_0_is_refused():
    with pytest.raises(DataError, match="above 0 mm"):
        measure_surfaces(np.ones((2, 2, 2)), np.ones((2, 2, 2)), (1, 0, 1))
