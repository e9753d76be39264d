"""Fine-tuning: who is held out, how far the weights go, and what the user is told of it."""

from dataclasses import replace

import numpy as np
import pytest
from training_boxes import boxes

from Med3DCore.io import read_volume
from Med3DCore.labels import find_labels
from Med3DCore.training.fine_tuning.blend import ALL_THE_WAY, HALFWAY, choose_ways
from Med3DCore.training.fine_tuning.held_out import (
    Checked,
    choose_held_out,
    false_positives,
    scores,
    verdict,
)
from Med3DCore.training.segmentation.publish import compare_with_truth
from Med3DCore.volume import LabelMap


@pytest.mark.parametrize(
    ("all_the_way", "model", "reports"),
    [
        ((0.91, 0.90, 0.91), HALFWAY, [HALFWAY] * 3),
        ((0.99, 0.99, 0.99), ALL_THE_WAY, [ALL_THE_WAY] * 3),
        ((0.5, 0.5, 0.5), HALFWAY, [HALFWAY] * 3),
        # The last one alone decides, so what is reported of it is what it would have got without a say.
        ((0.90, 0.90, 0.99), ALL_THE_WAY, [ALL_THE_WAY, ALL_THE_WAY, HALFWAY]),
    ],
)
def test_how_far_to_go_is_chosen_by_held_out_cases_and_reported_on_others(all_the_way, model, reports):
    half, learned = ({"liver": dict(zip("abc", dices, strict=True))} for dices in ((0.9,) * 3, all_the_way))
    assert choose_ways(half, learned, {"a": "p", "b": "q", "c": "r"}) == (model, dict(zip("abc", reports, strict=True)))
    # Cases of one patient are one: nobody else chooses.
    assert choose_ways(half, learned, dict.fromkeys("abc", "p")) == (HALFWAY, dict.fromkeys("abc", HALFWAY))


def test_halfway_is_usual_where_nothing_is_held_out_and_an_organ_lost_halfway_is_none():
    assert choose_ways({}, {}, {}) == (HALFWAY, {})
    ways = choose_ways({}, {"liver": {"a": 0.9, "b": 0.8}}, {"a": "p", "b": "q"})
    assert ways == (ALL_THE_WAY, {"a": ALL_THE_WAY, "b": ALL_THE_WAY})


def test_one_of_three_patients_is_held_out(tmp_path):
    cases = [replace(case, patient=f"patient {i // 2}") for i, case in enumerate(boxes(tmp_path, 6))]
    chosen = choose_held_out(cases, seed=0)
    out = {case.patient for case in chosen if case.split == "validation"}
    assert len(out) == 1 and all((case.patient in out) == (case.split == "validation") for case in chosen)
    assert choose_held_out(cases, seed=0) == chosen
    assert all(case.split == "training" for case in choose_held_out(cases[:4], seed=0)), "two patients are too few"


def test_nobody_is_held_out_who_alone_shows_a_label(tmp_path):
    cases = boxes(tmp_path, 5)
    rare = replace(cases[2], annotated=("liver", "lungs"))
    mixed = [*cases[:2], rare, *cases[3:]]
    for seed in range(50):
        (out,) = [case for case in choose_held_out(mixed, seed) if case.split == "validation"]
        assert out.name != rare.name
    shown = {case.name: {"liver"} | ({"lungs"} if case is rare else set()) for case in mixed}
    everybody = [replace(case, annotated=("liver", "lungs")) for case in cases]  # all were looked at, one has it
    for seed in range(50):
        (out,) = [case for case in choose_held_out(everybody, seed, shown) if case.split == "validation"]
        assert out.name != rare.name
    titles = {"liver": "Liver", "lungs": "Lungs"}
    (nobody,) = verdict(choose_held_out(mixed, 0), {}, {"liver": {"d": 0.95}}, {}, titles)
    assert nobody.startswith("Lungs was checked on nobody")


def test_the_users_choice_of_held_out_cases_counts(tmp_path):
    cases = boxes(tmp_path, 4)
    chosen = choose_held_out([cases[0], replace(cases[1], split="validation"), *cases[2:]], seed=0)
    assert [case.split for case in chosen] == ["training", "validation", "training", "training"]
    kept = choose_held_out([replace(case, split="training") for case in cases], seed=0)
    assert all(case.split == "training" for case in kept)


def test_what_got_worse_or_changed_is_said(tmp_path):
    cases = choose_held_out(boxes(tmp_path, 4), seed=0)
    titles = {"liver": "Liver", "lungs": "Lungs"}
    before, after = {"liver": {"d": 0.91}}, {"liver": {"d": 0.85}}
    (worse,) = verdict(cases, before, after, {"lungs": {"d": 0.99}}, titles)
    assert "Liver got worse" in worse and "0.91 before, 0.85 now" in worse
    (changed,) = verdict(cases, before, before, {"lungs": {"d": 0.5}}, titles)
    assert "Lungs, which nobody labelled, is found differently" in changed
    assert verdict(cases, before, {"liver": {"d": 0.95}}, {}, titles) == []
    for now in (0.95, 0.3):
        (nothing,) = verdict(cases, {"liver": {"d": 1.0}}, {"liver": {"d": now}}, {}, titles)
        assert "is the result of the model from before, unchanged" in nothing
    (bad,) = verdict(cases, {}, {"liver": {"d": 0.3}}, {}, titles)
    assert "Liver is not found well yet (Dice 0.30" in bad
    few = verdict(choose_held_out(boxes(tmp_path, 1), 0), {}, {}, {}, titles)
    assert "No case was held out" in few[0] and "from 1 case only" in few[1]


def test_what_is_found_where_there_is_none_is_counted_in_ml(tmp_path):
    case, other = boxes(tmp_path, 2)
    case = replace(case, annotated=(), absent=("liver",))
    image = read_volume(case.image)
    array = np.zeros(image.array.shape, np.uint8)
    array[:10, :10, :10] = 1
    found = LabelMap(array, image.geometry, "found", find_labels(["liver", "lungs"]))
    checked = [Checked(each, found, compare_with_truth(found, ["liver"], each)) for each in (case, other)]
    assert false_positives(checked) == {"liver": {case.name: 64.0}}  # 1000 voxels of 4 x 4 x 4 mm
    assert set(scores(checked)["liver"]) == {other.name}
