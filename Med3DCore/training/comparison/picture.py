"""A comparison as a picture."""

from __future__ import annotations

from pathlib import Path

from Med3DCore.drawing.comparison_chart import CurveGroup, draw_comparison
from Med3DCore.training.comparison.comparison import Comparison


def draw(comparison: Comparison, path: Path) -> None:
    """Write a PNG: the curves with all patients, and scores over the number of patients if there are several.

    Raises:
        SettingError: matplotlib is not installed.
        OutputError: The picture cannot be written.
    """
    several = len(comparison.plan.rates) > 1
    curves = [
        CurveGroup(
            arm.init,
            f"{arm.init}, rate {arm.rate:g}" if several else arm.init,
            [outcome.curve for outcome in arm.outcomes],
            arm.rate == comparison.best(arm.init).rate,
        )
        for arm in comparison.arms
    ]
    saving = {
        init.name: {arm.patients: list(arm.scores.values()) for arm in comparison.saving(init.name)}
        for init in comparison.plan.inits
        if len(comparison.plan.shares) > 1
    }
    draw_comparison(curves, (comparison.level, f"{100 * comparison.plan.threshold:.0f} % of the best"), saving, path)
