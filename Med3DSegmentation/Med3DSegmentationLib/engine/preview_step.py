"""A volume as a network sees it, asked of the engine and put into the scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DCore.worker.exchange import read_volume_array
from Med3DSegmentationLib.engine.choices import Choices
from Med3DSegmentationLib.engine.results import Normalisation, PreviewResult, PreviewRow
from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.regions import boxToRoiNode
from Med3DSegmentationLib.scene.tilted_volumes import scanInPieces
from Med3DSegmentationLib.scene.volume_nodes import PREVIEW_ATTRIBUTE, imageInPieces, showImage


@dataclass(eq=False)
class PreviewStep:
    """Show a volume as a stage of a model sees it.

    Args:
        scene: The scene of the nodes.
        volumeNode: The volume.
        choices: What the user chose; the first organ counts.
        stage: Name of the stage; None takes the last one.
        outputVolumeNode: Where to; None, or one that is removed meanwhile, for a new one.
        outputRoiNode: Where the box goes; the same.
        channel: Which of the images that the model takes of a patient: 0 for the volume, 1 for the first of the others.
    """

    scene: slicer.vtkMRMLScene
    volumeNode: slicer.vtkMRMLScalarVolumeNode
    choices: Choices
    stage: str | None
    outputVolumeNode: slicer.vtkMRMLScalarVolumeNode | None
    outputRoiNode: slicer.vtkMRMLMarkupsROINode | None
    channel: int = 0
    type: str = field(default="preview", init=False)

    @property
    def title(self) -> str:
        """The volume's name by now."""
        return self.volumeNode.GetName()

    def prepare(self, folder: str) -> Pieces[dict[str, Any]]:
        """Send the volume as it lies in the world."""
        scan = yield from scanInPieces(self.volumeNode)
        fields = yield from self.choices.toFields(scan, folder)
        return {**fields, "stage": self.stage, **({"channel": self.channel} if self.channel else {})}

    def place(self, answer: dict[str, Any]) -> Pieces[PreviewResult]:
        """Show the prepared volume, window from its lowest to its highest value, and the box."""
        yield _("Showing the result")
        volume = read_volume_array(answer["volume"])
        image = yield from imageInPieces(volume)
        outputs = [node if node and node.GetScene() else None for node in (self.outputVolumeNode, self.outputRoiNode)]
        window = (answer["after"]["minimum"], answer["after"]["maximum"])
        volumeNode = showImage(self.scene, image, volume.geometry, f"{self.title} preview", outputs[0], window)
        volumeNode.SetAttribute(PREVIEW_ATTRIBUTE, "1")
        return PreviewResult(
            volumeNode=volumeNode,
            roiNode=boxToRoiNode(self.scene, answer["box"], f"{self.title} preview box", outputs[1]),
            model=answer["model"],
            stage=answer["stage"],
            stages=tuple(answer["stages"]),
            boxFrom=answer["box_from"],
            rows=_previewRows(answer["before"], answer["after"]),
            normalisation=Normalisation(**answer["normalisation"]),
            warnings=tuple(answer["warnings"]),
        )

    def needs(self, node: slicer.vtkMRMLNode) -> bool:
        """The volume, and the further images of the patient."""
        return node in (self.volumeNode, *self.choices.channels)


def _previewRows(before: dict[str, Any], after: dict[str, Any]) -> tuple[PreviewRow, ...]:
    def numbers(format: str, *keys: str) -> tuple[str, str]:
        return tuple(format.format(*(values[key] for key in keys)) for values in (before, after))

    def triples(format: str, key: str) -> tuple[str, str]:
        return tuple(" × ".join(format.format(value) for value in values[key]) for values in (before, after))

    return (
        PreviewRow(_("Size (voxels)"), *triples("{}", "size")),
        PreviewRow(_("Spacing (mm)"), *triples("{:.2f}", "spacing")),
        PreviewRow(_("Intensities"), *numbers(_("{:.4g} to {:.4g}"), "minimum", "maximum")),
        PreviewRow(_("Mean ± SD"), *numbers("{:.4g} ± {:.4g}", "mean", "sd")),
    )
