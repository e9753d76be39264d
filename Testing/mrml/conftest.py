"""Real MRML for what the module's logic does to a scene; see Testing/slicer_host/README.md."""

import sys
from pathlib import Path

import pytest
from slicer_host.fixtures import make_slicer_gui, slicer_gui, slicer_scene, vtk_messages

__all__ = ["make_slicer_gui", "slicer_gui", "slicer_scene", "vtk_messages"]

_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT / "Med3DSegmentation"))  # where Slicer finds a module's package: beside the module's file
sys.path.append(str(_ROOT / "Testing" / "engine"))  # nnunet_folders


@pytest.fixture
def scene(slicer_scene):
    """An empty vtkMRMLScene."""
    return slicer_scene.scene


@pytest.fixture(scope="session")
def qt():
    """Real Qt as Slicer's ``qt``, without any window."""
    pytest.importorskip("PySide6", reason="PySide6 not installed: pip install -e .[slicer-test]")
    from slicer_host import pythonqt
    from slicer_host.services import i18n

    sys.modules.setdefault("slicer.i18n", i18n())  # each scene brings its own
    return pythonqt.install()


@pytest.fixture(scope="session")
def known_engine(qt):
    """Makes an EngineProcess on known_worker.py, which ends when idle for some seconds; all share one by default."""
    from Med3DSegmentationLib.engine.process import EngineProcess

    made = {}

    def make(idleSeconds=600.0):
        if idleSeconds not in made:
            script = Path(__file__).with_name("known_worker.py")
            made[idleSeconds] = EngineProcess([sys.executable, str(script), str(idleSeconds)], qt)
        return made[idleSeconds]

    yield make
    for engine in made.values():
        engine.close()


@pytest.fixture
def logic(scene, known_engine):
    """A SegmentationLogic on the scene and the shared engine."""
    from Med3DSegmentationLib.segmentation_logic import SegmentationLogic

    made = SegmentationLogic(scene, known_engine())
    yield made
    made.close()
