"""The whole stand-in: real scene, real Qt, Slicer's Python modules; loads a scripted module and opens its panel."""

from __future__ import annotations

import shutil
import sys
import types
from pathlib import Path

import slicer
import slicer.util
from slicer_host import ctk_widgets, dialogs, pythonqt, qmrml_widgets, scripted_module, services
from slicer_host.mrml import Host
from slicer_host.ui_loader import StrictUiLoader


class GuiHost(Host):
    """A booted Slicer with windows that nobody sees.

    Args:
        subject_hierarchy: See :class:`slicer_host.mrml.Host`.
        testing: See :class:`slicer_host.mrml.Host`.
        main_window: Whether there is a main window; without one Slicer shows no information boxes.
        translation: Mark every translated text as ``«text»``.
        pytorch_extension: Whether the PyTorch extension is installed (``import PyTorchUtils``).

    Attributes:
        dialogs: What was shown and will be answered, see :class:`slicer_host.dialogs.Dialogs`.
        services: What was asked of pip, PyTorchUtils and SampleData, see :class:`slicer_host.services.Services`.
        slot_errors: Exceptions that left a Qt slot or VTK observer. Slicer prints those and goes on; a test must not.
        qt_warnings: What Qt complains about, such as a second layout on a widget.
    """

    def __init__(self, *, subject_hierarchy: bool = False, testing: bool = False, main_window: bool = True,
                 translation: bool = False, pytorch_extension: bool = True) -> None:  # fmt: skip
        self.qt = qt = pythonqt.install()
        super().__init__(subject_hierarchy=subject_hierarchy, testing=testing)
        self.dialogs, self.services = dialogs.DIALOGS, services.Services()
        self.dialogs.clear()
        self.slot_errors: list[BaseException] = []
        self.qt_warnings: list[str] = []
        qt.qInstallMessageHandler(self._qt_says)
        self._path, self._excepthook = list(sys.path), sys.excepthook
        sys.excepthook = self._slot_failed
        dialogs.install(qt)
        qt.QUiLoader = lambda parent=None: StrictUiLoader(_CUSTOM, parent)
        _isolate_settings(qt, self.folder)
        _publish(self.services, pytorch_extension=pytorch_extension)
        self.main_window = MainWindow() if main_window else None
        self._translator = _marking_translator(qt) if translation else None

    def load_module(self, path: str | Path) -> scripted_module.ScriptedModule:
        """Load a scripted module as Slicer does at start, with ``startupCompleted()`` after it."""
        module = scripted_module.load(path, slicer.modules)
        slicer.app.emit("startupCompleted()")
        return module

    def open_module(self, name: str):
        """Switch to a module: makes its panel the first time, then enters it.

        Returns:
            The module's widget object (``<name>Widget``).
        """
        widget = slicer.util.getModuleWidget(name)
        if hasattr(widget, "enter"):
            widget.enter()
        slicer.util.getModule(name).panel.show()
        return widget

    def leave_module(self, name: str) -> None:
        """Switch to another module."""
        widget = slicer.util.getModuleWidget(name)
        slicer.util.getModule(name).panel.hide()
        if hasattr(widget, "exit"):
            widget.exit()

    def unload_module(self, name: str) -> None:
        """Let a module go, as when Slicer closes: its ``cleanup()`` is called."""
        slicer.app.moduleManager().emit("moduleAboutToBeUnloaded(QString)", name)
        module = slicer.util.getModule(name)
        if module.panel is not None:
            module.panel.delete()
            module.panel = None
            delattr(slicer.modules, f"{name}Widget")

    def process_events(self, seconds: float = 0.0, until=None) -> bool:
        """Let Qt work for some time, or until a condition holds.

        Args:
            seconds: At most so long.
            until: Asked between events; None to use the whole time.

        Returns:
            Whether the condition holds (True without one).
        """
        timer = self.qt.QElapsedTimer()
        timer.start()
        while True:
            self.qt.QApplication.processEvents(self.qt.QEventLoop.AllEvents, 10)
            if until is not None and until():
                return True
            if timer.elapsed() >= 1000 * seconds:
                return until is None

    def expect_no_slot_errors(self) -> None:
        """Fail the test if an exception left a slot, or Qt complained; clear the lists first if that was meant."""
        if self.slot_errors:
            raise AssertionError("An exception left a Qt slot.") from self.slot_errors[0]
        if self.qt_warnings:
            raise AssertionError("Qt complained:\n" + "\n".join(self.qt_warnings))

    def _slot_failed(self, kind, error, trace) -> None:
        self.slot_errors.append(error)
        self._excepthook(kind, error, trace)

    def _qt_says(self, kind, _context, text: str) -> None:
        if kind != self.qt.QtMsgType.QtDebugMsg and "propagateSizeHints" not in text:  # of the offscreen platform
            self.qt_warnings.append(text)

    def close(self) -> None:
        """End modules, windows and scene."""
        for name in [
            module.name for module in vars(slicer.modules).values() if getattr(module, "panel", None) is not None
        ]:
            self.unload_module(name)
        for window in self.qt.QApplication.topLevelWidgets():
            window.deleteLater()
        self.qt.QCoreApplication.sendPostedEvents(None, self.qt.QEvent.DeferredDelete)
        while self.qt.QApplication.overrideCursor():
            self.qt.QApplication.restoreOverrideCursor()
        if self._translator is not None:
            self.qt.QCoreApplication.removeTranslator(self._translator)
        sys.path[:], sys.excepthook = self._path, self._excepthook
        self.qt.qInstallMessageHandler(None)
        shutil.rmtree(self.folder / "settings", ignore_errors=True)
        super().close()


_CUSTOM = {**ctk_widgets.CLASSES, **qmrml_widgets.CLASSES}


class MainWindow(pythonqt.install().QMainWindow):
    """Slicer's main window, as far as ``slicer.util`` asks for it.

    Attributes:
        selected: Name of the module that was switched to last.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.selected = ""

    def moduleSelector(self) -> MainWindow:
        """Whose ``selectModule`` switches modules."""
        return self

    def selectModule(self, name: str) -> None:
        """Remember the module; C++ modules have no panel here."""
        slicer.util.getModule(name)
        self.selected = name


def _publish(state: services.Services, *, pytorch_extension: bool) -> None:
    """Put the Python modules where ``import`` finds them."""
    from slicer_host import parameter_node, parameter_types, slicer_base

    wrapper = types.ModuleType("slicer.parameterNodeWrapper", "Stand-in, see slicer_host.parameter_node")
    for name in ("Choice", "Decimals", "Default", "Maximum", "Minimum", "SingleStep", "WithinRange"):
        setattr(wrapper, name, getattr(parameter_types, name))
    for name in ("SlicerParameterNamePropertyName", "isParameterNodeWrapper", "parameterNodeWrapper"):
        setattr(wrapper, name, getattr(parameter_node, name))
    for name, module in {
        "ScriptedLoadableModule": slicer_base,
        "parameterNodeWrapper": wrapper,
        "packaging": services.packaging(state),
    }.items():
        sys.modules[f"slicer.{name}"] = module
        setattr(slicer, name, module)
    sys.modules["SampleData"] = services.sample_data(state)
    sys.modules["PyTorchUtils"] = services.pytorch_utils(state) if pytorch_extension else None  # None: ImportError
    ctk = types.ModuleType("ctk", "Stand-in, see slicer_host.ctk_widgets")
    vars(ctk).update(ctk_widgets.CLASSES)
    sys.modules["ctk"] = ctk
    for name, widget in qmrml_widgets.CLASSES.items():
        setattr(slicer, name, widget)
    slicer.qSlicerScriptedLoadableModule = scripted_module.ScriptedModule
    slicer.qSlicerScriptedLoadableModuleWidget = scripted_module.ModulePanel


def _isolate_settings(qt: types.ModuleType, folder: Path) -> None:
    qt.QSettings.setDefaultFormat(qt.QSettings.IniFormat)
    for scope in (qt.QSettings.UserScope, qt.QSettings.SystemScope):
        qt.QSettings.setPath(qt.QSettings.IniFormat, scope, str(folder / "settings"))


def _marking_translator(qt: types.ModuleType):
    class Marking(qt.QTranslator):
        def translate(self, _context, text, _disambiguation=None, _n=-1):
            return f"«{text}»"

        def isEmpty(self) -> bool:
            return False

    translator = Marking()
    qt.QCoreApplication.installTranslator(translator)
    return translator
