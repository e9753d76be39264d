"""Pictures of the real scene, by Slicer's own displayable managers, and of a panel; for pixel checks and for people.

Slice and 3D views render off screen (EGL with Mesa, no X server; slicer_runtime.md, section 2).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

PANEL_WIDTH = 420  # of Slicer's module panel at its usual size, in pixels

_SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
)
_THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
)
_ORIENTATION = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}


class SliceView:
    """One of Slicer's slice views: the volume as grey values, segmentations and markups over it.

    Args:
        host: The booted :class:`slicer_host.mrml.Host`.
        name: ``"Red"`` (axial), ``"Yellow"`` (sagittal), ``"Green"`` (coronal), or that of a view of a layout.
        size: Width and height in pixels.
    """

    def __init__(self, host, name: str = "Red", size: tuple[int, int] = (320, 320)) -> None:
        self.logic = host.app.layoutManager().slice_logic(name)
        self.node = self.logic.GetSliceNode()
        if name in _ORIENTATION:
            self.node.SetOrientation(_ORIENTATION[name])
        self.logic.ResizeSliceNode(*size)
        self._window, self._renderer = _window(size)
        mapper, actor = vtk.vtkImageMapper(), vtk.vtkActor2D()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        actor.SetMapper(mapper)
        self._actor = actor
        self._renderer.AddViewProp(actor)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory
        self._group = _managers(host, factory, _SLICE_MANAGERS, self._renderer, self.node)

    def show(self, volume, through: tuple[float, float, float] | None = None) -> None:
        """Show a volume, fitted to the view.

        Args:
            volume: The volume node.
            through: A point on the slice, mm RAS; None for the middle of the volume.
        """
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        self.logic.FitSliceToBackground()
        if through is None:
            bounds = np.zeros(6)
            volume.GetRASBounds(bounds)
            through = (bounds[::2] + bounds[1::2]) / 2
        self.node.JumpSliceByOffsetting(*through)

    def pixels(self) -> np.ndarray:
        """Render; uint8 ``[height, width, 3]``, first row at the top."""
        image = self.logic.GetImageDataConnection()  # another one, or none, as soon as the volumes change
        self._actor.SetVisibility(image is not None)
        self._actor.GetMapper().SetInputConnection(image)
        return _render(self._window)

    def pixel_of(self, ras: tuple[float, float, float]) -> tuple[int, int]:
        """Row and column of a point (mm, RAS), as in :meth:`pixels`; the distance from the slice does not count."""
        to_xy = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), to_xy)
        x, y, _z, _w = to_xy.MultiplyPoint((*ras, 1.0))
        return self.node.GetDimensions()[1] - 1 - round(y), round(x)


class ThreeDView:
    """Slicer's 3D view.

    Args:
        host: The booted :class:`slicer_host.mrml.Host`.
        size: Width and height in pixels.
    """

    def __init__(self, host, size: tuple[int, int] = (320, 320)) -> None:
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(host.application_logic)
        self.logic.SetMRMLScene(host.scene)
        # A layout may have made the node; then the logic would make a second one that is in no scene.
        self.node = host.scene.GetSingletonNode("1", "vtkMRMLViewNode") or self.logic.AddViewNode("1")
        self.node.SetBoxVisible(False)
        self.node.SetAxisLabelsVisible(False)
        host.application_logic.GetViewLogics().AddItem(self.logic)
        self._window, self._renderer = _window(size)
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory
        self._group = _managers(host, factory, _THREE_D_MANAGERS, self._renderer, self.node)

    def pixels(self) -> np.ndarray:
        """Look from the front at everything and render; uint8 ``[height, width, 3]``, first row at the top."""
        camera = self._renderer.GetActiveCamera()
        camera.SetFocalPoint(0, 0, 0)
        camera.SetPosition(0, 1, 0)  # anterior, in RAS
        camera.SetViewUp(0, 0, 1)
        self._renderer.ResetCamera()
        return _render(self._window)


def save(pixels: np.ndarray, path: str | Path) -> Path:
    """Write pixels of a view as PNG.

    Args:
        pixels: uint8 ``[height, width, 3]``.
        path: Where to.
    """
    height, width, _ = pixels.shape
    image = vtk.vtkImageData()
    image.SetDimensions(width, height, 1)
    flat = np.ascontiguousarray(pixels[::-1]).reshape(-1, 3)
    image.GetPointData().SetScalars(numpy_to_vtk(flat, deep=True))
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(image)
    writer.Write()
    return Path(path)


def grab(widget, path: str | Path | None = None, width: int = PANEL_WIDTH):
    """A picture of a panel at the width of Slicer's module panel, as high as its contents.

    Args:
        widget: A Qt widget, or the Python object of a module's panel.
        path: Also written there as PNG.
        width: In pixels.

    Returns:
        The QPixmap.
    """
    widget = widget if hasattr(widget, "isWidgetType") else widget.parent
    widget.show()
    widget.resize(width, 10)
    widget.resize(width, max(widget.sizeHint.height(), widget.minimumSizeHint.height()))
    picture = widget.grab()
    if path is not None:
        picture.save(str(path))
    return picture


def _window(size: tuple[int, int]) -> tuple[vtk.vtkRenderWindow, vtk.vtkRenderer]:
    window, renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
    window.SetOffScreenRendering(True)
    window.SetMultiSamples(0)
    window.SetSize(*size)
    window.AddRenderer(renderer)
    # Without an interactor the displayable managers crash; this one handles no events.
    window.SetInteractor(vtk.vtkGenericRenderWindowInteractor())
    return window, renderer


def _managers(host, factory_class, names: tuple[str, ...], renderer, node) -> slicer.vtkMRMLDisplayableManagerGroup:
    factory = factory_class()
    factory.SetMRMLApplicationLogic(host.application_logic)
    for name in names:
        if not factory.IsDisplayableManagerRegistered(name):  # there is one factory a process
            factory.RegisterDisplayableManager(name)
    group = slicer.vtkMRMLDisplayableManagerGroup()
    group.Initialize(factory, renderer)
    group.SetMRMLDisplayableNode(node)
    return group


def _render(window: vtk.vtkRenderWindow) -> np.ndarray:
    window.Render()
    reader = vtk.vtkWindowToImageFilter()
    reader.SetInput(window)
    reader.ReadFrontBufferOff()
    reader.Update()
    image = reader.GetOutput()
    width, height, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3].copy()
