"""``preview``: the scan as a stage's network sees it, and where the stage looks."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.models.catalogue import Catalogue
from Med3DCore.preprocessing.hounsfield import require_modality
from Med3DCore.volume import Volume
from Med3DCore.worker.exchange import write_volume_array
from Med3DCore.worker.job import Job
from Med3DCore.worker.scan import read_channels, read_scan
from Med3DCore.worker.warm import interruptible

if TYPE_CHECKING:
    from Med3DCore.inference.pipeline import Pipeline
    from Med3DCore.models.stage import Stage


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        volume: Description of the scan, see :mod:`Med3DCore.worker.exchange`.
        organs: Names of the labels, by which model and stage are found.
        model: Name or file of a model; None takes the one that ships with Med3D, knows the organs and looks closest.
        stage: Name of a stage of the model; None takes the last one for the first organ.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; for the stages that find the crop box.
        region: Lowest and highest LPS mm (x, y, z) to show; then no network runs. None lets the model find it. Of an
            imported model it is what the network gets for that region: some millimetres around it, too.
        orientation: How the axes x, y, z of the array run, such as ``"RAS"``, if the description is wrong. Preview and
            box then lie in the patient, not over the scan of the description.
        offset: Is added to all values, such as -1024 for a CT that was stored without its offset.
        channels: As of the request ``segment``.
        channel: Which of the images to show: 0 for the scan, 1 for the first of the others.
    """

    volume: dict
    organs: list[str]
    model: str | None = None
    stage: str | None = None
    device: str = "auto"
    region: list[list[float]] | None = None
    orientation: str | None = None
    offset: float = 0.0
    channels: list[dict] | None = None
    channel: int = 0


def run(fields: Fields, job: Job) -> dict:
    """Prepare a scan for a stage and tell what that changed.

    Returns:
        ``volume``: description of the prepared float32 volume, written beside the scan; ``model``; ``stage`` and all
        ``stages``; ``box``: lowest and highest LPS mm that it looks at; ``box_from``: what gave the box, see
        :class:`Med3DCore.inference.shown.Shown`; ``before`` and ``after``: size, spacing in mm, minimum, maximum, mean
        and sd of the intensities; ``normalisation``: method, and the numbers clipped to (None for no limit), subtracted
        and divided by; ``warnings``.

    Raises:
        Med3DError: As the ``segment`` request; SettingError also for an unknown stage or image.
    """
    progress = job.progress
    package = Catalogue().choose(fields.organs, fields.model)
    with progress.stage("read", share=0.1):
        scan = read_scan(fields.volume, fields.region, progress, fields.orientation, fields.offset)
        require_modality(scan.whole, package.modality, package.reference, progress, not_ct=True)
        wanted = len(package.channels) or 1
        channels = read_channels(fields.channels or (), scan, wanted, progress, fields.orientation)
        if fields.channel not in range(wanted):
            raise SettingError(f"{package.reference} takes {wanted} images of a patient; there is no {fields.channel}.")
    with progress.stage("start torch"):
        from Med3DCore.inference.shown import show_imported, show_stage

        pipeline = job.warm.pipeline(package, fields.device)
    stage = _choose_stage(pipeline, fields)
    region = None if fields.region is None else scan.region.bounds()
    with interruptible(progress):
        images, which = [scan.seen, *channels], fields.channel
        if stage.is_imported:
            shown = show_imported(stage, images, region is not None, progress, which)
        else:
            shown = show_stage(pipeline, stage, images, region, progress, which)
    with progress.stage("measure", share=0.1):
        before, after = _summary((scan.whole, *channels)[which]), _summary(shown.volume)
    with progress.stage("write", share=0.1):
        written = write_volume_array(shown.volume, Path(fields.volume["file"]).parent, "preview")
    return {
        "volume": written,
        "model": package.reference,
        "stage": stage.name,
        "stages": [each.name for each in package.stages],
        "box": [side.tolist() for side in shown.box],
        "box_from": shown.box_from,
        "before": before,
        "after": after,
        "normalisation": {"name": shown.normalisation}
        | {name: value if math.isfinite(value) else None for name, value in asdict(shown.statistics).items()},
        "warnings": list(progress.warnings),
    }


def _choose_stage(pipeline: Pipeline, fields: Fields) -> Stage:
    if not fields.organs:
        raise SettingError("Say for which organ the preview is.")
    if fields.stage is None:
        return pipeline.final_stage(fields.organs[0])
    for stage in pipeline.package.stages:
        if stage.name == fields.stage:
            return stage
    known = ", ".join(stage.name for stage in pipeline.package.stages)
    raise SettingError(f"The model {pipeline.package.reference} has no stage '{fields.stage}'; it has {known}.")


def _summary(volume: Volume) -> dict:
    """Size, spacing and intensities, a slice at a time: float64 copies of whole scans would take gigabytes."""
    low, high, total, squares = math.inf, -math.inf, 0.0, 0.0
    for values in volume.array:
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        total += float(values.sum(dtype=np.float64))
        squares += float(np.square(values, dtype=np.float64).sum())
    mean = total / volume.array.size
    return {
        "size": list(volume.geometry.size),
        "spacing": list(volume.spacing),
        "minimum": low,
        "maximum": high,
        "mean": mean,
        "sd": math.sqrt(max(0.0, squares / volume.array.size - mean**2)),
    }
