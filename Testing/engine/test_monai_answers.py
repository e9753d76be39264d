"""Imported models of Auto3DSeg answer as MONAI itself, file to file; see tools/monai_answers.py."""

from pathlib import Path

import numpy as np
import pytest
from monai_models import CASES, write_model, write_scan

from Med3DCore.cli.main import main
from Med3DCore.io import read_label_map
from Med3DCore.models import load_package

ANSWERS = Path(__file__).with_name("monai_answers.npz")


@pytest.mark.parametrize("name", CASES)
def test_labels_are_those_of_monai(name, tmp_path):
    case = CASES[name]
    model = tmp_path / "tiny-1.0.0.med3d.zip"
    assert main(["models", "import-monai", str(write_model(tmp_path / "model", **case)), "--output", str(model)]) == 0
    scan, *channels = map(str, write_scan(tmp_path, **case))
    further = [word for channel in channels for word in ("--channel", channel)]
    output = str(tmp_path / "out.nii.gz")
    command = ["segment", scan, *further, "--model", str(model), "-o", output, "--not-ct", "--quiet", "--device", "cpu"]
    assert main(command) == 0
    ours, theirs = read_label_map(output).array, np.load(ANSWERS)[name]
    assert np.mean(ours != theirs) < 0.0005
    for number in range(1, 1 + len(load_package(model).labels)):
        both = np.count_nonzero((ours == number) & (theirs == number))
        total = np.count_nonzero(ours == number) + np.count_nonzero(theirs == number)
        assert total > 200 and 2 * both / total > 0.995, f"label {number}: {2 * both / total:.4f}"
