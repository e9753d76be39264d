"""Imported models answer as nnU-Net's own predictor, file to file; see tools/nnunet_answers.py."""

from pathlib import Path

import numpy as np
import pytest
from nnunet_folders import CASES, write_results, write_scan

from Med3DCore.cli.main import main
from Med3DCore.errors import Cancelled, ResourceError
from Med3DCore.inference.segment import segment
from Med3DCore.io import read_label_map, read_volume
from Med3DCore.models import load_package, save_package
from Med3DCore.models.nnunet.importing import import_nnunet
from Med3DCore.progress import Progress

ANSWERS = Path(__file__).with_name("nnunet_answers.npz")


@pytest.mark.parametrize("name", CASES)
def test_labels_are_those_of_nnunet(name, tmp_path):
    case = CASES[name]
    model = tmp_path / "tiny-1.0.0.med3d.zip"
    assert main(["models", "import-nnunet", str(write_results(tmp_path, **case)), "--output", str(model)]) == 0
    scan, *channels = map(str, write_scan(tmp_path, **case))
    further = [word for channel in channels for word in ("--channel", channel)]
    mirror = ["--mirror"] if case.get("mirror") else []
    output = str(tmp_path / "out.nii.gz")
    command = ["segment", scan, *further, *mirror, "--model", str(model), "-o", output, "--not-ct", "--quiet"]
    assert main([*command, "--device", "cpu"]) == 0
    theirs = np.load(ANSWERS)[name]
    package = load_package(model)
    own = package.provenance["imported"]["values"]
    ours = np.array([0, *(own[name] for name in package.label_names)])[read_label_map(output).array]
    assert np.mean(ours != theirs) < 0.0005
    for number in own.values():
        both = np.count_nonzero((ours == number) & (theirs == number))
        total = np.count_nonzero(ours == number) + np.count_nonzero(theirs == number)
        assert total > 500 and 2 * both / total > 0.995, f"label {number}: {2 * both / total:.4f}"


def test_a_region_alone_is_whole_and_the_order_asked_for_changes_nothing(tmp_path):
    package, weights = import_nnunet(write_results(tmp_path, **CASES["regions"]), name="regions")
    save_package(package, weights, tmp_path)
    scan = read_volume(write_scan(tmp_path, **CASES["regions"])[0])

    def found(*names):
        return segment(scan, names, str(tmp_path / "regions-1.0.0.med3d.zip"), "cpu", not_ct=True).labels

    together, turned = found("whole", "core", "rim"), found("rim", "whole", "core")
    for name in ("whole", "core", "rim"):
        assert np.array_equal(together.mask(name), turned.mask(name))
        alone = found(name).mask(name)
        assert alone[together.mask(name)].all()
    beneath = found("whole").mask("whole") & ~together.mask("whole")
    assert beneath.any() and (together.mask("core") | together.mask("rim"))[beneath].all()


def test_a_scan_without_memory_for_it_is_refused_before_the_network_starts(tmp_path, monkeypatch):
    package, weights = import_nnunet(write_results(tmp_path, **CASES["regions"]), name="regions")
    path = save_package(package, weights, tmp_path)
    scan = read_volume(write_scan(tmp_path, **CASES["regions"])[0])
    with monkeypatch.context() as patch:
        patch.setattr("Med3DCore.inference.nnunet.segment.free_memory", lambda: 1 << 10)
        patch.setattr("Med3DCore.inference.nnunet.segment.WindowMean", None)
        with pytest.raises(ResourceError, match=r"voxels on this model's grid, for which .* GB of memory are needed"):
            segment(scan, ["whole"], str(path), "cpu", not_ct=True)
    monkeypatch.setattr("Med3DCore.inference.nnunet.segment.free_memory", lambda: 1 << 26)
    assert segment(scan, ["whole"], str(path), "cpu", not_ct=True).labels.mask("whole").any()


def test_restoring_goes_on_visibly_and_can_be_cancelled(tmp_path, monkeypatch):
    monkeypatch.setattr("Med3DCore.inference.nnunet.window.TOGETHER", 2)  # of a small scan's slices
    package, weights = import_nnunet(write_results(tmp_path, **CASES["regions"]), name="regions")
    path = str(save_package(package, weights, tmp_path))
    scan = read_volume(write_scan(tmp_path, **CASES["regions"])[0])
    told: list[float] = []

    def tell(stage, whole, left):
        told.extend([whole] if stage == "restore" else [])

    segment(scan, ["whole"], path, "cpu", progress=Progress(tell), not_ct=True)
    assert told == sorted(told) and len(set(told)) > 5  # of two rows of patches
    told.clear()
    with pytest.raises(Cancelled):
        segment(scan, ["whole"], path, "cpu", progress=Progress(tell, lambda: len(told) == 3), not_ct=True)
    assert len(told) == 3
