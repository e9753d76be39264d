"""Overlap of boxes and FROC against examples worked out by hand (papers.md C)."""

import numpy as np
import pytest

from Med3DCore.boxes import areas, overlaps, suppress
from Med3DCore.errors import DataError, SettingError
from Med3DCore.evaluation.froc import Detections, froc

A, B, C = (0, 0, 10, 10), (20, 0, 30, 10), (0, 20, 10, 30)
NEARLY_A = (0, 0, 10, 8)  # IoU with A is 80 / 100
FAR = (60, 60, 70, 70)


def seen(boxes, scores, truths):
    return Detections(
        np.array(boxes, float).reshape(-1, 4), np.array(scores, float), np.array(truths, float).reshape(-1, 4)
    )


def test_overlap_by_hand():
    boxes, others = np.array([A, NEARLY_A], float), np.array([(5, 0, 15, 10), FAR, NEARLY_A], float)
    assert np.allclose(overlaps(boxes, others), [[50 / 150, 0, 0.8], [40 / 140, 0, 1]])
    assert np.allclose(overlaps(boxes, others, "iobb"), [[0.5, 0, 0.8], [0.5, 0, 1]])
    # MULAN counts pixels: 11 x 11 and 11 x 9.
    assert np.isclose(overlaps(boxes[:1], others[2:], pixel=1.0)[0, 0], 99 / 121)
    with pytest.raises(SettingError, match="giou"):
        overlaps(boxes, others, "giou")


def test_empty_and_flat_boxes_overlap_nothing():
    flat = np.array([(3, 3, 3, 9), (9, 9, 3, 3)], float)
    assert not areas(flat).any() and not overlaps(flat, flat).any()
    assert overlaps(np.zeros((0, 4)), flat).shape == (0, 2)
    assert suppress(np.zeros((0, 4)), np.zeros(0), 0.5).size == 0


def test_the_best_of_overlapping_boxes_stays():
    boxes = np.array([NEARLY_A, A, B, FAR], float)
    assert suppress(boxes, np.array([0.5, 0.9, 0.1, 0.7]), 0.5).tolist() == [1, 3, 2]
    assert suppress(boxes, np.array([0.5, 0.9, 0.1, 0.7]), 0.8).tolist() == [1, 3, 0, 2]  # 0.8 is not more than 0.8


def test_a_curve_by_hand():
    """Two pictures with three lesions, one without.

    By score: .9 finds A (1/3, 0 alarms); .8 is an alarm (1/3 alarm a picture); .7 finds B (2/3); .6 is a duplicate of
    A and counts as nothing; .5 is an alarm in the picture without lesions (2/3); .4 is an alarm (3/3); .3 finds C.
    """
    pictures = [
        seen([A, FAR, B, NEARLY_A], [0.9, 0.8, 0.7, 0.6], [A, B]),
        seen([FAR, C], [0.4, 0.3], [C]),
        seen([A], [0.5], []),
    ]
    found = froc(pictures)
    assert found.hits.tolist() == [0.9, 0.7, 0.3] and sorted(found.alarms) == [0.4, 0.5, 0.8]
    alarms, sensitivity = found.points()
    assert np.allclose(alarms, [0, 0, 1 / 3, 1 / 3, 2 / 3, 1, 1])
    assert np.allclose(sensitivity, [0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 1])
    # At 0.5 between 1/3 and 2/3 the curve is flat; at 1 all three are found, and past its end it stays so.
    assert np.allclose(found.sensitivity(), [2 / 3, 1, 1, 1])
    assert np.allclose(found.sensitivity([1 / 3, 0.9]), [2 / 3, 2 / 3])
    assert np.allclose(found.sensitivity([1], np.array([False, False, True])), [1])
    assert np.allclose(found.sensitivity([0.5], np.array([True, False, True])), [0.5])


def test_the_curve_is_drawn_along_lines_between_points():
    """One score for a hit and two alarms of four pictures is one point: the line from 0, 0 to it is read off."""
    pictures = [seen([A, FAR], [0.5, 0.5], [A]), seen([FAR], [0.5], [B]), seen([], [], []), seen([], [], [])]
    assert np.allclose(froc(pictures).sensitivity([0.25, 0.5]), [0.25, 0.5])


def test_a_missed_lesion_stays_missed():
    found = froc([seen([A], [0.9], [A, B]), seen([], [], [C])])
    assert np.isneginf(found.hits[1:]).all()
    assert np.allclose(found.sensitivity(), [1 / 3] * 4)


def test_one_box_may_find_two_lesions_and_half_is_enough():
    found = froc([seen([A], [0.9], [NEARLY_A, (0, 0, 10, 5)])])
    assert found.hits.tolist() == [0.9, 0.9] and not len(found.alarms)
    assert len(froc([seen([A], [0.9], [(0, 0, 10, 4.9)])]).alarms) == 1


def test_the_better_of_two_boxes_finds_the_lesion_in_any_order():
    for boxes, scores in (([NEARLY_A, A], [0.3, 0.8]), ([A, NEARLY_A], [0.8, 0.3])):
        found = froc([seen(boxes, scores, [A])])
        assert found.hits.tolist() == [0.8] and not len(found.alarms)


def test_without_lesions_there_is_no_sensitivity_and_without_pictures_nothing():
    assert np.isnan(froc([seen([A], [0.9], [])]).sensitivity()).all()
    with pytest.raises(DataError, match="no picture"):
        froc([])
    with pytest.raises(DataError, match="no number"):
        froc([seen([A], [np.nan], [A])])
