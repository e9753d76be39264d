"""Binds one parameter to one widget, for the pairs that Slicer can bind and the stand-in host has."""

from __future__ import annotations

import enum
import pathlib
from collections.abc import Callable

import slicer
from slicer_host import signals
from slicer_host.parameter_types import Choice, Decimals, SingleStep, WithinRange

# Class of the widget -> (types it can show, its signal, its property)
_WIDGETS = {
    "QCheckBox": ((bool,), "stateChanged(int)", "checked"),
    "QPushButton": ((bool,), "toggled(bool)", "checked"),
    "QSpinBox": ((int,), "valueChanged(int)", "value"),
    "QSlider": ((int,), "valueChanged(int)", "value"),
    "QDoubleSpinBox": ((float, int), "valueChanged(double)", "value"),
    "ctkDoubleSpinBox": ((float, int), "valueChanged(double)", "value"),
    "ctkSliderWidget": ((float, int), "valueChanged(double)", "value"),
    "QLineEdit": ((str,), "textChanged(QString)", "text"),
    "QTextEdit": ((str,), "textChanged()", "plainText"),
    "QLabel": ((str,), "", "text"),
    "QComboBox": ((enum.Enum, str, int, float), "currentIndexChanged(int)", "currentIndex"),
    "ctkComboBox": ((enum.Enum, str, int, float), "currentIndexChanged(int)", "currentIndex"),
    "ctkPathLineEdit": ((pathlib.PurePath,), "currentPathChanged(QString)", "currentPath"),
    "qMRMLNodeComboBox": ((slicer.vtkMRMLNode,), "currentNodeChanged(vtkMRMLNode*)", ""),
}


class Connector:
    """One bound pair. Making it prepares the widget: range, choices, node types.

    Args:
        parameter: With name, type and annotations.
        widget: The widget.

    Raises:
        RuntimeError: Slicer cannot bind this type to this widget, or the stand-in host does not.
    """

    def __init__(self, parameter, widget) -> None:
        self.name, self._kind, self._widget = parameter.name, parameter.type, widget
        class_name = widget.className()
        kinds, self._signal, self._property = _WIDGETS.get(class_name, ((), "", ""))
        if parameter.is_list or not kinds or not issubclass(self._kind, kinds):
            raise RuntimeError(f"Unable to create GUI connector from {self._kind} ({self.name}) to {class_name}.")
        if class_name == "QPushButton" and not widget.checkable:
            raise RuntimeError(f"{self.name} is bound to the button {widget.name}, which is not checkable.")
        self._choices = self._prepare(parameter.annotations)
        self._receiver: Callable | None = None

    def start(self, changed: Callable[[Connector], None]) -> None:
        """Tell changes of the widget."""
        if self._signal:
            self._receiver = lambda: changed(self)
            signals.connect(self._widget, self._signal, self._receiver)

    def stop(self) -> None:
        """Tell them no longer."""
        if self._receiver is not None:
            signals.disconnect(self._widget, self._signal, self._receiver)
            self._receiver = None

    def read(self):
        """The widget's value, as the parameter's type."""
        if not self._property:
            return self._widget.currentNode()
        value = getattr(self._widget, self._property)
        return self._choices[value][1] if self._choices else self._kind(value)

    def write(self, value) -> None:
        """Show a value."""
        if not self._property:
            self._widget.setCurrentNode(value)
        elif self._choices:
            setattr(self._widget, self._property, [choice for _label, choice in self._choices].index(value))
        else:
            shown = str(value) if isinstance(value, pathlib.PurePath) else value
            if getattr(self._widget, self._property) != shown:  # setting a text again would move the cursor
                setattr(self._widget, self._property, shown)

    def _prepare(self, annotations: tuple) -> list[tuple[str, object]]:
        """Returns label and value of each entry of a combo box; empty for other widgets."""
        widget = self._widget
        if not self._property:
            widget.nodeTypes = [self._kind.__name__]
        if self._property == "currentIndex":
            choices = self._labelled(annotations)
            widget.clear()
            for label, _value in choices:
                widget.addItem(label)
            return choices
        for annotation in annotations:
            if isinstance(annotation, WithinRange):
                widget.minimum = max(annotation.minimum, -(2**31))
                widget.maximum = min(annotation.maximum, 2**31 - 1)
            elif isinstance(annotation, Decimals):
                widget.decimals = annotation.value
            elif isinstance(annotation, SingleStep):
                widget.singleStep = annotation.value
        return []

    def _labelled(self, annotations: tuple) -> list[tuple[str, object]]:
        if issubclass(self._kind, enum.Enum):
            label = getattr(self._kind, "label", lambda member: member.name)
            return [(label(member), member) for member in self._kind]
        choice = next((annotation for annotation in annotations if isinstance(annotation, Choice)), None)
        if choice is None:
            raise RuntimeError(f"{self.name}: a combo box needs Annotated[..., Choice([...])].")
        return [(str(value), value) for value in choice.choices]
