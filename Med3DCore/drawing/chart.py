"""Draw how trainings went: losses and scores over the steps. Needs matplotlib (the ``cli`` extra)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.drawing.figure import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SMOOTH = 0.05


def draw_curves(logs: Mapping[str, Sequence[dict]], path: Path) -> None:
    """Write a PNG with a row for each training: its loss, and its scores on the cases that it is checked on.

    Args:
        logs: Name of each training to the entries of its ``log.jsonl``.
        path: The PNG, written beside and renamed.

    Raises:
        SettingError: matplotlib is not installed.
        OutputError: The picture cannot be written.
    """
    with drawn(path, (10, 2.8 * len(logs))) as figure:
        for row, (name, log) in zip(figure.subplots(len(logs), 2, squeeze=False), logs.items(), strict=True):
            _draw_loss(row[0], [entry for entry in log if "loss" in entry])
            _draw_scores(row[1], [entry for entry in log if "validation" in entry])
            row[0].set_title(name, loc="left", fontsize=10)
            for axes in row:
                axes.set_xlabel("steps", fontsize=8)
                axes.tick_params(labelsize=8)
                axes.spines[["top", "right"]].set_visible(False)


def _draw_loss(axes: Axes, entries: Sequence[dict]) -> None:
    """Each step's loss pale, and their running mean."""
    steps, losses = [entry["step"] for entry in entries], np.array([entry["loss"] for entry in entries])
    axes.plot(steps, losses, color="tab:blue", alpha=0.3, linewidth=0.8)
    width = max(1, round(_SMOOTH * len(losses)))
    if len(losses) >= width > 1:
        mean = np.convolve(losses, np.full(width, 1 / width), mode="valid")
        axes.plot(steps[width - 1 :], mean, color="tab:blue")
    axes.set_ylabel("loss", fontsize=8)
    axes.set_ylim(bottom=0)


def _draw_scores(axes: Axes, entries: Sequence[dict]) -> None:
    """Mean of each label over the cases."""
    labels = dict.fromkeys(name for entry in entries for name, cases in entry["validation"].items() if cases)
    for label in labels:
        points = [(e["step"], e["validation"][label]) for e in entries if e["validation"].get(label)]
        means = [sum(cases.values()) / len(cases) for _, cases in points]
        axes.plot([step for step, _ in points], means, marker="o", markersize=3, label=label)
    axes.set_ylim(0, 1)
    axes.set_ylabel("Dice on held-out cases", fontsize=8)
    if labels:
        axes.legend(frameon=False, fontsize=8)
    else:
        axes.text(0.5, 0.5, "no case was held out", ha="center", transform=axes.transAxes, fontsize=8)
