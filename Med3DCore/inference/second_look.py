"""A second look at a liver that is much darker or brighter than those that the networks learned from.

Fatty livers and unusual phases are missed in part, and then coarse and close look disagree. Seen through a window that
is moved by as much as the liver's brightness is unusual, much of it comes back; figures are in docs/experiments.md.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from Med3DCore.inference.plausibility import TYPICAL, agreement, ml_in_scan
from Med3DCore.inference.reading import Look
from Med3DCore.inference.stage_result import StageResult
from Med3DCore.models.stage import Stage
from Med3DCore.volume import Volume

USUAL_HU = {"liver": (74.0, 100.0, 121.0)}
"""Lowest, middle and highest of the medians of an organ in patients that people outlined and the shipped models learned
from: livers in the portal venous phase."""

_DOUBTED_AGREEMENT = 0.90  # as "unsure" is told


def unusual_by(name: str, last: StageResult | None, before: StageResult | None, volume: Volume) -> float | None:
    """How much brighter than usual, in HU, an organ is about which two stages disagree; None if it is not unusual.

    Something smaller than the organ is most likely another one (:func:`.plausibility.leave_out_disputed`).

    Args:
        name: Of the label; of those whose usual values nobody knows nothing is doubted.
        last: Of the stage that the result is from.
        before: Of the stage that told it where.
        volume: The scan, in HU.
    """
    if last is None or before is None or name not in USUAL_HU or agreement(name, last, before) >= _DOUBTED_AGREEMENT:
        return None
    if ml_in_scan(name, last, volume.geometry) < TYPICAL[name].ml[0]:
        return None
    median = float(np.median(last.values(volume)[last.scores[name] > 0.5]))
    low, middle, high = USUAL_HU[name]
    return None if low <= median <= high else median - middle


def with_window_moved(stage: Stage, hu: float) -> Stage | None:
    """The stage with its window of HU moved up, so that brighter things look as usual; None if it has no window."""
    intensity = stage.preprocessing["intensity"]
    if intensity["name"] != "window":
        return None
    moved = {**intensity, "low": intensity["low"] + hu, "high": intensity["high"] + hu}
    return replace(stage, preprocessing={**stage.preprocessing, "intensity": moved})


def is_better(name: str, again: Look, first: Look) -> bool:
    """Whether the stages of the second look agree more; one that had nowhere to look is never better."""
    return _agreement(name, again) > _agreement(name, first)


def _agreement(name: str, look: Look) -> float:
    last, before = look
    return 0.0 if last is None or before is None else agreement(name, last, before)
