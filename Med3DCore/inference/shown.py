"""A scan as a stage's network sees it, to be shown: prepared by the stage's own rules, and by which numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.models.stage import Stage
from Med3DCore.preprocessing.channels import require_channels
from Med3DCore.preprocessing.imported import imported_preprocessing
from Med3DCore.preprocessing.intensity import Statistics
from Med3DCore.preprocessing.preprocessing import Box, Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume


@dataclass(frozen=True, eq=False)
class Shown:
    """What there is to show.

    Args:
        volume: float32, as the network gets it.
        box: Lowest and highest LPS mm that the stage looks at.
        box_from: What gave the box: the name of a stage; ``"scan"`` for the whole scan and some air around it;
            ``"region"``; of an imported stage ``"filled"`` for what is not empty, or ``"whole"`` for the scan as it is.
        normalisation: Name of the method.
        statistics: Its numbers.
    """

    volume: Volume
    box: Box
    box_from: str
    normalisation: str
    statistics: Statistics


def show_stage(
    pipeline: Pipeline,
    stage: Stage,
    volumes: Sequence[Volume],
    region: Box | None,
    progress: Progress,
    channel: int = 0,
) -> Shown:
    """Prepare a scan for a stage of ours.

    Args:
        pipeline: Its model's.
        stage: The stage.
        volumes: The scan, and the further images of the patient that the model takes.
        region: Lowest and highest LPS mm to show; None lets the stages before it find where it looks.
        progress: Followed, may cancel, and gets warnings.
        channel: Which of the images is shown.
    """
    scan, *others = volumes
    with progress.stage("edge", share=0.05):
        seen = pipeline.seen(scan)
    box, box_from = region, "region"
    if box is None:
        box = pipeline.find_box(stage, seen, progress, share=0.35, channels=others)
        box_from = stage.region["stage"] if stage.region else "scan"
    if box is None:
        progress.warn(f"Nothing was found for the stage {stage.name} to look at; the whole scan is shown.")
        box, box_from = seen.bounds(), "scan"
    preprocessing = Preprocessing.from_dict(stage.preprocessing)
    with progress.stage("prepare", share=0.2):
        shown = (seen.volume, *others)[channel]
        statistics = preprocessing.intensity.measure(shown)
        progress.update(0.5)
        prepared = preprocessing.apply(shown, box)
    return Shown(prepared, box, box_from, preprocessing.intensity.name, statistics)


def show_imported(
    stage: Stage, volumes: Sequence[Volume], is_region: bool, progress: Progress, channel: int = 0
) -> Shown:
    """Prepare a scan for an imported stage, which looks at all of it that is not empty.

    Args:
        stage: The stage.
        volumes: The scan's channels.
        is_region: Whether they are only a region of it.
        progress: Followed, and may cancel.
        channel: Which of them is shown.

    Raises:
        VolumeError: The model takes more or fewer channels, or they do not lie on one grid.
    """
    preprocessing = imported_preprocessing(stage.preprocessing)
    require_channels(volumes, len(preprocessing.channels))
    with progress.stage("prepare", share=0.6):
        frame = preprocessing.frame(volumes)
        progress.update(0.1)
        array = preprocessing.apply(volumes, frame)
        progress.update(0.7)
        statistics = preprocessing.statistics(volumes, frame)
    prepared = frame.shown(array[channel], volumes[channel])
    box_from = "whole" if math.prod(frame.crop_shape) == volumes[0].array.size else "filled"
    if is_region:
        box_from = "region"
    return Shown(
        prepared, prepared.geometry.bounds(), box_from, preprocessing.channels[channel].name, statistics[channel]
    )
