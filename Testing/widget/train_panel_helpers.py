"""What the tests of the Train panel do and look at, as a user would."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
MRML = ROOT / "Testing" / "mrml"


def openTrainPanel(host, script, made):
    """A panel with its collaborators, as the module makes it, on an engine of ``script``; None is the real one."""
    from Med3DSegmentationLib.engine.model_choices import ModelChoices
    from Med3DSegmentationLib.engine.process import EngineProcess
    from Med3DSegmentationLib.panels.services import PanelServices
    from Med3DSegmentationLib.panels.train.train_panel import TrainPanel
    from Med3DSegmentationLib.segmentation_logic import SegmentationLogic

    engine = EngineProcess([sys.executable, str(script)] if script else None)
    errors = []
    services = PanelServices(
        scene=host.scene,
        logic=SegmentationLogic(host.scene, engine),
        engine=engine,
        catalogue=ModelChoices(engine),
        loadUi=lambda name: loadUi(name),
        showError=errors.append,
        showTab=lambda name: None,
        settings=host.app.settings(),
        installer=SimpleNamespace(isReady=lambda: True, reason=lambda: "", installWithConsent=lambda: True),
    )
    panel = TrainPanel(services)
    panel.errors = errors
    made.append(panel)  # to be closed, also if what follows fails
    panel.setParameterNode(parameters(host.scene))
    services.catalogue.refresh()
    assert host.process_events(30, until=lambda: services.catalogue.models is not None)
    return panel


def loadUi(name):
    import slicer

    widget = slicer.util.loadUI(str(ROOT / "Med3DSegmentation" / "Resources" / "UI" / f"{name}.ui"))
    widget.setMRMLScene(slicer.mrmlScene)
    return widget


def parameters(scene):
    from Med3DSegmentationLib.parameters import Med3DParameters

    node = scene.GetFirstNodeByClass("vtkMRMLScriptedModuleNode")
    return Med3DParameters(node or scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))


def addPairs(scene, count, organs=("liver", "lungs")):
    from test_training_case_nodes import addPair

    return [addPair(scene, f"CT {number + 1}", organs) for number in range(count)]


def texts(table, column):
    return [table.item(row, column).text() for row in range(table.rowCount)]


def wait(host, panel, seconds=60):
    assert host.process_events(seconds, until=lambda: not panel.services.activity.isRunning)


def train(host, panel, title="known", count=3):
    addPairs(host.scene, count)
    panel.ui.allPairsButton.click()
    panel.ui.titleEdit.text = title
    assert panel.ui.trainButton.enabled, panel.ui.trainButton.toolTip
    panel.ui.trainButton.click()


def panel_folder():
    return Path(os.environ["MED3D_MODELS"]).parent
