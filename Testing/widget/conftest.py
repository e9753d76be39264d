"""Tests here run on the stand-in host, see Testing/slicer_host/README.md."""

from slicer_host.fixtures import make_slicer_gui, slicer_gui, slicer_scene, vtk_messages

__all__ = ["make_slicer_gui", "slicer_gui", "slicer_scene", "vtk_messages"]
