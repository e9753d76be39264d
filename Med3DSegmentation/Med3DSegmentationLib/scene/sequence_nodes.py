"""The sequence of segmentations beside a sequence of volumes."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from Med3DSegmentationLib.scene.segmentation_nodes import newSegmentationNode


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
        """Add the sequence and its proxy, which the browser plays together with the volume; returns the proxy.

        What is changed in a frame stays in it: by default Slicer would drop it as soon as another one is shown.
        """
        proxy = newSegmentationNode(scene, self._volumeNode)
        scene.AddNode(self.sequenceNode)
        self.browserNode.AddProxyNode(proxy, self.sequenceNode, False)
        self.browserNode.SetSaveChanges(self.sequenceNode, True)
        proxy.SetReferenceImageGeometryParameterFromVolumeNode(self._volumeNode)
        return proxy
