"""A scripted module as Slicer holds it, and its coming and going."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import slicer
from PySide6 import QtWidgets
from slicer_host.application import Module
from slicer_host.pythonqt import stand_in
from slicer_host.qmrml_widgets import qMRMLWidget

# What a module may describe itself with.
_PROPERTIES = {
    *("title", "categories", "dependencies", "contributors", "helpText", "acknowledgementText", "icon", "hidden"),
    *("index", "associatedNodeTypes", "extensionName", "widgetRepresentationCreationEnabled"),
    *("name", "path", "module", "panel"),
}


class ScriptedModule(Module):
    """``qSlicerScriptedLoadableModule``: what a module's constructor gets as ``parent``.

    Args:
        path: The module's file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path.stem, None, str(path))
        self.module = self.panel = None

    def __setattr__(self, name: str, value) -> None:
        if name not in _PROPERTIES and not name.startswith("_"):
            raise AttributeError(f"Creating new attributes on C++ objects is not allowed: {type(self).__name__}.{name}")
        super().__setattr__(name, value)

    def widgetRepresentation(self) -> ModulePanel:
        """The module's panel, made at the first call, as when the user opens the module for the first time."""
        if self.panel is None:
            self.panel = ModulePanel(self)
        return self.panel

    def createNewWidgetRepresentation(self) -> ModulePanel:
        """A second panel."""
        return ModulePanel(self)


@stand_in
class ModulePanel(qMRMLWidget):
    """``qSlicerScriptedLoadableModuleWidget``: the widget that a module's Python object fills.

    Args:
        module: Whose panel to make.
    """

    def __init__(self, module: ScriptedModule) -> None:
        super().__init__()
        self._module = module
        self.setObjectName(f"{module.name}ModuleWidget")
        self.setLayout(QtWidgets.QVBoxLayout())
        self.setMRMLScene(slicer.mrmlScene)
        self.reload()

    def self(self):
        """The Python object, as in Slicer."""
        return self._python

    def reload(self) -> None:
        """Make the Python object anew, from the file as it is imported by now, and ``slicer.modules.<name>Widget``."""
        name = self._module.name
        self._python = getattr(sys.modules[name], f"{name}Widget")(self)
        setattr(slicer.modules, f"{name}Widget", self._python)
        self._python.setup()


def load(path: str | Path, modules) -> ScriptedModule:
    """Do what Slicer does at start: put the folder on the path, import the file, let the class describe itself.

    Args:
        path: The module's file, ``.../Name.py`` with a class ``Name``.
        modules: ``slicer.modules``, which gets the module under its lower-case name.

    Returns:
        The module; its description is in its attributes.
    """
    path = Path(path).resolve()
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    if path.stem in sys.modules and Path(sys.modules[path.stem].__file__).resolve() == path:
        file = sys.modules[path.stem]
    else:
        sys.modules.pop(path.stem, None)
        file = importlib.import_module(path.stem)
    module = ScriptedModule(path)
    setattr(modules, path.stem.lower(), module)
    module.module = getattr(file, path.stem)(module)
    return module
