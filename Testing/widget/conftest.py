"""Tests here run on the stand-in host, see Testing/slicer_host/README.md."""

import sys
import textwrap
from pathlib import Path

import pytest
from module_helpers import openModule
from slicer_host.fixtures import make_slicer_gui, slicer_gui, slicer_scene, vtk_messages
from toy_module import MODULE, UI
from train_panel_helpers import MRML, openTrainPanel

__all__ = ["make_slicer_gui", "slicer_gui", "slicer_scene", "vtk_messages"]

_ROOT = Path(__file__).parents[2]
# Helpers that both folders use; and where Slicer finds a module's own package: beside the module's file.
sys.path[:0] = [str(_ROOT / "Testing" / "mrml"), str(_ROOT / "Med3DSegmentation")]
sys.path.append(str(_ROOT / "Testing" / "engine"))  # ct_series


# -- the Segment panel


@pytest.fixture
def module(slicer_gui, monkeypatch, tmp_path):
    """The module's widget, with an empty scene."""
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    widget = openModule(slicer_gui)
    widget.host = slicer_gui
    return widget


@pytest.fixture
def panel(module):
    """The Segment panel, which knows its host; the tests of other panels have their own."""
    panel = module.panels["SegmentPanel"]
    panel.host = module.host
    return panel


@pytest.fixture
def ct(module):
    from mrml_helpers import addVolume

    return addVolume(module.services.scene)


# -- the Train panel


@pytest.fixture
def host(slicer_gui, monkeypatch, tmp_path):
    """The host, with a private folder for models and trainings."""
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    return slicer_gui


@pytest.fixture
def makePanel(host):
    """Makes a Train panel; the engine is known_training_worker.py by default."""
    made = []
    yield lambda script=MRML / "known_training_worker.py": openTrainPanel(host, script, made)
    for panel in made:
        panel.close()
        panel.services.logic.close()
        panel.services.engine.close()


# -- the host itself


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "Resources" / "UI").mkdir(parents=True)
    (tmp_path / "HostToy.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "Resources" / "UI" / "HostToy.ui").write_text(UI)
    return tmp_path / "HostToy.py"


@pytest.fixture
def load_ui(slicer_gui, tmp_path):
    def load(text):
        import slicer

        path = tmp_path / "some.ui"
        path.write_text(text)
        widget = slicer.util.loadUI(str(path))
        widget.setMRMLScene(slicer_gui.scene)
        return widget, slicer.util.childWidgetVariables(widget)

    return load
