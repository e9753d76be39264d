"""The module in a Slicer that is too old for it: listed as ever, and it says what is needed."""

from __future__ import annotations

from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget

from Med3DSegmentationLib.entry.slicer_version import whatIsNeeded


class Med3DSegmentation(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent) -> None:
        super().__init__(parent)
        parent.title = "Med3D Segmentation"
        parent.categories = ["Segmentation"]
        parent.dependencies = []
        parent.contributors = ["Med3D for 3D Slicer contributors"]
        parent.helpText = whatIsNeeded()


class Med3DSegmentationWidget(ScriptedLoadableModuleWidget):
    """A sentence in the place of the panels."""

    def setup(self) -> None:
        """Show it."""
        import qt  # an old Slicer without a window has none

        super().setup()
        label = qt.QLabel(whatIsNeeded())
        label.wordWrap = True
        self.layout.addWidget(label)
        self.layout.addStretch(1)
