"""Reports on a case: geometry, labels, partial labels; and on many cases."""

import json
from dataclasses import replace
from math import inf, isnan, nan, sqrt
from pathlib import Path

import numpy as np
import pytest

from Med3DCore.errors import DataError, SettingError
from Med3DCore.evaluation import (
    MEASURES,
    CaseReport,
    LabelPair,
    LabelReport,
    Overlap,
    evaluate,
    format_table,
    labels_present,
    summarise,
    to_json,
)
from Med3DCore.geometry import Geometry
from Med3DCore.labels import LABELS
from Med3DCore.volume import LabelMap, Volume

DATA = Path(__file__).parents[3] / "shared" / "data"
SPACING = (0.8, 1.5, 3.0)
UNNAMED = tuple(replace(LABELS["liver"], name=f"label_{value}") for value in range(1, 4))


def turned(degrees: float) -> tuple[float, ...]:
    """A direction matrix turned about two axes."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return tuple((np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ [[1, 0, 0], [0, c, -s], [0, s, c]]).ravel())


def two_blobs(direction: tuple[float, ...] = Geometry((1, 1, 1)).direction) -> tuple[Volume, Volume]:
    """A prediction and a reference without symmetry, values 1 and 2, on an anisotropic grid."""
    prediction, reference = np.zeros((9, 14, 18), np.uint8), np.zeros((9, 14, 18), np.uint8)
    reference[2:7, 3:9, 4:12] = 1
    prediction[1:7, 4:9, 4:14] = 1
    reference[3:6, 10:13, 2:8] = 2
    prediction[3:7, 9:13, 3:7] = 2
    geometry = Geometry((18, 14, 9), SPACING, (-30.0, 12.5, 700.0), direction)
    return Volume(prediction, geometry, "P"), Volume(reference, geometry, "R")


def stored_otherwise(volume: Volume, order: tuple[int, int, int], flips: tuple[int, ...]) -> Volume:
    """The same voxels in the same places with the array's axes permuted and flipped."""
    array, matrix = volume.array.transpose(order), volume.geometry.index_to_physical
    # Array axis i (z, y, x) is column 2 - i of the matrix.
    columns = [matrix[:3, 2 - axis] for axis in order]
    origin = matrix[:3, 3].copy()
    for axis in flips:
        origin += columns[axis] * (array.shape[axis] - 1)
        columns[axis] = -columns[axis]
        array = np.flip(array, axis)
    columns = columns[::-1]
    spacing = tuple(float(np.linalg.norm(column)) for column in columns)
    direction = tuple((np.array(columns).T / spacing).ravel())
    return Volume(
        np.ascontiguousarray(array), Geometry(array.shape[::-1], spacing, tuple(origin), direction), volume.name
    )


def numbers(report: CaseReport) -> dict:
    return {name: pytest.approx(label.measures, rel=1e-5) for name, label in report.labels.items()}


@pytest.mark.parametrize("direction", [turned(0), turned(23)])
@pytest.mark.parametrize("storage", [((0, 1, 2), (0,)), ((2, 0, 1), ()), ((1, 2, 0), (1, 2)), ((2, 1, 0), (0, 1, 2))])
def test_storage_changes_nothing(direction, storage):
    prediction, reference = two_blobs(direction)
    expected = numbers(evaluate(*two_blobs()))
    other_prediction, other_reference = stored_otherwise(prediction, *storage), stored_otherwise(reference, *storage)
    for pair in ((other_prediction, reference), (prediction, other_reference), (other_prediction, other_reference)):
        report = evaluate(*pair)
        assert {name: label.measures for name, label in report.labels.items()} == expected
        assert report.warnings == ()


def test_measures_of_a_case():
    liver = evaluate(*two_blobs(), {"liver": 1}).labels["liver"]
    assert list(liver.measures) == list(MEASURES)
    assert liver.overlap == Overlap(5 * 5 * 8, 6 * 5 * 10, 5 * 6 * 8)
    assert liver.measures["dice"] == pytest.approx(400 / 540)
    assert liver.measures["volume_ml"] == pytest.approx(300 * 3.6 / 1000)
    assert liver.measures["reference_volume_ml"] == pytest.approx(240 * 3.6 / 1000)
    assert liver.measures["mssd_mm"] == pytest.approx(sqrt(3.0**2 + 1.6**2))


def test_the_tolerance_is_used():
    values = [evaluate(*two_blobs(), {"liver": 1}, mm).labels["liver"].measures["nsd"] for mm in (0, 1.6, 9)]
    assert 0 < values[0] < values[1] < values[2] == 1


def test_a_cropped_prediction_loses_what_it_does_not_cover():
    prediction, reference = two_blobs()
    crop = Volume(prediction.array[:, :, 6:], prediction.geometry.crop((6, 0, 0), (18, 14, 9)), "P")
    report = evaluate(crop, reference, {"liver": 1})
    assert report.labels["liver"].overlap == Overlap(5 * 5 * 6, 6 * 5 * 8, 5 * 6 * 8)
    assert any("32.7 %" in warning for warning in report.warnings)
    unknown = reference.array.copy()
    unknown[:, :, :6] = 255
    assert evaluate(crop, reference.with_array(unknown), {"liver": 1}, ignore_value=255).warnings == ()


def test_beyond_the_grid_of_the_reference_nothing_is_judged_or_all_is_background():
    prediction, reference = two_blobs()
    larger = Volume(reference.array[1:, 2:, 1:], reference.geometry.crop((1, 2, 1), (18, 14, 9)), "R")
    assert evaluate(prediction, larger, {"liver": 1}).warnings == ()
    tight = Volume(reference.array[2:7, 3:9, 4:12], reference.geometry.crop((4, 3, 2), (12, 9, 7)), "R")
    report = evaluate(prediction, tight, {"liver": 1})
    assert report.labels["liver"].overlap == Overlap(200, 200, 240)
    assert report.warnings == (
        "The prediction P reaches beyond the grid of the reference R; what lies there is not judged.",
    )
    for direction in (turned(0), turned(23)):
        prediction, reference = two_blobs(direction)
        tight = Volume(reference.array[2:7, 3:9, 4:12], reference.geometry.crop((4, 3, 2), (12, 9, 7)), "R")
        report = evaluate(stored_otherwise(prediction, (2, 0, 1), (0, 1)), tight, {"liver": 1}, background_beyond=True)
        assert report.labels["liver"].measures == numbers(evaluate(prediction, reference, {"liver": 1}))["liver"]
        assert report.warnings == ()


def test_resampling_is_said():
    prediction, reference = two_blobs()
    moved = replace(prediction.geometry, origin=(-29.8, 12.5, 700.0))  # a quarter of a voxel
    report = evaluate(Volume(prediction.array, moved, "P"), reference)
    assert report.warnings == ("The prediction P was resampled (nearest neighbour) onto the grid of the reference R.",)
    assert {name: label.measures for name, label in report.labels.items()} == numbers(evaluate(prediction, reference))


def test_volumes_apart_in_space_are_refused():
    prediction, reference = two_blobs()
    far = Volume(prediction.array, replace(prediction.geometry, origin=(500.0, 0.0, 0.0)), "far.nii.gz")
    with pytest.raises(DataError, match=r"The prediction far.nii.gz and the reference R do not overlap in space"):
        evaluate(far, reference, background_beyond=True)
    # Their boxes along the patient's axes meet; the oblique volumes themselves do not.
    oblique = turned(45)
    thin = Volume(np.ones((1, 60, 60), np.uint8), Geometry((60, 60, 1), (1, 1, 1), (0, 0, 0), oblique), "thin")
    above = replace(thin.geometry, origin=tuple(5 * thin.geometry.direction_matrix[:, 2]))
    with pytest.raises(DataError, match="do not overlap in space"):
        evaluate(Volume(thin.array, above, "above"), thin)


def test_partial_labels():
    prediction, reference = two_blobs()
    partial = reference.array.copy()
    partial[:, 10:, :] = 255  # one voxel away from label 1, all of label 2
    unsure = Volume(partial, reference.geometry, "unsure")
    report = evaluate(prediction, unsure, ignore_value=255)
    assert list(report.labels) == ["label_1"]
    whole = evaluate(prediction, reference, {"label_1": 1})
    assert report.labels["label_1"].measures == pytest.approx(whole.labels["label_1"].measures)
    ignored = evaluate(prediction, unsure, {"spleen": 2}, ignore_value=255).labels["spleen"]
    assert ignored.overlap == Overlap(0, 4 * 1 * 4, 0)
    assert any("255" in warning for warning in evaluate(prediction, unsure).warnings)
    with pytest.raises(SettingError, match="'unknown' has the value 255"):
        evaluate(prediction, unsure, {"unknown": 255}, ignore_value=255)


def test_named_segments_are_matched_by_name():
    prediction, reference = two_blobs()
    swapped = np.array([0, 2, 1], np.uint8)[prediction.array]
    named = LabelMap(swapped, prediction.geometry, "pred.seg.nrrd", (LABELS["spleen"], LABELS["liver"]))
    truth = LabelMap(reference.array, reference.geometry, "truth.seg.nrrd", (LABELS["liver"], LABELS["spleen"]))
    expected = evaluate(prediction, reference, {"liver": 1, "spleen": 2})
    assert numbers(evaluate(named, truth)) == {k: v.measures for k, v in expected.labels.items()}
    plain = LabelMap(swapped, reference.geometry, "plain.nii.gz", UNNAMED)
    assert evaluate(named, plain, ["liver"]).labels["liver"].measures["dice"] == 1
    assert list(evaluate(plain, truth).labels) == ["liver", "spleen"]
    only_liver = LabelMap((swapped == 2).astype(np.uint8), prediction.geometry, "pred.seg.nrrd", (LABELS["liver"],))
    report = evaluate(only_liver, truth)
    assert report.labels["spleen"].measures["dice"] == 0
    assert report.warnings == ("The prediction pred.seg.nrrd has no label called 'spleen'; it counts as empty.",)
    with pytest.raises(
        SettingError,
        match=r"Neither the prediction pred.seg.nrrd nor the reference truth.seg.nrrd has a label called 'heart'",
    ):
        evaluate(named, truth, ["heart"])
    lungs = LabelMap(swapped, prediction.geometry, "pred.seg.nrrd", (LABELS["left_lung"], LABELS["right_lung"]))
    with pytest.raises(DataError, match="none of the labels"):
        evaluate(lungs, truth)


def test_values_can_be_merged():
    prediction, reference = two_blobs()
    report = evaluate(prediction, reference, [LabelPair("both", (1, 2), (1, 2))])
    assert report.labels["both"].overlap.prediction == np.count_nonzero(prediction.array)


def test_bad_arguments():
    prediction, reference = two_blobs()
    with pytest.raises(SettingError, match="tolerance"):
        evaluate(prediction, reference, nsd_tolerance_mm=nan)
    with pytest.raises(SettingError, match="twice"):
        evaluate(prediction, reference, [LabelPair("a", (1,), (1,)), LabelPair("a", (2,), (2,))])
    with pytest.raises(DataError, match="float32"):
        evaluate(prediction.with_array(prediction.array.astype(np.float32)), reference)
    with pytest.raises(DataError, match="no labelled voxel"):
        evaluate(prediction, reference.with_array(np.zeros_like(reference.array)))


def test_labels_present():
    _, reference = two_blobs()
    assert labels_present(reference) == ("label_1", "label_2")
    named = LabelMap(reference.array, reference.geometry, "r", (LABELS["liver"],))
    assert labels_present(named, ignore_value=2) == ("liver",)


def case(name: str, dice: float, assd: float) -> CaseReport:
    measures = dict.fromkeys(MEASURES, 0.5) | {"dice": dice, "assd_mm": assd}
    return CaseReport(name, {"liver": LabelReport(Overlap(1, 2, 2), measures)})


def test_summary_counts_but_does_not_average_the_undefined():
    reports = [case("a", 0.9, 1.0), case("b", 0.0, inf), case("c", 0.6, 4.0), case("d", 1.0, nan)]
    summary = summarise(reports)["liver"]
    assert (summary.cases, summary.empty, summary.global_dice) == (4, 0, 0.5)
    dice, assd = summary.measures["dice"], summary.measures["assd_mm"]
    assert (dice.mean, dice.n, dice.undefined, dice.worst_case) == (pytest.approx(0.625), 4, 0, "b")
    assert dice.sd == pytest.approx(np.std([0.9, 0, 0.6, 1.0], ddof=1))
    assert (assd.mean, assd.min, assd.max, assd.n, assd.undefined, assd.worst_case) == (2.5, 1.0, 4.0, 2, 2, "b")
    assert summary.measures["volume_ml"].worst_case is None
    assert summary.measures["jaccard"].worst_case is None  # all alike
    assert isnan(summarise(reports[:1])["liver"].measures["dice"].sd)


def test_empty_cases_are_counted():
    prediction, reference = two_blobs()
    reports = [evaluate(prediction, reference, {"heart": 7}), evaluate(prediction, reference, {"heart": 1})]
    assert summarise(reports)["heart"].empty == 1


def test_json_is_strict():
    reports = [case("a", 0.9, nan), case("b", 0.0, inf)]
    text = to_json(
        {"cases": [report.to_dict() for report in reports], "summary": summarise(reports)["liver"].to_dict()}
    )

    def refuse(word):
        raise AssertionError(word)

    values = json.loads(text, parse_constant=refuse)
    assert [c["labels"]["liver"]["assd_mm"] for c in values["cases"]] == [None, None]
    assert values["summary"]["measures"]["assd_mm"]["mean"] is None
    assert values["summary"]["measures"]["assd_mm"]["undefined"] == 2


def test_table():
    lines = format_table([case("a", 0.9, nan), case("longer name", 0.25, inf)]).splitlines()
    assert lines[0].split()[:4] == ["case", "label", "Dice", "Jaccard"]
    assert lines[1].split()[:7] == ["a", "liver", "0.9000", "0.5000", "0.5000", "0.5000", "-"]
    assert "inf" in lines[2]
    assert any(line.split()[:3] == ["mean", "liver", "0.5750"] for line in lines)
    assert "worst: longer name (Dice" in lines[-1]
    assert len(format_table([case("a", 0.9, 1.0)]).splitlines()) == 2


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real CTs in ../shared/data")
def test_a_real_liver_on_two_grids():
    import SimpleITK as sitk

    fine, coarse = (
        Volume.from_sitk(sitk.ReadImage(str(DATA / name)), name)
        for name in ("native/chaos_eval_liver.nii.gz", "chaos_eval_seg.nii.gz")
    )
    liver = evaluate(fine, coarse, {"liver": 1}).labels["liver"].measures
    assert liver["dice"] > 0.95
    assert liver["assd_mm"] < 1.0
    assert liver["volume_ml"] == pytest.approx(liver["reference_volume_ml"], rel=0.02)
