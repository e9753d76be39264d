"""Labels decided in blocks are those of logits that were enlarged as a whole; axes are resampled as by scikit-image."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, zoom

from Med3DCore.inference.nnunet.logits import Logits
from Med3DCore.inference.nnunet.winners import exclusive_labels, painted_regions
from Med3DCore.preprocessing.nnunet.axis import lone_axis, neighbours, new_size, weights


@pytest.fixture(scope="module")
def logits():
    """Of seven classes that meet in smooth borders: float32 ``[7, z, y, x]``."""
    noise = np.random.default_rng(0).standard_normal((7, 19, 22, 17))
    return gaussian_filter(noise, (0, 2, 2, 2)).astype(np.float32) * 10


def enlarged(logits, axes):
    """All classes at every voxel of the result."""
    for number, axis in enumerate(axes, start=1):
        part = axis.part.reshape([-1 if number == other else 1 for other in range(4)])
        low, high = logits.take(axis.low, axis=number), logits.take(axis.high, axis=number)
        logits = low + (high - low) * part
    return logits


@pytest.mark.parametrize(
    ("shape", "orders"), [((40, 61, 50), (1, 1, 1)), ((57, 22, 33), (0, 1, 1)), ((9, 30, 8), (1,) * 3)]
)
def test_blocks_give_the_labels_of_the_whole(logits, shape, orders):
    axes = [neighbours(n, m, order) for n, m, order in zip(logits.shape[1:], shape, orders, strict=True)]
    whole = enlarged(logits, axes)
    best = np.sort(whole, axis=0)
    sure = best[-1] - best[-2] > 1e-5  # the order of rounding decides the others
    assert sure.mean() > 0.999
    assert np.array_equal(exclusive_labels(Logits(logits), axes)[sure], whole.argmax(axis=0)[sure])
    painted = np.max(np.where(whole > 0, np.arange(1, 8)[:, None, None, None], 0), axis=0)
    sure = (np.abs(whole) > 1e-5).all(axis=0)
    assert np.array_equal(painted_regions(logits, axes)[sure], painted[sure])


def test_wanted_classes_are_found_as_among_all_and_blocks_without_them_are_left_out(logits):
    axes = [neighbours(n, 2 * n, 1) for n in logits.shape[1:]]
    logits = logits.copy()
    logits[[2, 5], 8:] -= 100.0
    whole, some = exclusive_labels(Logits(logits), axes), exclusive_labels(Logits(logits), axes, wanted=[2, 5])
    for wanted in (2, 5):
        assert (whole == wanted).any() and np.array_equal(some == wanted, whole == wanted)
    assert not some[some != whole].any() and (some != whole).any()


def test_equal_logits_give_the_first_class():
    axes = [neighbours(4, 8, 1)] * 3
    assert not exclusive_labels(Logits(np.zeros((3, 4, 4, 4), np.float32)), axes).any()


@pytest.mark.parametrize(("size", "wanted"), [(10, 25), (25, 10), (7, 7), (1, 4), (5, 1)])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_an_axis_is_resampled_as_cells_of_one_extent(size, wanted, order):
    values = np.random.default_rng(1).standard_normal(size)
    expected = zoom(values, wanted / size, order=order, mode="nearest", grid_mode=True, output=np.empty(wanted))
    assert np.allclose(weights(size, wanted, order) @ values, expected, atol=1e-5)


def test_the_axis_that_is_resampled_by_itself():
    assert lone_axis((5.0, 1.0, 1.0), (1.0, 1.0, 1.0), None) == 0
    assert lone_axis((1.0, 1.0, 1.0), (2.0, 2.0, 7.0), None) == 2
    assert lone_axis((3.0, 1.0, 1.0), (3.0, 1.0, 1.0), None) is None
    assert lone_axis((5.0, 1.0, 5.0), (1.0, 1.0, 1.0), None) is None  # two as long: none is alone
    assert lone_axis((5.0, 1.0, 1.0), (1.0, 1.0, 1.0), separate=False) is None
    assert new_size(5, 1.5, 3.0) == 2 and new_size(3, 0.5, 3.0) == 1


@pytest.mark.parametrize("classes", [3, 40])
def test_what_the_last_layer_gets_gives_the_labels_of_its_logits(classes):
    rng = np.random.default_rng(classes)
    maps = rng.standard_normal((6, 9, 10, 11)).astype(np.float32)
    weight, bias = (
        torch.from_numpy(rng.standard_normal(shape).astype(np.float32)) for shape in ((classes, 6), (classes,))
    )
    logits = np.einsum("km,mzyx->kzyx", weight, maps) + bias.numpy()[:, None, None, None]
    axes = [neighbours(n, m, 1) for n, m in zip(maps.shape[1:], (21, 24, 30), strict=True)]
    found, expected = exclusive_labels(Logits(maps, (weight, bias)), axes), exclusive_labels(Logits(logits), axes)
    assert np.mean(found != expected) < 1e-3 and len(np.unique(found)) > classes // 2


def test_where_most_classes_win_somewhere_in_a_block_the_labels_are_those_of_the_whole():
    logits = np.random.default_rng(2).standard_normal((40, 9, 9, 9)).astype(np.float32)
    logits[17] = np.delete(logits, 17, axis=0).max(axis=0) - 0.01  # wins between corners only
    axes = [neighbours(9, m, 1) for m in (21, 24, 30)]
    whole = enlarged(logits, axes)
    best = np.sort(whole, axis=0)
    sure = best[-1] - best[-2] > 1e-5
    assert sure.mean() > 0.999
    assert np.array_equal(exclusive_labels(Logits(logits), axes)[sure], whole.argmax(axis=0)[sure])
