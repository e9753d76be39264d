"""Sequences of volumes: their frames, and the sequence of segmentations beside them."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import VolumeError
from Med3DSegmentationLib.scene.segmentation_nodes import newSegmentationNode


def findBrowser(
    scene: slicer.vtkMRMLScene, volumeNode: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkMRMLSequenceBrowserNode | None:
    """The sequence browser that plays a volume, or None if the volume is no sequence's."""
    browsers = scene.GetNodesByClass("vtkMRMLSequenceBrowserNode")
    browsers.UnRegister(None)
    found = (browsers.GetItemAsObject(i) for i in range(browsers.GetNumberOfItems()))
    return next((browser for browser in found if browser.GetSequenceNode(volumeNode)), None)


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


class SegmentationSequence:
    """Collects a segmentation for each frame and then puts them into the scene, all at once.

    Args:
        browserNode: Plays the volumes.
        volumeSequence: The volumes.
        volumeNode: Their proxy.
    """

    def __init__(
        self,
        browserNode: slicer.vtkMRMLSequenceBrowserNode,
        volumeSequence: slicer.vtkMRMLSequenceNode,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
    ) -> None:
        self.browserNode, self._volumeNode = browserNode, volumeNode
        self.sequenceNode = slicer.vtkMRMLSequenceNode()
        self.sequenceNode.SetName(_("{volume} segmentation sequence").format(volume=volumeNode.GetName()))
        self.sequenceNode.SetIndexName(volumeSequence.GetIndexName())
        self.sequenceNode.SetIndexUnit(volumeSequence.GetIndexUnit())
        self.sequenceNode.SetIndexType(volumeSequence.GetIndexType())

    def add(self, indexValue: str, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Keep a copy of a frame's segmentation."""
        self.sequenceNode.SetDataNodeAtValue(segmentationNode, indexValue)

    def toScene(self, scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLSegmentationNode:
        """Add the sequence and its proxy, which the browser plays together with the volume; returns the proxy."""
        proxy = newSegmentationNode(scene, self._volumeNode)
        scene.AddNode(self.sequenceNode)
        self.browserNode.AddProxyNode(proxy, self.sequenceNode, False)
        proxy.SetReferenceImageGeometryParameterFromVolumeNode(self._volumeNode)
        return proxy
