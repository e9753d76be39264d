"""Detection end to end: what is learned from, training, the package, and boxes in a scan."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lesion_sets import recipe_values, write_balls
from training_boxes import CPU

from Med3DCore.cli.main import main
from Med3DCore.errors import Cancelled, DataError, ModelError, SettingError
from Med3DCore.evaluation.detection import evaluate_detection
from Med3DCore.evaluation.froc import Detections
from Med3DCore.geometry import Geometry
from Med3DCore.inference.detect import Detector
from Med3DCore.inference.link_boxes import link_boxes
from Med3DCore.io import write_volume
from Med3DCore.io.hounsfield_png import read_hounsfield_png
from Med3DCore.labels import find_labels
from Med3DCore.models.document import document_from_bytes
from Med3DCore.models.package_file import load_package
from Med3DCore.preprocessing.intensity import GreyWindow, GreyWindows, intensity_from_dict
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.detection.detection import DetectionTask, detector_stage
from Med3DCore.training.detection.key_slices import read_key_slices
from Med3DCore.training.detection.stacks import prepare_stacks
from Med3DCore.training.detection.targets import draw_anchors, draw_proposals
from Med3DCore.training.learning.recipe import read_recipe
from Med3DCore.volume import Volume
from Med3DCore.worker.client import RequestError, WorkerClient
from Med3DCore.worker.exchange import new_exchange_folder, write_volume_array

RECIPES = Path(__file__).parents[2] / "Resources" / "Recipes"


def write_recipe(folder, values):
    path = folder / "recipe.json"
    path.write_text(json.dumps(values))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_balls(tmp_path_factory.mktemp("balls"))


@pytest.fixture(scope="module")
def task(data, tmp_path_factory):
    recipe = read_recipe(write_recipe(tmp_path_factory.mktemp("recipe"), recipe_values()))
    stage = detector_stage(recipe)
    stacks = prepare_stacks(read_key_slices(data), Preprocessing.from_dict(stage.stage.preprocessing), 9)
    return DetectionTask(stage, stacks, seed=1)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The package that the command makes."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    recipe = write_recipe(folder, recipe_values())
    command = ["train", str(recipe), str(data), "-o", str(folder), "--device", "cpu", "--no-cache", "--quiet"]
    assert main(command) == 0
    assert (folder / "curve.png").is_file()
    return load_package(folder / "lesions-small-0.1.0.med3d.zip")


# -- what is learned from ----------------------------------------------------------------------------------------------


def test_boxes_stay_on_their_lesion_in_varied_patches(task):
    """In mirrored and zoomed patches the middle of each box is brighter than the patch around the boxes."""
    seen = 0
    for number in range(12):
        images, boxes, _ = task.draw(number)
        for image, own in zip(images[:, 0].numpy(), boxes, strict=True):
            background = np.median(image[4])
            for x1, y1, x2, y2 in own:
                x, y = (x1 + x2) / 2, (y1 + y2) / 2
                if 2 < x < 61 and 2 < y < 45:
                    around = image[4, int(y) - 1 : int(y) + 3, int(x) - 1 : int(x) + 3]
                    assert around.mean() > background + 0.15
                    seen += 1
    assert seen > 20
    again = task.draw(3)
    assert torch.equal(again[0], task.draw(3)[0]) and not torch.equal(again[0], task.draw(4)[0])


def test_anchors_and_proposals_are_assigned_by_overlap():
    rng = np.random.default_rng(0)
    box = np.array([[10.0, 10, 30, 30]])
    # IoU with the box: 1, 0.75, 0.5 (neither), 0, and again 0.
    anchors = np.array([[10.0, 10, 30, 30], [10, 10, 30, 25], [10, 10, 30, 20], [50, 50, 60, 60], [0, 40, 9, 49]])
    objects, owners, background = draw_anchors(anchors, box, 0.7, rng)
    assert objects.tolist() == [0, 1] and owners.tolist() == [0, 0] and background.tolist() == [3, 4]
    assert draw_anchors(anchors, box, 0.5, rng)[0].tolist() == [0, 1, 2]
    # A box that no anchor fits well still teaches the best one.
    objects, _, background = draw_anchors(anchors[2:], box, 0.7, rng)
    assert objects.tolist() == [0] and background.tolist() == [1, 2]
    assert [len(part) for part in draw_anchors(anchors, np.zeros((0, 4)), 0.7, rng)] == [0, 0, 5]
    drawn, truth, count = draw_proposals(anchors[1:], box, rng)
    assert count == 3 and truth.tolist() == box.tolist() * 3
    assert drawn.tolist() == [*box.tolist(), *anchors[1:].tolist()]
    many = np.concatenate([np.repeat(anchors[:1], 400, 0), np.repeat(anchors[3:4], 900, 0)])
    objects, _, background = draw_anchors(many, box, 0.7, rng)
    assert (len(objects), len(background)) == (128, 128)
    drawn, _, count = draw_proposals(many, box, rng)
    assert (len(drawn), count) == (512, 128)


def test_the_loss_falls_where_the_truth_is_learned_and_is_finite_without_lesions(task):
    torch.manual_seed(0)
    network = task.build()
    images, boxes, number = task.draw(0)
    optimizer = torch.optim.Adam(network.parameters(), 0.005)
    losses = []
    for _ in range(8):
        loss = task.loss(network, (images, boxes, number), CPU)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.75 * losses[0]
    empty = task.loss(network, (images, [np.zeros((0, 4))] * 2, 1), CPU)
    empty.backward()
    assert torch.isfinite(empty)


def test_recipes_that_are_no_detectors_are_refused(tmp_path):
    for change, said in (
        ({"labels": ["lesion", "background"]}, "labels"),
        ({"activation": "sigmoid"}, "softmax"),
        ({"window": [7, 64, 64]}, "9 slices"),
    ):
        values = recipe_values()
        values["stages"][0] |= change
        with pytest.raises(SettingError, match=said):
            detector_stage(read_recipe(write_recipe(tmp_path, values)))
    for name in ("detection-small", "detection-mp3d63"):
        detector_stage(read_recipe(RECIPES / f"{name}.json"))


def test_without_a_lesion_nothing_can_be_learned(task):
    held_out = list(task.validation)
    with pytest.raises(DataError, match="nothing to learn"):
        DetectionTask(task.recipe, held_out, seed=1)


def test_grey_windows_are_vdts_pictures():
    """-1024 HU is grey 0 and 1050 HU is 255; less 114.495, by 57.63."""
    window = intensity_from_dict({"name": "grey_window"})
    statistics = window.measure(None)
    hu = np.array([-2000, -1024, 13, 1050, 3000], np.float32)
    assert window == GreyWindow()
    expected = (np.array([0, 0, 127.5, 255, 255]) - 114.495) / 57.63
    assert np.allclose(window.apply(hu, statistics), expected, atol=1e-5)
    with pytest.raises(SettingError, match="deviation"):
        GreyWindow(deviation=0)


def test_two_windows_are_averaged():
    """-1024 to 1050 HU and -150 to 250 HU, each as grey values 0 to 255."""
    windows = intensity_from_dict({"name": "grey_windows"})
    hu = np.array([-2000, -1024, 13, 50, 250, 3000], np.float32)
    narrow, wide = np.clip((hu + 150) / 400, 0, 1), np.clip((hu + 1024) / 2074, 0, 1)
    expected = (255 * (narrow + wide) / 2 - 114.495) / 57.63
    assert windows == GreyWindows()
    assert np.allclose(windows.apply(hu.copy(), windows.measure(None)), expected, atol=1e-5)
    with pytest.raises(SettingError, match="below its high end"):
        GreyWindows(narrow_low=300)


# -- the package -------------------------------------------------------------------------------------------------------


def test_the_package_says_what_it_is_and_how_good(trained):
    assert trained.kind == "detector" and not trained.labels
    held_out = trained.metrics["held_out"]
    assert held_out["lesions"] == 3 and held_out["pictures"] == 2
    assert held_out["sensitivity"]["4"][0] > 0.6
    assert "3 lesions" not in trained.card and "| all | 3 |" in trained.card
    assert "000006" not in json.dumps(trained.to_dict())  # patients are numbers
    with pytest.raises(ModelError, match="detector, which puts boxes"):
        trained.require_pipeline()


def test_a_detector_is_no_pipeline_in_its_document(trained):
    values = {**trained.to_dict(), "members": [dict(member) for member in trained.members]}
    label = {**find_labels(["liver"])[0].to_dict(), "name": "lesion"}
    assert document_from_bytes(json.dumps(values).encode(), "it")["kind"] == "detector"
    for kind, labels, said in (
        ("pipeline", [label], "has the decoder 'detection' of a detector"),
        ("classifier", [], "lacks the decoder 'classification' of a classifier"),
        ("detector", [label], "labels"),
    ):
        with pytest.raises(ModelError, match=said):
            document_from_bytes(json.dumps({**values, "kind": kind, "labels": labels}).encode(), "it")


def test_the_report_is_by_size_and_patients():
    one, far = np.array([[0.0, 0, 10, 10]]), np.array([[50.0, 50, 60, 60]])
    pictures = [Detections(one, np.array([0.9]), one), Detections(far, np.array([0.8]), np.concatenate([one]))]
    report = evaluate_detection(pictures, [[4.0], [30.0]], ["a", "b"])
    assert report.mean == 0.5 and report.by_size["0 to 6"] == (1, dict.fromkeys((0.5, 1.0, 2.0, 4.0), 1.0))
    assert report.by_size["20 and more"][1][4.0] == 0.0
    assert (report.sensitivity[1.0].low, report.sensitivity[1.0].high) == (0.0, 1.0)
    with pytest.raises(DataError, match="no sensitivity"):
        evaluate_detection([Detections(one, np.array([0.9]), np.zeros((0, 4)))], [[]], ["a"])


def test_bad_rows_stop_the_command_before_anything_is_written(data, trained, tmp_path, capsys):
    """And a training that is gone on with keeps what it has."""
    shutil.copytree(data, tmp_path / "data")
    table = tmp_path / "data" / "DL_info.csv"
    good, recipe = table.read_text(), write_recipe(tmp_path, recipe_values(steps=2))
    command = [
        "train",
        str(recipe),
        str(tmp_path / "data"),
        "-o",
        str(tmp_path / "run"),
        "--device",
        "cpu",
        "--no-cache",
    ]
    assert main([*command, "--quiet"]) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    missing = tmp_path / "data" / "Images_png" / "000002_01_01" / "012.png"
    for change, said in (
        (lambda: table.write_text(good.replace("000003_01_01_013.png,3", "000003_01_01_013.png,4")), "two patients"),
        (lambda: table.write_text(good.replace('"64, 48"', '"20, 20"')), "013.png is not 20 x 20"),
        (missing.unlink, "012.png is missing"),
    ):
        change()
        for folder in ("run", "another"):
            assert main([*command[:4], str(tmp_path / folder), *command[5:]]) == 2
            assert said in capsys.readouterr().err
        table.write_text(good)
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    assert not (tmp_path / "another").exists()


# -- in a scan ---------------------------------------------------------------------------------------------------------


def test_boxes_over_each_other_are_one_lesion():
    box, near, apart = [10.0, 10, 20, 20], [11.0, 10, 21, 20], [40.0, 40, 50, 50]
    slices = np.array([3, 4, 6, 9, 4, 5])
    boxes = np.array([box, near, box, box, apart, [12.0, 12, 18, 18]])
    scores = np.array([0.5, 0.9, 0.6, 0.4, 0.7, 0.3])
    first, second, third = link_boxes(slices, boxes, scores)
    # 3, 4 and 6 are one, with a gap of one slice; 5 lies inside; 9 is too far away; "apart" is another.
    assert (first.first, first.last, first.key, first.score, list(first.box)) == (3, 6, 4, 0.9, near)
    assert (second.score, second.first, second.last) == (0.7, 4, 4)
    assert (third.score, third.first) == (0.4, 9)
    assert link_boxes(slices[:0], boxes[:0], scores[:0]) == []


@pytest.fixture
def scan():
    """A ball of 16 mm, 150 HU in water, stored back to front; its middle in LPS."""
    geometry = Geometry((64, 48, 15), (2.0, 2.0, 5.0), (100.0, 40.0, -30.0), (-1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    z, y, x = np.meshgrid(np.arange(15), np.arange(48), np.arange(64), indexing="ij")
    far = np.sqrt(((x - 18) * 2) ** 2 + ((y - 25) * 2) ** 2 + ((z - 7) * 5) ** 2)
    hu = np.random.default_rng(0).normal(0, 20, far.shape) + 150 * (far < 8)
    return Volume(hu.astype(np.int16), geometry, "ball"), (100 - 36, 40 + 50, -30 + 35)


def test_a_lesion_is_found_in_space(trained, scan):
    volume, middle = scan
    best, *_ = Detector(trained, CPU).detect(volume)
    assert np.linalg.norm(np.subtract(best.centre[:2], middle[:2])) < 8 and abs(best.key_z - middle[2]) <= 5
    assert best.score > 0.5 and all(25 < side < 48 for side in best.size[:2])  # 16 mm and 5 pixels of 2 mm all around
    assert best.size[2] % 5 == pytest.approx(0) and best.to_dict()["centre_mm"] == [round(v, 2) for v in best.centre]


def test_the_worker_finds_what_the_engine_finds(trained, scan):
    volume, _middle = scan
    expected = Detector(trained, CPU).detect(volume, 0.4)
    with WorkerClient() as client, new_exchange_folder() as folder:
        fields = {"model": str(trained.path), "device": "cpu", "least_score": 0.4}
        found = client.request("detect", volume=write_volume_array(volume, folder, "scan"), **fields)
        shifted = replace(volume, array=volume.array + 3000)
        other = write_volume_array(shifted, folder, "other")
        with pytest.raises(RequestError) as refused:
            client.request("detect", volume=other, **fields)
        warned = client.request("detect", volume=other, not_ct=True, **fields)
        again = client.request("detect", volume=other, offset=-3000.0, **fields)
        with pytest.raises(RequestError, match="from 0 to 1"):
            client.request("detect", volume=other, **{**fields, "least_score": 2.0})
    assert found["model"] == trained.reference and len(found["lesions"]) == len(expected) > 0
    for lesion, one in zip(found["lesions"], expected, strict=True):
        assert lesion["score"] == pytest.approx(one.score, abs=0.02)
        assert np.allclose(lesion["box"], [one.low, one.high], atol=0.5) and lesion["key_z"] == one.key_z
    assert refused.value.code == "not-ct" and "do not trust" in warned["warnings"][0]
    assert again["lesions"] == found["lesions"]


def test_the_search_can_be_stopped(trained, scan):
    told = []

    def stop(*_):
        told.append(1)
        return len(told) > 3

    with pytest.raises(Cancelled):
        Detector(trained, CPU).detect(scan[0], progress=Progress(is_cancelled=stop))


def test_the_command_writes_boxes_and_a_picture(trained, scan, tmp_path, capsys):
    write_volume(scan[0], tmp_path / "scan.nii.gz")
    boxes, picture = tmp_path / "boxes.json", tmp_path / "boxes.png"
    command = ["detect", str(tmp_path / "scan.nii.gz"), "-m", str(trained.path), "--device", "cpu", "--quiet"]
    assert main([*command, "-o", str(boxes), "--picture", str(picture)]) == 0
    written = json.loads(boxes.read_text())
    first = written["lesions"][0]
    assert written["space"] == "LPS" and written["model"] == "lesions-small-0.1.0" and first["number"] == 1
    assert np.allclose(first["centre_mm"][:2], scan[1][:2], atol=8)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "1: score" in capsys.readouterr().out
    assert main([*command, "--least-score", "1.0", "--picture", str(picture)]) == 0
    assert "Nothing was found" in capsys.readouterr().out


def test_the_command_says_what_it_needs(scan, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    write_volume(scan[0], tmp_path / "scan.nii.gz")
    for more, said in (
        ([], "No detector is installed"),
        (["-m", "liver-lungs"], "is no detector"),
        (["--least-score", "2"], "from 0 to 1"),
        (["-o", "boxes.txt"], "json"),
    ):
        assert main(["detect", str(tmp_path / "scan.nii.gz"), "--quiet", *more]) == 2
        assert said in capsys.readouterr().err


def test_slices_look_the_same_in_training_and_in_use(task, data):
    """A stack cut of DeepLesion's slices equals the one that is cut of the same scan."""
    case = task.training[0]
    pictures = np.stack([read_hounsfield_png(case.case.file(number)) for number in range(10, 17)])
    geometry = Geometry((64, 48, 7), (2.0, 2.0, 5.0), (0.0, 0.0, -15.0))
    seen = task.recipe.stage
    volume = Preprocessing.from_dict(seen.preprocessing).apply(Volume(pictures, geometry))
    stack = task.intensity.apply(np.array(case.image), case.statistics)
    assert np.allclose(stack[1:8], volume.array, atol=1e-4)


def test_a_scan_that_is_no_ct_is_refused_unless_somebody_says_so(trained, scan, tmp_path, capsys):
    write_volume(replace(scan[0], array=scan[0].array.clip(0) * 30), tmp_path / "mr.nii.gz")
    command = ["detect", str(tmp_path / "mr.nii.gz"), "-m", str(trained.path), "--device", "cpu", "--quiet"]
    assert main(command) == 2
    assert "do not look like a CT" in (told := capsys.readouterr().err) and "all the same with --not-ct" in told
    assert main([*command, "--not-ct"]) == 0
    assert "do not look like a CT" in capsys.readouterr().err
