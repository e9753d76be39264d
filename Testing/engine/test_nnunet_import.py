"""What ``med3d models import-nnunet`` takes, and the sentence for everything that it does not."""

import json
import shutil
import zipfile

import pytest
import torch
from cli_helpers import contents
from nnunet_documents import write_checkpoint
from nnunet_folders import EXCLUSIVE, their_weights, write_results, write_scan

from Med3DCore.cli.main import main
from Med3DCore.models import load_package
from Med3DCore.models.nnunet.importing import import_nnunet


@pytest.fixture
def import_(tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder; gives exit code, standard output and standard error."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))

    def run(*arguments):
        return main(["models", "import-nnunet", *map(str, arguments)]), *capsys.readouterr()

    return run


@pytest.fixture
def refused(import_, tmp_path):
    """The one sentence with which the import refuses; nothing may be installed."""

    def run(*arguments, word):
        before = contents()
        code, out, err = import_(*arguments)
        assert (code, out) == (2, "") and err.startswith("med3d: ") and err.count("\n") == 1
        assert word in err
        assert contents() == before and not list(tmp_path.glob("models/*"))
        return err

    return run


def changed(model, name="plans.json", **settings):
    """Change a document of a model; of plans.json the configuration, None for a setting that goes."""
    content = json.loads((model / name).read_text())
    place = content["configurations"]["3d_fullres"] if name == "plans.json" else content
    place.update(settings)
    for key in [key for key, value in settings.items() if value is None]:
        del place[key]
    (model / name).write_text(json.dumps(content))
    return model


@pytest.fixture
def model(tmp_path):
    return write_results(tmp_path)


def test_a_model_is_installed_with_names_and_where_it_came_from(import_, tmp_path):
    labels = {"background": 0, "kidney_left": 2, "Liver": 1, "brand new": 3}
    code, out, err = import_(write_results(tmp_path, labels=labels, folds=2, mirror=(0, 1)))
    assert (code, err) == (0, "") and "3d_fullres, fold 0, 1; needs image0." in out
    package = load_package(next((tmp_path / "models").glob("*.med3d.zip")))
    package.verify()
    assert package.label_names == ("liver", "left_kidney", "brand_new") and package.modality == "CT"
    assert "10200004" in package.labels[0].type  # SNOMED's liver
    assert [label.title for label in package.labels] == ["Liver", "Left kidney", "brand new"]
    (stage,) = package.stages
    assert stage.labels[0] == "background" and stage.mirror == (0, 1) and stage.network["members"] == 2
    imported = package.provenance["imported"]
    assert imported["folds"] == ["0", "1"] and len(imported["sha256"]) == 2
    assert imported["values"] == {"kidney_left": 2, "Liver": 1, "brand new": 3}


def test_one_fold_a_zip_and_a_folder_above(tmp_path):
    model = write_results(tmp_path / "results", folds=2)
    export = tmp_path / "export.zip"
    with zipfile.ZipFile(export, "w") as archive:
        for file in (tmp_path / "results").rglob("*.*"):
            archive.write(file, file.relative_to(tmp_path / "results"))
    found = [import_nnunet(path, ["1"]) for path in (model, tmp_path / "results", export)]
    expected = their_weights("PlainConvUNet", 1, 4, False, seed=1)["decoder.transpconvs.0.weight"]
    for package, weights in found:
        assert weights["nnunet"]["decoder.climbs.0.weight"].equal(expected)
        assert package.stages == found[0][0].stages and package.provenance["imported"]["folds"] == ["1"]


def test_the_best_checkpoint_if_there_is_no_final_one_and_wrappers_in_its_names(tmp_path, model):
    weights = {f"_orig_mod.{key}": value for key, value in their_weights("PlainConvUNet", 1, 4, False, 0).items()}
    (model / "fold_0" / "checkpoint_final.pth").unlink()
    write_checkpoint(model / "fold_0" / "checkpoint_best.pth", weights, "3d_fullres", ())
    assert import_nnunet(model)[1]["nnunet"].keys() == import_nnunet(write_results(tmp_path / "b"))[1]["nnunet"].keys()


def test_residual_encoders_of_all_sizes_are_settings(tmp_path):
    model = write_results(tmp_path, network="ResidualEncoderUNet", configuration="3d_fullres")
    package, _ = import_nnunet(model)
    assert package.stages[0].network["encoder"]["name"] == "residual"


def test_folders_without_a_whole_model(refused, tmp_path, model):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", word="holds no plans.json of nnU-Net v2")
    refused(tmp_path / "missing", word="There is no folder or file")
    refused(model, "--folds", 3, word="has no fold 3 with a checkpoint; it has 0")
    refused(model, "--configuration", "2d", word="holds no model '2d'")
    write_results(tmp_path, configuration="3d_lowres")
    refused(tmp_path, word="holds several models")
    (model / "dataset.json").unlink()
    refused(model, word="lacks dataset.json")
    shutil.rmtree(model / "fold_0")
    refused(model, word="holds no checkpoint")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "plans.pkl").write_bytes(b"x")
    refused(tmp_path / "old", word="nnU-Net v1")


def test_half_copied_files(refused, tmp_path, model):
    file = model / "fold_0" / "checkpoint_final.pth"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert "checkpoint_final.pth" in refused(model, word="copy the file again")
    export = tmp_path / "export.zip"
    export.write_bytes(b"PK\3\4" + whole[100:500])
    refused(export, word="no whole zip")
    (model / "plans.json").write_text('{"configurations": {')
    refused(model, word="plans.json of nnUNetTrainer__nnUNetPlans__3d_fullres is damaged")


def test_plans_of_version_1(refused, model):
    changed(model, "dataset.json", modality={"0": "CT"})
    refused(model, word="nnU-Net v1")
    (model / "plans.json").write_text('{"plans_per_stage": {}}')
    refused(model, word="not of nnU-Net v2")


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"previous_stage": "3d_lowres"}, "second part of a cascade"),
        ({"architecture": None}, "does not say which network"),
        ({"resampling_fn_data": "resample_with_magic"}, "resamples with 'resample_with_magic'"),
        ({"normalization_schemes": ["PercentileNormalization"]}, "normalises with 'PercentileNormalization'"),
        ({"patch_size": None}, "'patch_size' is missing"),
        ({"spacing": "wide"}, "not those of a model of nnU-Net v2"),
    ],
)
def test_plans_that_are_not_understood(refused, model, settings, word):
    refused(changed(model, **settings), word=word)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"network_class_name": "my.networks.SwinUNETR"}, "network of the class SwinUNETR"),
        ({"norm_op": "torch.nn.modules.normalization.GroupNorm"}, "unusual norm GroupNorm"),
        ({"nonlin": "torch.nn.GELU"}, "unusual activation GELU"),
        ({"features_per_stage": [4, 8, 16]}, "not those of the network in plans.json"),
        ({"n_stages": 4}, "is not one value for each of 4 stages"),
        ({"strides": [[2, 2, 2]] * 3}, "describes no network that can be built"),
    ],
)
def test_networks_that_are_not_known_or_not_those_of_the_checkpoint(refused, model, settings, word):
    architecture = json.loads((model / "plans.json").read_text())["configurations"]["3d_fullres"]["architecture"]
    class_name = settings.pop("network_class_name", architecture["network_class_name"])
    values = {**architecture["arch_kwargs"], **settings}
    refused(changed(model, architecture={"network_class_name": class_name, "arch_kwargs": values}), word=word)


def test_a_checkpoint_of_another_plan_is_refused_with_a_list(refused, tmp_path, model):
    other = write_results(tmp_path / "other", network="ResidualEncoderUNet")
    shutil.copy(other / "fold_0" / "checkpoint_final.pth", model / "fold_0" / "checkpoint_final.pth")
    sentence = refused(model, word="not those of the network in plans.json")
    assert "encoder.stages.0.0.conv.weight" in sentence


def test_labels_that_nnunet_itself_would_not_take(refused, model):
    refused(changed(model, "dataset.json", labels={"background": 0, "a": 1, "b": 3}), word="not numbered 1, 2, 3")
    many = {"background": 0, **{f"label{n}": n for n in range(1, 257)}}
    refused(changed(model, "dataset.json", labels=many), word="256 labels")


def test_folds_of_several_kinds(refused, tmp_path):
    model = write_results(tmp_path, folds=2, mirror=(0, 1))
    weights = their_weights("PlainConvUNet", 1, len(EXCLUSIVE), False, 0)
    write_checkpoint(model / "fold_1" / "checkpoint_final.pth", weights, "3d_fullres", (0,))
    refused(model, word="mirror")


def test_a_call_in_a_checkpoint_is_refused_before_it_runs(refused, model, tmp_path):
    class Marker:
        def __reduce__(self):
            return type(tmp_path).mkdir, (tmp_path / "ran",)

    torch.save({"network_weights": {}, "x": Marker()}, model / "fold_0" / "checkpoint_final.pth")
    refused(model, word="never runs code from a model")
    assert not (tmp_path / "ran").exists()


def test_channels_of_a_scan(import_, tmp_path, capsys):
    schemes = ("ZScoreNormalization",) * 2
    model = tmp_path / "two-1.0.0.med3d.zip"
    assert import_(write_results(tmp_path, schemes=schemes), "--output", model)[0] == 0
    first, second = write_scan(tmp_path, schemes)
    (tmp_path / "other").mkdir()
    (elsewhere,) = write_scan(tmp_path / "other", scan_spacing=(1.0, 1.0, 1.0))
    asked = ["segment", str(first), "--model", str(model), "-o", "out.nii.gz", "--quiet"]

    def sentence(*channels):
        code = main([*asked, *(word for channel in channels for word in ("--channel", str(channel)))])
        assert code == 2 and not contents()
        return capsys.readouterr().err

    assert "needs 2 images of a patient (channels), but 1 was given; give the others with --channel" in sentence()
    assert "needs 2 images of a patient (channels), but 3 were given." in sentence(second, second)
    assert "lies on another grid" in sentence(elsewhere)
