"""Why nothing can be segmented now, in a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError
from Med3DSegmentationLib.engine.model_choices import ModelChoices
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.panels.together import whyNotTogether
from Med3DSegmentationLib.scene.further_volumes import furtherVolumes
from Med3DSegmentationLib.scene.regions import Region
from Med3DSegmentationLib.scene.segmentation_nodes import requireWritable
from Med3DSegmentationLib.scene.tilted_volumes import whyNotScan


def whyNot(
    services: PanelServices,
    parameters: Any,
    ticked: Sequence[slicer.vtkMRMLScalarVolumeNode],
    isSequence: bool,
) -> str:
    """The first reason, or "".

    Args:
        services: The panel's.
        parameters: A :class:`.parameters.Med3DParameters`.
        ticked: The volumes that are ticked in the list of several.
        isSequence: Whether the chosen volume shows a sequence.
    """
    if reason := services.whyNotNow():
        return reason
    channels = services.catalogue.channelsOf(parameters.model)
    if parameters.severalVolumes and channels:
        return _("The chosen model looks at several images of one patient; untick Several volumes, and choose them.")
    if parameters.severalVolumes:
        return "" if ticked else _("Tick the volumes to segment.")
    if parameters.inputVolume is None:
        return _("Load a CT first (File, Add Data), or try one from the module Sample Data.")
    if reason := whyNotScan(parameters.inputVolume):
        return reason
    try:
        if parameters.segmentation is not None and not (parameters.allFrames and isSequence):
            requireWritable(parameters.segmentation)
        if parameters.roi is not None:
            Region.fromNode(parameters.roi)
    except Med3DError as error:
        return str(error)
    return _whyNotModel(services.catalogue, parameters.model) or _whyNotChannels(channels, parameters, isSequence)


def _whyNotModel(catalogue: ModelChoices, name: str) -> str:
    if catalogue.models is None:
        return ""
    if name and catalogue.find(name) is None:
        return _("The model {name} is not on this computer; choose another one in Settings.").format(name=name)
    if not catalogue.segmenting():
        return _("There is no model; import one in the tab Models.")
    return ""


def _whyNotChannels(names: Sequence[str], parameters: Any, isSequence: bool) -> str:
    """Of a model that takes several images of a patient."""
    if not names:
        return ""
    if parameters.allFrames and isSequence:
        return _("The chosen model looks at several images of a patient; untick All frames to segment this one.")
    volume = parameters.inputVolume
    return whyNotTogether(names, [volume, *furtherVolumes(volume, names[1:])])
