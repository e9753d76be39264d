"""Tests here run on the stand-in host, see Testing/slicer_host/README.md."""

import sys
from pathlib import Path

from slicer_host.fixtures import make_slicer_gui, slicer_gui, slicer_scene, vtk_messages

__all__ = ["make_slicer_gui", "slicer_gui", "slicer_scene", "vtk_messages"]

_ROOT = Path(__file__).parents[2]
# Helpers that both folders use; and where Slicer finds a module's own package: beside the module's file.
sys.path[:0] = [str(_ROOT / "Testing" / "mrml"), str(_ROOT / "Med3DSegmentation")]
