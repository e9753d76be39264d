"""Scans to try the module with, in Slicer's module Sample Data: made on the spot, so they always work offline.

Slicer's own CTs (CTChest, CTACardio, CTLiver) are there already.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import slicer
import slicer.util
from slicer.i18n import tr as _

from Med3DCore.volume import LabelMap
from Med3DCore.worker.exchange import new_exchange_folder, read_volume_array
from Med3DSegmentationLib.engine.process import EngineProcess, processEventsUntil
from Med3DSegmentationLib.scene.segmentation_nodes import labelMapToSegmentation
from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

CATEGORY = "Med3D"
SPACING = 2.5  # mm
ABDOMEN_WINDOW = (-160.0, 240.0)  # HU
TRAINING_SEEDS = (11, 12, 13)


def registerSampleData() -> None:
    """Offer the phantoms. For ``startupCompleted()``: the module Sample Data may be loaded after ours."""
    import SampleData

    icons = Path(__file__).resolve().parent.parent / "Resources" / "Icons"
    for name, icon, load in (
        (_("Made-up CT"), "Med3DPhantom.png", loadPhantom),
        (_("Three made-up CTs with organs, to try training"), "Med3DTrainingSet.png", loadTrainingSet),
    ):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY, sampleName=name, uris="", thumbnailFileName=str(icons / icon), customDownloader=load
        )


def _withEngine(load):
    """A sample's loader: it gets an engine of its own, and errors are shown, for who calls it is Slicer."""

    @functools.wraps(load)
    def loader(source=None):  # noqa: ARG001 - what Sample Data calls it with
        with (
            slicer.util.tryWithErrorDisplay(_("The made-up CT could not be made."), waitCursor=True),
            closing(EngineProcess()) as engine,
        ):
            return load(engine)

    return loader


@_withEngine
def loadPhantom(engine: EngineProcess) -> slicer.vtkMRMLScalarVolumeNode:
    """Make a CT of chest and abdomen and show it."""
    volumeNode, _labels = addPhantom(slicer.mrmlScene, engine, 4, SPACING)
    slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
    return volumeNode


@_withEngine
def loadTrainingSet(engine: EngineProcess) -> list[slicer.vtkMRMLSegmentationNode]:
    """Make CTs of several patients, each with its liver and lungs as a segmentation; show the last one."""
    segmentationNodes = []
    for seed in TRAINING_SEEDS:
        volumeNode, labels = addPhantom(slicer.mrmlScene, engine, seed, SPACING)
        written = labelMapToSegmentation(slicer.mrmlScene, labels, volumeNode)
        segmentationNodes.append(written.segmentationNode)
    for segmentationNode in segmentationNodes[:-1]:
        segmentationNode.GetDisplayNode().SetVisibility(False)
    slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
    return segmentationNodes


def addPhantom(
    scene: slicer.vtkMRMLScene,
    engine: EngineProcess,
    seed: int,
    spacing: float,
    region: str = "torso",
    labels: Sequence[str] = ("liver", "lungs"),
) -> tuple[slicer.vtkMRMLScalarVolumeNode, LabelMap]:
    """Make a CT of a made-up patient; returns when it is in the scene, and keeps the window alive meanwhile.

    Args:
        scene: Where to.
        engine: Makes it.
        seed: Which patient.
        spacing: Voxel size in mm.
        region: "chest", "abdomen" or "torso".
        labels: Names of labels.

    Returns:
        The volume, and its exact labels on the same grid.

    Raises:
        Med3DError: The engine could not make it.
    """
    answers: list = []
    with new_exchange_folder() as folder:
        fields = {"folder": folder, "labels": list(labels), "seed": seed, "spacing": spacing, "region": region}
        engine.request("phantom", fields, onResult=answers.append, onError=answers.append, onProgress=_showProgress)
        processEventsUntil(lambda: bool(answers))
        if isinstance(answers[0], Exception):
            raise answers[0]
        volume, mapped = (read_volume_array(answers[0][name]) for name in ("volume", "labels"))
        volumeNode = volumeToNode(scene, volume, _("Made-up CT {number}").format(number=seed))
        labelMap = LabelMap(mapped.array.copy(), mapped.geometry, mapped.name, mapped.labels)
        del volume, mapped  # Windows deletes no mapped file
    display = volumeNode.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*ABDOMEN_WINDOW)
    return volumeNode, labelMap


def _showProgress(stage: str, fraction: float, secondsLeft: float | None) -> None:  # noqa: ARG001 - ProgressCallback
    slicer.util.showStatusMessage(_("Making a CT: {percent} %").format(percent=round(100 * fraction)), 2000)
