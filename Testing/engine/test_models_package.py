"""Model packages: what goes in comes out."""

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from Med3DCore.errors import ModelError, OutputError
from Med3DCore.labels import find_labels
from Med3DCore.models import ModelPackage, Stage, load_package, save_package
from Med3DCore.models.weights import load_into
from Med3DCore.networks import build_network

WINDOW = {"name": "window", "low": -160, "high": 240}


def network_spec(out_channels, **encoder):
    encoder = {"name": "resnet", "depth": 10, "width": 2, **encoder}
    return {"encoder": encoder, "decoder": {"name": "upsample"}, "out_channels": out_channels}


def make_package(**changes):
    coarse = Stage(
        name="coarse",
        network=network_spec(3),
        preprocessing={"spacing": [5.0, 5.0, 5.0], "intensity": WINDOW},
        labels=("background", "liver", "lungs"),
        activation="softmax",
        window=(32, 32, 32),
    )
    liver = Stage(
        name="liver",
        network=network_spec(1, shortcut="A"),
        preprocessing={"spacing": [1.5, 1.5, 2.5], "intensity": WINDOW},
        labels=("liver",),
        activation="sigmoid",
        window=(64, 96, 96),
        region={"stage": "coarse", "margin_mm": 20},
        postprocessing={"liver": {"keep_largest": 1, "fill_holes": True, "min_ml": 20}},
    )
    values = {
        "name": "liver-lungs",
        "version": "1.0.0",
        "title": "Liver and lungs",
        "description": "Liver and lungs in CT; très rapide.",
        "modality": "CT",
        "licence": "CC BY-SA 4.0",
        "labels": find_labels(["liver", "left_lung"])[:1] + find_labels(["lungs"]),
        "stages": (coarse, liver),
        "expected_spacing_mm": ((0.5, 0.5, 0.5), (1.0, 1.0, 5.0)),
        "provenance": {
            "seeds": [1],
            "data_sets": [{"name": "CHAOS", "licence": "CC BY-SA 4.0", "attribution": "Kavur et al."}],
        },
        "metrics": {"cases": {"a": {"liver": {"dice": 0.96}}}},
        "parent": "liver-0.9.0",
        "created": "2025-11-20T17:31:00Z",
        "card": "# Liver and lungs\n\nA card.\n",
    }
    return ModelPackage(**{**values, **changes})


def make_encoder_package(**changes):
    spec = {"name": "resnet", "depth": 10, "width": 2}
    values = {"labels": (), "stages": (), "encoder": spec, "name": "features", "parent": None, "card": ""}
    return make_package(**{**values, **changes})


def make_weights(package, seed=0):
    torch.manual_seed(seed)
    if package.kind == "encoder":
        whole = build_network({"encoder": package.encoder, "decoder": {"name": "upsample"}, "out_channels": 1})
        return {"encoder": whole.encoder.state_dict()}
    weights = {stage.name: build_network(stage.network).state_dict() for stage in package.stages}
    for state_dict in weights.values():
        for key, value in state_dict.items():
            if "running" in key:
                value.uniform_(0.5, 2e5)  # beyond float16
    return weights


def write(folder, package=None, **options):
    package = package or make_package()
    return save_package(package, make_weights(package), folder, **options)


def test_round_trip_of_the_description(tmp_path):
    package = make_package()
    path = write(tmp_path, package)
    loaded = load_package(path)
    assert path.name == "liver-lungs-1.0.0.med3d.zip"
    assert loaded == package
    assert loaded.path == path
    assert loaded.labels[0].type == ("SCT", "10200004", "Liver")
    assert loaded.card.startswith("# Liver")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    loaded.verify()


def test_full_precision_is_exact(tmp_path):
    package = make_package()
    weights = make_weights(package)
    loaded = load_package(save_package(package, weights, tmp_path, half=False))
    for part in package.parts:
        read = loaded.read_weights(part)
        assert read.keys() == weights[part].keys()
        assert all(torch.equal(read[key], value) for key, value in weights[part].items())


def test_half_precision_rounds_kernels_only(tmp_path):
    package = make_package()
    weights = make_weights(package)["liver"]
    full = save_package(package, make_weights(package), tmp_path / "full.med3d.zip", half=False)
    half = write(tmp_path)
    read = load_package(half).read_weights("liver")
    kernel = "encoder.layer4.0.conv1.weight"
    assert not torch.equal(read[kernel], weights[kernel])
    assert half.stat().st_size < 0.8 * full.stat().st_size
    for key, value in weights.items():
        assert read[key].dtype == (torch.float32 if value.is_floating_point() else torch.int64)
        if value.ndim >= 2:
            assert torch.allclose(read[key], value, rtol=1 / 2048, atol=3e-8)
        else:
            assert torch.equal(read[key], value)


def test_kernel_beyond_half_stays_exact(tmp_path):
    package = make_encoder_package()
    weights = make_weights(package)
    weights["encoder"]["conv1.weight"][0, 0, 0, 0, 0] = 1e6 + 1
    read = load_package(save_package(package, weights, tmp_path)).read_weights("encoder")
    assert torch.equal(read["conv1.weight"], weights["encoder"]["conv1.weight"])


def test_equal_content_gives_equal_bytes(tmp_path):
    package = make_package()
    weights = make_weights(package)
    reordered = {part: dict(reversed(list(weights[part].items()))) for part in reversed(package.parts)}
    twin = replace(package, provenance=dict(reversed(list(package.provenance.items()))))
    (tmp_path / "b").mkdir()
    first, second = save_package(package, weights, tmp_path), save_package(twin, reordered, tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != write(tmp_path, make_package(version="1.0.1")).read_bytes()


def test_views_do_not_drag_their_memory_along(tmp_path):
    package = make_encoder_package()
    weights = make_weights(package)
    size = save_package(package, weights, tmp_path, half=False).stat().st_size
    big = torch.zeros(1000, *weights["encoder"]["conv1.weight"].shape)
    big[7] = weights["encoder"]["conv1.weight"]
    weights["encoder"]["conv1.weight"] = big[7]
    assert save_package(package, weights, tmp_path, half=False).stat().st_size == size


def test_encoder_package(tmp_path):
    package = make_encoder_package()
    loaded = load_package(write(tmp_path, package))
    assert loaded.kind == "encoder"
    assert loaded.parts == ("encoder",)
    assert "conv1.weight" in loaded.read_weights("encoder")
    loaded.verify()


def test_weights_go_into_the_network(tmp_path):
    package = make_package()
    weights = make_weights(package)
    loaded = load_package(save_package(package, weights, tmp_path, half=False))
    network = build_network(loaded.stages[0].network)
    load_into(network, loaded.read_weights("coarse"), "test")
    assert all(torch.equal(value, weights["coarse"][key]) for key, value in network.state_dict().items())


def test_wrong_architecture_is_refused_and_leaves_the_network_alone(tmp_path):
    loaded = load_package(write(tmp_path))
    network = build_network(network_spec(3, depth=18))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(ModelError, match=r"'x' do not fit .* 74 tensors match, 48 missing \(encoder\.layer1\.1"):
        load_into(network, loaded.read_weights("coarse"), "'x'")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    with pytest.raises(ModelError, match=r"2 of another shape \(decoder\.\S+ 3x16x1x1x1 instead of 2x16x1x1x1"):
        load_into(build_network(network_spec(2)), loaded.read_weights("coarse"), "'x'")
    with pytest.raises(ModelError, match="18 unexpected"):
        load_into(build_network(network_spec(3, shortcut="A")), loaded.read_weights("coarse"), "'x'")


def test_verify_finds_weights_of_another_network(tmp_path):
    package = make_package()
    weights = make_weights(package)
    weights["liver"] = weights["coarse"]
    with pytest.raises(ModelError, match=r"'liver' of liver-lungs-1\.0\.0 do not fit"):
        load_package(save_package(package, weights, tmp_path)).verify()


def test_verify_finds_an_unknown_network(tmp_path):
    package = make_encoder_package(encoder={"name": "transformer"})
    path = save_package(package, make_weights(make_encoder_package()), tmp_path)
    with pytest.raises(ModelError, match=r"features-1\.0\.0 cannot be used .*'transformer'"):
        load_package(path).verify()


def test_saving_refuses_what_it_could_not_load(tmp_path):
    package = make_package()
    weights = make_weights(package)
    stages = package.stages
    wrong = {
        "needs weights for coarse, liver, but got coarse": (package, {"coarse": weights["coarse"]}),
        "name must be lower-case letters": (replace(package, name="../x"), weights),
        "version must be three numbers": (replace(package, version="1.0"), weights),
        "cannot be stored": (replace(package, metrics={"dice": float("nan")}), weights),
        "is not JSON serializable": (replace(package, metrics={"dice": torch.zeros(1)}), weights),
        r"data_sets\[0\] lacks 'licence'": (replace(package, provenance={"data_sets": [{"name": "x"}]}), weights),
        "no stage finds the label 'spleen'": (replace(package, labels=find_labels(["spleen"])), weights),
        "must have 'background'": (
            replace(package, stages=(replace(stages[0], activation="sigmoid"), stages[1])),
            weights,
        ),
        "is no earlier stage": (replace(package, stages=stages[::-1]), weights),
        "3 output channels": (replace(package, stages=(replace(stages[0], labels=("background", "liver")),)), weights),
        "post-processes 'spleen'": (
            replace(package, stages=(replace(stages[0], postprocessing={"spleen": {}}),)),
            weights,
        ),
        "is there twice": (replace(package, stages=stages + stages[1:]), weights),
    }
    for message, (bad, bad_weights) in wrong.items():
        given = {stage: bad_weights[stage] for stage in bad.parts if stage in bad_weights}
        with pytest.raises(ModelError, match=message):
            save_package(bad, given, tmp_path)
    weights["liver"]["encoder.bn1.weight"][0] = float("inf")
    with pytest.raises(ModelError, match=r"not finite numbers \(encoder\.bn1\.weight\)"):
        save_package(package, weights, tmp_path)
    assert not list(tmp_path.iterdir())


def test_where_a_package_can_be_written(tmp_path):
    package = make_encoder_package()
    weights = make_weights(package)
    for target in (tmp_path / "model.zip", tmp_path / "missing"):
        with pytest.raises(OutputError, match=r"ends with \.med3d\.zip"):
            save_package(package, weights, target)
    with pytest.raises(OutputError, match="No such file or directory"):
        save_package(package, weights, tmp_path / "missing" / "a.med3d.zip")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write(tmp_path)
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full_disk)
    with pytest.raises(OutputError, match="No space left on device"):
        write(tmp_path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_any_zip_tool_can_read_it(tmp_path):
    with zipfile.ZipFile(write(tmp_path)) as archive:
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == ["model.json", "weights/coarse.pt", "weights/liver.pt", "card.md"]
        assert json.loads(archive.read("model.json"))["description"].endswith("très rapide.")


def test_looking_at_models_does_not_import_torch(tmp_path):
    path = write(tmp_path)
    code = (
        "import sys; from Med3DCore.models import Catalogue; import Med3DCore.cli.models\n"
        f"c = Catalogue({str(tmp_path)!r}, {str(tmp_path / 'none')!r})\n"
        f"assert c.list()[0].package and c.find({str(path)!r}).card\n"
        "print([m for m in ('torch', 'scipy', 'SimpleITK') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_loading_weights_does_not_import_torchs_compiler():
    """Which takes seconds; the network that the weights are compared with has no values to draw."""
    code = (
        "import sys; from Med3DCore.models import Catalogue\n"
        "package = Catalogue().find('liver-lungs')\n"
        "assert package.read_weights(package.stages[0].name)\n"
        "print('torch._dynamo' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "False"
