"""The model of a fine-tuning on its way to the user's models, while others add models of the same name."""

import pytest
import torch
from test_fine_tune import SETTINGS
from training_boxes import boxes, save_parent

from Med3DCore.errors import ModelError, OutputError
from Med3DCore.models.catalogue import Catalogue
from Med3DCore.training.fine_tuning.fine_tune import continue_tuning, fine_tune
from Med3DCore.training.fine_tuning.install_tuned import install_tuned
from Med3DCore.training.fine_tuning.run_folder import RunFolder
from Med3DCore.training.fine_tuning.run_list import list_runs


def test_two_trainings_of_one_title_that_end_together_give_two_versions(tmp_path, monkeypatch):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    torch.set_num_threads(1)
    parent, cases, root = save_parent(tmp_path), boxes(tmp_path), tmp_path / "trainings"
    made = [fine_tune(parent, cases, root / name, SETTINGS).package for name in ("first", "second")]
    assert {path.name for path in made} == {"my-boxes-1.0.0.med3d.zip"}  # which was free for both
    weights = [package_weights(path) for path in made]
    paths = [install_tuned(path) for path in made]
    assert [path.name for path in paths] == ["my-boxes-1.0.0.med3d.zip", "my-boxes-1.1.0.med3d.zip"]
    second = Catalogue().verify("my-boxes-1.1.0")
    assert second.card.startswith("# My boxes (my-boxes-1.1.0)")
    assert all(torch.equal(second.read_weights("liver")[name], kept) for name, kept in weights[1].items())
    assert {run["model"] for run in list_runs(root)} == {"my-boxes-1.0.0", "my-boxes-1.1.0"}
    again = continue_tuning(root / "second").package
    assert install_tuned(again) == paths[1] and len(list((root / "second").glob("*.zip"))) == 2  # with the parent's

    again.write_bytes(b"broken")
    with pytest.raises(ModelError, match="damaged"):
        install_tuned(again)


def test_a_training_is_finished_once_its_model_is_among_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    torch.set_num_threads(1)
    root = tmp_path / "trainings"
    fine_tune(save_parent(tmp_path), boxes(tmp_path), root / "run", SETTINGS)

    def full(*_):
        raise OutputError("the models' disk is full")

    with monkeypatch.context() as patch, pytest.raises(OutputError, match="disk is full"):
        patch.setattr(Catalogue, "install", full)
        install_tuned(continue_tuning(root / "run").package)
    assert [run["state"] for run in list_runs(root)] == ["unfinished"]  # so the panel offers to continue it
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_result", full)  # what is done counts, whatever cannot be noted
        path = install_tuned(continue_tuning(root / "run").package)
    assert install_tuned(continue_tuning(root / "run").package) == path
    assert [run["state"] for run in list_runs(root)] == ["finished"]


def package_weights(path):
    return Catalogue().find(path).read_weights("liver")
