"""What the worker computes is what the engine computes: segment and preview in a real process, warm, cancelled, cut."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import monai_models
import nnunet_folders
import numpy as np
import pytest
import torch
from bright_model import GEOMETRY, make_stage, make_volume, save_model

from Med3DCore.errors import Cancelled, SettingError
from Med3DCore.inference.nnunet.window import WindowMean
from Med3DCore.inference.segment import segment
from Med3DCore.inference.stage_networks import InferenceSettings
from Med3DCore.io import read_volume
from Med3DCore.io.orientation import turned
from Med3DCore.models.monai.importing import import_monai
from Med3DCore.models.nnunet.importing import import_nnunet
from Med3DCore.models.package_file import load_package, save_package
from Med3DCore.preprocessing import Preprocessing
from Med3DCore.preprocessing.imported import any_preprocessing
from Med3DCore.progress import Progress
from Med3DCore.worker.client import RequestError, WorkerClient
from Med3DCore.worker.exchange import new_exchange_folder, read_volume_array, write_volume_array
from Med3DCore.worker.scan import read_scan
from Med3DCore.worker.warm import Warm, interruptible

REORIENTS = "NibabelIOWithReorient"


@pytest.fixture(scope="module")
def volume():
    return make_volume()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    stages = [
        make_stage("coarse", ("liver", "lungs"), 4.0),
        make_stage("fine", ("liver",), 2.0, {"stage": "coarse", "margin_mm": 6.0}),
    ]
    return save_model(tmp_path_factory.mktemp("models"), "tiny", stages)


@pytest.fixture(scope="module")
def client():
    with WorkerClient() as client:
        yield client


@pytest.fixture
def scan(volume):
    with new_exchange_folder() as folder:
        yield write_volume_array(volume, folder, "scan")


def ask(client, scan, model, organs=("liver", "lungs"), type="segment", **fields):
    return client.request(type, volume=scan, organs=list(organs), model=str(model), device="cpu", **fields)


def test_the_worker_finds_what_the_engine_finds(client, scan, model, volume):
    expected = segment(volume, ["lungs", "liver"], str(model), "cpu")
    result = ask(client, scan, model, ("lungs", "liver"))
    found = read_volume_array(result["labels"])
    assert expected.labels.array.any() and np.array_equal(found.array, expected.labels.array)
    assert found.geometry == GEOMETRY and [label.name for label in found.labels] == ["lungs", "liver"]
    assert result["report"] == expected.report()
    assert Path(result["labels"]["file"]).parent == Path(scan["file"]).parent
    assert {"load model", "coarse: network", "fine: network", "write"} <= set(result["seconds"])


def test_lungs_are_split_whole_though_only_a_region_is_wanted(client, scan, model):
    low, high = GEOMETRY.bounds()
    middle = (low + high) / 2
    for region in (None, [(low + 5.0).tolist(), (middle + 5.0).tolist()]):
        plain = ask(client, scan, model, ("lungs", "liver"), region=region)
        apart = ask(client, scan, model, ("lungs", "liver"), region=region, split_lungs=True)
        together, split = (read_volume_array(result["labels"]) for result in (plain, apart))
        assert [label.name for label in split.labels] == ["left_lung", "right_lung", "liver"]
        assert together.mask("lungs").any() and np.array_equal(together.mask("liver"), split.mask("liver"))
        assert np.array_equal(together.mask("lungs"), split.mask("left_lung") | split.mask("right_lung"))
        volumes = {label["name"]: label["volume_ml"] for label in apart["report"]["labels"]}
        assert volumes["left_lung"] == pytest.approx(split.volume_ml("left_lung"), abs=0.06)


def test_mirrored_copies_are_averaged_where_the_model_was_taught_them_and_refused_where_not(
    client, scan, model, tmp_path
):
    plain = ask(client, scan, model, ("lungs",))
    taught = save_model(tmp_path, "taught", [make_stage("only", ("liver", "lungs"), 4.0, mirror=(0, 1, 2))])
    alone, averaged = (ask(client, scan, taught, ("lungs",), mirror=mirror) for mirror in (False, True))
    asked = ask(client, scan, model, ("lungs",), mirror=True)
    arrays = [read_volume_array(result["labels"]).array for result in (plain, asked, alone, averaged)]
    assert np.array_equal(arrays[0], arrays[1]) and not np.array_equal(arrays[2], arrays[3])
    assert any("never taught mirrored anatomy" in warning for warning in asked["report"]["warnings"])
    assert not any("mirrored" in warning for result in (plain, averaged) for warning in result["report"]["warnings"])


@pytest.mark.alone
def test_the_second_request_finds_everything_loaded_and_a_changed_model_is_noticed(client, scan, model, tmp_path):
    ask(client, scan, model, ("lungs",))
    process = client._process
    assert ask(client, scan, model, ("lungs",))["seconds"]["load model"] < 0.5
    stages = [make_stage("only", ("liver", "lungs"), 4.0)]
    other = save_model(tmp_path, "tiny", stages)
    assert "only: network" in ask(client, scan, other)["seconds"]
    save_model(tmp_path, "tiny", [make_stage("renamed", ("liver", "lungs"), 4.0)])
    assert "renamed: network" in ask(client, scan, other)["seconds"]
    assert client._process is process


def test_only_the_region_is_labelled_and_its_edge_is_named(client, scan, model, volume):
    whole = read_volume_array(ask(client, scan, model, ("lungs",))["labels"])
    cut = int(np.median(np.flatnonzero(whole.array.any(axis=(0, 1)))))  # through the middle of what is found
    low, high = volume.geometry.bounds_of_box((cut, 0, 2), (48, 44, 40))
    result = ask(client, scan, model, ("lungs",), region=[low.tolist(), high.tolist()])
    found = read_volume_array(result["labels"])
    assert found.geometry == GEOMETRY and found.array[..., cut].any()
    assert not found.array[..., :cut].any() and not found.array[:2].any()
    assert result["report"]["labels"][0]["volume_ml"] == pytest.approx(found.volume_ml("lungs"), abs=0.06)
    sentence = "Lungs: cut by the edge of the region; the volume is that of the part inside."
    assert sentence in result["report"]["warnings"]
    assert np.mean(whole.array[2:, :, cut:] == found.array[2:, :, cut:]) > 0.95


def test_the_network_sees_30_mm_around_the_region(scan, volume):
    low, high = volume.geometry.bounds_of_box((30, 10, 20), (40, 20, 30))
    read = read_scan(scan, [low.tolist(), high.tolist()], Progress())
    assert read.region.size == (10, 10, 10)
    assert np.array_equal(read.seen.array, volume.array[5:, :40, 10:])  # 20 voxels of 1.5 mm, 15 of 2 mm, or the end


@pytest.mark.parametrize(
    "region, sentence",
    [
        ([[900, 900, 900], [950, 950, 950]], "holds no voxel of boxes"),
        ([[0, 0, 0], [1, 1]], "A region is"),
        ([[5, 0, 0], [1, 9, 9]], "A region is"),
    ],
)
def test_regions_that_make_no_sense(scan, region, sentence):
    with pytest.raises(SettingError, match=sentence):
        read_scan(scan, region, Progress())


def test_scans_are_checked_as_files_are(volume, tmp_path):
    array = volume.array.astype(np.float64)
    array[0] = np.nan
    scan = write_volume_array(volume.with_array(array), tmp_path)
    progress = Progress()
    read = read_scan(scan, None, progress)
    assert read.seen.array.dtype == np.int16 and read.seen.array[0].max() == volume.array[1:].min()
    assert "NaN" in progress.warnings[0] and np.isnan(read_volume_array(scan).array[0]).all()


@pytest.mark.parametrize("how", ["coarse", "scan", "region"])
def test_the_preview_is_what_the_network_sees(client, scan, model, volume, how):
    low, high = volume.geometry.bounds_of_box((10, 12, 14), (30, 30, 30))
    fields = {"coarse": {}, "scan": {"stage": "coarse"}, "region": {"region": [low.tolist(), high.tolist()]}}[how]
    result = ask(client, scan, model, ("liver",), "preview", **fields)
    prepared = read_volume_array(result["volume"])
    spacing = 4.0 if how == "scan" else 2.0
    box = tuple(np.array(side) for side in result["box"])
    expected = Preprocessing.from_dict(make_stage("s", ("liver",), spacing).preprocessing).apply(volume, box)
    assert result["box_from"] == how and result["stage"] == ("coarse" if how == "scan" else "fine")
    assert prepared.array.dtype == np.float32 and prepared.geometry == expected.geometry
    assert np.allclose(prepared.array, expected.array, atol=1e-6)
    if how == "region":
        assert np.allclose(box, (low, high))
    before, after = result["before"], result["after"]
    assert before["size"] == list(GEOMETRY.size) and before["spacing"] == list(GEOMETRY.spacing)
    assert after["size"] == list(prepared.geometry.size) and after["spacing"] == [spacing] * 3
    assert before["mean"] == pytest.approx(volume.array.mean()) and before["sd"] == pytest.approx(volume.array.std())
    assert (before["minimum"], before["maximum"]) == (volume.array.min(), volume.array.max())
    assert -1 <= after["minimum"] < after["maximum"] <= 1
    assert result["normalisation"] == {"name": "window", "low": -160, "high": 160, "mean": 0, "sd": 160}


@pytest.mark.parametrize("program", ["nnunet", "monai"])
def test_the_preview_of_an_imported_model_is_what_its_network_gets(client, tmp_path, monkeypatch, program):
    """Voxel by voxel what the network is given when it segments, laid where it is in the patient."""
    package, scan = imported(tmp_path, program)
    given = []

    class Given(WindowMean):
        def __init__(self, body, array, *others):
            given.append(array)
            super().__init__(body, array, *others)

    monkeypatch.setattr("Med3DCore.inference.nnunet.segment.WindowMean", Given)
    segment(scan, package.label_names, package, "cpu", not_ct=True)
    with new_exchange_folder() as folder:
        written = write_volume_array(scan, folder, "scan")
        result = ask(client, written, package.path, package.label_names, "preview")
        shown = read_volume_array(result["volume"])
        assert np.array_equal(np.sort(shown.array, axis=None), np.sort(given[0][0], axis=None))
        frame = any_preprocessing(package.stages[0].preprocessing).frame([scan])
        grid = frame.geometry(scan.geometry)
        for index in np.ndindex(2, 2, 2):  # the network's corners, in the patient
            corner = np.array(index) * (np.array(grid.shape) - 1)
            point = grid.index_to_physical @ [*corner[::-1], 1]
            ours = np.rint(np.linalg.inv(shown.geometry.index_to_physical) @ point)[2::-1].astype(int)
            assert shown.array[tuple(ours)] == given[0][0][tuple(corner)]
            assert np.allclose(shown.geometry.index_to_physical @ [*ours[::-1], 1], point, atol=1e-3)
        assert shown.geometry.direction == scan.geometry.direction and result["box_from"] == "filled"
        numbers = result["normalisation"]
    expected = {"nnunet": ("nnunet_window", -150.0), "monai": ("monai_range", None)}[program]
    assert (numbers["name"], numbers["low"]) == expected
    assert (numbers["mean"], numbers["sd"]) == {"nnunet": (60.0, 90.0), "monai": (25.0, 225.0)}[program]


def imported(folder, program):
    """A small model of another program, and a scan that lies across."""
    across = (0, 0, 1, -1, 0, 0, 0, -1, 0)
    if program == "nnunet":
        package, weights = import_nnunet(nnunet_folders.write_results(folder, transpose=(1, 0, 2), reader=REORIENTS))
        (path,) = nnunet_folders.write_scan(folder, direction=across)
    else:
        package, weights = import_monai(monai_models.write_model(folder / "model"))
        (path,) = monai_models.write_scan(folder, direction=across)
    return load_package(save_package(package, weights, folder, half=False)), read_volume(path)


def test_a_preview_of_a_model_of_several_images_is_refused_in_words(client, scan, tmp_path):
    schemes = ("CTNormalization",) * 2
    package, weights = import_nnunet(nnunet_folders.write_results(tmp_path, schemes=schemes))
    path = save_package(package, weights, tmp_path, half=False)
    with pytest.raises(RequestError, match="needs 2 images of a patient"):
        ask(client, scan, path, package.label_names, "preview")


def test_the_faster_way_is_asked_for_and_told(client, tmp_path):
    package, scan = imported(tmp_path, "nnunet")
    with new_exchange_folder() as folder:
        written = write_volume_array(scan, folder, "scan")
        told = [ask(client, written, package.path, package.label_names, **asked) for asked in ({}, {"fast": True})]
    cpu = next(each for each in client.request("devices")["devices"] if each["name"] == "cpu")
    assert [each["report"]["fast"] for each in told] == [False, cpu["fast_way"]]
    for fast, each in zip((False, True), told, strict=True):
        expected = segment(scan, package.label_names, package, "cpu", InferenceSettings(fast=fast))
        assert each["report"] == expected.report()


def test_a_request_may_say_how_the_scan_lies_and_the_result_lies_over_it_all_the_same(client, scan, model, volume):
    lying = turned(volume.geometry, "RSA")
    truly = {**scan, "direction": list(lying.direction), "origin": list(lying.origin)}
    expected = read_volume_array(ask(client, truly, model)["labels"])
    found = read_volume_array(ask(client, scan, model, orientation="rsa")["labels"])
    assert found.array.any() and np.array_equal(found.array, expected.array)
    assert found.geometry == volume.geometry and expected.geometry == lying
    low, high = volume.geometry.bounds_of_box((10, 12, 14), (30, 30, 30))
    part = ask(client, scan, model, orientation="RSA", region=[low.tolist(), high.tolist()])
    part = read_volume_array(part["labels"])
    assert part.geometry == volume.geometry and part.array[14:30, 12:30, 10:30].any()
    assert np.count_nonzero(part.array) == np.count_nonzero(part.array[14:30, 12:30, 10:30])
    seen = ask(client, scan, model, type="preview", stage="coarse", orientation="RSA")
    truth = ask(client, truly, model, type="preview", stage="coarse")
    assert seen["volume"]["shape"] == truth["volume"]["shape"] and seen["box"] == truth["box"]
    with pytest.raises(RequestError, match="three letters"):
        ask(client, scan, model, orientation="RAP")


def test_a_request_may_say_the_offset_that_is_missing(client, scan, model, volume):
    expected = read_volume_array(ask(client, scan, model)["labels"])
    raw = write_volume_array(volume.with_array((volume.array + 1024).astype(np.int16)), Path(scan["file"]).parent)
    assert np.array_equal(read_volume_array(ask(client, raw, model, offset=-1024)["labels"]).array, expected.array)
    with pytest.raises(RequestError) as caught:
        ask(client, raw, model)
    assert (caught.value.code, caught.value.facts) == ("not-ct", {"offset": -1024})
    seen = ask(client, raw, model, type="preview", stage="coarse", offset=-1024)
    assert seen["before"] == ask(client, scan, model, type="preview", stage="coarse")["before"]


def test_the_series_is_named_and_another_modality_told(client, scan, model):
    series = {"title": "CT 'Thorax'", "modality": "CT", "series_number": 3, "slices": 30}
    report = ask(client, scan, model, series=series)["report"]
    assert report["series"] == "CT 'Thorax' (series number 3), 30 slices"
    assert not any("was made for" in sentence for sentence in report["warnings"])
    other = {"title": "T1", "modality": "MR"}
    with pytest.raises(RequestError, match="is MR, and") as caught:
        ask(client, scan, model, series=other)
    assert (caught.value.code, caught.value.facts) == ("not-ct", {"offset": None})
    report = ask(client, scan, model, series=other, not_ct=True)["report"]
    assert report["series"].startswith("T1") and "is MR, and" in report["warnings"][0]
    assert "series" not in ask(client, scan, model)["report"]


def test_slices_that_the_client_laid_out_otherwise_than_they_were_taken_are_told(client, scan, model, tmp_path):
    pytest.importorskip("pydicom")
    from ct_series import write_ct_series

    x, y, z = GEOMETRY.spacing
    write_ct_series(tmp_path / "ct", read_volume_array(scan).array, replace(GEOMETRY, spacing=(x, y, 0.8 * z)))
    files = [str(path) for path in sorted((tmp_path / "ct").iterdir())]
    report = ask(client, scan, model, series={"modality": "CT", "files": files})["report"]
    told = f"are {0.8 * z:.3g} mm apart, but it was loaded as if they were {z:.3g} mm apart"
    assert any(told in sentence for sentence in report["warnings"])
    write_ct_series(tmp_path / "tilted", read_volume_array(scan).array, GEOMETRY, "b", (0.0, 0.25 * z))
    tilted = [str(path) for path in sorted((tmp_path / "tilted").iterdir())]
    report = ask(client, scan, model, series={"modality": "CT", "files": tilted})["report"]
    assert any("gantry tilt of 14.0 degrees), but it was loaded as if" in each for each in report["warnings"])
    cropped = ask(client, scan, model, series={"modality": "CT", "files": files[1:]})["report"]
    assert not any("apart" in sentence for sentence in cropped["warnings"])


def test_a_scan_that_is_no_ct_is_refused_before_torch_is_loaded(scan, model):
    with WorkerClient() as client:
        with pytest.raises(RequestError, match=r"is PT, and tiny-1\.0\.0 was made for CT"):
            ask(client, scan, model, series={"modality": "PT"})
        assert not client.request("info")["warm"]


def test_an_absurd_spacing_is_refused_before_a_preview(client, scan, model):
    for value in (1e-6, 1e30, 999):
        spoilt = {**scan, "spacing": [1.5, 1.5, value]}
        with pytest.raises(RequestError, match="spacing") as caught:
            ask(client, spoilt, model, type="preview")
        assert caught.value.code == "bad-volume"


def test_requests_that_cannot_be_done_get_a_sentence_and_leave_no_file(client, scan, model):
    for fields, code, sentence in (
        ({"organs": ["liver"], "model": "/no/model.med3d.zip"}, "bad-model", "model.med3d.zip"),
        ({"organs": ["spleen"], "model": str(model)}, "bad-setting", "does not know 'spleen'"),
        ({"organs": ["liver"], "model": str(model), "device": "toaster"}, "no-resource", "toaster"),
        ({"organs": ["liver"], "volume": {**scan, "file": "/no/scan.raw"}}, "bad-volume", "No such file"),
        ({"organs": ["liver"], "volume": {**scan, "shape": [1, 2, 3]}}, "bad-volume", "bytes"),
    ):
        with pytest.raises(RequestError, match=sentence) as caught:
            client.request("segment", **{"volume": scan, **fields})
        assert caught.value.code == code
    for fields, sentence in (
        ({"stage": "finer"}, "has no stage 'finer'; it has coarse, fine"),
        ({"organs": []}, "Say"),
    ):
        with pytest.raises(RequestError, match=sentence):
            ask(client, scan, model, type="preview", **fields)
    assert [path.name for path in Path(scan["file"]).parent.iterdir()] == [Path(scan["file"]).name]


def test_lists_of_models_and_devices(client):
    assert isinstance(client.request("models")["models"], list)
    devices = client.request("devices")["devices"]
    assert devices[0]["name"] == "auto" and devices[-1]["name"] == "cpu" and "CPU" in devices[-1]["title"]


def test_the_pipeline_is_kept_until_file_or_device_change(model):
    warm = Warm()
    first = warm.pipeline(load_package(model), "cpu")
    assert warm.pipeline(load_package(model), "cpu", mirror=True) is first
    assert first.networks.settings.mirror
    first.networks.device = replace(first.networks.device, name="cuda:0")  # as if it had been asked for a GPU
    second = warm.pipeline(load_package(model), "cpu")
    assert second is not first
    warm.forget()
    assert warm.pipeline(load_package(model), "cpu") is not second


def test_a_network_stops_between_two_layers():
    class Layer(torch.nn.Module):
        def forward(self, x):
            ran.append(1)
            return x

    ran = []
    network = torch.nn.Sequential(Layer(), Layer(), Layer())
    with interruptible(Progress(is_cancelled=lambda: len(ran) in (2, 7))):
        with pytest.raises(Cancelled), torch.inference_mode():
            network(torch.zeros(1))
        assert len(ran) == 2
        network(torch.zeros(1))
        assert len(ran) == 5, "a network that learns ends its step"
    with torch.inference_mode():
        network(torch.zeros(1))
    assert len(ran) == 8, "the check must be gone afterwards"


@pytest.mark.alone
def test_cancel_within_a_window_of_the_network(client, scan, tmp_path):
    # On an idle computer the network is built in 0.4 s; its one window takes 5 s, the longest layer 0.5 s.
    stage = make_stage("only", ("liver", "lungs"), 0.5, width=8, window=192, depth=152)
    slow = save_model(tmp_path, "slow", [stage])
    moments = []

    def cancel(stage, fraction, left):
        if stage == "only: network" and not moments:
            threading.Timer(1.0, lambda: (moments.append(time.monotonic()), client.cancel())).start()

    with pytest.raises(Cancelled):
        ask(client, scan, slow, on_progress=cancel)
    assert time.monotonic() - moments[0] < 2.0
    assert list(Path(scan["file"]).parent.iterdir()) == [Path(scan["file"])]
