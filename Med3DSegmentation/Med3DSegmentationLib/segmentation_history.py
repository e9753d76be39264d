"""One step back: segmentations as they were before Med3D wrote to them."""

from __future__ import annotations

import slicer


class SegmentationHistory:
    """Remembers each segmentation's last state before a result came; Slicer's own segment history does the work.

    The scene's undo does not cover segmentation nodes, and the Segment Editor's undo knows only its own effects.
    """

    def __init__(self) -> None:
        self._histories: dict[str, slicer.vtkSegmentationHistory] = {}

    def save(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Remember the node's segments as they are now, in place of what was remembered before."""
        history = slicer.vtkSegmentationHistory()
        history.SetMaximumNumberOfStates(2)  # the one to go back to, and the one left behind
        history.SetSegmentation(segmentationNode.GetSegmentation())
        history.SaveState()
        self._histories[segmentationNode.GetID()] = history

    def canRestore(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> bool:
        """Whether there is a state to go back to."""
        history = self._of(segmentationNode)
        return history is not None and history.IsRestorePreviousStateAvailable()

    def restore(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Go back to the remembered state, edits by hand since then included; False if there is none."""
        return self.canRestore(segmentationNode) and self._of(segmentationNode).RestorePreviousState()

    def forget(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Drop what was remembered of a node that goes."""
        self._histories.pop(segmentationNode.GetID(), None)

    def _of(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> slicer.vtkSegmentationHistory | None:
        return segmentationNode and self._histories.get(segmentationNode.GetID())
