"""The module as a user opens it, with the worker of known answers (Testing/mrml/known_worker.py) behind it."""

import sys
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "Med3DSegmentation" / "Med3DSegmentation.py"
KNOWN_COMMAND = [sys.executable, str(ROOT / "Testing" / "mrml" / "known_worker.py"), "600"]


def openModule(host, command=None, models=True):
    """Open the module; returns its widget object.

    Args:
        host: A GuiHost.
        command: Of the worker; None takes the known one.
        models: Whether to wait until the models are known.
    """
    host.load_module(MODULE)
    module = sys.modules["Med3DSegmentationLib.entry.module"]
    from Med3DSegmentationLib.engine.process import EngineProcess

    with mock.patch.object(module, "EngineProcess", lambda: EngineProcess(command or KNOWN_COMMAND)):
        widget = host.open_module("Med3DSegmentation")
    if models:
        assert host.process_events(60, until=lambda: widget.services.catalogue.models is not None)
    return widget


def addModel(widget, name, organs=("liver", "lungs"), imported=False, channels=()):
    """Let the selectors know a model; to the known worker, its name says what to do.

    Args:
        widget: The module's.
        name: Of the model.
        organs: That it finds.
        imported: Whether it is of another program.
        channels: Names of the images that it takes of a patient, if it takes several.
    """
    from Med3DSegmentationLib.engine.model_choices import ModelChoice

    code = ["SCT", "1", "Organ"]
    kind = {"category": code, "type": code}
    labels = [{"name": organ, "title": organ.title(), "colour": [1, 2, 3], **kind} for organ in organs]
    about = {"modality": "CT", "licence": "CC0", "version": "1.0.0", "created": "2026-11-21T00:00:00Z", "parent": None}
    about |= {"title": name.title(), "description": f"Known for {name}.", "labels": labels, "stages": []}
    values = {"problem": None, "shipped": False, "path": f"/{name}", "bytes": 1}
    values |= {"imported": imported, "channels": list(channels)}
    values["model"] = {**about, "kind": "pipeline"}
    catalogue = widget.services.catalogue
    catalogue.models = (*catalogue.models, ModelChoice(name, values))
    for listener in list(catalogue.listeners):
        listener()


def organMask(segmentationNode, segmentId, volumeNode):
    """Voxels of a segment on the volume's grid."""
    import slicer.util

    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segmentId, volumeNode) > 0
