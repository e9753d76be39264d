"""A folder to run the ``med3d`` command in, and a model for it."""

from __future__ import annotations

import pytest
from cli_helpers import ORGANS
from test_worker_requests import make_stage, make_volume, save_model

from Med3DCore.cli.main import main
from Med3DCore.io import write_volume
from Med3DCore.models import catalogue


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A folder with a model that finds what is bright, both as liver and as lungs; where they meet the first wins."""
    folder = tmp_path_factory.mktemp("shipped")
    save_model(folder, "bright", [make_stage("only", ORGANS, 3.0)])
    return folder


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The current folder, with ``scan.nii.gz``."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    write_volume(make_volume(), "scan.nii.gz")
    return tmp_path / "work"


@pytest.fixture
def med3d(work, shipped, monkeypatch, capsys):
    """Runs ``med3d segment`` in that folder; gives exit code, standard output and standard error."""
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: shipped)
    monkeypatch.setenv("MED3D_MODELS", str(work.parent / "models"))

    def run(*arguments):
        code = main(["segment", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run
