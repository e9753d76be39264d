"""The requests about models, as the Models panel makes them, in a real process with folders of its own."""

import json
from pathlib import Path

import pytest
from monai_models import write_model
from test_models_checkpoints import make_encoder, make_file
from test_models_package import make_package, write
from test_models_safety import with_weights

from Med3DCore.models import load_package
from Med3DCore.models.catalogue import Catalogue
from Med3DCore.models.metrics import summarise
from Med3DCore.worker.client import RequestError, WorkerClient
from Med3DCore.worker.protocol import MAX_LINE, ProtocolError, Result, encode

BUNDLED = Path(__file__).parents[2] / "Resources" / "Models"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models") / "mine"


@pytest.fixture(scope="module")
def client(folder):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MED3D_MODELS", str(folder))
        with WorkerClient() as made:
            made.request("info")
            yield made


@pytest.fixture(autouse=True)
def empty_folder(folder):
    folder.mkdir(exist_ok=True)
    yield
    for path in folder.iterdir():
        path.unlink()


def refused(client, kind, **fields):
    """Code and sentence of an error."""
    with pytest.raises(RequestError) as caught:
        client.request(kind, **fields)
    assert caught.value.code != "unexpected"
    return caught.value.code, str(caught.value)


def own(client):
    return [entry for entry in client.request("models")["models"] if not entry["shipped"]]


def test_install_list_export_remove(client, folder, tmp_path):
    package = make_package(name="mine")
    file = write(tmp_path, package).rename(tmp_path / "from a colleague.zip")
    answer = client.request("install_model", file=str(file))
    assert answer == {"reference": "mine-1.0.0", "path": str(folder / "mine-1.0.0.med3d.zip")}
    told = client.request("models")
    shipped = [entry["reference"] for entry in told["models"] if entry["shipped"]]
    assert told["folder"] == str(folder) and told["automatic"]["liver"] in shipped
    assert list(told["automatic"]) == ["liver", "lungs", "left_kidney", "right_kidney", "spleen"]
    assert told["start"] == Catalogue().default_for([]).reference  # what the request train starts from
    [entry] = own(client)
    assert entry["model"]["title"] == package.title and not {"provenance", "metrics", "members"} & set(entry["model"])
    assert client.request("verify_model", model=entry["path"]) == {"reference": "mine-1.0.0"}
    card = client.request("model_card", model="mine-1.0.0")
    assert card["model"]["provenance"]["data_sets"][0]["attribution"] == "Kavur et al." and card["card"] == package.card
    exported = client.request("export_model", model="mine-1.0.0", path=str(tmp_path / "copy.med3d.zip"))["path"]
    assert Path(exported).read_bytes() == file.read_bytes()
    assert client.request("remove_model", model="mine-1.0.0.med3d.zip")["path"] == answer["path"]
    assert own(client) == []


def test_what_is_in_the_way_is_told_by_a_code(client, tmp_path):
    first, second = (
        write(tmp_path / f"{title}.med3d.zip", make_package(name="mine", title=title)) for title in ("first", "second")
    )
    client.request("install_model", file=str(first))
    assert refused(client, "install_model", file=str(second))[0] == "model-exists"
    client.request("install_model", file=str(second), overwrite=True)
    assert own(client)[0]["model"]["title"] == "second"
    assert refused(client, "export_model", model="mine-1.0.0", path=str(first))[0] == "model-exists"
    client.request("export_model", model="mine-1.0.0", path=str(first), overwrite=True)
    assert first.read_bytes() == second.read_bytes()


def test_checkpoints_become_encoders(client, tmp_path):
    encoder = make_encoder()
    path = make_file(tmp_path / "ResNet 10.pth", encoder.state_dict() | {"fc.weight": encoder.conv1.weight})
    answer = client.request("import_checkpoint", file=str(path), licence="MIT")
    assert (answer["reference"], answer["matched"], answer["ignored"]) == ("resnet_10-1.0.0", 72, ["fc.weight"])
    package = load_package(answer["path"])
    package.verify()
    assert (package.kind, package.licence) == ("encoder", "MIT")
    assert refused(client, "import_checkpoint", file=str(path))[0] == "model-exists"
    client.request("import_checkpoint", file=str(path), overwrite=True)
    assert own(client)[0]["model"]["licence"] == "not stated"
    monai = client.request("import_checkpoint", file=str(write_model(tmp_path / "abdomen") / "model.pt"))
    assert monai["reference"] == "abdomen-1.0.0" and load_package(monai["path"]).kind == "pipeline"
    odd = make_file(tmp_path / "重み.pth", encoder.state_dict())
    assert client.request("import_checkpoint", file=str(odd))["reference"] == "encoder-1.0.0"


def test_bad_files_get_a_sentence_and_leave_nothing(client, folder, tmp_path):
    good = write(tmp_path, make_package())
    half = tmp_path / "half.med3d.zip"
    half.write_bytes(good.read_bytes()[:-400])
    lying = with_weights(write(tmp_path / "lying.med3d.zip"), b"no weights at all")
    text = tmp_path / "notes.pth"
    text.write_text("hello")
    for kind, file, word in (
        ("install_model", half, "half.med3d.zip"),
        ("install_model", lying, "weights/coarse.pt"),
        ("install_model", text, "notes.pth is damaged"),
        ("install_model", tmp_path / "none.med3d.zip", "no model package"),
        ("import_checkpoint", text, "notes.pth"),
        ("import_checkpoint", good, good.name),
        ("import_checkpoint", tmp_path, "Cannot read"),
    ):
        code, sentence = refused(client, kind, file=str(file))
        assert code == "bad-model" and word in sentence
    assert list(folder.iterdir()) == []
    bundled = load_package(next(BUNDLED.glob("*.med3d.zip"))).reference
    assert "came with Med3D" in refused(client, "remove_model", model=bundled)[1]
    assert "no model" in refused(client, "remove_model", model=str(good))[1] and good.exists()


def test_a_broken_file_hides_no_other_and_can_be_removed(client, folder, tmp_path):
    client.request("install_model", file=str(write(tmp_path, make_package(name="mine"))))
    (folder / "bad.med3d.zip").write_bytes(b"bad")
    bad, mine = own(client)
    assert mine["problem"] is None and bad["model"] is None and "bad.med3d.zip is damaged" in bad["problem"]
    assert "is damaged" in refused(client, "verify_model", model=bad["path"])[1]
    client.request("remove_model", model="bad.med3d.zip")
    assert [entry["reference"] for entry in own(client)] == ["mine-1.0.0"]


def test_many_models_fit_into_an_answer_and_what_does_not_is_refused(client, folder, tmp_path):
    cases = {f"case {i}": {"dice": 0.9, "image_sha256": "0" * 64} for i in range(2000)}
    for i in range(8):
        write(folder, make_package(name=f"m{i}", metrics={"liver": cases}))
    assert len(own(client)) == 8
    write(folder, make_package(name="huge", card="long " * MAX_LINE))
    assert "bytes long" in refused(client, "model_card", model="huge")[1]
    with pytest.raises(ProtocolError):
        encode(Result(1, {"text": "a" * MAX_LINE}))


def test_metrics_of_any_shape_are_summarised():
    cases = {"a": {"dice": 0.9, "assd_mm": 1.0}, "b": {"dice": 0.5, "assd_mm": None}, "c": {"dice": None}, "d": 3}
    odd = {"x": "text", "y": {"a": {"dice": True}}, "z": {"a": {"dice": "0.9"}}, "n": {"a": {"dice": float("nan")}}}
    [liver] = summarise(json.loads(json.dumps({"liver": cases, **odd})))
    assert (liver.label, liver.cases, liver.worst_dice, liver.worst_case) == ("liver", 2, 0.5, "b")
    assert (liver.dice, liver.assd_mm) == (pytest.approx(0.7), 1.0)
