"""Real MRML for what the module's logic does to a scene."""

import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT), str(_ROOT / "Testing"), str(_ROOT / "Med3DSegmentation")]

from slicer_host.fixtures import slicer_scene, vtk_messages  # noqa: E402, F401 - fixtures


@pytest.fixture
def scene(slicer_scene):  # noqa: F811 - the fixture
    """An empty vtkMRMLScene."""
    return slicer_scene.scene


@pytest.fixture(scope="session")
def qt():
    """Real Qt as Slicer's ``qt``, without any window."""
    pytest.importorskip("PySide6", reason="PySide6 not installed: pip install -e .[slicer-test]")
    from slicer_host import pythonqt

    return pythonqt.install()
