"""The request ``classify_scan``: its answers and maps are the engine's, over the scan's box."""

import numpy as np
import pytest
from bright_model import make_stage, make_volume, save_model
from scan_classifier import save_scan_classifier

from Med3DCore.inference.classify_scan import ScanClassifier, thinned
from Med3DCore.inference.device import choose_device
from Med3DCore.models.package_file import load_package
from Med3DCore.worker.client import RequestError, WorkerClient
from Med3DCore.worker.exchange import new_exchange_folder, read_volume_array, write_volume_array


@pytest.fixture(scope="module")
def client():
    with WorkerClient() as client:
        yield client


@pytest.fixture
def ask(client):
    with new_exchange_folder() as folder:
        yield lambda volume, model, **more: client.request(
            "classify_scan",
            volume=write_volume_array(volume, folder, "scan"),
            model=str(model),
            device="cpu",
            **more,
        )


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_answers_and_maps_are_those_of_the_engine(ask, tmp_path, activation):
    model, scan = save_scan_classifier(tmp_path, activation), make_volume()
    expected = ScanClassifier(load_package(model), choose_device("cpu")).classify(scan)
    result = ask(scan, model)
    assert result["model"] == "tiny-1.0.0" and result["exclusive"] is (activation == "softmax")
    assert {one["name"]: one["probability"] for one in result["answers"]} == pytest.approx(expected.probabilities)
    assert [one["name"] for one in result["answers"] if one["called"]] == expected.called
    grid = thinned(scan.geometry, expected.geometry)
    for one in result["answers"]:
        found = read_volume_array(one["map"])
        assert found.geometry == grid and found.array.any()
        assert np.allclose(found.array, expected.map_on(one["name"], grid), atol=1e-5)


def test_what_is_not_seen_of_a_scan_is_told(ask, tmp_path):
    model = save_scan_classifier(tmp_path)
    (sentence,) = ask(make_volume(), model)["warnings"]
    assert "looks at the middle of a scan" in sentence
    wide = save_scan_classifier(tmp_path, spacing=(6.0, 6.0, 6.0))
    assert ask(make_volume(), wide)["warnings"] == []


def test_other_scans_and_other_models_are_refused(ask, tmp_path):
    model, scan = save_scan_classifier(tmp_path), make_volume()
    raw = scan.with_array((scan.array + 1024).astype(np.int16))
    with pytest.raises(RequestError) as caught:
        ask(raw, model)
    assert (caught.value.code, caught.value.facts) == ("not-ct", {"offset": -1024})
    assert ask(raw, model, offset=-1024)["answers"][0]["probability"] == pytest.approx(
        ask(scan, model)["answers"][0]["probability"]
    )
    assert any("do not trust the result" in sentence for sentence in ask(raw, model, not_ct=True)["warnings"])
    with pytest.raises(RequestError, match="no classifier of whole scans"):
        ask(scan, save_model(tmp_path, "organs", [make_stage("only", ("liver",), 4.0)]))
