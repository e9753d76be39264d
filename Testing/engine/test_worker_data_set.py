"""The worker's request ``data_set``."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from Med3DCore.errors import Cancelled, DataError
from Med3DCore.geometry import Geometry
from Med3DCore.io import write_volume
from Med3DCore.progress import Progress
from Med3DCore.training.cases.description import case_from_dict
from Med3DCore.volume import Volume
from Med3DCore.worker.registry import find_handler


@pytest.fixture
def folder(tmp_path):
    """Two pairs, one of them for validation, and an image without a label."""
    grid = Geometry((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    for name in ("train/a_ct", "train/a_seg", "val/b_ct", "val/b_seg", "train/lonely_ct"):
        path = tmp_path / f"{name}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        write_volume(Volume(np.zeros(grid.shape, np.uint8), grid), path)
    (tmp_path / "labels.json").write_text(json.dumps({"liver": 1, "lungs": [2, 3]}))
    return tmp_path


def ask(path):
    handler = find_handler("data_set")
    answer = handler.run(handler.Fields(str(path)), SimpleNamespace(progress=Progress()))
    return json.loads(json.dumps(answer))


def test_cases_as_the_request_train_takes_them(folder):
    answer = ask(folder)
    first, second = answer["cases"]
    assert (first["image"], first["label"]) == tuple(str(folder / f"train/a_{kind}.nii.gz") for kind in ("ct", "seg"))
    assert (first["values"], first["annotated"]) == ({"liver": [1], "lungs": [2, 3]}, ["liver", "lungs"])
    assert [case["held_out"] for case in (first, second)] == [None, True]
    assert case_from_dict(first, folder).values["lungs"] == (2, 3)
    (warning,) = answer["warnings"]
    assert "lonely_ct.nii.gz has no label" in warning


def test_no_data_set(tmp_path):
    with pytest.raises(DataError, match="holds no image with its label"):
        ask(tmp_path)


def forms(folder):
    """The same ten cases in each form that a data set may have."""
    pairs, nnunet = folder / "pairs", folder / "nnunet"
    cases = [{"name": f"c{i}", "image": f"c{i}_ct.nii.gz", "label": f"c{i}_seg.nii.gz"} for i in range(10)]
    for case in cases:
        name = case["name"]
        for place in (pairs / case["image"], pairs / case["label"], nnunet / "imagesTr" / f"{name}_0000.nii.gz"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        (nnunet / "labelsTr").mkdir(exist_ok=True)
        (nnunet / "labelsTr" / f"{name}.nii.gz").touch()
    (pairs / "labels.json").write_text('{"liver": 1}')
    rows = [",".join(case.values()) for case in cases]
    (pairs / "table.csv").write_text("\n".join(["name,image,label", *rows]))
    own = [case | {"values": {"liver": 1}, "annotated": ["liver"]} for case in cases]
    (pairs / "own.json").write_text(json.dumps({"cases": own}))
    labels = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
    (nnunet / "dataset.json").write_text(json.dumps(labels | {"numTraining": 10}))
    return {"pairs": pairs, "table": pairs / "table.csv", "own": pairs / "own.json", "nnunet": nnunet}


@pytest.mark.parametrize("form", ["pairs", "table", "own", "nnunet"])
def test_cancel_is_heard_at_every_case(tmp_path, form):
    asked, last = [], 10_000

    def is_cancelled():
        asked.append(1)
        return len(asked) >= last

    path, handler = forms(tmp_path)[form], find_handler("data_set")
    ask_for = lambda: handler.run(  # noqa: E731
        handler.Fields(str(path)), SimpleNamespace(progress=Progress(is_cancelled=is_cancelled))
    )
    assert len(ask_for()["cases"]) == 10
    most = len(asked)
    assert most >= {"pairs": 50, "table": 20, "own": 10, "nnunet": 10}[form]
    for number in range(1, most + 1, 4):
        last = number
        asked.clear()
        with pytest.raises(Cancelled):
            ask_for()
