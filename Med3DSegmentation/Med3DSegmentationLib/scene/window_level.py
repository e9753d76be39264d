"""The grey-value window of a volume, to change it for a while."""

from __future__ import annotations

import slicer


class WindowLevel:
    """Remembers the window of a volume as it is now.

    Args:
        volumeNode: The volume.
    """

    def __init__(self, volumeNode: slicer.vtkMRMLScalarVolumeNode) -> None:
        volumeNode.CreateDefaultDisplayNodes()
        self._display = display = volumeNode.GetDisplayNode()
        self._isAutomatic = display.GetAutoWindowLevel()
        self._ends = (display.GetWindowLevelMin(), display.GetWindowLevelMax())

    def set(self, low: float, high: float) -> None:
        """Show intensities from low (black) to high (white)."""
        self._display.SetAutoWindowLevel(False)
        self._display.SetWindowLevelMinMax(low, high)

    def restore(self) -> None:
        """As it was."""
        self.set(*self._ends)
        self._display.SetAutoWindowLevel(self._isAutomatic)
