"""Stand-in for ``slicer.parameterNodeWrapper``: typed parameters in a real vtkMRMLScriptedModuleNode.

Covers str, int, float, bool, Path, Enum, MRML nodes (also ``Node | None``) and lists of the first six; values are
stored under the same names and in the same form as Slicer stores them. Any other type raises when the class is made.
Stricter than Slicer: a list must be assigned whole, changing it in place raises.
"""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass

import slicer
import slicer.util
import vtk
from slicer_host.parameter_gui import Connector
from slicer_host.parameter_types import Default, check

SlicerParameterNamePropertyName = "SlicerParameterName"
_RESERVED = ("allParameters", "default", "dataType", "getValue", "setValue", "connectGui", "connectParametersToGui")


def parameterNodeWrapper(classtype: type | None = None) -> type | Callable[[type], type]:
    """Class decorator; see Slicer's developer guide, *Parameter nodes*.

    Raises:
        TypeError: A parameter has a type that the stand-in does not support, or a default that does not suit.
        ValueError: A parameter has a reserved name.
    """
    if classtype is None:
        return parameterNodeWrapper
    parameters = {name: _Parameter.of(classtype, name, hint) for name, hint in _hints(classtype).items()}
    for name in parameters:
        if name in _RESERVED or hasattr(_Wrapper, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
    members = {name: property(_getter(name), _setter(name)) for name in parameters}
    return type(
        classtype.__name__,
        (classtype, _Wrapper),
        {**members, "allParameters": parameters, "__module__": classtype.__module__},
    )


def isParameterNodeWrapper(thing: object) -> bool:
    """Whether it is a wrapper or a wrapper class."""
    return issubclass(thing if isinstance(thing, type) else type(thing), _Wrapper)


@dataclass(frozen=True)
class _Parameter:
    """One parameter: how it is stored, checked and what it is at first."""

    name: str
    hint: object
    type: type
    annotations: tuple
    default: object
    is_list: bool

    @classmethod
    def of(cls, owner: type, name: str, hint) -> _Parameter:
        annotations = typing.get_args(hint)[1:] if typing.get_origin(hint) is typing.Annotated else ()
        base = typing.get_args(hint)[0] if annotations else hint
        is_list = typing.get_origin(base) is list
        kind = _supported(name, typing.get_args(base)[0] if is_list else base)
        if is_list and issubclass(kind, slicer.vtkMRMLNode):
            raise TypeError(f"Parameter {name}: the stand-in host does not support lists of nodes.")
        fallback = next(
            (item.value for item in annotations if isinstance(item, Default)), [] if is_list else _initial(kind)
        )
        parameter = cls(name, hint, kind, annotations, getattr(owner, name, fallback), is_list)
        parameter.check(parameter.default)
        return parameter

    @property
    def is_node(self) -> bool:
        return issubclass(self.type, slicer.vtkMRMLNode)

    def check(self, value: object) -> None:
        for item in value if self.is_list else (value,):
            check(self.name, item, self.type, self.annotations, optional=self.is_node)

    def write(self, node, value: object) -> None:
        self.check(value)
        with slicer.util.NodeModify(node):
            if self.is_list:
                node.SetParameter(f"{self.name}.len", str(len(value)))
                for i, item in enumerate(value):
                    node.SetParameter(f"{self.name}.{i}", _text(item))
            elif self.is_node:
                node.SetParameter(self.name, "")  # as Slicer: tells None from never set
                node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            else:
                node.SetParameter(self.name, _text(value))

    def read(self, node) -> object:
        if not self.is_in(node):  # closing the scene empties the node
            self.write(node, self.default)
        if self.is_node:
            return node.GetNodeReference(self.name)
        if self.is_list:
            length = int(node.GetParameter(f"{self.name}.len"))
            return _Fixed(self._value(node.GetParameter(f"{self.name}.{i}")) for i in range(length))
        return self._value(node.GetParameter(self.name))

    def is_in(self, node) -> bool:
        return node.HasParameter(f"{self.name}.len" if self.is_list else self.name)

    def _value(self, text: str) -> object:
        if self.type is bool:
            return text == "True"
        return self.type[text] if issubclass(self.type, enum.Enum) else self.type(text)


class _Wrapper:
    """What the decorator adds to the class."""

    allParameters: typing.ClassVar[dict[str, _Parameter]] = {}

    def __init__(self, parameterNode, prefix: str | None = None) -> None:
        if parameterNode is None or not parameterNode.IsA("vtkMRMLScriptedModuleNode"):
            raise TypeError("A parameter node wrapper takes a vtkMRMLScriptedModuleNode.")
        if prefix is not None:
            raise NotImplementedError("Prefixes are not in the stand-in host.")
        self.parameterNode = parameterNode
        self._connections: dict[int, tuple[list[Connector], int]] = {}
        self._next_tag, self._updating = 0, False
        for parameter in self.allParameters.values():
            if not parameter.is_in(parameterNode):
                parameter.write(parameterNode, parameter.default)

    def default(self, name: str) -> Default:
        """The default of a parameter."""
        return Default(self._find(name).default)

    @classmethod
    def dataType(cls, name: str) -> type:
        """The type of a parameter as it was declared, with annotations."""
        return cls._find(name).hint

    def getValue(self, name: str):
        """A parameter by its name."""
        return self._find(name).read(self.parameterNode)

    def setValue(self, name: str, value) -> None:
        """Set a parameter by its name."""
        self._find(name).write(self.parameterNode, value)

    def connectGui(self, gui) -> int:
        """Bind the widgets that have the dynamic property ``SlicerParameterName``, both ways.

        Args:
            gui: A widget, whose descendants are looked at, or what ``slicer.util.childWidgetVariables`` returned.

        Returns:
            A tag for :meth:`disconnectGui`.
        """
        is_widget = getattr(gui, "isWidgetType", lambda: False)()
        widgets = slicer.util.findChildren(gui) if is_widget else vars(gui).values()
        named = ((widget.property(SlicerParameterNamePropertyName), widget) for widget in widgets)
        return self.connectParametersToGui({name: widget for name, widget in named if name})

    def connectParametersToGui(self, mapping: dict) -> int:
        """Bind parameters to widgets, both ways: the widgets take the parameters' values at once."""
        connectors = [Connector(self._find(name), widget) for name, widget in mapping.items()]
        for connector in connectors:
            connector.write(self.getValue(connector.name))
            connector.start(self._gui_changed)
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._update_gui())
        self._next_tag += 1
        self._connections[self._next_tag] = connectors, observer
        return self._next_tag

    def disconnectGui(self, tag: int) -> None:
        """The opposite of :meth:`connectGui`; an unknown tag does nothing, as in Slicer."""
        connectors, observer = self._connections.pop(tag, ((), 0))
        for connector in connectors:
            connector.stop()
        if observer:
            self.RemoveObserver(observer)

    def StartModify(self) -> int:
        """See vtkMRMLNode."""
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified: int) -> int:
        """See vtkMRMLNode."""
        return self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event, callback, priority: float = 0.0) -> int:
        """Observe the node."""
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        """Stop observing the node."""
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        """See vtkObject."""
        self.parameterNode.Modified()

    @classmethod
    def _find(cls, name: str) -> _Parameter:
        if name not in cls.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}; there are {sorted(cls.allParameters)}.")
        return cls.allParameters[name]

    def _gui_changed(self, connector: Connector) -> None:
        if not self._updating:
            self.setValue(connector.name, connector.read())

    def _update_gui(self) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            for connectors, _observer in self._connections.values():
                for connector in connectors:
                    connector.write(self.getValue(connector.name))
        finally:
            self._updating = False


class _Fixed(list):
    """A list that was read from the node; Slicer would write a change through, here it must be assigned."""

    def _refuse(self, *_arguments: object, **_options: object) -> typing.NoReturn:
        raise NotImplementedError("Assign a new list to the parameter instead of changing it in place.")

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse


def _hints(owner: type) -> dict:
    return typing.get_type_hints(owner, include_extras=True)


def _supported(name: str, kind) -> type:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(kind) if member is not type(None)]
        if len(members) == 1 and issubclass(members[0], slicer.vtkMRMLNode):
            return members[0]
    simple = (str, int, float, bool, enum.Enum, pathlib.PurePath, slicer.vtkMRMLNode)
    if isinstance(kind, type) and issubclass(kind, simple):
        return kind
    raise TypeError(f"Parameter {name}: the stand-in host does not support {kind}.")


def _initial(kind: type) -> object:
    if issubclass(kind, slicer.vtkMRMLNode):
        return None
    return next(iter(kind)) if issubclass(kind, enum.Enum) else kind()


def _text(value: object) -> str:
    return value.name if isinstance(value, enum.Enum) else str(value)


def _getter(name: str) -> Callable:
    return lambda self: self.getValue(name)


def _setter(name: str) -> Callable:
    return lambda self, value: self.setValue(name, value)
