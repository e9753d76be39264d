"""The module's self test: what a user does, from a scan to a model of one's own, in about a minute and without network.

In Slicer: *Reload and Test* in developer mode, the module Self Tests, or ctest.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from pathlib import Path
from unittest import mock

import numpy as np
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from Med3DCore.evaluation.overlap import measure_overlap
from Med3DCore.volume import LabelMap
from Med3DSegmentationLib.engine.model_choices import ModelChoices
from Med3DSegmentationLib.engine.process import EngineProcess, processEventsUntil
from Med3DSegmentationLib.engine.results import PreviewResult, SegmentationResult
from Med3DSegmentationLib.engine.torch_installer import findTorch
from Med3DSegmentationLib.sample_data import addPhantom
from Med3DSegmentationLib.scene.label_maps import labelMapFromSegmentation
from Med3DSegmentationLib.scene.pieces import atOnce
from Med3DSegmentationLib.scene.regions import Region
from Med3DSegmentationLib.scene.segmentation_nodes import labelMapToSegmentation
from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode
from Med3DSegmentationLib.segmentation_logic import SegmentationLogic
from Med3DSegmentationLib.training.cases import addCase
from Med3DSegmentationLib.training.logic import TrainingLogic
from Med3DSegmentationLib.training.step import TrainingChoices

LOWEST_DICE = {"liver": 0.8, "lungs": 0.9}  # of the shipped model on the phantom
SPACING = 4.0  # mm
TRAINING = {"patch": (32, 32, 32), "batch": 1, "steps": 3}  # a trial, not a better model


class Med3DSegmentationTest(ScriptedLoadableModuleTest):
    """Found by Slicer by its name, in the module's file."""

    def setUp(self) -> None:
        """An empty scene."""
        slicer.mrmlScene.Clear()

    def test_FromScanToOwnModel(self) -> None:
        """Make a CT, segment it, preview it, and teach the model with it."""
        if not findTorch():
            self.skipTest(_("PyTorch is not installed: open the module and click Install."))
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
            mock.patch.dict(os.environ, {"MED3D_MODELS": str(Path(folder) / "models")}),
            closing(EngineProcess()) as engine,
            closing(SegmentationLogic(slicer.mrmlScene, engine)) as logic,
        ):
            self.delayDisplay(_("Making a CT with known organs"))
            volumeNode, truth = addPhantom(slicer.mrmlScene, engine, 1, SPACING, labels=tuple(LOWEST_DICE))
            self.delayDisplay(_("Segmenting liver and lungs"))
            result = logic.segment(volumeNode, list(LOWEST_DICE), wait=True)
            self.checkSegmentation(result, truth)
            self.delayDisplay(_("Looking at the scan as the network sees it"))
            self.checkPreview(logic.preview(volumeNode, ["liver"], wait=True), truth)
            self.delayDisplay(_("Training on the scan"))
            self.checkTraining(engine, volumeNode, truth)
        self.delayDisplay(_("Test passed"))

    def checkSegmentation(self, result: SegmentationResult, truth: LabelMap) -> None:
        """The organs are where they are known to be, and named."""
        node, volumeNode = result.segmentationNode, result.volumeNode
        self.assertIs(node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()), volumeNode)
        labels = {organ.segmentId: label for organ, label in zip(result.organs, truth.labels, strict=True)}
        found = labelMapFromSegmentation(node, volumeNode, labels)
        for organ, label in zip(result.organs, truth.labels, strict=True):
            self.assertEqual(node.GetSegmentation().GetSegment(organ.segmentId).GetName(), label.title)
            dice = measure_overlap(found.mask(label.name), truth.mask(label.name)).dice
            self.delayDisplay(_("{organ}: Dice {dice}, {ml} mL").format(
                organ=label.title, dice=f"{dice:.3f}", ml=round(organ.volumeMl)
            ))  # fmt: skip
            self.assertGreater(dice, LOWEST_DICE[label.name])
            self.assertAlmostEqual(organ.volumeMl, truth.volume_ml(label.name), delta=0.2 * organ.volumeMl)

    def checkPreview(self, preview: PreviewResult, truth: LabelMap) -> None:
        """The box holds the liver, and the volume shown is the box, prepared."""
        box = Region.fromNode(preview.roiNode)
        self.assertGreater(atOnce(box.cut(truth)).volume_ml("liver"), 0.9 * truth.volume_ml("liver"))
        self.assertIn(preview.boxFrom, preview.stages)
        seen = volumeFromNode(preview.volumeNode)
        self.assertTrue(np.isfinite(seen.array).all() and np.ptp(seen.array) < 100)  # no Hounsfield units any more
        self.assertTrue(np.allclose(seen.geometry.bounds(), box.bounds, atol=2 * max(seen.spacing)))

    def checkTraining(self, engine: EngineProcess, volumeNode: slicer.vtkMRMLScalarVolumeNode, truth: LabelMap) -> None:
        """A new model comes out, and every selector offers it."""
        organs = labelMapToSegmentation(slicer.mrmlScene, truth, volumeNode).segmentationNode
        with closing(TrainingLogic(slicer.mrmlScene, engine)) as training:
            choices = TrainingChoices("Self test", minutes=1.0, quality="fast", settings=TRAINING)
            trained = training.train([addCase(volumeNode, organs)], choices, wait=True)
        self.assertGreater(trained.steps, 0)
        models = ModelChoices(engine)
        models.refresh()
        processEventsUntil(lambda: models.models is not None or models.error is not None)
        self.assertIn(trained.model, [model.reference for model in models.segmenting()])
