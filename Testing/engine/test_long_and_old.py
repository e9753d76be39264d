"""What is too long is told briefly; what older versions left open is closed; what is too old opens no strange file."""

import os
import zipfile
from pathlib import Path

import pytest
import torch
from training_boxes import save_parent

from Med3DCore.errors import Med3DError, ModelError, OutputError
from Med3DCore.io import check_output
from Med3DCore.models.package_file import load_package
from Med3DCore.models.weights import load_tensors
from Med3DCore.system.folders import make_private
from Med3DCore.training.learning.checkpoint import training_lock

POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


def test_no_sentence_repeats_a_huge_input(tmp_path):
    sentence = str(Med3DError("It begins " + "x" * 1_000_000 + " and ends."))
    assert len(sentence) < 2100 and sentence.startswith("It begins ") and sentence.endswith(" and ends.")
    package, bad = save_parent(tmp_path), tmp_path / "bad.zip"
    with zipfile.ZipFile(package.path) as given, zipfile.ZipFile(bad, "w") as changed:
        for name in given.namelist():
            changed.writestr(name, given.read(name).replace(b'"width": 4', b'"width": "' + b"x" * 1_000_000 + b'"'))
    with pytest.raises(ModelError) as refused:
        load_package(bad).verify()
    assert "width" in str(refused.value) and len(str(refused.value)) < 2100


def test_a_name_that_is_too_long_is_told_with_a_cure(tmp_path):
    with pytest.raises(OutputError, match=r"^The name aaa.* is too long for a file; give a shorter one\.$"):
        check_output(tmp_path / ("a" * 300 + ".nii.gz"))


@POSIX
def test_folders_that_older_versions_left_readable_are_closed_and_others_stay(tmp_path):
    old, other = tmp_path / "old", tmp_path / "other"
    for folder in (old, other):
        folder.mkdir()
        folder.chmod(0o755)
    (old / "run.json").write_text("{}")
    (other / "notes.txt").write_text("a folder that is shared on purpose")
    for folder in (old, other):
        with training_lock(folder):
            pass
    assert (mode(old), mode(other)) == (0o700, 0o755)
    make_private(other, ours=True)
    assert mode(other) == 0o700


def test_a_torch_with_known_holes_opens_no_weights(tmp_path, monkeypatch):
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    assert "a" in load_tensors(tmp_path / "a.pth", "a.pth")
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    with pytest.raises(ModelError, match=r"a.pth is not opened by PyTorch 2.9.1.* install PyTorch 2.10 or newer"):
        load_tensors(tmp_path / "a.pth", "a.pth")
