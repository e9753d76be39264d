"""Accuracy, AUC and their intervals, against pairs counted one by one and figures from the papers."""

import numpy as np
import pytest

from Med3DCore.errors import DataError
from Med3DCore.evaluation.classification import auc, auc_with_interval, evaluate_classification, proportion


def pairs(scores, truths):
    """The AUC as it is defined: every positive against every negative."""
    wins = [(a > b) + (a == b) / 2 for a in scores[truths] for b in scores[~truths]]
    return np.mean(wins)


@pytest.mark.parametrize("levels", [3, 10, 10_000])
def test_the_area_is_that_of_all_pairs_with_and_without_ties(levels):
    rng = np.random.default_rng(levels)
    for _ in range(20):
        scores, truths = rng.integers(0, levels, 40) / levels, rng.random(40) < 0.4
        assert auc(scores, truths) == pytest.approx(pairs(scores, truths), abs=1e-12)


def test_weights_count_an_example_several_times():
    rng = np.random.default_rng(0)
    scores, truths = rng.integers(0, 6, 20) / 6, rng.random(20) < 0.5
    weights = rng.integers(0, 4, (5, 20))
    found = auc(scores, truths, weights)
    for row, area in zip(weights, found, strict=True):
        assert area == pytest.approx(pairs(np.repeat(scores, row), np.repeat(truths, row)), abs=1e-12)


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(90, 99, 0.836, 0.951), (84, 99, 0.765, 0.906), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0)],
)
def test_proportions_have_wilsons_interval(right, of, low, high):
    """The first two are those of papers.md A8, the others of Wilson's tables."""
    found = proportion(right, of)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-4) and found.value == right / of


def test_a_hand_computed_case():
    report = evaluate_classification([0.9, 0.5, 0.4, 0.8, 0.1, 0.2], [1, 1, 1, 0, 0, 0], ["a", "a", "b", "c", "d", "e"])
    assert (report.n, report.positives, report.patients, report.majority) == (6, 3, 5, 0.5)
    assert report.accuracy.value == pytest.approx(4 / 6)
    assert report.sensitivity.value == pytest.approx(2 / 3) and report.specificity.value == pytest.approx(2 / 3)
    assert report.auc.value == pytest.approx(7 / 9)
    assert not report.warnings and report.to_dict()["auc"]["value"] == report.auc.value


def test_patients_are_drawn_not_nodules():
    """Ten like nodules of a patient are hardly more than one: the interval must stay about as wide."""
    rng = np.random.default_rng(3)
    truths = np.arange(20) % 2 == 0
    scores = truths + rng.normal(0, 1.2, 20)
    patients = [f"p{i}" for i in range(20)]
    once = auc_with_interval(scores, truths, patients)
    many = auc_with_interval(np.repeat(scores, 10), np.repeat(truths, 10), np.repeat(patients, 10))
    apart = auc_with_interval(np.repeat(scores, 10), np.repeat(truths, 10), [str(i) for i in range(200)])
    assert many == once.__class__(once.value, once.low, once.high, 200)
    assert apart.high - apart.low < 0.5 * (once.high - once.low)
    assert once.low < once.value < once.high and once == auc_with_interval(scores, truths, patients)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """Scores of two normal distributions one apart have an AUC of 0.760; an interval of 95 % misses it now and then."""
    rng, hits = np.random.default_rng(5), 0
    for trial in range(100):
        truths = np.arange(60) % 2 == 0
        found = auc_with_interval(truths + rng.normal(0, 1, 60), truths, list(map(str, range(60))), seed=trial)
        hits += found.low <= 0.7602 <= found.high
    assert 85 <= hits <= 100


@pytest.mark.parametrize(("truth", "missing"), [(True, "negative"), (False, "positive")])
def test_a_single_class_is_said(truth, missing):
    report = evaluate_classification([0.9, 0.6, 0.2], [truth] * 3, "abc")
    assert report.auc.value is None and report.majority == 1.0
    undefined = report.specificity if truth else report.sensitivity
    assert undefined.value is None and str(undefined) == "undefined"
    assert f"No held-out example is {missing}, so the AUC is undefined" in report.warnings[0]


def test_a_perfect_result_pretends_no_interval():
    report = evaluate_classification([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], "abcd")
    assert (report.auc.value, report.auc.low) == (1.0, None)
    assert "has no interval" in report.warnings[0]


def test_nothing_to_measure_is_refused():
    with pytest.raises(DataError, match="no example"):
        evaluate_classification([], [], [])
    with pytest.raises(DataError, match="no number"):
        evaluate_classification([np.nan], [1], "a")
