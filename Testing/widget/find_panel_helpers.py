"""The tab Find with something to look at."""

from mrml_helpers import addTransform
from tiny_model import makeScan


def panelWithScan(module):
    """The panel with a scan that lies otherwise than its array, and a transform above it."""
    from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

    panel = module.panels["FindPanel"]
    panel.scan = volumeToNode(module.services.scene, makeScan(), "CT")
    panel.scan.SetAndObserveTransformNodeID(addTransform(module.services.scene).GetID())
    panel.parameterNode.inputVolume, panel.parameterNode.device = panel.scan, "cpu"
    return panel
