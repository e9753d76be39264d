"""The main job in one call: a scan in, organs and a report out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

import Med3DCore
from Med3DCore.inference import sides
from Med3DCore.inference.device import choose_device
from Med3DCore.inference.orientation import check_orientation
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.inference.scan_end import touched_ends, warn_of_cut
from Med3DCore.inference.stage_networks import InferenceSettings
from Med3DCore.models.catalogue import Catalogue
from Med3DCore.models.package import ModelPackage
from Med3DCore.preprocessing.hounsfield import require_modality
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap, Volume


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A label map and how it came about.

    Args:
        labels: The label map, on the scan's own grid.
        model: name-version of the model.
        device: Where it was computed, for people.
        reason: Why there.
        warnings: What the user should know about the result.
        flags: Those of the warnings that are about a label, for programs: ``label``, ``flag``, ``sentence``; see
            :mod:`.plausibility`.
        fast: Whether an imported model ran in its faster way.
    """

    labels: LabelMap
    model: str
    device: str
    reason: str
    warnings: tuple[str, ...]
    flags: tuple[dict[str, str], ...]
    fast: bool = False

    def report(self) -> dict:
        """Plain values for JSON: numbers and mL of the labels, model, device, fast, warnings, flags, versions."""
        organs = [
            {"name": label.name, "value": value, "volume_ml": round(self.labels.volume_ml(label.name), 1)}
            for value, label in enumerate(self.labels.labels, start=1)
        ]
        return {
            "labels": organs,
            "model": self.model,
            "device": self.device,
            "device_reason": self.reason,
            "fast": self.fast,
            "warnings": list(self.warnings),
            "flags": list(self.flags),
            "versions": {"Med3DCore": Med3DCore.__version__, "torch": torch.__version__},
        }


def segment(
    volume: Volume,
    labels: Sequence[str],
    model: str | ModelPackage | None = None,
    device: str = "auto",
    settings: InferenceSettings | None = None,
    progress: Progress | None = None,
    split_lungs: bool = False,
    not_ct: bool = False,
    channels: Sequence[Volume] = (),
) -> Segmentation:
    """Segment organs of a scan.

    Args:
        volume: The scan.
        labels: Names of the organs, such as ``["liver", "lungs"]``; numbered 1, 2, ... in the result.
        model: Name or file of a model, or a loaded one. None takes the one that came with Med3D, knows them
            all and looks closest.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        settings: Choices between speed and quality.
        progress: Followed, and may cancel.
        split_lungs: Left and right lung as two labels in the place of "lungs"; see :mod:`.sides`.
        not_ct: Segment also a scan of another kind than the model was made for, with a warning.
        channels: Further images of the patient on the same grid, for a model that needs several.

    Raises:
        VolumeError: It is of another kind, with the code ``"not-ct"``; see :func:`.require_modality`.
        SettingError: No model, or not the named one, finds an organ.
        ModelError: No such model, or it is damaged.
        ResourceError: No such device, or too little memory.
        Cancelled: The user stopped.

    Examples:
        >>> result = segment(read_volume("ct.nii.gz"), ["liver"])  # doctest: +SKIP
        >>> result.labels.volume_ml("liver")  # doctest: +SKIP
        1512.4
    """
    progress = progress or Progress()
    with progress.stage("load model", share=0.02):
        package = model if isinstance(model, ModelPackage) else Catalogue().choose(labels, model)
        require_modality(volume, package.modality, package.reference, progress, not_ct)
        pipeline = Pipeline(package, choose_device(device), settings)
    is_doubted = package.modality == "CT" and check_orientation(volume, progress)
    found = pipeline.segment(volume, labels, progress, channels)
    if split_lungs:
        found = sides.split_lungs(found, volume, progress, are_known=not is_doubted)
    return conclude(found, pipeline, progress)


def conclude(
    labels: LabelMap, pipeline: Pipeline, progress: Progress, edge: Callable[[int, int], str] = lambda *_: "scan"
) -> Segmentation:
    """The result of a pipeline, with a warning for each label that is cut by the edge of what was looked at.

    Args:
        labels: What the pipeline found, or a part of it.
        pipeline: That found it.
        progress: Gets the warnings.
        edge: What ends with the labels at the end (0 or -1) of an array axis, for the warning.
    """
    for label in labels.labels:
        for cut in sorted({edge(*end) for end in touched_ends(labels, label.name)}):
            warn_of_cut(label, cut, progress)
    device, told = pipeline.device, (tuple(progress.warnings), tuple(progress.flags))
    return Segmentation(labels, pipeline.package.reference, device.title, device.reason, *told, fast=pipeline.is_fast)
