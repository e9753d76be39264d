"""Draw the results of a benchmark: a box for each measure, or curves. Needs matplotlib (the ``cli`` extra)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.drawing.figure import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW_INCHES = 0.32


def draw_benchmark(
    title: str,
    boxes: Mapping[str, Sequence[float]],
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    axes: tuple[str, str],
    path: Path,
) -> None:
    """Write a PNG.

    Args:
        title: What stands above.
        boxes: Title of a row to the values of the cases, of which each is a point; by the word that a title begins with
            they share a panel.
        curves: Name to x and y.
        axes: Titles of the curves' axes.
        path: The PNG, written beside and renamed.

    Raises:
        SettingError: matplotlib is not installed.
        OutputError: The picture cannot be written.
    """
    groups: dict[str, dict[str, Sequence[float]]] = {}
    for name, values in boxes.items():
        measure, _, rest = name.partition(" ")
        measure += " mm" if rest.startswith("mm ") else ""
        known = [float(value) for value in values if value is not None and math.isfinite(value)]
        groups.setdefault(measure, {})[rest.removeprefix("mm ").replace("_", " ")] = known
    panels = len(groups) + bool(curves)
    rows = max([len(group) for group in groups.values()] or [0])
    with drawn(path, (4.6 * max(panels, 1), max(1.6 + _ROW_INCHES * rows, 3.6 if curves else 2.2)), dpi=110) as figure:
        places = iter(figure.subplots(1, max(panels, 1), squeeze=False)[0])
        for (measure, group), place in zip(groups.items(), places, strict=False):
            _draw_boxes(place, measure, group)
        if curves:
            _draw_curves(next(places), curves, axes)
        figure.suptitle(title, fontsize=11)


def _draw_boxes(place: Axes, measure: str, group: Mapping[str, Sequence[float]]) -> None:
    """Median, quartiles and every case."""
    for row, values in enumerate(group.values()):
        if values:
            place.boxplot(values, positions=[row], orientation="horizontal", widths=0.6, showfliers=False)
            place.plot(values, [row] * len(values), "o", color="tab:blue", alpha=0.4, markersize=3)
    place.set_yticks(range(len(group)), list(group), fontsize=8)
    place.invert_yaxis()
    place.set_xlabel(measure, fontsize=9)
    if all(0 <= value <= 1 for values in group.values() for value in values):
        place.set_xlim(-0.02, 1.02)
    place.grid(axis="x", color="0.92")
    place.set_axisbelow(True)
    place.spines[["top", "right"]].set_visible(False)


def _draw_curves(
    place: Axes, curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], axes: tuple[str, str]
) -> None:
    for name, (x, y) in curves.items():
        place.plot(x, y, label=name)
    place.set_xlabel(axes[0], fontsize=9)
    place.set_ylabel(axes[1], fontsize=9)
    place.set_ylim(-0.02, 1.02)
    place.grid(color="0.92")
    place.spines[["top", "right"]].set_visible(False)
    place.legend(frameon=False, fontsize=8, loc="lower right")
