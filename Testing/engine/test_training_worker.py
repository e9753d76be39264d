"""The worker trains: arrays in, a model of the user's and label maps out; stopped in between, it goes on."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from training_boxes import save_parent, write_case

from Med3DCore.errors import Cancelled, DataError
from Med3DCore.io import read_volume
from Med3DCore.labels import find_labels
from Med3DCore.models.catalogue import Catalogue
from Med3DCore.models.folders import trainings_folder
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap
from Med3DCore.worker.client import RequestError, WorkerClient
from Med3DCore.worker.exchange import read_volume_array, write_volume_array
from Med3DCore.worker.requests.train import Fields, _read_cases, run

SETTINGS = {"steps": 3, "patch": [16, 16, 16], "batch": 2}


@pytest.fixture(autouse=True)
def own_models(tmp_path, monkeypatch):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "user" / "models"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def cases(folder, count=3):
    """As a client sends them: a volume and a label map with the liver alone."""
    entries = []
    for number in range(count):
        write_case(folder, f"p{number}", number)
        volume, label = (read_volume(folder / f"p{number}_{kind}.nii.gz") for kind in ("ct", "seg"))
        liver = LabelMap((label.array == 1).astype(np.uint8), volume.geometry, "labels", find_labels(["liver"]))
        volumes = {"volume": write_volume_array(volume, folder), "labels": write_volume_array(liver, folder)}
        entries.append({"name": f"CT {number}", "held_out": number == 1 or None, **volumes})
    return entries


def test_the_worker_trains_stops_goes_on_and_installs_the_model(tmp_path):
    parent, folder = save_parent(tmp_path), trainings_folder() / "now"
    metrics, sent = [], cases(tmp_path)
    with WorkerClient() as client:

        def stop_at_the_first_step(*metric):
            metrics.append(metric)
            if metric[2] is not None:
                threading.Thread(target=client.cancel).start()

        with pytest.raises(Cancelled, match="everything done is saved"):
            client.request(
                "train",
                on_metric=stop_at_the_first_step,
                folder=str(folder),
                cases=sent,
                model=str(parent.path),
                title="Boxes",
                settings=SETTINGS | {"steps": 50},
            )
        for file in tmp_path.glob("*.raw"):
            file.unlink()  # the client's folder is gone by then
        (unfinished,) = client.request("trainings")["trainings"]
        assert unfinished["folder"] == str(folder) and unfinished["state"] == "unfinished" and unfinished["step"] > 0
        assert unfinished["cases"] == ["CT 0", "CT 1", "CT 2"] and unfinished["title"] == "Boxes"
        result = client.request("train", folder=str(folder), finish=True)
        assert client.request("trainings")["trainings"][0]["state"] == "finished"
    assert metrics[0][0] == "train coarse"
    assert result["model"]["reference"] == "boxes-1.0.0" and not result["model"]["shipped"]
    assert Catalogue().find("boxes").label_names == ("liver", "lungs")
    assert set(result["after"]["liver"]) == {"CT 1"}
    (held_out,) = result["held_out"]
    assert read_volume_array(held_out["after"]).labels == find_labels(["liver", "lungs"])
    assert read_volume_array(held_out["before"]).geometry == read_volume_array(held_out["after"]).geometry


def test_cases_may_be_files_and_wrong_ones_are_named(tmp_path):
    entry = write_case(tmp_path, "a", 1)
    file = {**entry, "image": str(tmp_path / entry["image"]), "label": str(tmp_path / entry["label"])}
    (case,), labels, arrays = _read_cases([file | {"held_out": True, "annotated": ["liver"]}])
    assert case.split == "validation" and case.annotated == ("liver",) and not labels and not arrays
    with pytest.raises(DataError, match="The case a is not described"):
        _read_cases([{"name": "a"}])


def test_results_that_nobody_changed_are_held_out_only_where_fewer_than_two_were_corrected():
    entry = {"image": "a.nii.gz", "label": "b.nii.gz", "values": {"liver": 1}}
    entries = [entry | {"name": name, "untouched": name < "c"} for name in "abcd"]
    assert [case.split for case in _read_cases(entries)[0]] == ["training", "training", "automatic", "automatic"]
    assert [case.split for case in _read_cases(entries[:3])[0]] == ["automatic"] * 3
    entries[0]["held_out"] = True  # the user's word counts
    assert _read_cases(entries)[0][0].split == "validation"


def test_what_cannot_be_continued_is_said(tmp_path):
    with WorkerClient() as client, pytest.raises(RequestError, match="There is no training in"):
        client.request("train", folder=str(tmp_path / "none"))


def test_results_that_nobody_looked_at_are_learned_from_only_when_that_is_said():
    entries = [{"name": "CT 1", "untouched": True}, {"name": "CT 2"}]
    with pytest.raises(DataError, match="labels of CT 1 are results of a model that nobody has changed") as refused:
        run(Fields("nowhere", entries), SimpleNamespace(progress=Progress()))
    assert refused.value.code == "untouched-results"
    with pytest.raises(DataError, match="not described as the worker's protocol says"):  # and not for that reason
        run(Fields("nowhere", entries, take_untouched=True), SimpleNamespace(progress=Progress()))
