"""Parts of classifying whole scans: pooling and activation maps, weights, ultrasound, and the measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from training_boxes import CPU

from Med3DCore.errors import DataError, SettingError, VolumeError
from Med3DCore.evaluation.classes import evaluate_classes
from Med3DCore.geometry import Geometry
from Med3DCore.inference.classify_scan import coarser
from Med3DCore.networks import build_network
from Med3DCore.networks.layers import per_axis
from Med3DCore.phantom.uterus import make_uterus
from Med3DCore.preprocessing.intensity import Statistics, Ultrasound
from Med3DCore.progress import Progress
from Med3DCore.training.cases.prepared import PreparedCase
from Med3DCore.training.classification.classified import Scan
from Med3DCore.training.classification.scan_task import ScanTask, rarity, scan_stage
from Med3DCore.training.learning.recipe import Recipe, TrainingSettings, stage_from_dict
from Med3DCore.volume import Volume


def network(pool, classes=3, **encoder):
    spec = {"name": "resnet", "depth": 10, "width": 4, "output_stride": 8, "stem_stride": 1, **encoder}
    decoder = {"name": "scan_classification", "pool": pool}
    return build_network({"encoder": spec, "decoder": decoder, "out_channels": classes}).eval()


@pytest.mark.parametrize("pool", ["average", "attention"])
def test_the_mean_of_a_map_is_the_logit_but_for_the_bias(pool):
    torch.manual_seed(0)
    net = network(pool)
    image = torch.randn(2, 1, 24, 20, 28)
    with torch.inference_mode():
        features = [net.encoder(image)]
        maps = net.decoder.class_maps(features)
        assert maps.shape == (2, 3, 6, 5, 7)
        expected = maps.mean(dim=(2, 3, 4)) + net.decoder.logits.bias
        assert torch.allclose(net(image), expected, atol=1e-5)


def test_attention_counts_places_and_adds_up_to_one_each_on_the_average():
    net = network("attention")
    weights = net.decoder._weights(torch.randn(2, 32, 3, 4, 5))
    assert torch.allclose(weights.mean(dim=(1, 2, 3, 4)), torch.ones(2), atol=1e-5)
    assert weights.std() > 0


def test_attention_finds_what_an_average_over_places_does_not():
    """Two scans with the same mean of their maps: one has it at a single place."""
    average, attention = (network(pool).decoder for pool in ("average", "attention"))
    attention.load_state_dict(average.state_dict(), strict=False)
    spread = torch.ones(1, 32, 2, 2, 2)
    single = torch.zeros(1, 32, 2, 2, 2)
    single[..., 0, 1, 0] = 8.0
    with torch.inference_mode():
        for scan, is_same in ((spread, True), (single, False)):
            for ours, theirs in (
                (attention([scan], ()), average([scan], ())),
                (attention.class_maps([scan]), average.class_maps([scan])),
            ):
                assert torch.allclose(ours, theirs, atol=1e-5) is is_same


def test_an_unknown_pooling_is_refused():
    with pytest.raises(SettingError, match="pool of the decoder"):
        network("most")


@pytest.mark.parametrize("stem", [1, 2])
def test_a_map_lies_over_the_picture_that_it_is_of(stem):
    """What the middle voxel changes in the encoder's last map, on the mean of many networks, is centred on it in mm."""
    grid = Geometry((49, 49, 49), (2.0, 2.0, 2.0), (10.0, -5.0, 3.0))
    plain = torch.zeros(1, 1, 49, 49, 49)
    dotted = plain.clone()
    dotted[0, 0, 24, 24, 24] = 5.0
    change = 0.0
    for seed in range(6):
        torch.manual_seed(seed)
        net = network("average", output_stride=8, stem_stride=stem)
        with torch.inference_mode():
            change = change + (net.encoder(dotted) - net.encoder(plain)).abs().sum(dim=1)[0].numpy()
    stride = net.encoder.strides[-1]
    own = coarser(grid, change.shape, per_axis(stride))
    centre = [float((change**2 * index).sum() / (change**2).sum()) for index in np.indices(change.shape)]
    found, wanted = own.index_to_physical @ [*centre, 1.0], grid.index_to_physical @ [24, 24, 24, 1.0]
    assert np.abs(found - wanted).max() < 0.3 * stride * 2.0, "of a map that is off by half a voxel it would be more"


def test_rare_answers_weigh_more_and_unknown_ones_nothing():
    answers = np.array([[1, 255], [0, 1], [0, 0], [0, 0], [0, 255]], np.uint8)
    assert rarity(answers, exclusive=False).tolist() == [4.0, 2.0]
    assert rarity(np.zeros((40, 1), np.uint8), exclusive=False).tolist() == [1.0]
    rare = np.zeros((100, 1), np.uint8)
    rare[0] = 1
    assert rarity(rare, exclusive=False).tolist() == [20.0]
    with pytest.raises(SettingError, match="class_weights"):
        TrainingSettings(class_weights=(1.0, -1.0))


def prepared(number, shown, split="training"):
    case = Scan(
        name=f"s{number}",
        image=Path("none"),
        label=None,
        values={},
        annotated=(),
        patient=f"p{number}",
        split=split,
        classes=("a", "b"),
        shown=shown,
    )
    image = np.full((18, 18, 18), 10.0 * number, np.float32)
    grid = Geometry((18, 18, 18), (2.0, 2.0, 2.0))
    return PreparedCase(case, image, np.array(shown, np.uint8)[:, None, None, None], grid, Statistics(0, 100, 0.0, 1.0))


NETWORK = {
    "encoder": {"name": "resnet", "depth": 10, "width": 4, "output_stride": 8, "stem_stride": 1},
    "decoder": {"name": "scan_classification"},
    "out_channels": 2,
}


def scan_recipe(activation="softmax", training=None, **changes):
    still = {"rotation": 0.0, "scale": 1.0, "stretch": 1.0, "bend": 0.0, "shift": 0.0, "contrast": 1.0, "noise": 0.0}
    augmentation = {**still, "probability": 0.0}
    stage = {
        "name": "scan",
        "network": NETWORK,
        "preprocessing": {"spacing": [2.0] * 3, "intensity": {"name": "window", "low": 0, "high": 100}},
        "labels": ["a", "b"],
        "activation": activation,
        "window": [16, 16, 16],
        "training": {"patch": [16, 16, 16], "batch": 2, "augmentation": augmentation, **(training or {})},
    }
    return stage_from_dict({**stage, **changes})


def scan_task(activation, answers, held_out=(), **training):
    scans = [prepared(n, shown) for n, shown in enumerate(answers)]
    scans += [prepared(n, shown, "validation") for n, shown in enumerate(held_out)]
    return ScanTask(scan_recipe(activation, training), scans, seed=1)


def test_an_unknown_answer_teaches_nothing_and_a_rare_one_more():
    task = scan_task("sigmoid", [(1, 255), (0, 1), (0, 0), (0, 0)])
    assert task.weights.tolist() == [3.0, 2.0]
    logits = torch.nn.Parameter(torch.zeros(2, 2))
    loss = task.loss(lambda _: logits, (torch.zeros(2, 1, 1, 1, 1), torch.tensor([[1, 255], [0, 1]])), CPU)
    loss.backward()
    assert loss.item() == pytest.approx((3 + 1 + 2) * np.log(2) / 3)
    assert logits.grad.tolist() == [[-0.5, 0.0], [pytest.approx(1 / 6), pytest.approx(-1 / 3)]]


def test_the_weights_of_the_classes_are_those_of_the_recipe():
    answers = [(1, 0), (0, 1), (0, 1), (0, 1)]
    task = scan_task("softmax", answers, class_weights=(1.0, 4.0))
    logits = torch.nn.Parameter(torch.zeros(2, 2))
    loss = task.loss(lambda _: logits, (torch.zeros(2, 1, 1, 1, 1), torch.tensor([[1, 0], [0, 1]])), CPU)
    loss.backward()
    assert logits.grad.numpy() == pytest.approx(np.array([[-0.1, 0.1], [0.4, -0.4]]))


def test_validation_asks_only_where_the_answer_is_known():
    """Of brighter and brighter scans; that of the third is not known, and all are said to show the second label."""
    task = scan_task("sigmoid", [(1, 0), (0, 1)], held_out=[(0, 1), (1, 1), (255, 1), (1, 1)])
    found = task.validate(lambda x: x.mean(dim=(1, 2, 3, 4))[:, None].repeat(1, 2), CPU, Progress())
    assert (found.score, found.details) == (1.0, {"AUC": {"a": 1.0}})


def test_what_only_held_out_scans_show_cannot_be_learned():
    with pytest.raises(DataError, match="No training scan is 'b'"):
        scan_task("softmax", [(1, 0), (1, 0)], held_out=[(0, 1)])


def test_each_scan_comes_with_its_own_answer():
    answers = [(1, 0), (0, 1), (0, 255), (1, 1)]
    task = scan_task("sigmoid", answers)
    for number in range(4):
        images, told = task.draw(number)
        for image, answer in zip(images, told.tolist(), strict=True):
            assert tuple(answer) == answers[round(float(image.mean()) / 10)]


def test_each_scan_comes_once_a_round():
    task = scan_task("softmax", [(1, 0), (0, 1), (0, 1), (0, 1)])
    assert task.weights.tolist() == [2.0, pytest.approx(2 / 3)]
    rounds = [np.concatenate([task.draw(2 * turn + half)[0][:, 0, 8, 8, 8] for half in (0, 1)]) for turn in range(3)]
    assert all(len(set(each.round(3).tolist())) == 4 for each in rounds)
    assert len({tuple(each.round(3).tolist()) for each in rounds}) > 1, "in another order"
    again = task.draw(1)
    assert torch.equal(again[0], task.draw(1)[0]) and again[1].shape == (2, 2)


def test_what_teaches_nothing_is_refused():
    with pytest.raises(DataError, match="No training scan is 'b'"):
        scan_task("softmax", [(1, 0), (1, 0)])
    with pytest.raises(DataError, match="none is in some training scans and not in others"):
        scan_task("sigmoid", [(1, 0), (1, 255)])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": ["a", "c"]}, "have the labels a, b"),
        ({"window": [32, 16, 16]}, "have a patch as large as its window"),
        ({"training": {"class_weights": [1.0]}}, "have 2 class_weights, or none"),
        ({"network": {**NETWORK, "decoder": {"name": "classification"}}}, "have the decoder 'scan_classification'"),
        ({"network": {**NETWORK, "out_channels": 3}}, "have 2 out_channels, one a label"),
    ],
)
def test_a_recipe_of_something_else_is_refused(change, words):
    with pytest.raises(SettingError, match=words):
        scan_stage(Recipe({}, (scan_recipe(**change),)), ("a", "b"))


# -- ultrasound --------------------------------------------------------------------------------------------------------


def test_ultrasound_is_normalised_whatever_gain_and_sector():
    rng = np.random.default_rng(0)
    wide = rng.gamma(4.0, 10.0, (20, 20, 20)).astype(np.float32)
    narrow = wide.copy()
    narrow[:, :, :12] = 0
    grid = Geometry((20, 20, 20))
    method = Ultrasound()
    a, b, bright = (method.measure(Volume(array, grid)) for array in (wide, narrow, 2.5 * wide))
    assert (a.low, a.floor) == (0.0, 0.0)
    assert b.mean == pytest.approx(a.mean, rel=0.05) and b.sd == pytest.approx(a.sd, rel=0.05)
    seen, brighter = method.apply(wide.copy(), a), method.apply(2.5 * wide, bright)
    assert np.allclose(seen, brighter, atol=1e-4)
    assert abs(float(seen.mean())) < 0.01
    with pytest.raises(VolumeError, match="no ultrasound sector"):
        method.measure(Volume(np.zeros((4, 4, 4), np.uint8), Geometry((4, 4, 4))))
    with pytest.raises(SettingError):
        Ultrasound(high=0)


def test_a_septum_is_as_dark_as_muscle_between_two_bright_cavities():
    volume, septum = make_uterus("septate", np.random.default_rng(5))
    assert volume.array.dtype == np.uint8 and (volume.array == 0).any(), "beyond the sector it is black"
    z, y, x = np.argwhere(septum).mean(axis=0).astype(int)
    row = volume.array[z - 4 : z + 5, y - 2 : y + 3].astype(float).mean(axis=(0, 1))
    beside = max(row[x - 14 : x - 4].max(), row[x + 5 : x + 15].max())
    assert row[x - 2 : x + 3].mean() < beside - 25


# -- measures ----------------------------------------------------------------------------------------------------------


def test_aucs_are_those_of_an_independent_implementation_and_know_what_is_unknown():
    rng = np.random.default_rng(3)
    answers = rng.integers(0, 2, (60, 2)).astype(np.uint8)
    scores = np.clip(0.3 * answers + rng.random((60, 2)) * 0.7, 0, 1).round(2)
    answers[:10, 1] = 255
    patients = [f"p{n // 2}" for n in range(60)]
    report = evaluate_classes(scores, answers, ("a", "b"), patients, exclusive=False)
    expected = []
    for column, told in ((0, slice(None)), (1, slice(10, None))):
        shown, own = answers[told, column] == 1, scores[told, column]
        statistic = stats.mannwhitneyu(own[shown], own[~shown]).statistic
        expected.append(statistic / shown.sum() / (~shown).sum())
    assert [each.value for each in report.auc.values()] == pytest.approx(expected, abs=1e-9)
    assert report.mean_auc.value == pytest.approx(np.mean(expected))
    assert report.mean_auc.low < report.mean_auc.value < report.mean_auc.high
    assert (report.n, report.patients, report.auc["b"].n) == (60, 30, 50)
    assert list(report.figures()) == ["mean auc", "auc a", "auc b"]


def test_accuracy_of_classes_with_what_the_commonest_would_give():
    answers = np.eye(3, dtype=np.uint8)[[0, 0, 0, 1, 2]]
    scores = np.eye(3)[[0, 0, 1, 1, 0]] * 0.8 + 0.1
    report = evaluate_classes(scores, answers, ("a", "b", "c"), list("pqrst"), exclusive=True)
    assert report.accuracy.value == pytest.approx(0.6) and report.majority == pytest.approx(0.6)
    assert [each.value for each in report.recall.values()] == pytest.approx([2 / 3, 1.0, 0.0])
    with pytest.raises(DataError, match="no scan"):
        evaluate_classes(np.empty((0, 3)), np.empty((0, 3), np.uint8), ("a", "b", "c"), [], exclusive=True)
