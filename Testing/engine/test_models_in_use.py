"""A model that somebody removes or replaces while it is in use: told as that, and no result is of two models."""

import hashlib
import os

import pydicom
import pytest
import torch
from bright_model import GEOMETRY, make_stage, make_volume, save_model
from ct_series import write_ct_series
from test_models_package import make_package, make_weights

from Med3DCore.cli.main import main
from Med3DCore.errors import ModelError
from Med3DCore.inference import segment as segmenting
from Med3DCore.models import Catalogue, load_package, save_package
from Med3DCore.training.fine_tuning.run_folder import RunFolder, TuneSettings
from Med3DCore.worker.requests.write_dicom import _maker
from Med3DCore.worker.warm import Warm

GONE = "was removed or replaced while it was in use; start again"


@pytest.fixture
def package(tmp_path):
    """A loaded model in the catalogue's folder."""
    (tmp_path / "models").mkdir()
    package = make_package()
    return load_package(save_package(package, make_weights(package), tmp_path / "models"))


def remove(path):
    path.unlink()


def replace(path):
    """By a model of the same name with other weights, in one step."""
    package = make_package()
    other = save_package(package, make_weights(package, seed=1), path.parent.parent)
    other.replace(path)


@pytest.mark.parametrize("change", [remove, replace])
def test_whoever_uses_it_hears_what_happened(package, tmp_path, change):
    change(package.file)
    catalogue = Catalogue(tmp_path / "others", tmp_path / "none")
    catalogue.find = lambda _name: package
    uses = [
        lambda: package.read_weights("liver"),
        package.digest,
        lambda: catalogue.export("liver-lungs", tmp_path),
        lambda: RunFolder(tmp_path).begin(package, (), (), TuneSettings()),
    ]
    for use in uses:
        with pytest.raises(ModelError, match=GONE):
            use()
    assert not (tmp_path / "parent.med3d.zip").exists() and not list(tmp_path.glob("liver-lungs*"))


def test_the_worker_tells_of_each_result_which_file_made_it(package):
    warm, told, digests = Warm(), [], []
    for _ in range(2):
        digests.append(hashlib.sha256(package.file.read_bytes()).hexdigest())
        warm.pipeline(load_package(package.file), "cpu")
        told.append(warm.digest)
        replace(package.file)
        os.utime(package.file, ns=(0, len(told)))  # on a disk of coarse times, too
    assert told == digests and told[0] != told[1]
    assert _maker({"kind": "AUTOMATIC", "model": package.reference, "model_sha256": told[0]}).digest == told[0]
    assert _maker({"model": package.reference}).digest == "", "no hash is better than another file's"


def test_what_is_checked_is_what_is_installed(package, tmp_path, monkeypatch):
    catalogue = Catalogue(tmp_path / "user", tmp_path / "none")
    verify = type(package).verify

    def replaced_after_the_check(checked):
        verify(checked)
        replace(checked.file)

    monkeypatch.setattr(type(package), "verify", replaced_after_the_check)
    with pytest.raises(ModelError, match=GONE):
        catalogue.install(package.file)
    assert catalogue.list() == []


def test_a_damaged_file_is_still_called_damaged(package):
    data = bytearray(package.file.read_bytes())
    data[len(data) // 2] ^= 1
    package.file.write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        package.verify()


def test_a_result_names_the_file_that_made_it_also_when_it_is_gone(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    write_ct_series(tmp_path / "scan", make_volume().array, GEOMETRY, "a")
    model = save_model(tmp_path, "bright", [make_stage("only", ("liver",), 6.0)])
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    real = segmenting.segment

    def segment(*asked):
        result = real(*asked)
        model.unlink()
        return result

    monkeypatch.setattr(segmenting, "segment", segment)
    made = tmp_path / "made.seg.dcm"
    assert main(["segment", str(tmp_path / "scan"), "--model", str(model), "-o", str(made), "--quiet"]) == 0
    assert pydicom.dcmread(made).DeviceSerialNumber == digest[:16]
