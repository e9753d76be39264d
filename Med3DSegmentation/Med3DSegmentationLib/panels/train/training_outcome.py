"""What a training brought: Dice before and after on the cases held out, and both to be seen in the views."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from Med3DSegmentationLib.panels.colours import BAD, GOOD, RGB, textColour
from Med3DSegmentationLib.panels.keyboard import onRow
from Med3DSegmentationLib.panels.narrow import notHtml
from Med3DSegmentationLib.panels.tables import fitHeight, setHeader, setTexts, swatch
from Med3DSegmentationLib.scene.visibility import showOnlyOf
from Med3DSegmentationLib.training.comparison import AFTER, BEFORE, COLOURS
from Med3DSegmentationLib.training.step import Comparison, FalsePositive, ScoreRow, TrainingResult

_ROWS_SHOWN = 6


class TrainingOutcome:
    """The last result.

    Args:
        ui: Has ``resultSection`` and the widgets in it.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._result: TrainingResult | None = None
        self._comparison: Comparison | None = None
        setHeader(ui.resultTable, [_("Organ"), _("Case"), _("Before"), _("After")], short=(2, 3))
        onRow(ui.resultTable, self._onRow)
        for button, when in ((ui.beforeButton, BEFORE), (ui.afterButton, AFTER)):
            button.setIcon(swatch(COLOURS[when], (16, 4)))
            button.connect("toggled(bool)", lambda _on: self._setVisibility())
        ui.resultSection.visible = False

    def show(self, result: TrainingResult) -> None:
        """Show a result, and its first held-out case in the views."""
        ui = self._ui
        self._result = result
        ui.resultLabel.text = "\n".join(_sentences(result))
        ui.resultTable.visible = bool(result.rows)
        ui.resultTable.setRowCount(len(result.rows))
        for row, score in enumerate(result.rows):
            setTexts(ui.resultTable, row, [score.organ, score.case, _number(score.before), _number(score.after)])
            pair = _colour(score)
            if pair is not None:
                ui.resultTable.item(row, 3).setForeground(qt.QBrush(textColour(pair, ui.resultTable)))
        fitHeight(ui.resultTable, _ROWS_SHOWN)
        self._choose(next(iter(result.comparisons), None))
        ui.resultSection.visible = True

    def hide(self) -> None:
        """Something else begins."""
        self._result = self._comparison = None
        self._ui.resultSection.visible = False

    def _onRow(self, row: int) -> None:
        name = self._result.rows[row].case
        comparison = next((one for one in self._result.comparisons if one.case == name), None)
        if comparison is not None:
            self._choose(comparison)

    def _choose(self, comparison: Comparison | None) -> None:
        ui, self._comparison = self._ui, comparison
        for widget in (ui.comparisonLabel, ui.beforeButton, ui.afterButton):
            widget.visible = comparison is not None
        if comparison is None:
            return
        ui.comparisonLabel.text = _("In the views, {case}:").format(case=comparison.case)
        ui.comparisonLabel.toolTip = notHtml(comparison.case)  # a long name without blanks is cut
        for button in (ui.beforeButton, ui.afterButton):
            button.checked = True
        self._setVisibility()
        if comparison.volumeNode.GetScene() is not None:
            slicer.util.setSliceViewerLayers(background=comparison.volumeNode, fit=True)
            showOnlyOf(comparison.volumeNode)
            _jumpTo(comparison.after or comparison.before)

    def _setVisibility(self) -> None:
        """Show what the buttons say, and hide the other cases."""
        wanted = {BEFORE: self._ui.beforeButton.checked, AFTER: self._ui.afterButton.checked}
        for comparison in self._result.comparisons if self._result else ():
            for when, node in ((BEFORE, comparison.before), (AFTER, comparison.after)):
                if node is not None and node.GetScene() is not None:
                    node.GetDisplayNode().SetVisibility(wanted[when] and comparison is self._comparison)


def _sentences(result: TrainingResult) -> list[str]:
    if result.unproven:
        made = _("{title} is ready ({model}, {steps} steps), but not chosen in the tab Segment: {why}")
    else:
        made = _("{title} is ready ({model}, {steps} steps) and chosen in the tab Segment.")
    lines = [made.format(title=result.title, model=result.model, steps=result.steps, why=result.unproven)]
    lines += map(_foundInVain, result.falsePositives)
    lines += [f"\u26a0 {warning}" for warning in result.warnings]
    if result.rows:  # last, for the table stands below
        lines.append(_("Dice of the cases that were held back (1 is a perfect match):"))
    return lines


def _foundInVain(found: FalsePositive) -> str:
    """Such as "CT 3 shows no liver, and 12.0 mL of it are found (30.5 mL before)."."""
    text = _("{case} shows no {organ}, and {after} mL of it are found.")
    if found.before is not None:
        text = _("{case} shows no {organ}, and {after} mL of it are found ({before} mL before).")
    values = {"before": None if found.before is None else f"{found.before:.1f}", "after": f"{found.after:.1f}"}
    return text.format(case=found.case, organ=found.organ.lower(), **values)


def _number(dice: float | None) -> str:
    return "-" if dice is None else f"{dice:.3f}"


def _colour(score: ScoreRow) -> tuple[RGB, RGB] | None:
    """Green for a higher number, red for a lower one, as they are shown, with three digits; else that of all texts.

    A perfect one before is the model's own result, which a better model would not give again.
    """
    if score.before is None or score.after is None or round(score.before, 3) in (round(score.after, 3), 1.0):
        return None
    return GOOD if score.after > score.before else BAD


def _jumpTo(segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> None:
    """Bring the slice views to the first segment."""
    if segmentationNode is None or segmentationNode.GetSegmentation().GetNumberOfSegments() == 0:
        return
    centre = segmentationNode.GetSegmentCenterRAS(segmentationNode.GetSegmentation().GetNthSegmentID(0))
    if centre is not None:
        slicer.vtkMRMLSliceNode.JumpAllSlices(segmentationNode.GetScene(), *centre)
