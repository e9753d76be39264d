"""What the panels share. Injected, so that a panel can be tested without the module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import slicer

from Med3DCore.errors import Med3DError
from Med3DSegmentationLib.engine.model_choices import ModelChoices
from Med3DSegmentationLib.engine.process import EngineProcess
from Med3DSegmentationLib.segmentation_logic import SegmentationLogic


class Installer(Protocol):
    """Brings what the engine needs and Slicer does not have: torch."""

    def isReady(self) -> bool:
        """Whether it is there; quick, without importing it."""

    def reason(self) -> str:
        """Why nothing can be computed yet and what the button *Install* would do; empty when ready."""

    def installWithConsent(self) -> bool:
        """Ask the user and install; returns :meth:`isReady` after that.

        Raises:
            Med3DError: It failed.
        """


class Activity:
    """Whether a panel keeps the engine busy for long: then the buttons of all panels that start something wait.

    Attributes:
        reason: A sentence for disabled buttons, such as "A segmentation is running."; empty when nothing runs.
        listeners: Functions without arguments, called when it changed.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.listeners: list[Callable[[], None]] = []

    @property
    def isRunning(self) -> bool:
        """Whether something runs."""
        return bool(self.reason)

    def begin(self, reason: str) -> None:
        """Say what runs from now on."""
        self._set(reason)

    def end(self) -> None:
        """Nothing runs any more."""
        self._set("")

    def _set(self, reason: str) -> None:
        self.reason = reason
        self.tell()

    def tell(self) -> None:
        """Let all panels look again."""
        for listener in list(self.listeners):
            listener()


@dataclass
class PanelServices:
    """The collaborators of a panel.

    Args:
        scene: The scene.
        logic: Segments and previews.
        engine: The engine's process, for requests that touch no scene.
        catalogue: The models to choose from; its ``listeners`` are told when they changed.
        loadUi: Makes the root widget of ``Resources/UI/<name>.ui``, wired to the scene.
        showError: Shows a sentence, and details to unfold, above the tabs; Cancelled is shown as a hint.
        showTab: Brings the tab of a panel to the front, by the panel's class name.
        settings: The application's QSettings: what belongs to the user, not to the scene.
        installer: Brings torch.
        activity: What runs; shared by all panels.
        caseListeners: Called with (volume node, segmentation node) that shall become a training case.
    """

    scene: slicer.vtkMRMLScene
    logic: SegmentationLogic
    engine: EngineProcess
    catalogue: ModelChoices
    loadUi: Callable[[str], Any]
    showError: Callable[[Med3DError], None]
    showTab: Callable[[str], None]
    settings: Any
    installer: Installer
    activity: Activity = field(default_factory=Activity)
    caseListeners: list[Callable[[Any, Any], None]] = field(default_factory=list)

    def whyNotNow(self) -> str:
        """Why no panel can start anything with the engine at present, or ""."""
        return self.activity.reason if self.installer.isReady() else self.installer.reason()

    def addTrainingCase(
        self, volumeNode: slicer.vtkMRMLScalarVolumeNode, segmentationNode: slicer.vtkMRMLSegmentationNode
    ) -> None:
        """Offer a volume and its corrected segmentation to who trains."""
        for listener in list(self.caseListeners):
            listener(volumeNode, segmentationNode)
