"""What the module remembers in a scene: the state of its panels, saved and restored with the scene."""

from enum import Enum
from typing import Annotated

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


class TrainingQuality(Enum):
    """How much is learned at most; the value is that of the request ``train``."""

    FAST = "fast"
    BALANCED = "balanced"
    THOROUGH = "thorough"

    def label(self) -> str:
        """For the combo box."""
        return {"fast": _("Fast"), "balanced": _("Balanced"), "thorough": _("Thorough")}[self.value]


@parameterNodeWrapper
class Med3DParameters:
    """Parameters of the panels; widgets are bound by the property ``SlicerParameterName`` in their .ui file."""

    # Segment
    inputVolume: slicer.vtkMRMLScalarVolumeNode
    segmentation: slicer.vtkMRMLSegmentationNode  # to add to; none makes one
    roi: slicer.vtkMRMLMarkupsROINode  # label only inside; none for all
    model: str = ""  # name-version; empty takes the one that ships with Med3D and looks closest
    device: str = "auto"
    keepEdits: bool = True
    splitLungs: bool = False
    allFrames: bool = False
    severalVolumes: bool = False

    # Preview; volume, model and device are those of Segment
    previewOrgan: str = "liver"
    previewStage: str = ""  # empty takes the last one for the organ
    previewImage: str = ""  # of a model of several images of a patient; empty takes the first
    previewVolume: slicer.vtkMRMLScalarVolumeNode  # what was made last, and is written to again
    previewBox: slicer.vtkMRMLMarkupsROINode
    previewShowsBox: bool = True

    # Find; volume and device are those of Segment
    findPoints: slicer.vtkMRMLMarkupsFiducialNode
    findModel: str = ""  # name-version; empty takes the first there is
    findDetector: str = ""  # the same, of detectors
    findScanModel: str = ""  # the same, of classifiers of whole scans
    findLeastScore: Annotated[float, WithinRange(0.05, 1)] = 0.3
    findPrevalence: Annotated[float, WithinRange(0, 99)] = 0.0  # %; 0 takes that of the classifier's training

    # Train; the device is that of Segment
    trainingModel: str = ""  # to start from; empty takes the one that ships with Med3D and looks closest
    trainingTitle: str = ""  # of the new model; empty takes one made of its parent's
    trainingMinutes: Annotated[float, WithinRange(1, 1440)] = 10.0
    trainingQuality: TrainingQuality = TrainingQuality.BALANCED
    trainingRate: float = 0.0  # learning rate; 0 takes the engine's
    trainingSeed: int = 0
    trainingFreezesEncoder: bool = False
    trainingShowsChart: bool = False
    trainingFiles: list[str]  # cases outside of the scene, see training_cases.FileCase

    # Models
