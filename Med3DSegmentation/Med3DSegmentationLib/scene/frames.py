"""Frames of sequences, and the nodes that show them."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import VolumeError


def findBrowser(scene: slicer.vtkMRMLScene, proxyNode: slicer.vtkMRMLNode) -> slicer.vtkMRMLSequenceBrowserNode | None:
    """The sequence browser that plays a volume or a segmentation, or None if it is no sequence's."""
    browsers = scene.GetNodesByClass("vtkMRMLSequenceBrowserNode")
    browsers.UnRegister(None)
    found = (browsers.GetItemAsObject(i) for i in range(browsers.GetNumberOfItems()))
    return next((browser for browser in found if browser.GetSequenceNode(proxyNode)), None)


def frameOf(node: slicer.vtkMRMLNode) -> str:
    """Which frame a node shows now, as its sequence calls it; empty for one that is no sequence's."""
    browser = node.GetScene() and findBrowser(node.GetScene(), node)
    return browser.GetSequenceNode(node).GetNthIndexValue(browser.GetSelectedItemNumber()) if browser else ""


def framesOf(
    scene: slicer.vtkMRMLScene, volumeNode: slicer.vtkMRMLScalarVolumeNode
) -> tuple[slicer.vtkMRMLSequenceBrowserNode, slicer.vtkMRMLSequenceNode]:
    """The browser and the sequence that a volume shows.

    Raises:
        VolumeError: It shows none, or an empty one.
    """
    browser = findBrowser(scene, volumeNode)
    sequence = browser and browser.GetSequenceNode(volumeNode)
    if not sequence or sequence.GetNumberOfDataNodes() == 0:
        sentence = _("{volume} shows no frames of a sequence; segment it as a single volume.")
        raise VolumeError(sentence.format(volume=volumeNode.GetName()))
    return browser, sequence
