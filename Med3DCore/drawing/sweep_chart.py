"""Draw a sweep: a panel for each task, a point for each seed of a start. Needs matplotlib (the ``cli`` extra)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.drawing.figure import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_IN_A_ROW = 4


def draw_sweep(panels: Mapping[str, Mapping[str, Mapping[int, float]]], path: Path) -> None:
    """Write a PNG.

    Args:
        panels: Title of each to the scores: name of the start to score by seed.
        path: The PNG, written beside and renamed.

    Raises:
        SettingError: matplotlib is not installed.
        OutputError: The picture cannot be written.
    """
    across = min(len(panels), _MOST_IN_A_ROW)
    down = -(-len(panels) // across)
    starts = max(len(panel) for panel in panels.values())
    with drawn(path, (across * max(2.6, 0.9 + 0.6 * starts), 3.2 * down), dpi=110) as figure:
        places = figure.subplots(down, across, squeeze=False).ravel()
        for place, (title, panel) in zip(places, panels.items(), strict=False):
            _draw_panel(place, title, panel)
        for place in places[len(panels) :]:
            place.set_axis_off()


def _draw_panel(place: Axes, title: str, panel: Mapping[str, Mapping[int, float]]) -> None:
    """The means as bars, and a pale line for each seed, since starts are compared seed by seed."""
    for seed in sorted({seed for scores in panel.values() for seed in scores}):
        values = [scores.get(seed, np.nan) for scores in panel.values()]
        place.plot(range(len(panel)), values, "o-", color="tab:blue", alpha=0.45, markersize=4, linewidth=0.8)
    for number, scores in enumerate(panel.values()):
        if scores:
            place.hlines(np.mean(list(scores.values())), number - 0.25, number + 0.25, color="0.2", linewidth=2)
    place.set_title(title, fontsize=9)
    place.set_xticks(range(len(panel)), list(panel), fontsize=8, rotation=30, ha="right")
    place.set_xlim(-0.5, len(panel) - 0.5)
    values = [value for scores in panel.values() for value in scores.values()]
    if all(0 <= value <= 1 for value in values):
        place.set_ylim(-0.02, 1.02)
    place.tick_params(axis="y", labelsize=8)
    place.grid(axis="y", color="0.92")
    place.set_axisbelow(True)
    place.spines[["top", "right"]].set_visible(False)
