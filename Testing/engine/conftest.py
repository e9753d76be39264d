"""A folder to run the ``med3d`` command in, and a model for it; a CT series with a label map."""

from __future__ import annotations

import numpy as np
import pytest
from bright_model import make_stage, make_volume, save_model
from cli_helpers import ORGANS
from dicom_drawing import LABELS, SHAPE, drawing, grid

from Med3DCore.cli.main import main
from Med3DCore.io import find_scan, write_volume
from Med3DCore.io.dicom_results import Origin
from Med3DCore.models import catalogue
from Med3DCore.volume import LabelMap


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


@pytest.fixture
def series(tmp_path):
    """A CT in a position, its label map, and where that came from."""
    from ct_series import write_ct_series  # needs the extra `dicom`

    digest = "0123456789abcdef" * 4

    def make(position: str = "axial", **changes):
        folder = tmp_path / "ct"
        place = grid(position)
        write_ct_series(folder, np.random.default_rng(0).integers(-900, 900, SHAPE), place, **changes)
        scan = find_scan(folder)
        assert scan.geometry.is_close(place, 1e-3)
        return LabelMap(drawing(), scan.geometry, "labels", LABELS), Origin(scan, "liver-lungs-0.4.0", digest)

    return make
