"""``med3d models``."""

import argparse
import json

import pytest
from test_models_checkpoints import make_encoder, make_file
from test_models_package import make_package, make_weights, write

from Med3DCore.cli import models as command
from Med3DCore.errors import ModelError
from Med3DCore.models import Catalogue, catalogue, save_package


@pytest.fixture
def med3d(tmp_path, monkeypatch, capsys):
    """Runs ``med3d models ...`` on one shipped model and an empty user folder; gives exit code and output."""
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "user"))
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: tmp_path / "shipped")
    (tmp_path / "shipped").mkdir()
    write(tmp_path / "shipped")

    def run(*words):
        parser = argparse.ArgumentParser()
        command.add_parser(parser.add_subparsers())
        args = parser.parse_args(["models", *map(str, words)])
        code = args.run(args)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_list(med3d, tmp_path):
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "bad.med3d.zip").write_bytes(b"bad")
    code, out, _ = med3d("list")
    assert code == 0
    header, bad, good = out.splitlines()
    assert header.split() == ["NAME", "VERSION", "LABELS", "SIZE", "WHERE", "DESCRIPTION"]
    assert bad.startswith("bad") and "BROKEN" in bad and "user" in bad and "is damaged" in bad
    assert good.split()[:4] == ["liver-lungs", "1.0.0", "liver,", "lungs"]
    assert good.endswith("shipped  Liver and lungs in CT; très rapide.")
    values = json.loads(med3d("list", "--json")[1])
    assert [v["reference"] for v in values] == ["bad", "liver-lungs-1.0.0"]
    assert [label["name"] for label in values[1]["model"]["labels"]] == ["liver", "lungs"] and values[0]["problem"]


def test_empty_list(med3d, tmp_path):
    next((tmp_path / "shipped").iterdir()).unlink()
    assert med3d("list")[1].startswith(f"No models. Put them into {tmp_path / 'user'}")
    assert json.loads(med3d("list", "--json")[1]) == []


def test_show(med3d):
    out = med3d("show", "liver-lungs")[1]
    for text in ("CC BY-SA 4.0", "Kavur et al.", "liver: liver at 1.5 x 1.5 x 2.5 mm, around what 'coarse' found",
                 "spacings from 0.5 x 0.5 x 0.5 to 1 x 1 x 5 mm", '"dice": 0.96', "A card."):  # fmt: skip
        assert text in out
    assert json.loads(med3d("show", "liver-lungs", "--json")[1])["stages"][1]["window"] == [64, 96, 96]


def test_verify(med3d, tmp_path):
    assert med3d("verify") == (0, "liver-lungs-1.0.0: sound\n", "")
    package = make_package(version="2.0.0")
    weights = make_weights(package)
    weights["liver"].popitem()
    (tmp_path / "user").mkdir()
    save_package(package, weights, tmp_path / "user")
    code, out, err = med3d("verify")
    assert code == 2
    assert out == "liver-lungs-1.0.0: sound\n"
    assert "1 missing" in err
    assert med3d("verify", "liver-lungs-1.0.0")[0] == 0


def test_export_install_remove(med3d, tmp_path):
    file = write(tmp_path, make_package(version="2.0.0"))
    assert "Installed" in med3d("install", file)[1]
    assert Catalogue().find("liver-lungs").version == "2.0.0"
    out_folder = tmp_path / "out"
    out_folder.mkdir()
    med3d("export", "liver-lungs", out_folder)
    assert (out_folder / file.name).read_bytes() == file.read_bytes()
    med3d("remove", "liver-lungs-2.0.0")
    assert Catalogue().find("liver-lungs").version == "1.0.0"
    with pytest.raises(ModelError, match="came with Med3D"):
        med3d("remove", "liver-lungs")


def test_import_checkpoint(med3d, tmp_path):
    path = make_file(tmp_path / "ResNet_10 23dataset.pth", make_encoder(in_channels=3).state_dict())
    out = med3d("import-checkpoint", path, "--licence", "MIT")[1]
    assert "ResNet-10, shortcut B, width 2, 1 channel(s)" in out
    assert "All 72 encoder tensors" in out
    package = Catalogue().verify("resnet_10_23dataset")
    assert (package.kind, package.licence, package.encoder["in_channels"]) == ("encoder", "MIT", 1)
    with pytest.raises(ModelError, match="Another model"):
        med3d("import-checkpoint", path)
    med3d("import-checkpoint", path, "--in-channels", 2, "--overwrite", "--half")
    assert Catalogue().find("resnet_10_23dataset").encoder["in_channels"] == 2
    med3d("import-checkpoint", path, "--output", tmp_path / "mine.med3d.zip", "--name", "mine")
    assert Catalogue().find(tmp_path / "mine.med3d.zip").name == "mine"
    elsewhere = ("import-checkpoint", path, "--output", tmp_path / "mine.med3d.zip", "--name", "other")
    with pytest.raises(ModelError, match="exists and is another file"):
        med3d(*elsewhere)
    med3d(*elsewhere, "--overwrite")
    assert Catalogue().find(tmp_path / "mine.med3d.zip").name == "other"
    assert "(encoder)" in med3d("list")[1]
