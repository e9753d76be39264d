"""A scripted module as Slicer holds it, and its coming and going."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import slicer
from slicer_host.application import Module

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


class ModulePanel:
    """``qSlicerScriptedLoadableModuleWidget``: holds the panel's Python object.

    Args:
        module: Whose panel to make.
    """

    def __init__(self, module: ScriptedModule) -> None:
        import qt

        self.widget = slicer.qMRMLWidget()
        self.widget.setObjectName(f"{module.name}ModuleWidget")
        self.widget.setLayout(qt.QVBoxLayout())
        self.widget.setMRMLScene(slicer.mrmlScene)
        file = sys.modules[type(module.module).__module__]
        self._python = getattr(file, f"{module.name}Widget")(self.widget)
        self._python.setup()

    def self(self):
        """The Python object, as in Slicer."""
        return self._python


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
