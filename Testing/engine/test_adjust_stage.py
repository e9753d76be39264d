"""tools/adjust_stage.py: where an organ ends moves for the organ that is named, and for no other."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from Med3DCore.models import Catalogue, load_package

TOOL = Path(__file__).resolve().parents[2] / "tools" / "adjust_stage.py"
BIAS = "decoder.logits.0.bias"


@pytest.mark.parametrize("words,moved", [(["--label", "lungs"], [False, True]), ([], [True, True])])
def test_the_threshold_moves_the_bias(tmp_path, words, moved):
    old = Catalogue().find("liver-lungs-fast")
    out = tmp_path / "moved.med3d.zip"
    command = [sys.executable, TOOL, old.path, "coarse", out, "--threshold", "0.25", *words]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    before, after = (package.read_weights("coarse")[BIAS] for package in (old, load_package(out)))
    assert old.stages[0].labels == ("liver", "lungs")
    assert (after - before).tolist() == pytest.approx([math.log(3) * each for each in moved], abs=0.01)
