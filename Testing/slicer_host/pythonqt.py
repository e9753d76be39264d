"""Slicer's ``qt`` module on real Qt 6: PySide6 made to behave like PythonQt, and strict where PythonQt is strict.

What changes, for every Qt class (slicer_runtime.md, section 4; measured there against the real PythonQt):

* properties are attributes: ``button.text = "Go"``, ``box.currentIndex``; enumerations read as plain ints;
* ``connect("clicked(bool)", f)`` and ``disconnect``; a signal that does not exist raises (PythonQt prints and
  returns False);
* setting an unknown attribute on a Qt object raises AttributeError;
* ``name``, ``className()``, ``delete()``, dynamic properties as attributes, ``findChild(ren)`` by class name;
* ``QTimer.singleShot`` is a timer for 0 ms, too; PySide6 posts an event, which overtakes timers that are due.

Not imitated: ``isinstance(widget, qt.QWidget)`` is False in PythonQt and True here, so never rely on it.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import sys
import types
from collections.abc import Callable, Iterator

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets
from slicer_host import signals

_get_attribute = QtCore.QObject.__getattribute__
_find_children = QtCore.QObject.findChildren
# Python classes that stand for C++ ones: no new attributes from outside.
_stand_ins: set[type] = set()
_loading: list[bool] = []


def install() -> types.ModuleType:
    """Make the ``qt`` module and the one QApplication; later calls return the same module.

    Returns:
        The module, also in ``sys.modules["qt"]``.
    """
    if "qt" in sys.modules:
        return sys.modules["qt"]
    if sys.version_info < (3, 12):
        # PySide6 6.12 gives away a reference to None with each void method, and to a bool with each signal of one, as
        # if they were immortal. Before Python 3.12 they are not: an event loop of some seconds, or a long run of tests
        # when it ends, kills the interpreter.
        for shared in (None, True, False):
            ctypes.c_ssize_t.from_address(id(shared)).value += 1 << 40
    qt = types.ModuleType("qt", "PySide6 as PythonQt, see slicer_host.pythonqt")
    for module in (QtCore, QtGui, QtWidgets):
        vars(qt).update({name: getattr(module, name) for name in dir(module) if name.startswith(("Q", "q"))})
    qt.Qt = QtCore.Qt  # QtGui and QtWidgets have emptier namespaces of that name
    classes = [value for value in vars(qt).values() if isinstance(value, type)]
    for cls in classes:
        _make_enums_ints(cls)
    classes = [cls for cls in classes if issubclass(cls, QtCore.QObject)]
    # PySide6 gives some classes a lookup of their own, such as QFile with its two exists().
    lookups = {cls: vars(cls)["__getattribute__"] for cls in classes if "__getattribute__" in vars(cls)}
    for cls in classes:
        _patch(cls, next(lookups[base] for base in cls.__mro__ if base in lookups))
    _patch_object()
    qt.slicer_host_application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])
    QtCore.QCoreApplication.setOrganizationName("NA-MIC")
    QtCore.QCoreApplication.setApplicationName("Slicer")
    sys.modules["qt"] = qt
    return qt


def stand_in(cls: type) -> type:
    """Class decorator: a Python class that stands for a C++ widget, as strict as one.

    Its ``SIGNALS`` maps C++ signatures, such as ``"currentNodeChanged(vtkMRMLNode*)"``, to the names of its PySide6
    signals. Its own state lives in attributes that start with an underscore.
    """
    _stand_ins.add(cls)
    return cls


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """While PySide6 loads a .ui file it puts the children on their parent as attributes; PythonQt does not: dropped."""
    _loading.append(True)
    try:
        yield
    finally:
        _loading.pop()


def _patch(cls: type, lookup: Callable) -> None:
    """Properties as attributes, PythonQt's ``connect``, no new attributes."""
    meta = cls.staticMetaObject
    for i in range(meta.propertyCount()):
        name = meta.property(i).name()
        own = i >= meta.propertyOffset() or name in vars(cls)  # a getter implemented again would hide the attribute
        if own and name != "singleShot":  # QTimer's function of that name is what Slicer's code calls
            setattr(cls, name, _Property(cls, meta.property(i)))
    cls.__getattribute__ = _reader(lookup)
    cls.__setattr__ = _write


def _patch_object() -> None:
    """What PythonQt gives to every QObject."""
    cls = QtCore.QObject
    cls.name = property(lambda self: self.objectName, lambda self, value: self.setObjectName(value))
    cls.className = lambda self: self.metaObject().className()
    cls.delete = lambda self: shiboken6.delete(self)
    cls.findChildren = find_children
    cls.findChild = lambda self, kind=None, name="": next(iter(find_children(self, kind, name)), None)
    QtCore.QTimer.singleShot = staticmethod(_single_shot)


def _single_shot(milliseconds: int, function: Callable[[], None]) -> None:
    timer = QtCore.QTimer(QtCore.QCoreApplication.instance())
    functions = [function]

    def fire() -> None:
        timer.deleteLater()
        functions.pop()()  # nothing keeps what it knows once it was called

    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.connect("timeout()", fire)
    timer.start()


class _Property:
    """One Qt property as a Python attribute."""

    def __init__(self, cls: type, meta: QtCore.QMetaProperty) -> None:
        self.name = meta.name()
        self._enumeration, self._writable = meta.isEnumType(), meta.isWritable()
        title = self.name[0].upper() + self.name[1:]
        getters = (getattr(cls, name, None) for name in (self.name, f"is{title}", f"has{title}"))
        self._get = next((getter for getter in getters if callable(getter)), None)
        self._set = getattr(cls, f"set{title}", None)
        self._method = getattr(cls, self.name, None)

    def __get__(self, owner, cls=None):
        if owner is None:
            return self._method
        return signals.plain(self._value(owner))

    def __set__(self, owner, value) -> None:
        if not self._writable:
            raise AttributeError(f"The property {self.name} of {owner.className()} cannot be written.")
        if self._enumeration and type(value) is int:
            value = type(self._value(owner))(value)
        if self._set is not None:
            self._set(owner, value)
        elif not owner.setProperty(self.name, value):
            raise TypeError(f"{owner.className()}.{self.name} does not take {value!r}.")

    def _value(self, owner):
        return self._get(owner) if self._get is not None else owner.property(self.name)


def _reader(get: Callable) -> Callable:
    def read(owner: QtCore.QObject, name: str):
        if name == "connect":
            return lambda signature, function: signals.connect(owner, signature, function)
        if name == "disconnect":
            return lambda signature, function=None: signals.disconnect(owner, signature, function)
        try:
            return get(owner, name)
        except AttributeError:
            if not name.startswith("__") and name in _dynamic_properties(owner):
                return owner.property(name)
            raise

    return read


def _write(owner: QtCore.QObject, name: str, value) -> None:
    cls = type(owner)
    attribute = _static_attribute(cls, name)
    if isinstance(attribute, QtCore.Property):
        meta = owner.metaObject()
        if not meta.property(meta.indexOfProperty(name)).isWritable():
            raise AttributeError(f"The property {name} of {owner.className()} cannot be written.")
        # PythonQt takes a tuple for a QStringList, as it gives one.
        if not owner.setProperty(name, list(value) if isinstance(value, tuple) else value):
            raise TypeError(f"{owner.className()}.{name} does not take {value!r}.")
    elif hasattr(type(attribute), "__set__"):
        attribute.__set__(owner, value)
    elif name in _dynamic_properties(owner):
        owner.setProperty(name, value)
    elif isinstance(value, QtCore.SignalInstance) or _is_open(cls, name):  # PySide6 itself keeps signals so
        _get_attribute(owner, "__dict__")[name] = value
    elif not isinstance(value, QtCore.QObject) or not _loading:
        raise AttributeError(f"Creating new attributes on C++ objects is not allowed: {cls.__name__}.{name}")


def _static_attribute(cls: type, name: str):
    """The attribute of the class as it stands in its dictionary, or None."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def _is_open(cls: type, name: str) -> bool:
    """Whether the class takes new attributes: one of the code under test does, a stand-in only its private ones."""
    if cls.__module__.startswith("PySide6"):
        return False
    return cls not in _stand_ins or name.startswith("_")


def _dynamic_properties(owner: QtCore.QObject) -> list[str]:
    return [bytes(name.data()).decode() for name in _get_attribute(owner, "dynamicPropertyNames")()]


def find_children(parent: QtCore.QObject, kind: type | str | None = None, name: str = "") -> list[QtCore.QObject]:
    """All descendants of a class, given as the class or as the name of a C++ class, and of an object name if given."""
    found = _find_children(parent, kind if isinstance(kind, type) else QtCore.QObject)
    if isinstance(kind, str):
        found = [child for child in found if child.inherits(kind)]
    return [child for child in found if not name or child.objectName == name]


def _make_enums_ints(cls: type) -> None:
    """PythonQt's enumerations are ints: let PySide6's compare, hash and convert as such."""
    for value in [*vars(cls).values(), cls]:
        if isinstance(value, enum.EnumType) and not issubclass(value, int):
            value.__eq__ = lambda self, other: self.value == getattr(other, "value", other)
            value.__hash__ = lambda self: hash(self.value)
            value.__int__ = value.__index__ = lambda self: self.value
