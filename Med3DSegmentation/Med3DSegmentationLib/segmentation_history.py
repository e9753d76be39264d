"""One step back: segmentations as they were before Med3D wrote to them."""

from __future__ import annotations

import slicer


class SegmentationHistory:
    """Remembers each segmentation's last state before a result came; Slicer's own segment history does the work.

    The scene's undo does not cover segmentation nodes, and the Segment Editor's undo knows only its own effects.
    """

    def __init__(self) -> None:
        self._histories: dict[str, slicer.vtkSegmentationHistory | None] = {}  # None: there was no such node

    def save(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Remember the node's segments as they are now, in place of what was remembered before."""
        history = slicer.vtkSegmentationHistory()
        history.SetMaximumNumberOfStates(2)  # the one to go back to, and the one left behind
        history.SetSegmentation(segmentationNode.GetSegmentation())
        history.SaveState()
        self._histories[segmentationNode.GetID()] = history

    def saveNew(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Remember that the node was made for the result: going back removes it."""
        self._histories[segmentationNode.GetID()] = None

    def canRestore(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> bool:
        """Whether there is a state to go back to."""
        if segmentationNode is None or segmentationNode.GetID() not in self._histories:
            return False
        history = self._histories[segmentationNode.GetID()]
        return history is None or history.IsRestorePreviousStateAvailable()

    def restore(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Go back to the remembered state, edits by hand since then included; False if there is none."""
        if not self.canRestore(segmentationNode):
            return False
        history = self._histories[segmentationNode.GetID()]
        if history is None:
            segmentationNode.GetScene().RemoveNode(segmentationNode)
            return True
        return history.RestorePreviousState()

    def forget(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Drop what was remembered of a node that goes."""
        self._histories.pop(segmentationNode.GetID(), None)
