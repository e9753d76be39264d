"""What a comparison claims, on made-up curves: no more than they show."""

from math import inf

import numpy as np
import pytest

from Med3DCore.training.comparison.comparison import Comparison
from Med3DCore.training.comparison.init import Init
from Med3DCore.training.comparison.measures import (
    Speed,
    difference,
    first_as_good,
    median_steps,
    speed,
    spread,
    steps_to,
)
from Med3DCore.training.comparison.outcome import Outcome
from Med3DCore.training.comparison.picture import draw
from Med3DCore.training.comparison.plan import Plan
from Med3DCore.training.comparison.record import to_dict
from Med3DCore.training.comparison.report import as_markdown, findings, saving_table, table

SIX = (1, 2, 3, 4, 5, 6)
INITS = (Init("scratch", "scratch"), Init("enc", "/home/me/enc.zip"))


def made_up(scores, seeds=(1, 2, 3), rates=(0.1,), shares=(1.0,), late=None):
    """A comparison in which ``scores(init, rate, seed, share)`` is reached at step 30, and 95 % of it at 10 and 20.

    Where ``late(run)``, all but the last validation is 0.
    """
    plan = Plan(INITS, rates, seeds, shares)
    fewer = [run for rate in rates for run in plan.runs_with_fewer({init.name: rate for init in INITS})]
    outcomes = []
    for run in [*plan.runs, *fewer]:
        score = scores(run.init, run.rate, run.seed, run.share)
        early = 0.0 if late and late(run) else 0.95
        curve = () if score is None else ((10, early * score), (20, early * score), (30, score))
        outcomes.append(Outcome(run, round(10 * run.share), curve, 30, 1.0, score, {"liver": {}}))
    return Comparison(plan, tuple(outcomes), ("liver",), ("h1", "h2"))


def told(comparison):
    return "\n".join(findings(comparison))


def test_steps_to_a_score_and_medians_with_trainings_that_never_reach_it():
    curve = [(10, 0.2), (20, 0.5), (30, 0.4)]
    assert steps_to(curve, 0.4) == 20 and steps_to(curve, 0.6) is None and steps_to(curve, 0) is None
    assert median_steps([10, None, 30]) == 30 and median_steps([10, 20]) == 15
    assert median_steps([None, None, 30]) is None and median_steps([10, None]) is None


def test_differences_are_of_seeds_in_pairs_with_students_interval():
    found = difference({1: 0.9, 2: 0.8, 3: 0.85}, {1: 0.8, 2: 0.72, 3: 0.76})
    assert found.n == 3 and found.mean == pytest.approx(0.09)
    # t(2; 0.975) = 4.3027, sd 0.01, n 3
    assert found.low == pytest.approx(0.09 - 4.3027 * 0.01 / 3**0.5, abs=1e-6) and found.is_shown
    assert not difference({1: 0.9, 2: 0.7}, {1: 0.8, 2: 0.8}).is_shown
    assert not difference({1: 0.9}, {1: 0.1}).is_shown and difference({1: 0.9}, {2: 0.9}) is None
    assert spread([0.5]).sd is None and spread([]) is None


def test_speed_counts_seeds_and_bounds_what_was_never_reached():
    assert speed({1: 10, 2: 10}, {1: 30, 2: 20}, 50) == Speed(2.5, "", 2, 0, 2)
    assert speed({1: 10, 2: 10}, {1: None, 2: None}, 50) == Speed(5.0, "at least", 2, 0, 2)
    assert speed({1: None, 2: None}, {1: 10, 2: 10}, 50).ratio is None
    assert not speed({1: 10, 2: 40}, {1: 20, 2: 20}, 50).is_shown and not speed({1: 1}, {1: 9}, 50).is_shown


def test_speed_is_shown_by_the_exact_sign_test_over_seeds():
    def of(earlier, later, ties=0):
        return Speed(2.0, "", earlier, later, earlier + later + ties)

    assert [of(n, 0).p for n in (1, 2, 3, 5, 6)] == [1, 0.5, 0.25, 0.0625, 0.03125]
    assert [of(n, 0).is_shown for n in (2, 3, 5, 6)] == [False, False, False, True] and of(0, 6).is_shown
    assert of(8, 1).p == pytest.approx(20 / 512) and of(8, 1).is_shown and not of(7, 1).is_shown
    assert not of(5, 0, ties=4).is_shown and of(6, 0, ties=2).is_shown and of(0, 0, ties=6).p == 1
    assert of(5, 0).has_too_few_seeds and not of(5, 0, ties=1).has_too_few_seeds


@pytest.mark.parametrize("rates", [(0.1,), (0.1, 0.01)])
@pytest.mark.parametrize("seeds", [2, 3, 5, 6])
def test_of_equal_starts_one_in_twenty_at_most_is_called_different(seeds, rates):
    # "First with every seed" called 43, 17, 3 and 1.5 % of such starts faster, with 2, 3, 5 and 6 seeds.
    rng, repeats, faster, better = np.random.default_rng(seeds), 300, 0, 0
    for _ in range(repeats):
        comparison = equal_starts(rng, seeds, rates)
        faster += comparison.speed(comparison.fastest("enc"), comparison.fastest("scratch")).is_shown
        better += comparison.gain(comparison.best("enc"), comparison.best("scratch")).is_shown
    assert faster <= 0.05 * repeats and (faster == 0 or seeds == 6)
    assert better <= 0.05 * repeats + 2 * (repeats * 0.05 * 0.95) ** 0.5  # t is exact on average


def equal_starts(rng, seeds, rates):
    """Curves as trainings have them: they rise and saturate, each at a random speed to a random height."""
    plan, steps = Plan(INITS, rates, tuple(range(seeds))), np.arange(10, 241, 10)
    outcomes = []
    for run in plan.runs:
        height, pace = 0.9 - rng.gamma(2, 0.01), 80 * np.exp(rng.normal(0, 0.35))
        scores = height * (1 - np.exp(-steps / pace)) + rng.normal(0, 0.01, len(steps))
        curve = tuple(zip(steps.tolist(), scores.tolist(), strict=True))
        outcomes.append(Outcome(run, 6, curve, 240, 1.0, curve[-1][1], {"liver": {}}))
    return Comparison(plan, tuple(outcomes), ("liver",), ("h",))


def test_a_clear_difference_is_told_with_its_interval():
    def scores(init, rate, seed, share):
        return (0.9 if init == "enc" else 0.7) + 0.001 * (seed % 3)

    text = told(made_up(scores, seeds=SIX))
    assert "enc (rate 0.1) ends at Dice 0.901 ± 0.001, scratch (rate 0.1) at 0.701 ± 0.001: better (+0.200" in text
    assert "never" not in text and "more than its 30 steps (0 of 6 seeds came there)" in text
    assert "at least 3.0 times as fast (first with 6 of 6 seeds, p 0.031)" in text
    few = told(made_up(scores))
    assert "which is sooner cannot be told with 3 seeds (first with 3 of 3 seeds, later with 0); it takes 6." in few
    assert "times as fast" not in few


def test_a_difference_within_the_spread_is_called_none():
    comparison = made_up(
        lambda init, rate, seed, share: 0.8 + (0.02 if (init == "enc") == (seed < 4) else 0), seeds=SIX
    )
    text = told(comparison)
    assert "no difference beyond the spread of 6 seeds" in text and "better" not in text.replace("the better", "")
    assert "no difference in speed beyond chance (first with 0 of 6 seeds, later with 0, p 1.00)" in text
    worse = told(made_up(lambda init, rate, seed, share: 0.5 if init == "enc" else 0.7, seeds=SIX))
    assert ": worse (-0.200" in worse and "never there, so it cannot be faster" in worse


def test_one_seed_claims_nothing():
    comparison = made_up(lambda init, rate, seed, share: 0.9 if init == "enc" else 0.7, seeds=(1,))
    text = told(comparison)
    assert "One seed has no spread" in text and "+0.200 with the one seed" in text and "±" not in text
    assert "interval" not in text.replace("95 % interval of", "")


def test_the_best_rate_is_each_starts_own_and_a_training_that_broke_off_is_counted():
    def scores(init, rate, seed, share):
        if init == "enc" and rate == 0.1 and seed == 2:
            return None
        return {("scratch", 0.1): 0.8, ("scratch", 0.01): 0.6, ("enc", 0.1): 0.9, ("enc", 0.01): 0.85}[init, rate]

    comparison = made_up(scores, rates=(0.1, 0.01))
    assert [comparison.best(init.name).rate for init in INITS] == [0.1, 0.01]
    assert "enc at rate 0.1: 1 of 3 trainings broke off" in told(comparison)
    rows = table(comparison)
    assert [row[:4] for row in rows[1:]] == [
        ["scratch", "0.1 *", "3", "0.800 ± 0.000"],
        ["scratch", "0.01", "3", "0.600 ± 0.000"],
        ["enc", "0.1", "2", "0.900 ± 0.000"],
        ["enc", "0.01 *", "3", "0.850 ± 0.000"],
    ]


def test_speed_is_compared_at_each_starts_fastest_rate_not_at_its_best():
    comparison = made_up(
        lambda init, rate, seed, share: {("scratch", 0.1): 0.9, ("scratch", 0.01): 0.88}.get((init, rate), 0.89),
        rates=(0.1, 0.01),
        late=lambda run: (run.init, run.rate) in (("scratch", 0.1), ("enc", 0.1)),
    )
    assert (comparison.best("scratch").rate, comparison.fastest("scratch").rate) == (0.1, 0.01)
    assert "(Dice 0.810) enc (rate 0.01) took 10 steps, scratch (rate 0.01) 10 steps: which is sooner" in told(
        comparison
    )
    assert [row[-1] for row in table(comparison)[1:]] == ["0.3", "1", "0.3", "1.0"]


def test_patients_that_a_start_saves():
    comparison = made_up(
        lambda init, rate, seed, share: {0.2: 0.5, 0.5: 0.65, 1.0: 0.7}[share] + (0.1 if init == "enc" else 0),
        shares=(0.2, 0.5),
    )
    assert "enc is with 5 patients (0.750 ± 0.000) as good as scratch with all 10" in told(comparison)
    assert "50 % fewer" in told(comparison) and "scratch is with" not in told(comparison)
    assert saving_table(comparison)[0][2:] == ["2 patients (20 %)", "5 patients (50 %)", "10 patients (100 %)"]
    never = made_up(lambda init, rate, seed, share: 0.9 if init == "scratch" else 0.1, shares=(0.5,))
    assert "enc is with no tried number of patients as good" in told(never)


def test_how_many_patients_suffice_depends_on_the_seeds():
    gains = {1: (0.1, 0.1), 2: (-0.15, 0.1), 3: (0.1, 0.1)}  # of enc over scratch with all, by seed: 2 and 5 patients
    comparison = made_up(
        lambda init, rate, seed, share: 0.7 + (gains[seed][share == 0.5] if init == "enc" else 0), shares=(0.2, 0.5)
    )
    assert "enc is with 2 patients" in told(comparison)
    assert "with these seeds drawn anew, 2 to 5 (95 % of draws)" in told(comparison)
    assert first_as_good([{1: 0.7, 2: 0.9, 3: 0.9}], {1: 0.8, 2: 0.8, 3: 0.8}) == (0, inf)
    assert first_as_good([{1: 0.9, 2: 0.1}], {2: 0.2}) is None


def test_the_report_holds_all_that_was_found_and_the_picture_can_be_drawn(tmp_path):
    comparison = made_up(
        lambda init, rate, seed, share: None if init == "enc" and seed == 1 else 0.5 * share + 0.1 * seed,
        rates=(0.1, 0.01),
        shares=(0.5,),
        late=lambda run: run.init == "scratch",
    )
    text = as_markdown(comparison, "Title", "compare.png")
    assert text.startswith("# Title\n") and "![Curves](compare.png)" in text
    assert all(sentence in text for sentence in findings(comparison))
    values = to_dict(comparison)
    assert values["plan"]["inits"][1] == {"name": "enc", "source": "enc.zip"}  # without the folders of a computer
    assert len(values["runs"]) == 24 and values["arms"][0]["steps_to_level"] == {1: None, 2: None, 3: 30}
    assert values["level"] == pytest.approx(0.72)
    draw(comparison, tmp_path / "compare.png")
    assert (tmp_path / "compare.png").stat().st_size > 10_000
