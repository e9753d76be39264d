"""Stand-ins for the widgets of CTK: Python on real Qt, with the properties, signals and methods of the C++ ones."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from PySide6 import QtCore, QtWidgets
from slicer_host.pythonqt import stand_in

Property, Signal = QtCore.Property, QtCore.Signal


@stand_in
class ctkCollapsibleButton(QtWidgets.QWidget):
    """A titled section; its children hide when it is collapsed."""

    SIGNALS: ClassVar = {
        "contentsCollapsed(bool)": "contentsCollapsed",
        "toggled(bool)": "toggled",
        "clicked(bool)": "clicked",
    }
    contentsCollapsed, toggled, clicked = Signal(bool), Signal(bool), Signal(bool)

    def __init__(self, *arguments) -> None:
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        super().__init__(*arguments[bool(text) :])
        self._text, self._collapsed, self._hidden = text, False, []
        self._title = QtWidgets.QToolButton(self)
        self._title.objectName = ""
        self._title.setAutoRaise(True)
        self._title.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._title.clicked.connect(lambda: self._set_collapsed(not self._collapsed))
        self.setContentsMargins(0, self._title.sizeHint.height() + 2, 0, 0)
        self._draw()

    def resizeEvent(self, event) -> None:
        """Keep the title as wide as the section."""
        super().resizeEvent(event)
        self._title.resize(self.width, self._title.sizeHint.height())

    def showEvent(self, event) -> None:
        """A .ui file sets *collapsed* before there are contents to hide."""
        super().showEvent(event)
        if self._collapsed and not self._hidden:
            self._hide_contents()

    def _hide_contents(self) -> None:
        contents = [child for child in self.children() if child.isWidgetType() and child is not self._title]
        self._hidden = [child for child in contents if not child.isHidden()]
        for child in self._hidden:
            child.setVisible(False)

    def _draw(self) -> None:
        arrow = QtCore.Qt.ArrowType.RightArrow if self._collapsed else QtCore.Qt.ArrowType.DownArrow
        self._title.setArrowType(arrow)
        self._title.setText(self._text)

    def _set_text(self, text: str) -> None:
        self._text = text
        self._draw()

    def _set_collapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = bool(collapsed)
        if collapsed:
            self._hide_contents()
        else:
            for child in self._hidden:
                child.setVisible(True)
            self._hidden = []
        self._draw()
        self.contentsCollapsed.emit(self._collapsed)
        self.toggled.emit(not self._collapsed)

    def setText(self, text: str) -> None:
        """Set the title."""
        self._set_text(text)

    def setCollapsed(self, collapsed: bool) -> None:
        """Show or hide the contents."""
        self._set_collapsed(collapsed)

    def click(self) -> None:
        """As a press on the title."""
        self._set_collapsed(not self._collapsed)

    text = Property(str, lambda self: self._text, _set_text)
    collapsed = Property(bool, lambda self: self._collapsed, _set_collapsed)
    checked = Property(bool, lambda self: not self._collapsed, lambda self, on: self._set_collapsed(not on))
    contentsLineWidth = Property(int, lambda _self: 1, lambda _self, _width: None)
    flat = Property(bool, lambda _self: False, lambda _self, _flat: None)


@stand_in
class ctkPathLineEdit(QtWidgets.QWidget):
    """A path with a *browse* button."""

    SIGNALS: ClassVar = {
        "currentPathChanged(QString)": "currentPathChanged",
        "validInputChanged(bool)": "validInputChanged",
    }
    currentPathChanged, validInputChanged = Signal(str), Signal(bool)
    # ctkPathLineEdit::Filter
    NoFilter, Files, Dirs, Drives, NoDot, NoDotDot = 0, 2, 1, 4, 0x2000, 0x4000
    NoDotAndDotDot, Readable, Writable, Executable = 0x6000, 16, 32, 64

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._filters, self._name_filters, self._key = self.Files | self.NoDotAndDotDot, [], ""
        self._edit, self._button = QtWidgets.QLineEdit(self), QtWidgets.QToolButton(self)
        self._button.setText("...")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit)
        layout.addWidget(self._button)
        self._edit.textChanged.connect(self.currentPathChanged.emit)
        self._button.clicked.connect(self.browse)

    def browse(self) -> None:
        """Ask for a path with the file dialogue."""
        ask = (
            QtWidgets.QFileDialog.getOpenFileName
            if self._filters & self.Files
            else QtWidgets.QFileDialog.getExistingDirectory
        )
        path = ask(self, "Select a path")
        if path:
            self.setCurrentPath(path)

    def setCurrentPath(self, path: str) -> None:
        """Set the path."""
        if not isinstance(path, str):
            raise TypeError(f"ctkPathLineEdit.currentPath takes a str, not {type(path).__name__}.")
        self._edit.setText(path)

    def comboBox(self) -> None:
        """Not stood in."""
        raise NotImplementedError("ctkPathLineEdit.comboBox() is not in the stand-in host.")

    def addCurrentPathToHistory(self) -> None:
        """The history is not kept here."""

    def _set_filters(self, filters: int) -> None:
        self._filters = int(filters)

    def _set_name_filters(self, filters: list) -> None:
        self._name_filters = list(filters)

    def _set_key(self, key: str) -> None:
        self._key = key

    currentPath = Property(str, lambda self: self._edit.text, setCurrentPath)
    filters = Property(int, lambda self: self._filters, _set_filters)
    nameFilters = Property("QStringList", lambda self: tuple(self._name_filters), _set_name_filters)
    settingKey = Property(str, lambda self: self._key, _set_key)
    showBrowseButton = Property(
        bool, lambda self: not self._button.isHidden(), lambda self, on: self._button.setVisible(on)
    )
    showHistoryButton = Property(bool, lambda _self: False, lambda _self, _on: None)
    valid = Property(bool, lambda self: Path(self._edit.text).exists())


@stand_in
class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box, on floating-point values."""

    SIGNALS: ClassVar = {"valueChanged(double)": "valueChanged", "valueIsChanging(double)": "valueIsChanging"}
    valueChanged, valueIsChanging = Signal(float), Signal(float)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, 1000)
        self._box = QtWidgets.QDoubleSpinBox(self)
        self._box.setRange(0, 99)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._box)
        self._box.valueChanged.connect(self._changed)
        self._slider.sliderMoved.connect(self._moved)

    def _changed(self, value: float) -> None:
        span = self._box.maximum - self._box.minimum
        self._slider.setValue(round(1000 * (value - self._box.minimum) / span) if span else 0)
        self.valueChanged.emit(value)

    def _moved(self, position: int) -> None:
        self._box.setValue(self._box.minimum + position / 1000 * (self._box.maximum - self._box.minimum))

    def setValue(self, value: float) -> None:
        """Set the value; the range limits it."""
        self._box.setValue(value)

    value = Property(float, lambda self: self._box.value, setValue)
    minimum = Property(float, lambda self: self._box.minimum, lambda self, value: self._box.setMinimum(value))
    maximum = Property(float, lambda self: self._box.maximum, lambda self, value: self._box.setMaximum(value))
    singleStep = Property(float, lambda self: self._box.singleStep, lambda self, value: self._box.setSingleStep(value))
    pageStep = Property(float, lambda _self: 10.0, lambda _self, _value: None)
    decimals = Property(int, lambda self: self._box.decimals, lambda self, value: self._box.setDecimals(value))
    suffix = Property(str, lambda self: self._box.suffix, lambda self, value: self._box.setSuffix(value))
    prefix = Property(str, lambda self: self._box.prefix, lambda self, value: self._box.setPrefix(value))
    tracking = Property(bool, lambda _self: True, lambda _self, _on: None)


@stand_in
class ctkDoubleSpinBox(QtWidgets.QDoubleSpinBox):
    """A spin box; the decimals that CTK manages by itself are not stood in."""


@stand_in
class ctkComboBox(QtWidgets.QComboBox):
    """A combo box with a text for *nothing selected*."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._default = ""

    def _set_default(self, text: str) -> None:
        self._default = text
        self.setPlaceholderText(text)

    defaultText = Property(str, lambda self: self._default, _set_default)


@stand_in
class ctkCheckableComboBox(ctkComboBox):
    """A combo box whose items can be ticked."""

    SIGNALS: ClassVar = {"checkedIndexesChanged()": "checkedIndexesChanged"}
    checkedIndexesChanged = Signal()

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.model().dataChanged.connect(lambda *_: self.checkedIndexesChanged.emit())

    def checkedIndexes(self) -> list:
        """QModelIndexes of the ticked items."""
        indexes = [self.model().index(row, 0) for row in range(self.count)]
        return [index for index in indexes if self.checkState(index) == QtCore.Qt.CheckState.Checked]

    def checkState(self, index):
        """Whether an item is ticked."""
        state = self.model().data(index, QtCore.Qt.ItemDataRole.CheckStateRole)
        return QtCore.Qt.CheckState(0 if state is None else int(state))

    def setCheckState(self, index, state) -> None:
        """Tick or untick an item."""
        self.model().setData(index, QtCore.Qt.CheckState(int(state)), QtCore.Qt.ItemDataRole.CheckStateRole)


@stand_in
class ctkMessageBox(QtWidgets.QMessageBox):
    """A message box with *don't show again*, which is never ticked here; ``exec_()`` is that of slicer_host.dialogs."""

    def _get_key(self) -> str:
        return getattr(self, "_key", "")

    def _set_key(self, key: str) -> None:
        self._key = key

    dontShowAgainSettingsKey = Property(str, _get_key, _set_key)
    dontShowAgainVisible = Property(bool, lambda _self: False, lambda _self, _on: None)


CLASSES = {
    cls.__name__: cls
    for cls in (
        ctkCollapsibleButton,
        ctkPathLineEdit,
        ctkSliderWidget,
        ctkDoubleSpinBox,
        ctkComboBox,
        ctkCheckableComboBox,
        ctkMessageBox,
    )
}
