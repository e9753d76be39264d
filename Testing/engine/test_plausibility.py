"""Results that look wrong are told, good ones are not."""

import numpy as np
import pytest

from Med3DCore.geometry import Geometry
from Med3DCore.inference.border import alike_beside
from Med3DCore.inference.plausibility import TYPICAL, Evidence, check, doubts, leave_out_disputed
from Med3DCore.inference.scan_end import touched_ends
from Med3DCore.inference.stage_result import StageResult
from Med3DCore.labels import LABELS, find_labels
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap, Volume

GRID = Geometry((60, 60, 60), (2.5, 2.5, 2.5))
GOOD = {
    "liver": Evidence(1500.0, False, 0.96, 0.93, 0.02, 100.0),
    "lungs": Evidence(4000.0, False, 0.95, 0.96, 0.01, -800.0),
    "spleen": Evidence(200.0, False, 0.96, 0.93, 0.02, 105.0),
    "left_kidney": Evidence(150.0, False, 0.96, 0.93, 0.02, 160.0),
}


def told(name="liver", is_ct=True, **changes):
    evidence = Evidence(**{**vars(GOOD.get(name, GOOD["liver"])), **changes})
    found = list(doubts(LABELS[name], evidence, is_ct))
    assert all(sentence.startswith(LABELS[name].title) and sentence.endswith(".") for _, sentence in found)
    return [flag for flag, _ in found]


@pytest.mark.parametrize("name", GOOD)
def test_a_good_result_is_not_doubted_and_each_fault_has_its_flag(name):
    assert told(name) == []
    assert told(name, expected_dice=0.8) == told(name, agreement=0.7) == ["unsure"]
    assert told(name, agreement=None) == []
    assert told(name, agreement=0.89) == ["unsure"], "livers full of tumours lie here"
    assert told(name, agreement=0.91) == []
    assert told(name, scattered=0.4) == ["scattered"]
    assert told(name, median=500.0) == ["intensity"] and told(name, median=500.0, is_ct=False) == []
    assert told(name, ml=15000.0) == ["large"]
    assert told(name, ml=30.0) == ["small"] and told(name, ml=30.0, is_cut=True) == []


def test_much_as_bright_beside_it_is_told():
    assert told(beside=0.09) == []
    assert told(beside=0.11) == ["incomplete"]


def test_of_other_labels_only_what_needs_no_anatomy_is_asked():
    assert told("heart", ml=1.0, median=900.0) == []
    assert told("heart", expected_dice=0.5, scattered=0.9) == ["unsure", "scattered"]


def found(boxes, sure=1.0, before=None, stray=0, hu=100):
    """Flags of a result that is some boxes (slices z, y, x), by a network as sure as told."""
    array, score = np.zeros(GRID.shape, np.uint8), np.full(GRID.shape, (1 - sure) / 2, np.float32)
    for box in boxes:
        array[box], score[box] = 1, (1 + sure) / 2
    labels = LabelMap(array, GRID, "scan", find_labels(["liver"]))
    volume = Volume(np.where(array, hu, -50).astype(np.int16), GRID, "scan")
    last = StageResult({"liver": score}, GRID, {"liver": int(array.sum()) + stray})
    coarse = Geometry((30, 30, 30), (5.0, 5.0, 5.0), (1.25, 1.25, 1.25))
    seen = np.zeros(coarse.shape, np.float32)
    for box in boxes if before is None else before:
        seen[tuple(slice(s.start // 2, s.stop // 2) for s in box)] = 1.0
    progress = Progress()
    check(
        "liver",
        labels,
        volume,
        True,
        any(touched_ends(labels, "liver")),
        last,
        StageResult({"liver": seen}, coarse, {"liver": 1}),
        0.0,
        progress,
    )
    assert [flag["sentence"] for flag in progress.flags] == progress.warnings
    assert all(flag["label"] == "liver" for flag in progress.flags)
    return [flag["flag"] for flag in progress.flags]


BOX = (slice(10, 50), slice(10, 50), slice(10, 50))  # 1000 mL
SMALL = (slice(54, 58), slice(2, 58), slice(2, 58))


def liver_in_part(missed=0):
    """A liver of 100 HU in fat, found but for so many voxels of its right end."""
    found = np.zeros(GRID.shape, bool)
    found[10:50, 10:50, 10:50] = True
    values = np.where(found, 100, -100)
    found[:, :, : 10 + missed] = False
    return found, values


def test_what_is_as_bright_beside_an_organ_is_measured_in_mm():
    for spacing, every in (((2.5, 2.5, 2.5), 1), ((2.5, 2.5, 5.0), 2)):
        whole, part = (alike_beside(*(array[::every] for array in liver_in_part(n)), spacing) for n in (0, 10))
        assert whole < 0.01 and part > 0.12


@pytest.mark.parametrize("missed,flags", [(0, []), (15, ["incomplete"])])
def test_a_liver_found_in_part_is_told(missed, flags):
    inside, values = liver_in_part(missed)
    labels = LabelMap(inside.astype(np.uint8), GRID, "scan", find_labels(["liver"]))
    last, volume = (
        StageResult({"liver": inside.astype(np.float32)}, GRID, {"liver": int(inside.sum())}),
        Volume(values.astype(np.int16), GRID, "scan"),
    )
    for is_ct, expected in ((True, flags), (False, [])):
        progress = Progress()
        check("liver", labels, volume, is_ct, False, last, last, 0.0, progress)
        assert [flag["flag"] for flag in progress.flags] == expected


def test_what_a_stage_found_is_measured():
    assert found([BOX]) == []
    assert found([]) == ["missing"]
    assert found([BOX], sure=0.2) == ["unsure"]
    assert found([BOX], before=[(slice(10, 50), slice(10, 50), slice(30, 50))]) == ["unsure"]
    assert found([BOX], stray=40_000) == ["scattered"]
    assert found([BOX, SMALL]) == ["scattered"], "a liver is one piece"
    cut = (slice(0, 30), slice(10, 50), slice(10, 50))
    assert found([cut, (slice(0, 20), slice(2, 58), slice(54, 58))]) == [], "what the scan's edge cuts may be in pieces"
    assert found([cut], stray=40_000) == ["scattered"]
    assert found([BOX], hu=400) == ["intensity"]
    assert found([(slice(20, 30),) * 3]) == ["small"]
    assert found([(slice(0, 30), slice(20, 30), slice(20, 30))]) == [], "small because it is cut is told elsewhere"
    assert found([(slice(0, 60),) * 3], hu=100) == []


def test_one_stage_alone_has_nothing_to_agree_with():
    array = np.zeros(GRID.shape, np.uint8)
    array[BOX] = 1
    labels = LabelMap(array, GRID, "scan", find_labels(["liver"]))
    progress = Progress()
    last = StageResult({"liver": array.astype(np.float32)}, GRID, {"liver": int(array.sum())})
    check("liver", labels, Volume(array * 100, GRID), True, False, last, None, 0.0, progress)
    assert progress.warnings == []
    assert leave_out_disputed("liver", last, None, GRID) == leave_out_disputed("liver", None, last, GRID) == 0.0


@pytest.mark.parametrize(
    "name,size,shift,dropped",
    [("liver", 20, 10, 125.0), ("liver", 20, 1, 0.0), ("liver", 40, 20, 0.0), ("heart", 20, 10, 0.0)],
    ids=["disputed", "agreed", "as large as a liver", "nobody knows how large it is"],
)
def test_something_small_is_left_out_when_two_looks_disagree(name, size, shift, dropped):
    score, seen = np.zeros(GRID.shape, np.float32), np.zeros(GRID.shape, np.float32)
    score[:size, :size, :size] = seen[shift : shift + size, :size, :size] = 1.0
    last, before = (StageResult({name: array}, GRID, {name: size**3}) for array in (score, seen))
    assert leave_out_disputed(name, last, before, GRID) == dropped
    assert last.scores[name].any() == (dropped == 0.0)


def test_what_was_left_out_is_told():
    labels = LabelMap(np.zeros(GRID.shape, np.uint8), GRID, "scan", find_labels(["liver"]))
    progress = Progress()
    check("liver", labels, Volume(labels.array, GRID, "scan"), True, False, None, None, 106.2, progress)
    assert progress.warnings[0].startswith("No liver found in scan; 106 mL looked like it")
    assert [flag["flag"] for flag in progress.flags] == ["missing"]


def test_the_ranges_are_those_of_labels_that_exist():
    assert set(TYPICAL) <= set(LABELS)


def test_what_lies_beyond_the_scan_is_no_part_of_its_size():
    score, seen = np.zeros(GRID.shape, np.float32), np.zeros(GRID.shape, np.float32)
    score[:40, :40, :40] = seen[20:60, :40, :40] = 1.0
    last, before = (StageResult({"liver": array}, GRID, {"liver": 40**3}) for array in (score, seen))
    assert leave_out_disputed("liver", last, before, GRID.crop((0, 0, 0), (60, 60, 10))) == 250.0
