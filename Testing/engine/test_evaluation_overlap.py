"""Overlap measures against hand-counted masks, and what becomes of empty ones."""

from math import inf, isnan

import numpy as np
import pytest

from Med3DCore.errors import DataError
from Med3DCore.evaluation import Overlap, measure_overlap


def test_hand_counted_cubes():
    prediction, reference = np.zeros((6, 6, 6), bool), np.zeros((6, 6, 6), np.uint8)
    prediction[0:4, 0:4, 0:4] = True  # 64 voxels
    reference[1:4, 1:4, 1:5] = 1  # 36 voxels, 27 of them shared
    overlap = measure_overlap(prediction, reference)
    assert overlap == Overlap(27, 64, 36)
    assert overlap.dice == pytest.approx(54 / 100)
    assert overlap.jaccard == pytest.approx(27 / 73)
    assert overlap.voe == pytest.approx(46 / 73)
    assert overlap.rvd == pytest.approx(28 / 36)
    assert overlap.precision == pytest.approx(27 / 64)
    assert overlap.sensitivity == pytest.approx(27 / 36)


def test_both_empty_is_perfect():
    overlap = Overlap()
    assert (overlap.dice, overlap.jaccard, overlap.voe, overlap.rvd) == (1, 1, 0, 0)
    assert isnan(overlap.precision)
    assert isnan(overlap.sensitivity)


def test_empty_prediction():
    overlap = Overlap(0, 0, 5)
    assert (overlap.dice, overlap.jaccard, overlap.voe, overlap.rvd, overlap.sensitivity) == (0, 0, 1, -1, 0)
    assert isnan(overlap.precision)


def test_empty_reference():
    overlap = Overlap(0, 5, 0)
    assert (overlap.dice, overlap.jaccard, overlap.voe, overlap.rvd, overlap.precision) == (0, 0, 1, inf, 0)
    assert isnan(overlap.sensitivity)


def test_global_dice_is_not_the_mean():
    small, large = Overlap(1, 2, 2), Overlap(90, 100, 100)
    assert sum([small, large], Overlap()).dice == pytest.approx(2 * 91 / 204)
    assert (small.dice + large.dice) / 2 == pytest.approx(0.7)


def test_unknown_voxels_count_for_nobody():
    prediction, reference = np.array([[[1, 1, 0, 1]]]), np.array([[[1, 0, 1, 1]]])
    known = np.array([[[True, True, True, False]]])
    assert measure_overlap(prediction, reference, known) == Overlap(1, 2, 2)


def test_shapes_are_not_broadcast():
    with pytest.raises(DataError, match=r"\(3, 3, 3\).*\(1, 3, 3\)"):
        measure_overlap(np.ones((3, 3, 3)), np.ones((1, 3, 3)))
