"""Draw a comparison of starts: curves with the spread of the seeds, and scores over the number of patients.

Needs matplotlib (the ``cli`` extra).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from Med3DCore.drawing.figure import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito, told apart by colour-blind people, too.
_COLOURS = ("#555555", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES = ("-", "--", ":", "-.")
_LEVEL: dict[str, Any] = {"color": "0.5", "linewidth": 1, "linestyle": (0, (1, 2))}

Curve = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class CurveGroup:
    """Trainings that differ in their seeds alone.

    Args:
        group: Name of the start; those of one group have one colour.
        name: What the legend says.
        curves: Steps and score at each validation, for each seed.
        is_best: Whether it is the best of its group, which is drawn strong and with its spread.
    """

    group: str
    name: str
    curves: Sequence[Curve]
    is_best: bool = True


def draw_comparison(
    curves: Sequence[CurveGroup],
    level: tuple[float, str],
    saving: Mapping[str, Mapping[int, Sequence[float]]],
    path: Path,
) -> None:
    """Write a PNG: scores over the steps, and, if there are several numbers of patients, over these.

    Args:
        curves: What is drawn over the steps.
        level: A score to be reached, and what to call it.
        saving: For each group the final scores of the seeds by number of patients; empty for no such panel.
        path: The PNG, written beside and renamed.

    Raises:
        SettingError: matplotlib is not installed.
        OutputError: The picture cannot be written.
    """
    panels = 2 if saving else 1
    with drawn(path, (0.6 + 5.2 * panels, 3.8), dpi=120) as figure:
        axes = figure.subplots(1, panels, squeeze=False)[0]
        colours = dict(zip(dict.fromkeys(curve.group for curve in curves), _COLOURS * len(curves), strict=False))
        _draw_curves(axes[0], curves, level, colours)
        if saving:
            _draw_saving(axes[1], saving, colours)
        for each in axes:
            each.set_ylabel("Dice on held-out cases")
            each.grid(axis="y", color="0.92", linewidth=0.8)
            each.set_axisbelow(True)
            each.spines[["top", "right"]].set_visible(False)
            each.legend(frameon=False, fontsize=8)


def _draw_curves(axes: Axes, curves: Sequence[CurveGroup], level: tuple[float, str], colours: dict) -> None:
    drawn: dict[str, int] = {}
    for each in curves:
        steps = _common_steps(each.curves)
        scores = np.array([[dict(curve)[step] for step in steps] for curve in each.curves])
        style = 0 if each.is_best else drawn.get(each.group, 0) + 1
        drawn[each.group] = max(style, drawn.get(each.group, 0))
        if not steps:
            continue
        axes.plot(
            steps,
            scores.mean(axis=0),
            _DASHES[style % len(_DASHES)],
            color=colours[each.group],
            linewidth=2 if each.is_best else 1.2,
            alpha=1 if each.is_best else 0.75,
            label=each.name,
        )
        if each.is_best and len(scores) > 1:
            axes.fill_between(
                steps, scores.min(axis=0), scores.max(axis=0), color=colours[each.group], alpha=0.18, linewidth=0
            )
    axes.axhline(level[0], label=f"{level[1]} ({level[0]:.3f})", **_LEVEL)
    axes.set_xlabel("steps")
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", integer=True)
    axes.set_ylim(0, 1)


def _common_steps(curves: Sequence[Curve]) -> list[int]:
    """Steps at which every training was validated."""
    return sorted(set.intersection(*({step for step, _ in curve} for curve in curves))) if curves else []


def _draw_saving(axes: Axes, saving: Mapping[str, Mapping[int, Sequence[float]]], colours: dict) -> None:
    for group, scores in saving.items():
        patients = [count for count, values in scores.items() if values]
        means = np.array([np.mean(scores[count]) for count in patients])
        ends = np.array([[min(scores[count]), max(scores[count])] for count in patients]).T
        axes.errorbar(
            patients,
            means,
            yerr=np.abs(ends - means),
            color=colours[group],
            marker="o",
            markersize=5,
            linewidth=2,
            elinewidth=1,
            capsize=3,
            label=group,
        )
    first = next(iter(saving.values()))
    full = first[max(first)]
    if full:
        axes.axhline(float(np.mean(full)), label=f"{next(iter(saving))} with all", **_LEVEL)
    axes.set_xlabel("training patients")
    axes.set_xticks(sorted({count for scores in saving.values() for count in scores}))
