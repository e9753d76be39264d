"""A training's loss and Dice as a chart of Slicer's own: tables, series and a plot, which are saved with the scene."""

from __future__ import annotations

import slicer
import vtk
from slicer.i18n import tr as _

from Med3DCore.worker.protocol import Metric

# Told apart by everybody, also with impaired colour vision (Okabe and Ito, Color Universal Design, 2008).
_LOSS_COLOUR = (0.45, 0.45, 0.45)
_COLOURS = ((0.0, 0.45, 0.70), (0.84, 0.37, 0.0), (0.0, 0.62, 0.45), (0.80, 0.47, 0.65), (0.90, 0.62, 0.0))
_MOST_POINTS = 2000
_SMOOTHING = 0.9  # of the loss, which differs much from patch to patch


class TrainingChart:
    """Grows with the metrics of one training.

    Args:
        scene: Where it is.
        title: Of the training.
    """

    def __init__(self, scene: slicer.vtkMRMLScene, title: str) -> None:
        self._scene, self._title = scene, title
        self.chartNode = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", scene.GenerateUniqueName(title))
        self.chartNode.SetTitle(title)
        self.chartNode.SetXAxisTitle(_("Step"))
        self.chartNode.SetYAxisTitle(_("Dice and loss"))
        self.chartNode.SetLegendVisibility(True)
        self._lossTable = self._addTable(_("loss"), [_("Step"), _("Loss")])
        self._diceTables: dict[str, slicer.vtkMRMLTableNode] = {}
        self._addSeries(self._lossTable, _LOSS_COLOUR, points=False)
        self._stage, self._offset, self._last = "", 0, 0
        self._smooth: float | None = None
        self._former: tuple[int, int] | None = None  # the layout before, and that with the plot

    def add(self, metric: Metric) -> None:
        """Show one more; the steps of several stages follow each other."""
        if not self.isInScene:
            return
        if metric.stage != self._stage:
            self._stage, self._offset, self._smooth = metric.stage, self._last, None
        self._last = self._offset + metric.step
        if metric.loss is not None:
            before = metric.loss if self._smooth is None else self._smooth
            self._smooth = _SMOOTHING * before + (1 - _SMOOTHING) * metric.loss
            _addRow(self._lossTable, self._last, self._smooth)
        for label, values in (metric.scores or {}).items():
            if values:
                _addRow(self._diceTable(label), self._last, sum(values.values()) / len(values))

    @property
    def isInScene(self) -> bool:
        """Whether nobody has removed it."""
        return all(node.GetScene() for node in (self.chartNode, self._lossTable, *self._diceTables.values()))

    @property
    def summary(self) -> str:
        """Its last values in words."""
        parts = [_("Step {step}").format(step=self._last)]
        if self._smooth is not None:
            parts.append(_("loss {loss:.2f}").format(loss=self._smooth))
        for label, table in self._diceTables.items():
            rows = table.GetTable()
            value = rows.GetColumn(1).GetValue(rows.GetNumberOfRows() - 1)
            parts.append(_("Dice {label} {dice:.3f}").format(label=label, dice=value))
        return ", ".join(parts)

    def show(self) -> None:
        """Show it in the window's layout, which gets a plot if it has none."""
        manager = slicer.app.layoutManager()
        if manager is not None and self.isInScene:
            former = manager.layout
            slicer.modules.plots.logic().ShowChartInLayout(self.chartNode)
            self._former = former, manager.layout

    def hide(self) -> None:
        """Back to the layout before :meth:`show`, unless the user chose another one since."""
        manager = slicer.app.layoutManager()
        if manager is not None and self._former is not None and manager.layout == self._former[1]:
            manager.setLayout(self._former[0])
        self._former = None

    def _diceTable(self, label: str) -> slicer.vtkMRMLTableNode:
        if label not in self._diceTables:
            title = _("Dice, {label}").format(label=label)
            colour = _COLOURS[len(self._diceTables) % len(_COLOURS)]
            self._diceTables[label] = self._addTable(title, [_("Step"), title])
            self._addSeries(self._diceTables[label], colour, points=True)
        return self._diceTables[label]

    def _addTable(self, name: str, columns: list[str]) -> slicer.vtkMRMLTableNode:
        node = self._scene.AddNewNodeByClass("vtkMRMLTableNode", f"{self._title} {name}")
        for column in columns:
            array = vtk.vtkDoubleArray()
            array.SetName(column)
            node.AddColumn(array)
        return node

    def _addSeries(self, tableNode: slicer.vtkMRMLTableNode, colour: tuple[float, float, float], points: bool) -> None:
        kind = slicer.vtkMRMLPlotSeriesNode
        x, y = tableNode.GetColumnName(0), tableNode.GetColumnName(1)
        series = self._scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", y)
        series.SetAndObserveTableNodeID(tableNode.GetID())
        series.SetXColumnName(x)
        series.SetYColumnName(y)
        series.SetPlotType(kind.PlotTypeScatter)
        series.SetLineStyle(kind.LineStyleSolid)
        series.SetLineWidth(3 if points else 2)
        series.SetMarkerStyle(kind.MarkerStyleCircle if points else kind.MarkerStyleNone)
        series.SetColor(*colour)
        self.chartNode.AddAndObservePlotSeriesNodeID(series.GetID())


def _addRow(tableNode: slicer.vtkMRMLTableNode, step: int, value: float) -> None:
    table = tableNode.GetTable()
    if table.GetNumberOfRows() >= _MOST_POINTS:  # a long training: half as many points show the same curve
        for row in range(table.GetNumberOfRows() - 2, -1, -2):
            table.RemoveRow(row)
    row = table.InsertNextBlankRow()
    table.GetColumn(0).SetValue(row, step)
    table.GetColumn(1).SetValue(row, value)
    table.Modified()
    tableNode.Modified()
