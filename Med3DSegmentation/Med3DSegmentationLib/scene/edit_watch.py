"""Segments say whether they were edited as soon as somebody did it, whatever panel is shown: exports read it there."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import slicer

from Med3DSegmentationLib.scene.own_segments import noteEdits

_PIECE_SECONDS = 0.02


class EditWatch:
    """Follows segmentations, and tags their segments a little at a time, so that the window may breathe.

    Args:
        callSoon: Calls a function when there is nothing else to do.
    """

    def __init__(self, callSoon: Callable[[Callable[[], None]], None]) -> None:
        self._callSoon = callSoon
        self._tags: dict[slicer.vtkMRMLSegmentationNode, int] = {}
        self._changed: list[slicer.vtkMRMLSegmentationNode] = []
        self._work: Generator[None, None, None] | None = None
        self._isCalled = False

    def follow(self, node: slicer.vtkMRMLNode | None) -> None:
        """Watch a node, if it is a segmentation."""
        if isinstance(node, slicer.vtkMRMLSegmentationNode) and node not in self._tags:
            event = slicer.vtkSegmentation.SourceRepresentationModified
            self._tags[node] = node.AddObserver(event, self._onChange)

    def forget(self, node: slicer.vtkMRMLNode | None) -> None:
        """Watch it no longer."""
        tag = self._tags.pop(node, None)
        if tag is not None:
            node.RemoveObserver(tag)

    def close(self) -> None:
        """Watch nothing."""
        for node in list(self._tags):
            self.forget(node)
        self._changed, self._work = [], None

    def _onChange(self, node: slicer.vtkMRMLSegmentationNode, event: str) -> None:  # noqa: ARG002 - an observer's
        if node not in self._changed:
            self._changed.append(node)
        self._work = None  # what was looked at may be other voxels by now
        self._goOn()

    def _goOn(self) -> None:
        if not self._isCalled:
            self._isCalled = True
            self._callSoon(self._go)

    def _go(self) -> None:
        """Look for a while."""
        self._isCalled = False
        work = self._work or self._look()
        self._work, end = work, time.monotonic() + _PIECE_SECONDS
        for _piece in work:
            if self._work is not work:
                return
            if time.monotonic() > end:
                self._goOn()
                return
        self._work = None

    def _look(self) -> Generator[None, None, None]:
        while self._changed:
            if self._changed[0] in self._tags:
                yield from noteEdits(self._changed[0].GetSegmentation())
            self._changed.pop(0)
