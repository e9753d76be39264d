"""Combo boxes over what the engine offers, whose choice is kept by name: models and devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from Med3DSegmentationLib.engine.model_choices import ModelChoices
from Med3DSegmentationLib.panels.narrow import notHtml
from Med3DSegmentationLib.scene.volume_nodes import PREVIEW_ATTRIBUTE


@dataclass(frozen=True)
class Choice:
    """An entry.

    Args:
        name: What is kept, such as ``"cuda:0"``.
        title: What the box shows.
        description: One line below the box.
    """

    name: str
    title: str
    description: str


class Selector:
    """A combo box with a line of description. A choice that is not offered (yet) stays, and says so.

    Args:
        box: The QComboBox.
        description: A QLabel, or None.
        onChosen: Gets the name that the user chose.
    """

    def __init__(self, box: Any, description: Any, onChosen: Callable[[str], None]) -> None:
        self._box, self._description, self._onChosen = box, description, onChosen
        self._choices: list[Choice] = []
        self._name = ""
        box.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)  # long names are cut, not the panel
        box.setMinimumContentsLength(10)
        box.connect("activated(int)", self._onActivated)

    @property
    def name(self) -> str:
        """The choice."""
        return self._name

    def offer(self, choices: Sequence[Choice]) -> None:
        """Offer other choices."""
        self._choices = list(choices)
        self._fill()

    def choose(self, name: str) -> None:
        """Show a choice that was made elsewhere."""
        if name != self._name or not self._box.count:
            self._name = name
            self._fill()

    def _fill(self) -> None:
        shown = list(self._choices)
        if all(choice.name != self._name for choice in shown):
            missing = _("Not available on this computer; choose another one.")
            shown.append(Choice(self._name, self._name, missing))
        self._box.clear()
        for choice in shown:
            self._box.addItem(choice.title, choice.name)
            self._box.setItemData(self._box.count - 1, notHtml(choice.title), qt.Qt.ToolTipRole)
        self._box.setCurrentIndex([choice.name for choice in shown].index(self._name))
        self._describe(shown)

    def _describe(self, shown: Sequence[Choice]) -> None:
        if self._description is not None:
            self._description.text = next(choice.description for choice in shown if choice.name == self._name)

    def _onActivated(self, row: int) -> None:
        self._name = self._box.itemData(row)
        self._fill()
        self._onChosen(self._name)


def hidePreviews(box: Any, scene: slicer.vtkMRMLScene) -> None:
    """Leave what a network sees out of a qMRMLNodeComboBox of volumes: it is nothing to segment or to learn from."""
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene)
    hidden = [node.GetID() for node in nodes if node.GetAttribute(PREVIEW_ATTRIBUTE)]
    filtering = box.sortFilterProxyModel()
    if list(filtering.hiddenNodeIDs) != hidden:
        filtering.hiddenNodeIDs = hidden


def modelChoices(catalogue: ModelChoices) -> list[Choice]:
    """Entries for a model that segments; the first, "", takes the engine's choice."""
    description = _("Of the models that came with Med3D and know the organ, the one that looks closest.")
    automatic = Choice("", _("Automatic"), description)
    found = [
        Choice(model.reference, f"{model.title} ({model.reference})", model.description)
        for model in catalogue.segmenting()
    ]
    return [automatic, *found]


def deviceChoices(devices: Sequence[dict]) -> list[Choice]:
    """Entries for a device, of the engine's answer to the request ``devices``; empty before it is known."""
    if not devices:
        return [Choice("auto", _("Automatic"), "")]
    titles = {"auto": _("Automatic: {device}"), "cpu": "{device}"}
    return [
        Choice(device["name"], titles.get(device["name"], "{device}").format(device=device["title"]), device["reason"])
        for device in devices
    ]
