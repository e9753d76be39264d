"""Strict ``qt.QUiLoader``: a .ui file either loads as it would in Slicer or raises.

Qt's own loader replaces an unknown custom widget by a plain QWidget, makes an unknown property dynamic and prints a
line about an unknown signal. Each of those is a broken panel in Slicer, so each is an error here.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from PySide6 import QtCore, QtUiTools, QtWidgets
from slicer_host import signals
from slicer_host.pythonqt import loading

# Written into .ui files by Slicer's users on purpose: dynamic properties.
_DYNAMIC = {"SlicerParameterName"}


class StrictUiLoader(QtUiTools.QUiLoader):
    """Loads .ui files with the stand-ins of :mod:`slicer_host.widgets`.

    Args:
        custom: Class name -> stand-in.
        parent: As of QUiLoader.
    """

    def __init__(self, custom: dict[str, type], parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._custom = custom
        self.setTranslationEnabled(True)

    def createWidget(self, className: str, parent: QtWidgets.QWidget | None = None, name: str = ""):
        """Called by Qt for each widget of the file."""
        if className not in self._custom:
            return super().createWidget(className, parent, name)
        widget = self._custom[className](parent)
        widget.setObjectName(name)
        return widget

    def load(self, device: QtCore.QIODevice, parent: QtWidgets.QWidget | None = None) -> QtWidgets.QWidget:
        """Load a .ui file and make its connections.

        Raises:
            RuntimeError: An unknown widget class, property, signal or slot, a repeated name, or not XML.
        """
        root = _parse(bytes(device.readAll().data()))
        known = set(self.availableWidgets()) | set(self._custom) | {"Line", "Spacer"}
        for element in root.iter("widget"):
            if element.get("class") not in known:
                raise RuntimeError(
                    f"The .ui file uses {element.get('class')}, which has no stand-in in slicer_host.widgets."
                )
        connections = root.find("connections")
        if connections is not None:
            root.remove(connections)
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        with loading():
            widget = super().load(buffer, parent)
        if widget is None:
            raise RuntimeError(f"The .ui file cannot be loaded: {self.errorString()}")
        _check_properties(root, widget)
        for sender, signal, receiver, slot in _connections(connections):
            _connect(widget, sender, signal, receiver, slot)
        return widget


def _parse(text: bytes) -> ET.Element:
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise RuntimeError(f"The .ui file is not XML: {error}") from error
    names = [element.get("name") for element in root.iter("widget")]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise RuntimeError(f"The .ui file uses a widget name twice: {', '.join(repeated)}.")
    for element in root.iter():
        if element.tag in ("enum", "set") and any(word.count("::") > 1 for word in (element.text or "").split("|")):
            raise RuntimeError(f"The .ui file writes {element.text}; Qt 5 reads only the short form, Scope::Value.")
    return root


def _check_properties(root: ET.Element, top: QtWidgets.QWidget) -> None:
    for element in root.iter("widget"):
        widget = _named(top, element.get("name"))
        if widget is None:
            continue  # Line and the like
        for entry in element.findall("property"):
            name = entry.get("name")
            if name in _DYNAMIC or (name == "orientation" and element.get("class") == "Line"):
                continue
            if widget.metaObject().indexOfProperty(name) < 0:
                raise RuntimeError(
                    f"The .ui file sets {name} of {element.get('name')}, which {widget.className()} lacks."
                )


def _connections(element: ET.Element | None) -> Iterator[tuple[str, str, str, str]]:
    for entry in () if element is None else element.findall("connection"):
        yield tuple(entry.findtext(tag, "") for tag in ("sender", "signal", "receiver", "slot"))


def _connect(top: QtWidgets.QWidget, sender: str, signal: str, receiver: str, slot: str) -> None:
    ends = {name: _named(top, name) for name in (sender, receiver)}
    for name, end in ends.items():
        if end is None:
            raise RuntimeError(f"The .ui file connects {name}, which it does not contain.")
    function = getattr(ends[receiver], slot.partition("(")[0], None)
    if not callable(function):
        raise RuntimeError(f"The .ui file connects to {slot}, which {ends[receiver].className()} {receiver} lacks.")
    count = len([word for word in slot.partition("(")[2].rstrip(")").split(",") if word])
    try:
        signals.connect(ends[sender], signal, lambda *arguments: function(*arguments[:count]))
    except ValueError as error:
        raise RuntimeError(f"The .ui file cannot be loaded: {error}") from error


def _named(top: QtWidgets.QWidget, name: str | None) -> QtWidgets.QWidget | None:
    if top.objectName == name:
        return top
    return next((child for child in top.findChildren(QtCore.QObject) if child.objectName == name), None)
