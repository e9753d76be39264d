"""Models of Auto3DSeg: their labels and networks; what does not fit, or would run code, is refused in a sentence."""

import shutil

import pytest
import torch
from monai_models import CASES, write_model

from Med3DCore.cli.main import main
from Med3DCore.errors import ModelError
from Med3DCore.models import load_package
from Med3DCore.models.monai.configuration import network_description, preprocessing_description
from Med3DCore.models.monai.importing import import_monai, is_auto3dseg


def changed(folder, change):
    """The model after a change of what its file holds."""
    file = write_model(folder) / "model.pt"
    content = torch.load(file, weights_only=False)  # it was written here
    change(content)
    torch.save(content, file)
    return file


def test_labels_have_the_names_and_codes_of_the_table(tmp_path):
    package, _ = import_monai(write_model(tmp_path / "kidneys-v1.0.0"))
    left, liver, other = package.labels
    assert (left.name, left.type[1], left.modifier[1]) == ("left_kidney", "64033007", "7771000")
    assert liver.name == "liver" and (other.title, other.type[1]) == ("Something", "999")
    assert package.name == "kidneys-v1-0-0" and package.modality == "CT" and package.licence == "not stated"
    regions, _ = import_monai(write_model(tmp_path / "regions", **CASES["channels"]))
    assert regions.label_names == ("whole", "core") and regions.stages[0].activation == "sigmoid"


def test_file_folder_and_zip_are_the_same_model(tmp_path, capsys):
    folder = write_model(tmp_path / "models" / "abdomen")
    archive = shutil.make_archive(str(tmp_path / "abdomen"), "zip", folder.parent)
    found = []
    for number, source in enumerate((folder, folder / "model.pt", archive)):
        output = tmp_path / f"{number}.med3d.zip"
        assert main(["models", "import-monai", str(source), "--output", str(output)]) == 0
        assert load_package(output).name == "abdomen"
        found.append(load_package(output).read_weights("monai"))
    assert "3 labels: left_kidney, liver, something" in capsys.readouterr().out
    assert all(torch.equal(value, other[key]) for other in found[1:] for key, value in found[0].items())


def test_thick_slices_are_halved_later():
    network = {"_target_": "SegResNetDS", "blocks_down": [1, 2, 2, 4], "resolution": [1, 1, 5]}
    encoder = network_description({"network": {**network, "norm": "INSTANCE_NVFUSER"}}, "test")["encoder"]
    assert encoder["strides"] == [[1, 1, 1], [2, 2, 1], [2, 2, 1], [2, 2, 2]]
    assert encoder["kernels"] == [[3, 3, 1], [3, 3, 1], [3, 3, 3], [3, 3, 3]] and encoder["norm"] == "instance"


def test_what_a_configuration_leaves_out_is_as_auto3dseg_takes_it():
    found = preprocessing_description({"modality": "CT"}, "test")
    assert found["intensity"]["channels"] == [{"method": "range", "low": -250.0, "high": 250.0}]
    assert (found["orientation"], found["crop"], found["resample"]) == ("stored", True, False)
    found = preprocessing_description({"modality": "MRI", "resample_resolution": [1, 2, 3]}, "test")
    assert found["intensity"]["channels"] == [{"method": "z_score"}]
    assert found["spacing"] == [1.0, 2.0, 3.0] and found["resample"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c["config"]["network"].update(_target_="SwinUNETR"), "class SwinUNETR, .* it knows SegResNetDS"),
        (lambda c: c["config"]["network"].update(norm=["GROUP", {"num_groups": 8}]), r"with the norm \['GROUP'"),
        (lambda c: c["config"]["network"].update(upsample_mode="pixelshuffle"), "upsample_mode 'pixelshuffle'"),
        (lambda c: c["config"]["network"].update(strange=1), "the setting strange"),
        (lambda c: c["config"].update(normalize_mode="histogram"), "normalises with 'histogram'"),
        (lambda c: c["config"].update(custom_data_transforms=[{"path": "x"}]), "program code"),
        (lambda c: c["config"].update(extra_modalities={"image2": "mri"}), "another number of images"),
        (lambda c: c["config"].update(roi_size=[15, 16, 16]), "which its network cannot halve"),
        (lambda c: c["config"].pop("roi_size"), "'roi_size' is missing"),
        (lambda c: c.pop("config"), "has no configuration of MONAI's Auto3DSeg"),
        (lambda c: c.pop("state_dict"), "holds no weights"),
        (lambda c: c["state_dict"].pop("encoder.layers.1.downsample.weight"), r"1 missing \(encoder\.downs\.1\.weight"),
        (lambda c: c["state_dict"].update(extra=torch.zeros(1)), r"1 unexpected \(extra\)"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path, change, sentence):
    with pytest.raises(ModelError, match=sentence):
        import_monai(changed(tmp_path, change))


def test_an_encoder_is_not_taken_for_a_model_of_auto3dseg(tmp_path):
    assert is_auto3dseg(write_model(tmp_path / "model") / "model.pt")
    weights = {"conv1.weight": torch.zeros(2, 1, 3, 7, 7)}
    for number, content in enumerate((weights, {"state_dict": weights, "config": {"epochs": 3}}, [weights])):
        file = tmp_path / f"{number}.pt"
        torch.save(content, file)
        assert not is_auto3dseg(file)
    (tmp_path / "text.pt").write_text("nothing")
    assert not is_auto3dseg(tmp_path / "text.pt") and not is_auto3dseg(tmp_path / "none.pt")


class Marker:
    """Unpickled by Python itself, this would make a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        import os

        return os.mkdir, (self.path,)


def test_nothing_is_run(tmp_path):
    marker = tmp_path / "was-run"
    file = changed(tmp_path / "model", lambda content: content["config"].update(note=Marker(marker)))
    assert not marker.exists()
    with pytest.raises(ModelError, match=r"refused: it holds posix\.mkdir|refused: it holds nt\.mkdir"):
        import_monai(file)
    assert not marker.exists()


def test_files_that_are_none(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelError, match=r"holds no model\.pt"):
        import_monai(empty)
    with pytest.raises(ModelError, match="There is no file"):
        import_monai(tmp_path / "none.pt")
    for name in ("model.pt", "model.zip"):
        (empty / name).write_bytes(b"nothing")
        with pytest.raises(ModelError, match="is damaged"):
            import_monai(empty / name)
    for name in ("a", "b"):
        write_model(tmp_path / "two" / name)
    with pytest.raises(ModelError, match=r"holds several model\.pt"):
        import_monai(tmp_path / "two")
