"""Slice views for a comparison: a scan above, what became of it below, linked and at the same place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import qt
import slicer

from Med3DSegmentationLib.scene.window_level import WindowLevel

LAYOUT = 29730  # any number that no other layout has
PAIRS = (("Red", "Axial", "#F34A33"), ("Yellow", "Sagittal", "#EDD54C"), ("Green", "Coronal", "#6EB04B"))
_ZOOM_OUT = 1.15  # so that the surroundings of the box are seen in the scan
_SETTLE_MS = 100


def belowOf(name: str) -> str:
    """Name of the view below one of Slicer's own."""
    return f"Med3D{name}"


@dataclass(frozen=True)
class _View:
    """What one of Slicer's own views showed, such as a PET over the CT: IDs of volumes, or None."""

    background: str | None
    foreground: str | None
    label: str | None
    linked: bool

    @classmethod
    def of(cls, node: slicer.vtkMRMLSliceCompositeNode) -> _View:
        """As it is now."""
        shown = node.GetBackgroundVolumeID(), node.GetForegroundVolumeID(), node.GetLabelVolumeID()
        return cls(*shown, node.GetLinkedControl())

    def restore(self, node: slicer.vtkMRMLSliceCompositeNode) -> None:
        """As it was, but for volumes that are gone; where nothing was shown, the scan stays."""
        node.SetLinkedControl(False)  # else each view would tell the others
        scene = node.GetScene()
        background, foreground, label = (
            volume if volume and scene.GetNodeByID(volume) else None
            for volume in (self.background, self.foreground, self.label)
        )
        if background:
            node.SetBackgroundVolumeID(background)
        node.SetForegroundVolumeID(foreground)
        node.SetLabelVolumeID(label)
        node.SetLinkedControl(self.linked)


@dataclass
class _Former:
    """What is brought back when the user has seen enough."""

    layout: int
    views: dict[str, _View]
    window: WindowLevel | None = None


class ViewLayout:
    """Three pairs of slice views over Slicer's layout manager.

    Args:
        layoutManager: ``slicer.app.layoutManager``, asked each time: without a main window, and when Slicer ends, there
            is none, and then nothing is shown.
        onChanged: Called when the comparison is shown, or no longer, by whoever changed the layout.
    """

    def __init__(self, layoutManager: Callable[[], Any], onChanged: Callable[[], None]) -> None:
        self._layoutManager, self._onChanged = layoutManager, onChanged
        self._former: _Former | None = None
        # New views get their size from Qt later; until then they cannot be fitted.
        self._settled = qt.QTimer()
        self._settled.setSingleShot(True)
        self._settled.setInterval(_SETTLE_MS)
        self._settled.connect("timeout()", self._fit)
        if self._manager is not None:
            self._register()
            self._manager.connect("layoutChanged(int)", self._onLayoutChanged)

    @property
    def isShown(self) -> bool:
        """Whether the views are those of the comparison."""
        return self._manager is not None and self._manager.layout == LAYOUT

    def show(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        previewNode: slicer.vtkMRMLScalarVolumeNode,
        window: tuple[float, float] | None = None,
    ) -> None:
        """Show two volumes.

        Args:
            volumeNode: The scan.
            previewNode: What became of it; the views are fitted to it.
            window: Lowest and highest intensity of the scan to tell apart; None leaves its window.
        """
        if self._manager is None:
            return
        if self._former is None:
            views = {name: _View.of(_composite(name)) for name, *_ in PAIRS if _composite(name)}
            layout = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView if self.isShown else self._manager.layout
            self._former = _Former(layout, views)
        self._manager.setLayout(LAYOUT)
        for name, *_ in PAIRS:
            _fill(name, volumeNode)
            _fill(belowOf(name), previewNode)
        self._setWindow(volumeNode, window)
        self._fit()
        self._settled.start()

    def restore(self) -> None:
        """Back to the former layout, window, volumes and links."""
        if self.isShown:
            former = self._former.layout if self._former else slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
            self._manager.setLayout(former)

    def close(self) -> None:
        """Restore, and follow the layout no longer."""
        self.restore()
        self._settled.stop()
        if self._manager is not None:
            self._manager.disconnect("layoutChanged(int)", self._onLayoutChanged)

    @property
    def _manager(self) -> Any:
        return self._layoutManager()

    def _register(self) -> None:
        node = self._manager.layoutLogic().GetLayoutNode()
        if not node.IsLayoutDescription(LAYOUT):
            node.AddLayoutDescription(LAYOUT, _description())

    def _onLayoutChanged(self, layout: int) -> None:
        if layout != LAYOUT and self._former is not None:
            former, self._former = self._former, None
            self._settled.stop()
            for name, view in former.views.items():
                view.restore(_composite(name))
            if former.window:
                former.window.restore()
        self._onChanged()

    def _setWindow(self, volumeNode: slicer.vtkMRMLScalarVolumeNode, window: tuple[float, float] | None) -> None:
        if self._former.window:
            self._former.window.restore()
        self._former.window = None
        if window is not None:
            self._former.window = WindowLevel(volumeNode)
            self._former.window.set(*window)

    def _fit(self) -> None:
        """Fit the lower views to their volume, and let the upper ones show the same place at the same scale."""
        for name, *_ in PAIRS:
            above, below = _sliceLogic(name), _sliceLogic(belowOf(name))
            if not self.isShown or above is None or below is None:
                return
            upper, lower = above.GetSliceNode(), below.GetSliceNode()
            _place(lower, upper)
            below.FitSliceToBackground()
            width, height, depth = lower.GetFieldOfView()
            lower.SetFieldOfView(width * _ZOOM_OUT, height * _ZOOM_OUT, depth)
            _place(upper, lower)
            upper.SetFieldOfView(*lower.GetFieldOfView())


def _place(node: slicer.vtkMRMLSliceNode, like: slicer.vtkMRMLSliceNode) -> None:
    node.GetSliceToRAS().DeepCopy(like.GetSliceToRAS())
    node.UpdateMatrices()


def _sliceLogic(name: str) -> slicer.vtkMRMLSliceLogic | None:
    return slicer.app.applicationLogic().GetSliceLogicByLayoutName(name)


def _composite(name: str) -> slicer.vtkMRMLSliceCompositeNode | None:
    logic = _sliceLogic(name)
    return logic and logic.GetSliceCompositeNode()


def _fill(name: str, volumeNode: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Show one volume and nothing over it; segmentations and markups show by themselves."""
    composite = _composite(name)
    composite.SetLinkedControl(True)
    composite.SetBackgroundVolumeID(volumeNode.GetID())
    composite.SetForegroundVolumeID(None)
    composite.SetLabelVolumeID(None)


def _description() -> str:
    """The layout as Slicer reads it: two rows of three views."""
    rows = [
        [_view(name, orientation, name[0], colour) for name, orientation, colour in PAIRS],
        [_view(belowOf(name), orientation, f"{name[0]}'", colour) for name, orientation, colour in PAIRS],
    ]
    items = "".join(f'<item><layout type="horizontal">{"".join(row)}</layout></item>' for row in rows)
    return f'<layout type="vertical">{items}</layout>'


def _view(name: str, orientation: str, label: str, colour: str) -> str:
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
        f'<property name="orientation" action="default">{orientation}</property>'
        f'<property name="viewlabel" action="default">{label}</property>'
        f'<property name="viewcolor" action="default">{colour}</property></view></item>'
    )
