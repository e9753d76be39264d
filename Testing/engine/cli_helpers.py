"""What the tests of the ``med3d`` command share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ORGANS = ("liver", "lungs")


def contents():
    """Every file below the current folder and its bytes."""
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def refused(med3d, *arguments, word=""):
    """The one sentence with which the command refuses; it must leave every file as it was."""
    before = contents()
    code, out, err = med3d("--quiet", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("med3d: ") and err.count("\n") == 1 and err.endswith(".\n")
    assert word in err
    assert contents() == before
    return err


def start(shipped, *arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MED3D_MODELS": str(shipped)}
    command = [sys.executable, "-m", "Med3DCore.cli.main", *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", **options
    )
