"""The picture of a training's curve in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from Med3DCore.drawing.chart import draw_curves
from Med3DCore.errors import SettingError
from Med3DCore.training.learning.checkpoint import LOG, read_log

CURVE = "curve.png"


def draw_curve(folder: Path, trainings: Mapping[str, Path]) -> Path:
    """Draw the logs of trainings, unless matplotlib is missing, which nobody needs to train.

    Args:
        folder: Where the picture goes.
        trainings: Name of each training to the folder of its log.

    Returns:
        The picture, whether or not it is there.

    Raises:
        OutputError: It cannot be written.
    """
    with suppress(SettingError):
        draw_curves({name: read_log(path / LOG) for name, path in trainings.items()}, folder / CURVE)
    return folder / CURVE
